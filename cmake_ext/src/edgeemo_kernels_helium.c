/* edgeemo_kernels_helium.c: Helium (MVE), Cortex-M55 and M85. */
#include "edgeemo_fast.h"

#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_HELIUM)
#include <arm_mve.h>

/* ---- dot products ---- */

/* Sums of bytes are made in even registers only, so the loops over inputs are in assembler: four
 * outputs of one position in r0 to r6, of another in r8 to r14. Weights of a block of 16 inputs lie
 * output by output; in the last, partial block all loads are predicated. */
#define SUM(sum, x, w) "vmladava.s8 " sum ", " x ", " w "\n"
#define OUTPUT_OF_TWO(offset, sum, other) \
    "vldrb.8 q2, [%[w], #" offset "]\n" SUM(sum, "q0", "q2") SUM(other, "q1", "q2")
#define REST_OF_TWO(sum, other) \
    "vpst\n vldrbt.8 q2, [%[w]]\n add %[w], %[w], %[rest]\n" \
    SUM(sum, "q0", "q2") SUM(other, "q1", "q2")
#define OUTPUT_OF_ONE(offset, sum) "vldrb.8 q2, [%[w], #" offset "]\n" SUM(sum, "q0", "q2")
#define REST_OF_ONE(sum) \
    "vpst\n vldrbt.8 q2, [%[w]]\n add %[w], %[w], %[rest]\n" SUM(sum, "q0", "q2")
#define SUMS_OF_ONE "+r"(a0), "+r"(a1), "+r"(a2), "+r"(a3)
#define SUMS_OF_TWO SUMS_OF_ONE, "+r"(b0), "+r"(b1), "+r"(b2), "+r"(b3)

/* Four outputs of two positions to `sums`; returns the weights of the next four. */
static inline const int8_t *sums_of_two(int32_t blocks, int32_t rest, const int8_t *w,
                                        const int8_t *x, const int8_t *y, int32_t *sums)
{
    register int32_t a0 __asm__("r0") = 0, a1 __asm__("r2") = 0, a2 __asm__("r4") = 0;
    register int32_t a3 __asm__("r6") = 0, b0 __asm__("r8") = 0, b1 __asm__("r10") = 0;
    register int32_t b2 __asm__("r12") = 0, b3 __asm__("r14") = 0;
    int32_t lanes; /* compilers do not know that the predicate changes */
    if (blocks)
        __asm__ volatile("1: vldrb.8 q0, [%[x]], #16\n vldrb.8 q1, [%[y]], #16\n"
                         OUTPUT_OF_TWO("0", "r0", "r8") OUTPUT_OF_TWO("16", "r2", "r10")
                         OUTPUT_OF_TWO("32", "r4", "r12") OUTPUT_OF_TWO("48", "r6", "r14")
                         "adds %[w], #64\n subs %[blocks], #1\n bne 1b\n"
                         : SUMS_OF_TWO, [w] "+r"(w), [x] "+r"(x), [y] "+r"(y),
                           [blocks] "+r"(blocks)
                         :
                         : "q0", "q1", "q2", "cc", "memory");
    if (rest)
        __asm__ volatile("vmrs %[lanes], p0\n vctp.8 %[rest]\n vpstt\n"
                         "vldrbt.8 q0, [%[x]]\n vldrbt.8 q1, [%[y]]\n"
                         REST_OF_TWO("r0", "r8") REST_OF_TWO("r2", "r10")
                         REST_OF_TWO("r4", "r12") REST_OF_TWO("r6", "r14")
                         "vmsr p0, %[lanes]\n"
                         : SUMS_OF_TWO, [w] "+r"(w), [lanes] "=&r"(lanes)
                         : [x] "r"(x), [y] "r"(y), [rest] "r"(rest)
                         : "q0", "q1", "q2", "cc", "memory");
    sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
    sums[4] = b0, sums[5] = b1, sums[6] = b2, sums[7] = b3;
    return w;
}

static inline const int8_t *sums_of_one(int32_t blocks, int32_t rest, const int8_t *w,
                                        const int8_t *x, int32_t *sums)
{
    register int32_t a0 __asm__("r0") = 0, a1 __asm__("r2") = 0, a2 __asm__("r4") = 0;
    register int32_t a3 __asm__("r6") = 0;
    int32_t lanes;
    if (blocks)
        __asm__ volatile("1: vldrb.8 q0, [%[x]], #16\n"
                         OUTPUT_OF_ONE("0", "r0") OUTPUT_OF_ONE("16", "r2")
                         OUTPUT_OF_ONE("32", "r4") OUTPUT_OF_ONE("48", "r6")
                         "adds %[w], #64\n subs %[blocks], #1\n bne 1b\n"
                         : SUMS_OF_ONE, [w] "+r"(w), [x] "+r"(x), [blocks] "+r"(blocks)
                         :
                         : "q0", "q2", "cc", "memory");
    if (rest)
        __asm__ volatile("vmrs %[lanes], p0\n vctp.8 %[rest]\n vpst\n vldrbt.8 q0, [%[x]]\n"
                         REST_OF_ONE("r0") REST_OF_ONE("r2") REST_OF_ONE("r4") REST_OF_ONE("r6")
                         "vmsr p0, %[lanes]\n"
                         : SUMS_OF_ONE, [w] "+r"(w), [lanes] "=&r"(lanes)
                         : [x] "r"(x), [rest] "r"(rest)
                         : "q0", "q2", "cc", "memory");
    sums[0] = a0, sums[1] = a1, sums[2] = a2, sums[3] = a3;
    return w;
}

