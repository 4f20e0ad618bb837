/* edgeemo_kernels.c: the inner loops in portable C, and the choice of a set. */
#ifndef __ARM_FEATURE_DSP /* else the loops that take the time are in edgeemo_kernels_dsp.c */
#include "edgeemo_fast.h"
#endif

#include "edgeemo_kernels.h"

#include <string.h>

void edgeemo_pack_int16(const edgeemo_dense *d, const edgeemo_patch_span *p, int32_t at,
                        int32_t position, void *patches)
{
    int32_t stride = (d->inputs + 15) / 16 * 16;
    int16_t *to = (int16_t *)patches + position * stride + at;
    for (int32_t k = 0; k < p->count; k++, to += stride)
        for (int32_t i = 0; i < p->n; i++)
            to[i] = p->from[k * p->step + i];
}

void edgeemo_pack_int8(const edgeemo_dense *d, const edgeemo_patch_span *p, int32_t at,
                       int32_t position, void *patches)
{
    int32_t stride = (d->inputs + 15) / 16 * 16;
    int8_t *to = (int8_t *)patches + position * stride + at;
    const int8_t *from = p->from;
    for (int32_t k = p->count; k > 0; k--, to += stride, from += p->step)
        memcpy(to, from, (size_t)p->n);
}

/* Four outputs over one block of `width` inputs. An input is read once for all four, and the sums
 * stay in registers: a third less work than output by output on a core without vectors. */
