/* edgeemo_phone.h: the student as a shared library, for a wrapper in Kotlin, Java, Swift or Dart.
 *
 * Values are plain numbers, the handle is opaque, and a handle owns its memory: a wrapper needs no
 * structs. One handle belongs to one thread at a time; two share nothing that is written.
 */
#ifndef EDGEEMO_PHONE_H
#define EDGEEMO_PHONE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined _WIN32
#define EDGEEMO_PHONE_API __declspec(dllexport)
#else
#define EDGEEMO_PHONE_API __attribute__((visibility("default")))
#endif

typedef struct edgeemo_phone edgeemo_phone;

/* A new listener, after the self-test; NULL if there is no memory or the test fails. */
EDGEEMO_PHONE_API edgeemo_phone *edgeemo_phone_new(void);

/* End it. NULL does nothing. */
EDGEEMO_PHONE_API void edgeemo_phone_free(edgeemo_phone *phone);

/* Values of an estimate, and the name of each, 0..count-1 ("arousal"); NULL beyond. */
EDGEEMO_PHONE_API int32_t edgeemo_phone_values(void);
EDGEEMO_PHONE_API const char *edgeemo_phone_name(int32_t value);

/* Take n samples, 16 kHz, mono, -1..1; Android's ENCODING_PCM_FLOAT, iOS's float buffers.
 * Returns 0, or a status below 0. */
EDGEEMO_PHONE_API int32_t edgeemo_phone_push(edgeemo_phone *phone, const float *samples, int32_t n);

/* The same for 16-bit samples. */
EDGEEMO_PHONE_API int32_t edgeemo_phone_push_i16(edgeemo_phone *phone, const int16_t *samples,
                                                 int32_t n);

/* The estimate for all samples since the last reset. values: room for edgeemo_phone_values().
 * Returns the values written, or a status below 0 (too little was heard). */
EDGEEMO_PHONE_API int32_t edgeemo_phone_estimate(edgeemo_phone *phone, float *values, int32_t room);

/* Forget what was heard. NULL does nothing. */
EDGEEMO_PHONE_API void edgeemo_phone_reset(edgeemo_phone *phone);

/* Sound without an end, as from a microphone: gate, windows, smoothing and confidence, with the settings
 * of EDGEEMO_STREAM_SETTINGS in edgeemo_stream.h. A stream is a handle of its own. */
typedef struct edgeemo_phone_stream edgeemo_phone_stream;

/* A new one, after the self-test; NULL if there is no memory or the test fails. End it with free. */
EDGEEMO_PHONE_API edgeemo_phone_stream *edgeemo_phone_stream_new(void);
EDGEEMO_PHONE_API void edgeemo_phone_stream_free(edgeemo_phone_stream *stream);

/* Samples from one estimate to the next: a push of no more completes one at most. */
EDGEEMO_PHONE_API int32_t edgeemo_phone_stream_stride(void);

/* Take n samples as edgeemo_phone_push() does. Returns the estimates that became ready, 0 or more, or a
 * status below 0. */
EDGEEMO_PHONE_API int32_t edgeemo_phone_stream_push(edgeemo_phone_stream *stream,
                                                    const float *samples, int32_t n);
EDGEEMO_PHONE_API int32_t edgeemo_phone_stream_push_i16(edgeemo_phone_stream *stream,
                                                        const int16_t *samples, int32_t n);

/* The newest estimate. values: room for edgeemo_phone_values(), all 0 where nobody speaks.
 * told: 5 numbers: begin and end of what it looks at, in seconds since the reset; 1 if somebody speaks,
 * else 0; the place of the class to show, or -1; the confidence, 0..1.
 * Returns the values written, or a status below 0 (there is none yet). */
EDGEEMO_PHONE_API int32_t edgeemo_phone_stream_estimate(const edgeemo_phone_stream *stream,
                                                        float *values, int32_t room, double *told);

/* Forget what was heard. NULL does nothing. */
EDGEEMO_PHONE_API void edgeemo_phone_stream_reset(edgeemo_phone_stream *stream);

/* The text of a status. Static, never NULL. */
EDGEEMO_PHONE_API const char *edgeemo_phone_text(int32_t status);

#ifdef __cplusplus
}
#endif

#endif
