/* edgeemo_kernels_wasm.c: the 128-bit vectors of WebAssembly, in browsers and Node.js.
 *
 * There is no sum of products of bytes, but one of pairs of int16 (i32x4.dot_i16x8_s): inputs are
 * widened once, when they are packed, and weights as they are read.
 */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_WASM)
#include <string.h>
#include <wasm_simd128.h>

/* Sums without bias, of four outputs whose biases and multipliers lie at `channels`. */
static inline v128_t requantize(const edgeemo_requant *r, v128_t acc, const int32_t *channels)
{
    v128_t multipliers = wasm_v128_load(channels + 4);
    acc = wasm_i32x4_shl(wasm_i32x4_add(acc, wasm_v128_load(channels)), (uint32_t)r->pre);
    v128_t low = wasm_i64x2_extmul_low_i32x4(acc, multipliers);
    v128_t high = wasm_i64x2_extmul_high_i32x4(acc, multipliers);
    acc = wasm_i32x4_shuffle(low, high, 1, 3, 5, 7);
    acc = wasm_i32x4_add(acc, wasm_i32x4_splat(r->rounding));
    acc = wasm_i32x4_shr(acc, (uint32_t)r->shift);
    acc = wasm_i32x4_max(acc, wasm_i32x4_splat(r->act_min));
    return wasm_i32x4_min(acc, wasm_i32x4_splat(r->act_max));
}

/* The low bytes of four values in range, as many as `count` says. */
static inline void store(int8_t *to, v128_t v, int32_t count)
{
    v128_t words = wasm_i16x8_narrow_i32x4(v, v);
    uint32_t bytes = (uint32_t)wasm_i32x4_extract_lane(wasm_i8x16_narrow_i16x8(words, words), 0);
    if (count >= 4)
        memcpy(to, &bytes, 4);
    else
        for (int32_t i = 0; i < count; i++, bytes >>= 8)
            to[i] = (int8_t)bytes;
}

static void pack(const edgeemo_dense *d, const edgeemo_patch_span *p, int32_t at, int32_t position,
                 void *patches)
{
    int32_t stride = (d->inputs + 15) / 16 * 16;
    int16_t *to = (int16_t *)patches + position * stride + at;
    const int8_t *from = p->from;
    for (int32_t k = 0; k < p->count; k++, to += stride, from += p->step) {
        int32_t i = 0;
        for (; i + 8 <= p->n; i += 8)
            wasm_v128_store(to + i, wasm_i16x8_load8x8(from + i));
        for (; i < p->n; i++)
            to[i] = from[i];
    }
}

/* 16 products for each of four outputs, into sums that still lie apart. */
static inline void step(const int8_t *w, const int16_t *x, v128_t *sums)
{
    v128_t low = wasm_v128_load(x), high = wasm_v128_load(x + 8);
    for (int32_t o = 0; o < 4; o++) {
        v128_t weights = wasm_v128_load(w + 16 * o);
        v128_t first = wasm_i32x4_dot_i16x8(wasm_i16x8_extend_low_i8x16(weights), low);
        v128_t second = wasm_i32x4_dot_i16x8(wasm_i16x8_extend_high_i8x16(weights), high);
        sums[o] = wasm_i32x4_add(sums[o], wasm_i32x4_add(first, second));
    }
}

/* As step() for two positions, of which each weight is widened once. */
static inline void step_two(const int8_t *w, const int16_t *x, const int16_t *y, v128_t *a,
                            v128_t *b)
{
    v128_t x0 = wasm_v128_load(x), x1 = wasm_v128_load(x + 8);
    v128_t y0 = wasm_v128_load(y), y1 = wasm_v128_load(y + 8);
    for (int32_t o = 0; o < 4; o++) {
        v128_t weights = wasm_v128_load(w + 16 * o);
        v128_t low = wasm_i16x8_extend_low_i8x16(weights);
        v128_t high = wasm_i16x8_extend_high_i8x16(weights);
        a[o] = wasm_i32x4_add(a[o], wasm_i32x4_add(wasm_i32x4_dot_i16x8(low, x0),
                                                   wasm_i32x4_dot_i16x8(high, x1)));
        b[o] = wasm_i32x4_add(b[o], wasm_i32x4_add(wasm_i32x4_dot_i16x8(low, y0),
                                                   wasm_i32x4_dot_i16x8(high, y1)));
    }
}