static inline void block(const int8_t *w, int32_t width, const int16_t *x, int32_t *acc)
{
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    for (int32_t k = 0; k < width; k++) {
        int32_t input = x[k];
        a += w[k] * input;
        b += w[width + k] * input;
        c += w[2 * width + k] * input;
        d += w[3 * width + k] * input;
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}

static void dense(const edgeemo_dense *d, const void *patches, int32_t count, int8_t *const *to)
{
    const int8_t *w = d->weights;
    int32_t whole = d->inputs / 16 * 16, rest = d->inputs - whole;
    for (int32_t o = 0; o < d->outputs; o += 4, w += 4 * d->inputs) {
        const int16_t *x = patches;
        for (int32_t p = 0; p < count; p++, x += (d->inputs + 15) / 16 * 16) {
            int32_t acc[4] = {0, 0, 0, 0};
            for (int32_t k = 0; k < whole; k += 16)
                block(w + 4 * k, 16, x + k, acc);
            block(w + 4 * whole, rest, x + whole, acc);
            for (int32_t i = 0; i < 4 && o + i < d->outputs; i++)
                to[p][o + i] = edgeemo_requantize(&d->requant, o + i, acc[i]);
        }
    }
}

#if EDGEEMO_WITH_INT4
/* n weights, a multiple of 16. */
static void unpack_int4(const void *from, int32_t n, void *to)
{
#if defined(__thumb2__)
    /* Nine instructions for 16 weights, where GCC takes 18. */
    int32_t a, b, c, d;
    __asm__ volatile("1: ldrd %[a], %[c], [%[from]], #8\n"
                     "and %[b], %[mask], %[a]\n and %[a], %[mask], %[a], lsl #4\n"
                     "and %[d], %[mask], %[c]\n and %[c], %[mask], %[c], lsl #4\n"
                     "strd %[a], %[b], [%[to]], #8\n strd %[c], %[d], [%[to]], #8\n"
                     "subs %[n], #16\n bgt 1b\n"
                     : [from] "+r"(from), [to] "+r"(to), [n] "+r"(n), [a] "=&r"(a), [b] "=&r"(b),
                       [c] "=&r"(c), [d] "=&r"(d)
                     : [mask] "r"(0xf0f0f0f0u)
                     : "cc", "memory");
#else
    const uint32_t *packed = from;
    uint32_t *word = to;
    for (; n > 0; n -= 8) {
        uint32_t eight = *packed++;
        *word++ = eight << 4 & 0xf0f0f0f0u;
        *word++ = eight & 0xf0f0f0f0u;
    }
#endif
}

void edgeemo_dense_int4(const edgeemo_kernels *k, const edgeemo_dense *d, const void *patches,
                        int32_t count, int8_t *const *to, int8_t *bytes)
{
    edgeemo_dense part = *d;
    int8_t *at[EDGEEMO_MAX_POSITIONS];
    int32_t most = edgeemo_outputs_at_once(d->inputs);
    part.weights = bytes;
    for (int32_t o = 0; o < d->outputs; o += most, part.requant.channels += 2 * most) {
        part.outputs = d->outputs - o < most ? d->outputs - o : most;
        unpack_int4(d->weights + o * d->inputs / 2, (part.outputs + 3) / 4 * 4 * d->inputs, bytes);
        for (int32_t p = 0; p < count; p++)
            at[p] = to[p] + o;
        k->dense(&part, patches, count, at);
    }
}
#endif

void edgeemo_depthwise_from(const edgeemo_depthwise *d, const int8_t *const *taps, int32_t from,
                            int32_t at, int8_t *to)
{
    int32_t width = (d->channels + 3) / 4 * 4;
    for (int32_t c = from; c < d->channels; c++) {
        int32_t acc = 0;
        for (int32_t t = 0; t < d->taps; t++)
            acc += d->weights[t * width + c] * taps[t][c + at];
        to[c] = edgeemo_requantize(&d->requant, c, acc);
    }
}

static void depthwise(const edgeemo_depthwise *d, const int8_t *const *taps,
                      const edgeemo_strip *strip, int8_t *to)
{
    for (int32_t p = 0; p < strip->count; p++)
        edgeemo_depthwise_from(d, taps, 0, p * strip->step, to + p * strip->to_step);
}

void edgeemo_add_portable(const edgeemo_sum *s, const int8_t *a, const int8_t *b, int32_t n,
                          int8_t *to)
{
    for (int32_t i = 0; i < n; i++)
        to[i] = edgeemo_clamp(s->zero + ((a[i] * s->m0 + b[i] * s->m1 + s->rounding) >> s->shift),
                              s->act_min, s->act_max);
}

void edgeemo_accumulate_portable(const int8_t *x, int32_t n, int32_t *sums)
{
    for (int32_t i = 0; i < n; i++)
        sums[i] += x[i];
}

void edgeemo_quantize_portable(const float *x, int32_t n, float a, float b, int8_t *to)
{
    for (int32_t i = 0; i < n; i++) {
        float value = x[i] * a + b;
        value = value > -128.0f ? value : -128.0f;
        value = value < 127.0f ? value : 127.0f;
        to[i] = (int8_t)((int32_t)(value + 128.5f) - 128);
    }
}

const edgeemo_kernels edgeemo_kernels_portable = {
    "portable", 1,
#if defined(EDGEEMO_HAVE_PREPARED)
    0, 0,
#endif
    edgeemo_pack_int16, dense, depthwise, edgeemo_add_portable,
    edgeemo_accumulate_portable, edgeemo_quantize_portable,
#if defined(EDGEEMO_HAVE_PREPARED)
    NULL, NULL,
#endif
};

const edgeemo_kernels *edgeemo_kernels_at(int32_t index)
{
    const edgeemo_kernels *sets[4] = {&edgeemo_kernels_portable, NULL, NULL, NULL};
#if defined(EDGEEMO_HAVE_HELIUM)
    sets[1] = &edgeemo_kernels_helium;
#elif defined(EDGEEMO_HAVE_DSP)
    sets[1] = &edgeemo_kernels_dsp;
#elif defined(EDGEEMO_HAVE_NEON)
    sets[1] = &edgeemo_kernels_neon;
#elif defined(EDGEEMO_HAVE_WASM)
    sets[1] = &edgeemo_kernels_wasm;
#elif defined(EDGEEMO_HAVE_X86)
    if (edgeemo_has_avx2())
        sets[1] = &edgeemo_kernels_avx2;
    if (edgeemo_has_vnni())
        sets[2] = &edgeemo_kernels_vnni;
#endif
    return index >= 0 && index < 3 ? sets[index] : NULL;
}

const edgeemo_kernels *edgeemo_kernels_best(void)
{
    int32_t last = 0;
    while (edgeemo_kernels_at(last + 1))
        last++;
    return edgeemo_kernels_at(last);
}
