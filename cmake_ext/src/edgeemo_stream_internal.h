/* edgeemo_stream_internal.h: the state of a stream; for its two files and for tests. */
#ifndef EDGEEMO_STREAM_INTERNAL_H
#define EDGEEMO_STREAM_INTERNAL_H

#include "edgeemo_gate_internal.h"
#include "edgeemo_stream.h"
#include "edgeemo_windows.h"

enum { EDGEEMO_MOST_SAID = 12 }; /* outputs of a student without the shares of sounds, at most */

/* Blocks of the gate in a window. */
typedef struct edgeemo_share {
    int32_t blocks, speech;
} edgeemo_share;

/* Of two states, windows or slots the one with the even number is first. Where a number "begins", the
 * one of two windows before is overwritten. */
struct edgeemo_stream {
    edgeemo_speech_model model;
    edgeemo_stream_settings settings;
    edgeemo_windows windows;
    edgeemo_frontend *frontend;
    float *frames;        /* [settings.block][bands] */
    int32_t filled;       /* frames that wait */
    int32_t values;       /* of the model */
    int32_t said;         /* of these, what it says of emotion; behind are shares of sounds */
    int32_t half, stride; /* samples */
    int32_t until;        /* samples until the end of the next estimate */
    int64_t seen;         /* samples taken */
    int64_t last_end;     /* of the last estimate */
    int64_t start;        /* of the older window */
    int32_t older;        /* which it is */

    /* How the log-mel lies and moves in each window. */
    edgeemo_statistics statistics[2];
    int32_t groups[EDGEEMO_GROUPS]; /* of the last frame */
    int32_t frame; /* of the younger window, the next one */
    int32_t young;

    /* The gate, and how much speech there is in each window. */
    edgeemo_gate gate;
    edgeemo_fixed_gate fixed_gate;
    edgeemo_share share[2];
    int32_t share_young;
    int64_t block_start; /* sample with which the gate's block began */
    int64_t share_begin; /* and the window that begins next */

    /* The estimate whose window is over, while the network is not. */
    int64_t due_start, due_end;
    int32_t is_due, due_state, due_speech;
    float described[EDGEEMO_MOST_SAID + EDGEEMO_DESCRIBED];

    edgeemo_estimate mean;     /* smoothed; not known before the first */
    edgeemo_estimate slots[2]; /* the newest one at turn % 2 */
    volatile uint32_t turn;    /* estimates so far */
    int32_t ready;             /* in this push */
};

/* As edgeemo_stream_size(), with a set of kernels; also how many edgeemo_rows there are. For who
 * computes sizes of other machines. */
size_t edgeemo_stream_size_with(const edgeemo_speech_model *model,
                                const edgeemo_stream_settings *settings,
                                const edgeemo_kernels *kernels, int32_t *tables);

#endif
