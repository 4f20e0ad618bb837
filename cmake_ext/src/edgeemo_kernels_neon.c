/* edgeemo_kernels_neon.c: NEON of 64-bit Arm: phones, Raspberry Pi, Apple silicon. */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_NEON)
#include <arm_neon.h>
#include <string.h>

/* Sums without bias, of four outputs whose biases and multipliers lie at `channels`. */
static inline int32x4_t requantize(const edgeemo_requant *r, int32x4_t acc, const int32_t *channels)
{
    int32x4_t multipliers = vld1q_s32(channels + 4);
    acc = vshlq_s32(vaddq_s32(acc, vld1q_s32(channels)), vdupq_n_s32(r->pre));
    int64x2_t low = vmull_s32(vget_low_s32(acc), vget_low_s32(multipliers));
    int64x2_t high = vmull_high_s32(acc, multipliers);
    acc = vuzp2q_s32(vreinterpretq_s32_s64(low), vreinterpretq_s32_s64(high));
    acc = vshlq_s32(vaddq_s32(acc, vdupq_n_s32(r->rounding)), vdupq_n_s32(-r->shift));
    acc = vmaxq_s32(acc, vdupq_n_s32(r->act_min));
    return vminq_s32(acc, vdupq_n_s32(r->act_max));
}

/* The low bytes of four values in range, as many as `count` says. */
static inline void store(int8_t *to, int32x4_t v, int32_t count)
{
    int16x4_t words = vmovn_s32(v);
    int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    memcpy(to, &bytes, (size_t)(count < 4 ? count : 4));
}

/* 16 products, into four sums that still lie apart. */
static inline int32x4_t dot(int32x4_t acc, int8x16_t w, int8x16_t x)
{
    acc = vpadalq_s16(acc, vmull_s8(vget_low_s8(w), vget_low_s8(x)));
    return vpadalq_s16(acc, vmull_high_s8(w, x));
}

static inline void step(const int8_t *w, const int8_t *x, const int8_t *y, int32x4_t *a,
                        int32x4_t *b)
{
    int8x16_t u = vld1q_s8(x), v = vld1q_s8(y);
    for (int32_t o = 0; o < 4; o++) {
        int8x16_t weights = vld1q_s8(w + 16 * o);
        a[o] = dot(a[o], weights, u);
        b[o] = dot(b[o], weights, v);
    }
}

static inline int32x4_t total(const int32x4_t *a)
{
    return vpaddq_s32(vpaddq_s32(a[0], a[1]), vpaddq_s32(a[2], a[3]));
}

static void dense(const edgeemo_dense *d, const void *patches, int32_t count, int8_t *const *to)
{
    const int8_t *w = d->weights;
    int32_t stride = (d->inputs + 15) / 16 * 16, whole = d->inputs / 16 * 16;
    int32_t rest = d->inputs - whole;
    int8_t last[64];
    for (int32_t o = 0; o < d->outputs; o += 4, w += 4 * d->inputs) {
        int32_t left = d->outputs - o;
        const int32_t *channels = d->requant.channels + 2 * o;
        memset(last, 0, sizeof last);
        for (int32_t i = 0; i < 4; i++)
            memcpy(last + 16 * i, w + 4 * whole + i * rest, (size_t)rest);
        for (int32_t p = 0; p < count; p += 2) {
            /* An odd position at the end is computed twice. */
            int32_t q = p + 1 < count ? p + 1 : p;
            const int8_t *x = (const int8_t *)patches + p * stride;
            const int8_t *y = (const int8_t *)patches + q * stride;
            int32x4_t zero = vdupq_n_s32(0);
            int32x4_t a[4] = {zero, zero, zero, zero}, b[4] = {zero, zero, zero, zero};
            for (int32_t k = 0; k < whole; k += 16)
                step(w + 4 * k, x + k, y + k, a, b);
            if (rest)
                step(last, x + whole, y + whole, a, b);
            store(to[p] + o, requantize(&d->requant, total(a), channels), left);
            store(to[q] + o, requantize(&d->requant, total(b), channels), left);
        }
    }
}

static void depthwise_one(const edgeemo_depthwise *d, const int8_t *const *taps, int32_t at,
                          int8_t *to)
{
    int32_t width = (d->channels + 3) / 4 * 4, c = 0;
    for (; c + 8 <= d->channels; c += 8) {
        int32x4_t low = vdupq_n_s32(0), high = low;
        for (int32_t t = 0; t < d->taps; t++) {
            int16x8_t products = vmull_s8(vld1_s8(d->weights + t * width + c),
                                          vld1_s8(taps[t] + at + c));
            low = vaddw_s16(low, vget_low_s16(products));
            high = vaddw_high_s16(high, products);
        }
        store(to + c, requantize(&d->requant, low, d->requant.channels + 2 * c), 4);
        store(to + c + 4, requantize(&d->requant, high, d->requant.channels + 2 * c + 8),
              4);
    }
    edgeemo_depthwise_from(d, taps, c, at, to);
}

static void depthwise(const edgeemo_depthwise *d, const int8_t *const *taps,
                      const edgeemo_strip *strip, int8_t *to)
{
    for (int32_t p = 0; p < strip->count; p++)
        depthwise_one(d, taps, p * strip->step, to + p * strip->to_step);
}

static void add(const edgeemo_sum *s, const int8_t *a, const int8_t *b, int32_t n, int8_t *to)
{
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        int16x8_t x = vmovl_s8(vld1_s8(a + i)), y = vmovl_s8(vld1_s8(b + i));
        for (int32_t half = 0; half < 2; half++) {
            int32x4_t u = vmovl_s16(half ? vget_high_s16(x) : vget_low_s16(x));
            int32x4_t v = vmovl_s16(half ? vget_high_s16(y) : vget_low_s16(y));
            v = vmlaq_n_s32(vmlaq_n_s32(vdupq_n_s32(s->rounding), u, s->m0), v, s->m1);
            v = vaddq_s32(vshlq_s32(v, vdupq_n_s32(-s->shift)), vdupq_n_s32(s->zero));
            v = vminq_s32(vmaxq_s32(v, vdupq_n_s32(s->act_min)), vdupq_n_s32(s->act_max));
            store(to + i + 4 * half, v, 4);
        }
    }
    edgeemo_add_portable(s, a + i, b + i, n - i, to + i);
}

static void accumulate(const int8_t *x, int32_t n, int32_t *sums)
{
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        int16x8_t v = vmovl_s8(vld1_s8(x + i));
        vst1q_s32(sums + i, vaddw_s16(vld1q_s32(sums + i), vget_low_s16(v)));
        vst1q_s32(sums + i + 4, vaddw_high_s16(vld1q_s32(sums + i + 4), v));
    }
    edgeemo_accumulate_portable(x + i, n - i, sums + i);
}

const edgeemo_kernels edgeemo_kernels_neon = {
    "neon", 8, 0, 0, edgeemo_pack_int8, dense, depthwise, add, accumulate,
    edgeemo_quantize_portable, NULL, NULL,
};

#else
typedef int edgeemo_kernels_neon_is_empty; /* ISO C wants something in each file */
#endif
