/* edgeemo_kernels_dsp.c: Cortex-M4, M7, M33 and others with the DSP extension.
 *
 * Two int8 values of a word become a pair of int16 by one instruction (sxtb16), and one smlad
 * multiplies two pairs. Inputs are widened once for all outputs, in the order 0 2 | 1 3 in which
 * sxtb16 gives the weights, too; no byte is moved. Two positions by two outputs share loads:
 * 16 products are 16 instructions.
 */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_DSP)
#include <arm_acle.h>
#include <string.h>

static inline int16x2_t odd_bytes(uint32_t word)
{
    int16x2_t pair;
    __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(word));
    return pair;
}

static inline int16x2_t even_bytes(uint32_t word)
{
    return __sxtb16((int8x4_t)word);
}

/* Any address: the cores that this is for load words from all. */
static inline uint32_t load(const int8_t *from)
{
    uint32_t word;
    memcpy(&word, from, 4);
    return word;
}

/* Words of a patch: even and odd pair of position 0, even and odd pair of position 1, and so on. */
static void pack(const edgeemo_dense *d, const int8_t *from, int32_t n, int32_t at,
                 int32_t position, void *patches)
{
    (void)d;
    int16x2_t *to = (int16x2_t *)patches + at + 2 * position;
    for (const int8_t *end = from + n; from < end; from += 4, to += 4) {
        uint32_t word = load(from);
        to[0] = even_bytes(word);
        to[1] = odd_bytes(word);
    }
}

/* Four inputs, two outputs, two positions. */
#define STEP(first, second)                                   \
    do {                                                      \
        int16x2_t x0 = x[0], x1 = x[1], y0 = x[2], y1 = x[3]; \
        x += 4;                                               \
        uint32_t word_ = load(first);                         \
        int16x2_t even_ = even_bytes(word_), odd_ = odd_bytes(word_); \
        a0 = __smlad(even_, x0, a0);                          \
        b0 = __smlad(even_, y0, b0);                          \
        a0 = __smlad(odd_, x1, a0);                           \
        b0 = __smlad(odd_, y1, b0);                           \
        word_ = load(second);                                 \
        even_ = even_bytes(word_), odd_ = odd_bytes(word_);   \
        a1 = __smlad(even_, x0, a1);                          \
        b1 = __smlad(even_, y0, b1);                          \
        a1 = __smlad(odd_, x1, a1);                           \
        b1 = __smlad(odd_, y1, b1);                           \
    } while (0)

static void two_by_two(const edgeemo_dense *d, const int8_t *w, const int16x2_t *x, int32_t o,
                       int32_t outputs, int8_t *const *to)
{
    int32_t a0 = 0, a1 = 0, b0 = 0, b1 = 0;
    int32_t blocks = d->inputs / 16, rest = d->inputs % 16;
    w += (o & 2) * 16;
    for (; blocks > 0; blocks--, w += 64) {
        STEP(w, w + 16);
        STEP(w + 4, w + 20);
        STEP(w + 8, w + 24);
        STEP(w + 12, w + 28);
    }
    w += (o & 2) * (rest - 16);
    for (int32_t k = 0; k < rest; k += 4)
        STEP(w + k, w + rest + k);
    to[0][o] = edgeemo_rescaled(&d->rescale, o, a0);
    to[1][o] = edgeemo_rescaled(&d->rescale, o, b0);
    if (o + 1 < outputs) {
        to[0][o + 1] = edgeemo_rescaled(&d->rescale, o + 1, a1);
        to[1][o + 1] = edgeemo_rescaled(&d->rescale, o + 1, b1);
    }
}

/* Four inputs, one output; x0 and x1 are there. */
#define STEP_ONE(acc, from)                     \
    do {                                        \
        uint32_t word_ = load(from);            \
        acc = __smlad(even_bytes(word_), x0, acc); \
        acc = __smlad(odd_bytes(word_), x1, acc);  \
    } while (0)

