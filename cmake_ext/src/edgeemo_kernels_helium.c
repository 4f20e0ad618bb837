/* edgeemo_kernels_helium.c: Helium (MVE), Cortex-M55 and M85. */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_HELIUM)
#include <arm_mve.h>

static inline int32x4_t requantize(const edgeemo_requant *r, int32x4_t acc, int32_t o,
                                   mve_pred16_t lanes)
{
    /* Bias and multiplier lie in turn. */
    uint32x4_t at = vidupq_n_u32(0, 8);
    const int32_t *channels = r->channels + 2 * o;
    int32x4_t bias = vldrwq_gather_offset_z_s32(channels, at, lanes);
    int32x4_t m = vldrwq_gather_offset_z_s32(channels + 1, at, lanes);
    acc = vshlq_r_s32(vaddq_s32(acc, bias), r->pre);
    acc = vaddq_n_s32(vmulhq_s32(acc, m), r->rounding);
    acc = vshlq_r_s32(acc, -r->shift);
    acc = vmaxq_s32(acc, vdupq_n_s32(r->act_min));
    return vminq_s32(acc, vdupq_n_s32(r->act_max));
}

/* Four sums, of which the outputs o.. that there are go to `to`. */
static inline void finish(const edgeemo_dense *d, int32_t o, int32_t a0, int32_t a1, int32_t a2,
                          int32_t a3, int8_t *to)
{
    mve_pred16_t lanes = vctp32q((uint32_t)(d->outputs - o));
    int32x4_t acc = vdupq_n_s32(a0);
    acc = vsetq_lane_s32(a1, acc, 1);
    acc = vsetq_lane_s32(a2, acc, 2);
    acc = vsetq_lane_s32(a3, acc, 3);
    vstrbq_p_s32(to + o, requantize(&d->requant, acc, o, lanes), lanes);
}

static void dense_one(const edgeemo_dense *d, const int8_t *x, int8_t *to)
{
    const int8_t *w = d->weights;
    int32_t whole = d->inputs / 16 * 16, rest = d->inputs - whole;
    mve_pred16_t part = vctp8q((uint32_t)rest);
    for (int32_t o = 0; o < d->outputs; o += 4) {
        int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0;
        for (int32_t k = 0; k < whole; k += 16, w += 64) {
            int8x16_t v = vldrbq_s8(x + k);
            a0 = vmladavaq_s8(a0, v, vldrbq_s8(w));
            a1 = vmladavaq_s8(a1, v, vldrbq_s8(w + 16));
            a2 = vmladavaq_s8(a2, v, vldrbq_s8(w + 32));
            a3 = vmladavaq_s8(a3, v, vldrbq_s8(w + 48));
        }
        if (rest) {
            int8x16_t v = vldrbq_z_s8(x + whole, part);
            a0 = vmladavaq_s8(a0, v, vldrbq_z_s8(w, part));
            a1 = vmladavaq_s8(a1, v, vldrbq_z_s8(w + rest, part));
            a2 = vmladavaq_s8(a2, v, vldrbq_z_s8(w + 2 * rest, part));
            a3 = vmladavaq_s8(a3, v, vldrbq_z_s8(w + 3 * rest, part));
            w += 4 * rest;
        }
        finish(d, o, a0, a1, a2, a3, to);
    }
}

/* Two positions share the weights. */
static void dense_two(const edgeemo_dense *d, const int8_t *x, const int8_t *y, int8_t *const *to)
{
    const int8_t *w = d->weights;
    int32_t whole = d->inputs / 16 * 16, rest = d->inputs - whole;
    mve_pred16_t part = vctp8q((uint32_t)rest);
    for (int32_t o = 0; o < d->outputs; o += 4) {
        int32_t a[4] = {0, 0, 0, 0}, b[4] = {0, 0, 0, 0};
        for (int32_t k = 0; k < whole; k += 16, w += 64) {
            int8x16_t u = vldrbq_s8(x + k), v = vldrbq_s8(y + k);
            for (int32_t i = 0; i < 4; i++) {
                int8x16_t weights = vldrbq_s8(w + 16 * i);
                a[i] = vmladavaq_s8(a[i], u, weights);
                b[i] = vmladavaq_s8(b[i], v, weights);
            }
        }
        if (rest) {
            int8x16_t u = vldrbq_z_s8(x + whole, part), v = vldrbq_z_s8(y + whole, part);
            for (int32_t i = 0; i < 4; i++, w += rest) {
                int8x16_t weights = vldrbq_z_s8(w, part);
                a[i] = vmladavaq_s8(a[i], u, weights);
                b[i] = vmladavaq_s8(b[i], v, weights);
            }
        }
        finish(d, o, a[0], a[1], a[2], a[3], to[0]);
        finish(d, o, b[0], b[1], b[2], b[3], to[1]);
    }
}

static void dense(const edgeemo_dense *d, const void *patches, int32_t count, int8_t *const *to)
{
    const int8_t *x = patches;
    if (count == 1)
        dense_one(d, x, to[0]);
    else
        dense_two(d, x, x + (d->inputs + 15) / 16 * 16, to);
}

static void depthwise_one(const edgeemo_depthwise *d, const int8_t *const *taps, int32_t at,
                          int8_t *to)
{
    int32_t width = (d->channels + 3) / 4 * 4;
    for (int32_t c = 0; c < d->channels; c += 4) {
        mve_pred16_t lanes = vctp32q((uint32_t)(d->channels - c));
        const int16_t *w = d->weights + 2 * c;
        int32x4_t acc = vdupq_n_s32(0);
        for (int32_t t = 0; t < d->pairs; t++, w += 2 * width) {
            int16x8_t pair = vldrhq_s16(w);
            int32x4_t a = vldrbq_z_s32(taps[2 * t] + at + c, lanes);
            int32x4_t b = vldrbq_z_s32(taps[2 * t + 1] + at + c, lanes);
            acc = vaddq_s32(acc, vmulq_s32(a, vmovlbq_s16(pair)));
            acc = vaddq_s32(acc, vmulq_s32(b, vmovltq_s16(pair)));
        }
        vstrbq_p_s32(to + c, requantize(&d->requant, acc, c, lanes), lanes);
    }
}

static void depthwise(const edgeemo_depthwise *d, const int8_t *const *taps,
                      const edgeemo_strip *strip, int8_t *to)
{
    for (int32_t p = 0; p < strip->count; p++)
        depthwise_one(d, taps, p * strip->step, to + p * strip->to_step);
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
