/* edgeemo_batch.h: the features of a whole clip, several frames side by side.
 *
 * For machines with room and vector units: several times as fast as edgeemo_frontend_push(), the
 * same bits. Not needed in firmware. */
#ifndef EDGEEMO_BATCH_H
#define EDGEEMO_BATCH_H

#include "edgeemo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of work memory that edgeemo_batch() needs for this front end; 0 if fe is NULL. */
size_t edgeemo_batch_size(const edgeemo_frontend *fe);

/* All frames of a clip: what edgeemo_frontend_push() gives for it after a reset.
 *
 * fe       gives the tables; it is only read, and what it holds of a stream does not matter, so
 *          that threads may share it.
 * samples  n values as for edgeemo_frontend_push(); may be NULL if n is 0.
 * frames   room for all frames: 0 if n < window, else 1 + (n - window) / hop, of spec.bands values.
 * work     edgeemo_batch_size(fe) bytes, 64-byte aligned, of this call alone; may hold anything.
 *
 * Returns the frames written, or EDGEEMO_ERR_ARG (also for a front end in integers), EDGEEMO_ERR_VALUE or EDGEEMO_ERR_MEMORY; on an
 * error frames is as before.
 */
int32_t edgeemo_batch(const edgeemo_frontend *fe, const float *samples, int32_t n, float *frames,
                      void *work, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