static void four_by_one(const edgeemo_dense *d, const int8_t *w, const int16x2_t *x, int32_t o,
                        int8_t *to)
{
    int32_t acc[4], a0 = 0, a1 = 0, a2 = 0, a3 = 0, rest = d->inputs % 16;
    for (int32_t blocks = d->inputs / 16; blocks > 0; blocks--, w += 64)
        for (int32_t k = 0; k < 16; k += 4, x += 4) {
            int16x2_t x0 = x[0], x1 = x[1];
            STEP_ONE(a0, w + k);
            STEP_ONE(a1, w + 16 + k);
            STEP_ONE(a2, w + 32 + k);
            STEP_ONE(a3, w + 48 + k);
        }
    for (int32_t k = 0; k < rest; k += 4, x += 4) {
        int16x2_t x0 = x[0], x1 = x[1];
        STEP_ONE(a0, w + k);
        STEP_ONE(a1, w + rest + k);
        STEP_ONE(a2, w + 2 * rest + k);
        STEP_ONE(a3, w + 3 * rest + k);
    }
    acc[0] = a0, acc[1] = a1, acc[2] = a2, acc[3] = a3;
    for (int32_t i = 0; i < 4 && o + i < d->outputs; i++)
        to[o + i] = edgeemo_rescaled(&d->rescale, o + i, acc[i]);
}

static void dense(const edgeemo_dense *d, const void *patches, int32_t count, int8_t *const *to)
{
    const int8_t *w = d->weights;
    for (int32_t o = 0; o < d->outputs; o += 4, w += 4 * d->inputs) {
        if (count == 1) {
            four_by_one(d, w, patches, o, to[0]);
            continue;
        }
        two_by_two(d, w, patches, o, d->outputs, to);
        if (o + 2 < d->outputs)
            two_by_two(d, w, patches, o + 2, d->outputs, to);
    }
}

static void depthwise(const edgeemo_depthwise *d, const int8_t *const *taps, int8_t *to)
{
    int32_t width = (d->channels + 3) / 4 * 4, c = 0;
    for (; c + 4 <= d->channels; c += 4) {
        const int16x2_t *w = (const int16x2_t *)(const void *)d->weights + c;
        int32_t acc0 = 0, acc1 = 0, acc2 = 0, acc3 = 0;
        for (int32_t t = 0; t < d->pairs; t++, w += width) {
            uint32_t a = load(taps[2 * t] + c), b = load(taps[2 * t + 1] + c);
            uint32_t ae = (uint32_t)even_bytes(a), ao = (uint32_t)odd_bytes(a);
            uint32_t be = (uint32_t)even_bytes(b), bo = (uint32_t)odd_bytes(b);
            acc0 = __smlad((int16x2_t)((ae & 0xffffu) | (be << 16)), w[0], acc0);
            acc1 = __smlad((int16x2_t)((ao & 0xffffu) | (bo << 16)), w[1], acc1);
            acc2 = __smlad((int16x2_t)((be & 0xffff0000u) | (ae >> 16)), w[2], acc2);
            acc3 = __smlad((int16x2_t)((bo & 0xffff0000u) | (ao >> 16)), w[3], acc3);
        }
        to[c] = edgeemo_rescaled(&d->rescale, c, acc0);
        to[c + 1] = edgeemo_rescaled(&d->rescale, c + 1, acc1);
        to[c + 2] = edgeemo_rescaled(&d->rescale, c + 2, acc2);
        to[c + 3] = edgeemo_rescaled(&d->rescale, c + 3, acc3);
    }
    edgeemo_depthwise_from(d, taps, c, to);
}

const edgeemo_kernels edgeemo_kernels_dsp = {
    "dsp", 2, pack, dense, depthwise, edgeemo_add_portable, edgeemo_accumulate_portable,
};

#else
typedef int edgeemo_kernels_dsp_is_empty; /* ISO C wants something in each file */
#endif
