/* edgeemo_stream.h: what a product runs: samples of a microphone in, for ever; every quarter of a
 * second an estimate of the last seconds, smoothed, with its confidence, and none where nobody
 * speaks. The same bits as `Session.stream()` of the Python package gives on its backend `c`.
 *
 * Use, in this order:
 *
 *     #include "edgeemo_student.h"                              (written by `edgeemo export`)
 *     static uint64_t memory[EDGEEMO_STUDENT_STREAM_MEMORY / 8];
 *     static const edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
 *     edgeemo_stream *stream;
 *     edgeemo_estimate now;
 *     edgeemo_stream_init(&stream, memory, sizeof memory, &edgeemo_student, &settings);
 *     if (edgeemo_stream_push_i16(stream, samples, n) > 0)      (again and again)
 *         edgeemo_stream_estimate(stream, &now);
 *     edgeemo_stream_reset(stream);                             (another speaker, another device)
 *
 * Memory is the caller's; nothing here allocates, locks, prints, or calls the operating system or
 * libm. Samples may come in any blocks. Nothing drifts and no counter ends it: times are in samples
 * of 64 bits, and all else is counted within a window. edgeemo_speech.h is for single clips.
 *
 * THREADS. A stream belongs to one task: the one that calls push, gap and reset. One other task, or
 * the main loop beside an interrupt, may call edgeemo_stream_estimate() at any time: it gets a whole
 * estimate, the newest that was there. Two streams share nothing that is written.
 */
#ifndef EDGEEMO_STREAM_H
#define EDGEEMO_STREAM_H

#include "edgeemo_speech.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    EDGEEMO_MOST_VALUES = 20,  /* outputs of a student in a stream, at most */
    EDGEEMO_SPEECH_SHARE = 5,  /* one block of 10 ms in so many must be speech for an estimate */
    EDGEEMO_FIRST_SECONDS = 1, /* the first estimate comes after so much sound */
    EDGEEMO_MOST_SECONDS = 60  /* of a window or stride */
};

/* What a stream does. Times in frames of the front end. */
typedef struct edgeemo_stream_settings {
    int32_t sample_rate;  /* Hz, of the samples that will be pushed; it must be the model's */
    int32_t window;       /* sound that an estimate looks at: half of it to all of it, rounded up to
                             twice a whole number of the network's tokens */
    int32_t stride;       /* from one estimate to the next */
    int32_t gate;         /* 1: the gate of edgeemo_gate.h tells where somebody speaks; 2: the network
                             too, of what that gate lets pass, if it tells sounds; 0: estimates
                             everywhere */
    int32_t spread;       /* 1: work that may wait is spread over frames, so that no block of 10 ms
                             takes much more than another; an estimate then comes up to a token's
                             frames (30 ms) after its end, with the same bits */
    int32_t block;        /* frames that go through the network together; 1 takes the least memory,
                             and `spread` needs it */
    float abstain;        /* 0..1; with less confidence the values are absent */
    float smoothing;      /* seconds, time constant of the running mean, above 0; 0: none */
    float margin;         /* 0..1; how much likelier another class must be before it is shown */
    float forget_seconds; /* after so long without values the mean starts afresh */
} edgeemo_stream_settings;

/* What Session.stream() does, in the least memory and evenly. Set sample_rate to that of your converter:
 * a model that takes another is refused, and never fed with sound that is too fast or too slow. */
#define EDGEEMO_STREAM_SETTINGS {16000, 300, 25, 1, 1, 1, 0.0f, 1.0f, 0.1f, 5.0f}

/* An estimate. */
typedef struct edgeemo_estimate {
    int64_t start, end; /* of its window, samples since the reset */
    int32_t speech;     /* 1: somebody speaks; 0: nobody; -1: there is no gate */
    int32_t known;      /* 1: the fields below hold; 0: nobody speaks, or too little confidence */
    int32_t expression; /* which value is that of the class to show; -1 without classes */
    float confidence;   /* probability that the estimate is right, 0..1; also if not known */
    float values[EDGEEMO_MOST_VALUES]; /* as edgeemo_student.h names them, within its range. Shares of
                                          speech and sounds hold also if not known, and are never
                                          smoothed; all 0 where nothing is heard */
} edgeemo_estimate;

typedef struct edgeemo_stream edgeemo_stream;

/* Bytes that edgeemo_stream_init() needs, a multiple of 8; 0 if it would refuse. */
size_t edgeemo_stream_size(const edgeemo_speech_model *model,
                           const edgeemo_stream_settings *settings);

/* Make a stream in `memory`, reset.
 *
 * stream    receives the stream; it lies inside memory.
 * memory    `bytes` bytes, 8-byte aligned, at least edgeemo_stream_size(); may hold anything.
 * model     is copied; its blob, tables and confidence stay in use and may not move or change.
 * settings  copied.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_ARG, EDGEEMO_ERR_MEMORY, EDGEEMO_ERR_RATE, EDGEEMO_ERR_SETTINGS (a setting is out of
 * range, or the window is shorter than the first estimate), EDGEEMO_ERR_BLOCK (the model is not one
 * that streams, has too many layers or values, or its front end gives other bands than it takes) or
 * what edgeemo_model_check() says; on an error *stream is as before.
 */
int32_t edgeemo_stream_init(edgeemo_stream **stream, void *memory, size_t bytes,
                            const edgeemo_speech_model *model,
                            const edgeemo_stream_settings *settings);

/* Take n samples, mono, at the model's rate; borrowed for the call; may be NULL if n is 0. Float
 * samples of speech are -1..1; 16-bit ones are sample / 32768.0f.
 *
 * Returns how many estimates became ready, 0 or more; or EDGEEMO_ERR_ARG or EDGEEMO_ERR_VALUE (a
 * sample that edgeemo_first_bad_sample() names), then the stream is as before.
 */
int32_t edgeemo_stream_push(edgeemo_stream *stream, const float *samples, int32_t n);
int32_t edgeemo_stream_push_i16(edgeemo_stream *stream, const int16_t *samples, int32_t n);

/* Let the time of n samples pass without sound: packets that were lost. Nobody speaks there, and the
 * gate keeps its floor.
 *
 * filler  what stands for the sound in the network, as for edgeemo_stream_push(); NULL for zeros.
 * last    the 10 ms of sound before the gap, sample_rate / 100 samples, which fill the gate's blocks
 *         that are known in part; NULL for zeros.
 *
 * Returns as edgeemo_stream_push().
 */
int32_t edgeemo_stream_gap(edgeemo_stream *stream, const float *filler, int32_t n,
                           const float *last);

/* The newest estimate. Also from another task than the one that pushes; see THREADS.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_ARG, or EDGEEMO_ERR_NOT_ENOUGH_FRAMES if there is none yet; then
 * *estimate is as before.
 */
int32_t edgeemo_stream_estimate(const edgeemo_stream *stream, edgeemo_estimate *estimate);

/* End the sound: the estimate of what came after the last one, at least the model's shortest clip,
 * and a reset. Returns as edgeemo_stream_estimate(), or EDGEEMO_ERR_NOT_ENOUGH_FRAMES if no sound came
 * after the last estimate. */
int32_t edgeemo_stream_flush(edgeemo_stream *stream, edgeemo_estimate *estimate);

/* Forget all samples: what follows is bit-identical to a new stream. NULL does nothing. Another task
 * may not be inside edgeemo_stream_estimate(). */
void edgeemo_stream_reset(edgeemo_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