/* The sum of each of four vectors. */
static inline v128_t total(const v128_t *s)
{
    v128_t a = wasm_i32x4_add(wasm_i32x4_shuffle(s[0], s[1], 0, 4, 2, 6),
                              wasm_i32x4_shuffle(s[0], s[1], 1, 5, 3, 7));
    v128_t b = wasm_i32x4_add(wasm_i32x4_shuffle(s[2], s[3], 0, 4, 2, 6),
                              wasm_i32x4_shuffle(s[2], s[3], 1, 5, 3, 7));
    return wasm_i32x4_add(wasm_i64x2_shuffle(a, b, 0, 2), wasm_i64x2_shuffle(a, b, 1, 3));
}

static void dense(const edgeemo_dense *d, const void *patches, int32_t count, int8_t *const *to)
{
    const int8_t *w = d->weights;
    int32_t stride = (d->inputs + 15) / 16 * 16, whole = d->inputs / 16 * 16;
    int32_t rest = d->inputs - whole;
    const v128_t zero = wasm_i32x4_splat(0);
    int8_t last[64];
    for (int32_t o = 0; o < d->outputs; o += 4, w += 4 * d->inputs) {
        int32_t left = d->outputs - o, p = 0;
        const int32_t *channels = d->requant.channels + 2 * o;
        if (rest) {
            /* Weights of 0 for what lies behind the inputs. */
            memset(last, 0, sizeof last);
            for (int32_t i = 0; i < 4; i++)
                for (int32_t k = 0; k < rest; k += 4)
                    memcpy(last + 16 * i + k, w + 4 * whole + i * rest + k, 4);
        }
        for (const int16_t *x = patches; p < count; x += 2 * stride, p += 2) {
            v128_t a[4] = {zero, zero, zero, zero}, b[4] = {zero, zero, zero, zero};
            if (p + 1 < count) {
                for (int32_t k = 0; k < whole; k += 16)
                    step_two(w + 4 * k, x + k, x + stride + k, a, b);
                if (rest)
                    step_two(last, x + whole, x + stride + whole, a, b);
                store(to[p + 1] + o, requantize(&d->requant, total(b), channels), left);
            } else {
                for (int32_t k = 0; k < whole; k += 16)
                    step(w + 4 * k, x + k, a);
                if (rest)
                    step(last, x + whole, a);
            }
            store(to[p] + o, requantize(&d->requant, total(a), channels), left);
        }
    }
}

static void depthwise_one(const edgeemo_depthwise *d, const int8_t *const *taps, int32_t at,
                          int8_t *to)
{
    int32_t width = (d->channels + 3) / 4 * 4, c = 0;
    for (; c + 8 <= d->channels; c += 8) {
        v128_t low = wasm_i32x4_splat(0), high = low;
        for (int32_t t = 0; t < d->taps; t++) {
            v128_t products = wasm_i16x8_mul(wasm_i16x8_load8x8(d->weights + t * width + c),
                                             wasm_i16x8_load8x8(taps[t] + at + c));
            low = wasm_i32x4_add(low, wasm_i32x4_extend_low_i16x8(products));
            high = wasm_i32x4_add(high, wasm_i32x4_extend_high_i16x8(products));
        }
        const int32_t *channels = d->requant.channels + 2 * c;
        store(to + c, requantize(&d->requant, low, channels), 4);
        store(to + c + 4, requantize(&d->requant, high, channels + 8), 4);
    }
    edgeemo_depthwise_from(d, taps, c, at, to);
}

static void depthwise(const edgeemo_depthwise *d, const int8_t *const *taps,
                      const edgeemo_strip *strip, int8_t *to)
{
    for (int32_t p = 0; p < strip->count; p++)
        depthwise_one(d, taps, p * strip->step, to + p * strip->to_step);
}

const edgeemo_kernels edgeemo_kernels_wasm = {
    "wasm", EDGEEMO_MAX_POSITIONS, pack, dense, depthwise, edgeemo_add_portable,
    edgeemo_accumulate_portable, edgeemo_quantize_portable,
};

#else
typedef int edgeemo_kernels_wasm_is_empty; /* ISO C wants something in each file */
#endif
