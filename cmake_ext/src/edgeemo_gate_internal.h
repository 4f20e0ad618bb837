/* edgeemo_gate_internal.h: the gate piece by piece, for samples that were checked before. */
#ifndef EDGEEMO_GATE_INTERNAL_H
#define EDGEEMO_GATE_INTERNAL_H

#include "edgeemo_gate.h"

/* n more samples of the block that is under way, gate->block - gate->filled at most. Returns whether
 * somebody speaks in it, 0 or 1, or -1 if it is not yet complete. */
int32_t edgeemo_gate_add(edgeemo_gate *gate, const float *samples, int32_t n);
int32_t edgeemo_gate_add_i16(edgeemo_gate *gate, const int16_t *samples, int32_t n);

#endif
