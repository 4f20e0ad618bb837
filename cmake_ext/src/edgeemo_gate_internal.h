/* edgeemo_gate_internal.h: the gate piece by piece, for samples that were checked before. */
#ifndef EDGEEMO_GATE_INTERNAL_H
#define EDGEEMO_GATE_INTERNAL_H

#include "edgeemo_gate.h"

/* n more samples of the block that is under way, gate->block - gate->filled at most. Returns whether
 * somebody speaks in it, 0 or 1, or -1 if it is not yet complete. */
int32_t edgeemo_gate_add(edgeemo_gate *gate, const float *samples, int32_t n);
int32_t edgeemo_gate_add_i16(edgeemo_gate *gate, const int16_t *samples, int32_t n);


/* The same in integers, for a front end of integers: a gate whose samples are 16 bits, and what its
 * sums are in meanwhile. */
typedef struct edgeemo_fixed_gate {
    uint64_t sum;       /* of squares in this block, in 2^-28 */
    int32_t last, high; /* the sample before; high-passed, in 1/4096 */
    int32_t drop;       /* what the high-pass loses a sample, in 1/32768 */
} edgeemo_fixed_gate;
void edgeemo_fixed_gate_init(edgeemo_fixed_gate *fixed, const edgeemo_gate *gate);
int32_t edgeemo_fixed_gate_add(edgeemo_fixed_gate *fixed, edgeemo_gate *gate, const int16_t *samples,
                               int32_t n);

#endif
