/* edgeemo_fixed.h: the front end in integers, for processors without an FPU: its tables. */
#ifndef EDGEEMO_FIXED_H
#define EDGEEMO_FIXED_H

#include "edgeemo_internal.h"

/* Twiddles in 1/32768. */
typedef struct edgeemo_fixed_complex {
    int16_t re, im;
} edgeemo_fixed_complex;

typedef struct edgeemo_fixed_twiddles {
    edgeemo_fixed_complex by1, by2, by3;
} edgeemo_fixed_twiddles;

enum { EDGEEMO_FIXED_LOGS = 64, EDGEEMO_FIXED_LN2 = 45426 /* in 1/65536 */ };

/* As the floats of edgeemo_tables, which see for the sizes; natural logarithms in 1/65536. */
struct edgeemo_fixed_tables {
    const uint16_t *window;      /* in 1/32768 */
    const edgeemo_fixed_twiddles *twiddles;
    const edgeemo_fixed_complex *rfft_twiddles;
    const uint16_t *mel_weights; /* in 1/32768 */
    const int32_t *norm;         /* [bands] what a band's logarithm gains */
    const uint16_t *logs;        /* [EDGEEMO_FIXED_LOGS + 1] of 1 + i / EDGEEMO_FIXED_LOGS */
    int32_t floor;               /* its logarithm */
    int32_t log_scale;           /* in 1/4096 */
};

/* Bytes of the tables that are made of others, a multiple of 8. */
size_t edgeemo_fixed_tables_size(const edgeemo_tables *from);

/* Make them in `memory`, aligned on 8 bytes; they begin with the struct. `from`, made by
 * edgeemo_make_tables(), stays in use. NULL if the integers have no such spectrum, floor or scale:
 * they take powers and clamp. */
edgeemo_tables *edgeemo_make_fixed_tables(void *memory, const edgeemo_tables *from);

/* A sample of -1..1 as 16 bits; what is beyond is cut. */
static inline int16_t edgeemo_short_of(float sample)
{
    float x = sample * 32768.0f;
    x += x < 0 ? -0.5f : 0.5f;
    return (int16_t)(x > 32767.0f ? 32767 : x < -32768.0f ? -32768 : (int32_t)x);
}

/* x w / 65536, rounded down, for w of -32768..32767: one instruction where there is a product of 64
 * bits, and two products of 32 where there is none. */
static inline int32_t edgeemo_fixed_times(int32_t x, int32_t w)
{
#if defined __ARM_ARCH_ISA_THUMB && __ARM_ARCH_ISA_THUMB == 1 /* Cortex-M0, M0+ */
    return (x >> 16) * w + ((int32_t)(x & 0xffff) * w >> 16);
#else
    return (int32_t)((int64_t)x * (w * 65536) >> 32);
#endif
}

#endif
