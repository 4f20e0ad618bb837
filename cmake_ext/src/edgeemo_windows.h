/* edgeemo_windows.h: one network on two windows of a stream, begun half a window apart.
 *
 * A causal network cannot forget the beginning of its window, so two states run, and the older one
 * speaks. What differs between a new state and one that has run for long is padding: the first
 * rows of each tensor, fewer in the first layers. Those layers, the stem, run once for both; a new
 * state computes only its own first rows and takes all others from the stem. Every estimate is, bit
 * for bit, that of a fresh model on the frames of its window.
 *
 * The stem never ends: its counters go back by whole turns of all its rings. */
#ifndef EDGEEMO_WINDOWS_H
#define EDGEEMO_WINDOWS_H

#include "edgeemo_model_internal.h"

enum {
    EDGEEMO_MAX_WINDOW_LIST = 64,  /* tensors, layers */
    EDGEEMO_WINDOWS_WRAP = 1 << 29 /* frames of the stem after which its counters go back */
};

typedef struct edgeemo_windows {
    edgeemo_model stem, state[2];
    uint16_t *own;     /* of each tensor the first rows that a new state computes itself */
    int32_t layers;    /* of the stem */
    int32_t tensors;   /* of which it has rows, up to this number */
    int32_t tensor;    /* which goes from the stem to the states */
    int32_t stride;    /* frames for a token */
    int32_t half;      /* frames from one beginning to the next */
    int32_t turn;      /* frames after which all rings of the stem are where they were */
    int32_t spread;    /* whether work waits for the frames that follow */
    int32_t phase;     /* frames since the last beginning; 0 when the next one begins a state */
    int32_t young;     /* the state that began last; -1 before the first frame */
    int32_t running;   /* states that have begun: 0, 1, then 2 */
    int32_t origin[2]; /* frames of the stem when a state began */
    int32_t first;     /* layer of the stem from which on the young state has rows of its own left */
    int32_t next[2];   /* layer of a state that waits; -1 before its first, `layers` of all: none */
    uint32_t left;     /* products that wait */
    uint64_t open;     /* bit i: shared memory holds something that layer i or a later one reads, and
                          that an earlier one made */
} edgeemo_windows;

/* Lay out and reset. Memory that holds nothing between two calls comes from `scratch`, all other
 * from `a`; without a start the bytes are counted and nothing else is done.
 *
 * half    frames from one state's beginning to the next; rounded up to whole tokens.
 * block   frames that go through the layers together.
 * spread  1: a frame's work that can wait is shared out over the frames that follow, until the next
 *         token; needs block 1. No bit changes.
 * kernels NULL for the best.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_BLOCK (not streamable, or counters could not go back) or what
 * edgeemo_model_check() says. */
int32_t edgeemo_windows_plan(edgeemo_windows *w, edgeemo_arena *a, edgeemo_arena *scratch,
                             const void *blob, size_t blob_bytes, int32_t half, int32_t block,
                             int32_t spread, const edgeemo_kernels *kernels);

/* Take frames; the states begin with frame 0, half, 2 half ... in turn. */
void edgeemo_windows_push(edgeemo_windows *w, const float *features, int32_t frames);

/* 1 if no token of a state waits: then edgeemo_model_outputs() of it is its estimate. */
int32_t edgeemo_windows_is_done(const edgeemo_windows *w, int32_t k);

/* Do what waits. */
void edgeemo_windows_finish(edgeemo_windows *w);

void edgeemo_windows_reset(edgeemo_windows *w);

#endif