/* Four sums without their biases, whose constants lie at `channels`. */
static inline int32x4_t requantize(const edgeemo_requant *r, const int32_t *sums,
                                   const int32_t *channels)
{
    int32x4_t acc = vaddq_s32(vldrwq_s32(sums), vldrwq_s32(channels));
    if (r->pre)
        acc = vshlq_r_s32(acc, r->pre);
    acc = vaddq_n_s32(vmulhq_s32(acc, vldrwq_s32(channels + 4)), r->rounding);
    acc = vmaxq_s32(vshlq_r_s32(acc, -r->shift), vdupq_n_s32(r->act_min));
    return vminq_s32(acc, vdupq_n_s32(r->act_max));
}

static void dense(const edgeemo_dense *d, const void *patches, int32_t count, int8_t *const *to)
{
    const edgeemo_requant r = d->requant; /* a copy: what is stored might change *d */
    const int32_t inputs = d->inputs, outputs = d->outputs;
    const int8_t *x = patches, *y = x + (inputs + 15) / 16 * 16, *w = d->weights;
    const int32_t *channels = r.channels;
    int8_t *first = to[0], *second = to[count - 1];
    int32_t sums[8];
    for (int32_t o = 0; o < outputs; o += 4, channels += 8, first += 4, second += 4) {
        mve_pred16_t lanes = vctp32q((uint32_t)(outputs - o));
        if (count == 1) {
            w = sums_of_one(inputs / 16, inputs % 16, w, x, sums);
        } else {
            w = sums_of_two(inputs / 16, inputs % 16, w, x, y, sums);
            vstrbq_p_s32(second, requantize(&r, sums + 4, channels), lanes);
        }
        vstrbq_p_s32(first, requantize(&r, sums, channels), lanes);
    }
}

/* ---- depthwise: eight channels at once, those of even and of odd number apart ---- */

/* Biases or multipliers of the even ones: two of each four. */
static inline int32x4_t two_of_each(const int32_t *constants)
{
    static const uint32_t offsets[4] = {0, 8, 32, 40};
    return vldrwq_gather_offset_s32(constants, vldrwq_u32(offsets));
}

static inline int32x4_t scaled(const edgeemo_requant *r, int32x4_t acc, int32x4_t multipliers)
{
    if (r->pre)
        acc = vshlq_r_s32(acc, r->pre);
    acc = vaddq_n_s32(vmulhq_s32(acc, multipliers), r->rounding);
    return vshlq_r_s32(acc, -r->shift);
}

/* Channels from c on, of which eight are there. */
static inline void eight_channels(const edgeemo_depthwise *d, const edgeemo_requant *r,
                                  const int8_t *const *taps, int32_t width, int32_t at, int32_t c,
                                  int8_t *to)
{
    const int32_t *channels = r->channels + 2 * c;
    const int8_t *w = d->weights + c;
    int32x4_t even = two_of_each(channels), odd = two_of_each(channels + 1);
    for (const int8_t *const *end = taps + d->taps; taps < end; taps++, w += width) {
        int16x8_t products = vmulq_s16(vldrbq_s16(*taps + at + c), vldrbq_s16(w));
        even = vaddq_s32(even, vmovlbq_s16(products));
        odd = vaddq_s32(odd, vmovltq_s16(products));
    }
    even = scaled(r, even, two_of_each(channels + 4));
    odd = scaled(r, odd, two_of_each(channels + 5));
    int16x8_t values = vqmovntq_s32(vqmovnbq_s32(vdupq_n_s16(0), even), odd);
    values = vmaxq_s16(values, vdupq_n_s16((int16_t)r->act_min));
    vstrbq_s16(to + c, vminq_s16(values, vdupq_n_s16((int16_t)r->act_max)));
}

static void depthwise(const edgeemo_depthwise *d, const int8_t *const *taps,
                      const edgeemo_strip *strip, int8_t *to)
{
    const edgeemo_requant r = d->requant;
    int32_t channels = d->channels, width = (channels + 3) / 4 * 4;
    for (int32_t p = 0, at = 0; p < strip->count; p++, at += strip->step, to += strip->to_step) {
        int32_t c = 0;
        for (; c + 8 <= channels; c += 8)
            eight_channels(d, &r, taps, width, at, c, to);
        if (c < channels)
            edgeemo_depthwise_from(d, taps, c, at, to);
    }
}

static void add(const edgeemo_sum *s, const int8_t *a, const int8_t *b, int32_t n, int8_t *to)
{
    for (int32_t i = 0; i < n; i += 4) {
        mve_pred16_t lanes = vctp32q((uint32_t)(n - i));
        int32x4_t v = vmulq_n_s32(vldrbq_z_s32(a + i, lanes), s->m0);
        v = vaddq_s32(v, vmulq_n_s32(vldrbq_z_s32(b + i, lanes), s->m1));
        v = vshlq_r_s32(vaddq_n_s32(v, s->rounding), -s->shift);
        v = vmaxq_s32(vaddq_n_s32(v, s->zero), vdupq_n_s32(s->act_min));
        vstrbq_p_s32(to + i, vminq_s32(v, vdupq_n_s32(s->act_max)), lanes);
    }
}

static void accumulate(const int8_t *x, int32_t n, int32_t *sums)
{
    for (int32_t i = 0; i < n; i += 4) {
        mve_pred16_t lanes = vctp32q((uint32_t)(n - i));
        int32x4_t v = vaddq_s32(vldrwq_z_s32(sums + i, lanes), vldrbq_z_s32(x + i, lanes));
        vstrwq_p_s32(sums + i, v, lanes);
    }
}

const edgeemo_kernels edgeemo_kernels_helium = {
    "helium", 2, edgeemo_pack_int8, dense, depthwise, add, accumulate,
    edgeemo_quantize_portable,
};

#else
typedef int edgeemo_kernels_helium_is_empty; /* ISO C wants something in each file */
#endif
