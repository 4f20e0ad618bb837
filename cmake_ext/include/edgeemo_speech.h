/* edgeemo_speech.h: a clip of speech to an estimate: front end and network in one. For sound without an
 * end, with a gate and a confidence, see edgeemo_stream.h.
 *
 * Use, in this order:
 *
 *     #include "edgeemo_student.h"                                 (written by `edgeemo export`)
 *     static uint64_t memory[EDGEEMO_STUDENT_MEMORY / 8];
 *     edgeemo_speech *speech;
 *     edgeemo_speech_init(&speech, memory, sizeof memory, &edgeemo_student);
 *     edgeemo_speech_push_i16(speech, samples, n);                 (again and again)
 *     edgeemo_speech_estimate(speech, values, EDGEEMO_STUDENT_VALUES);    (whenever wanted)
 *     edgeemo_speech_reset(speech);                                (before other speech)
 *
 * Memory is the caller's, as for edgeemo.h and edgeemo_model.h, which do the work; nothing here
 * allocates, locks, prints, or calls the operating system or libm. Samples may come in any blocks:
 * the estimates are the same bits, on every target. All calls for one edgeemo_speech come from one
 * task; two of them share nothing that is written.
 */
#ifndef EDGEEMO_SPEECH_H
#define EDGEEMO_SPEECH_H

#include "edgeemo.h"
#include "edgeemo_confidence.h"
#include "edgeemo_model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a student is. All of it is constant and may lie in flash. */
typedef struct edgeemo_speech_model {
    const void *blob; /* for edgeemo_model_init(), 4-byte aligned */
    size_t blob_bytes;
    const edgeemo_tables *tables;         /* of its front end */
    const edgeemo_confidence *confidence; /* NULL: that of the likeliest class */
    int32_t sample_rate;                  /* Hz, 1000..768000 */
    int32_t least;                        /* samples; with fewer there is no estimate */
    int32_t classes_at, classes;          /* place of the class probabilities among the values; what
                                             comes behind them are shares of speech and sounds */
    float low, high;                      /* an estimate's values are clipped to this range */
} edgeemo_speech_model;

typedef struct edgeemo_speech edgeemo_speech;

/* Bytes that edgeemo_speech_init() needs, a multiple of 8; 0 if the model cannot be used. */
size_t edgeemo_speech_size(const edgeemo_speech_model *model);

/* Make the chain in `memory`, reset.
 *
 * speech  receives the chain; it lies inside memory.
 * memory  `bytes` bytes, 8-byte aligned, at least edgeemo_speech_size(model); may hold anything.
 * model   its blob and tables stay in use: they may not move or change.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_ARG, EDGEEMO_ERR_MEMORY, EDGEEMO_ERR_BLOCK (the model needs a
 * whole clip at once, or other bands than the front end gives) or what edgeemo_model_check() says;
 * on an error *speech is as before.
 */
int32_t edgeemo_speech_init(edgeemo_speech **speech, void *memory, size_t bytes,
                            const edgeemo_speech_model *model);

/* Take n samples, mono, at the front end's rate; borrowed for the call; may be NULL if n is 0.
 *
 * The work of a frame falls into the call that completes it. Of float samples speech is -1..1;
 * of 16-bit ones each is the same as sample / 32768.0f.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_ARG or EDGEEMO_ERR_VALUE (a sample that
 * edgeemo_first_bad_sample() names), then the chain is as before; or EDGEEMO_ERR_TOO_MANY_FRAMES
 * (hours without a reset), then samples were lost.
 */
int32_t edgeemo_speech_push(edgeemo_speech *speech, const float *samples, int32_t n);
int32_t edgeemo_speech_push_i16(edgeemo_speech *speech, const int16_t *samples, int32_t n);

/* The estimate for all samples since the reset; the chain goes on as if it had not been asked.
 *
 * values  room for `room` floats; receives the outputs, one behind the other, as
 *         edgeemo_student.h names them. Arousal, dominance and valence are about 0..1, not clipped.
 *
 * Returns the values written, or EDGEEMO_ERR_ARG, EDGEEMO_ERR_MEMORY (room is too small) or
 * EDGEEMO_ERR_NOT_ENOUGH_FRAMES; on an error values is as before.
 */
int32_t edgeemo_speech_estimate(edgeemo_speech *speech, float *values, int32_t room);

/* Forget all samples: what follows is bit-identical to a new chain. NULL does nothing. */
void edgeemo_speech_reset(edgeemo_speech *speech);

#ifdef __cplusplus
}
#endif

#endif
