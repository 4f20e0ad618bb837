/* edgeemo_kernels_dsp.c: Cortex-M4, M7, M33 and others with the DSP extension.
 *
 * Two int8 values of a word become a pair of int16 by one instruction (sxtb16), and one smlad
 * multiplies two pairs. Inputs are widened once for all outputs, in the order 0 2 | 1 3 in which
 * sxtb16 gives the weights, too; no byte is moved. Two positions by two outputs share loads: 16
 * products are 16 instructions; one position by four outputs: 21. Inner loops are in assembler,
 * because the compiler runs out of registers by its own order.
 */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_DSP)
#include <arm_acle.h>
#include <string.h>

/* Words of a patch: even and odd pair of position 0, even and odd pair of position 1, and so on. */
static void pack(const edgeemo_dense *d, const edgeemo_patch_span *p, int32_t at, int32_t position,
                 void *patches)
{
    (void)d;
    const int8_t *from = p->from;
    for (const int32_t last = position + p->count; position < last; position++, from += p->step) {
        int32_t *to = (int32_t *)patches + at + 2 * position;
        for (const int8_t *x = from, *end = from + p->n; x < end; x += 4, to += 4) {
            int32_t word, odd;
            memcpy(&word, x, 4); /* any address: these cores load words from all */
            __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
            to[0] = __sxtb16(word);
            to[1] = odd;
        }
    }
}

/* A sum that has its bias, to int8. */
static inline int32_t requantize(const edgeemo_requant *r, int32_t acc, int32_t multiplier)
{
    int32_t high = edgeemo_high_word((int32_t)((uint32_t)acc << r->pre), multiplier);
    __asm__("ssat %0, #8, %1" : "=r"(high) : "r"((high + r->rounding) >> r->shift));
    return high;
}

static inline int32_t limited(const edgeemo_requant *r, int32_t value)
{
    return value < r->act_min ? r->act_min : value > r->act_max ? r->act_max : value;
}

static inline int32_t has_limits(const edgeemo_requant *r)
{
    return r->act_min > -128 || r->act_max < 127;
}

/* Weights of one output, at an offset from w: two pairs times x (and y). */
#define ONE(acc, offset)                \
    "ldr %[u], [%[w], #" offset "]\n"   \
    "sxtb16 %[v], %[u]\n"               \
    "sxtb16 %[u], %[u], ror #8\n"       \
    "smlad %[" acc "], %[v], %[x0], %[" acc "]\n" \
    "smlad %[" acc "], %[u], %[x1], %[" acc "]\n"
#define TWO(a, b, offset)               \
    "ldr %[u], [%[w], #" offset "]\n"   \
    "sxtb16 %[v], %[u]\n"               \
    "sxtb16 %[u], %[u], ror #8\n"       \
    "smlad %[" a "], %[v], %[x0], %[" a "]\n" \
    "smlad %[" b "], %[v], %[y0], %[" b "]\n" \
    "smlad %[" a "], %[u], %[x1], %[" a "]\n" \
    "smlad %[" b "], %[u], %[y1], %[" b "]\n"

/* Four inputs of one position, four outputs; of two positions, two outputs. */
#define FOUR_BY_ONE(o0, o1, o2, o3)           \
    "ldrd %[x0], %[x1], [%[x]], #16\n"        \
    ONE("a0", o0) ONE("a1", o1) ONE("a2", o2) ONE("a3", o3)
#define TWO_BY_TWO(o0, o1)                    \
    "ldrd %[x0], %[x1], [%[x]], #8\n"         \
    "ldrd %[y0], %[y1], [%[x]], #8\n"         \
    TWO("a0", "b0", o0) TWO("a1", "b1", o1)

/* What is left of a group behind its whole blocks: 4, 8 or 12 inputs an output, by four. Each step
 * brings the weights of one output; w moves on by `rest`. */
static inline int32_t rest_of(const int8_t *w, const int32_t *x, int32_t rest, int32_t acc)
{
    for (int32_t k = 0; k < rest; k += 4, x += 4) {
        int32_t word, odd;
        memcpy(&word, w + k, 4);
        __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
        acc = __smlad(__sxtb16(word), x[0], acc);
        acc = __smlad(odd, x[1], acc);
    }
    return acc;
}

/* Outputs o.. (four, fewer at the end) of one position. */
static inline void four_by_one(const edgeemo_dense *d, const edgeemo_requant *r, const int8_t *w,
                               const int32_t *x, int32_t o, int8_t *to)
{
    int32_t a0 = 0, a1 = 0, a2 = 0, a3 = 0, x0, x1, u, v;
    for (const int8_t *end = w + d->inputs / 16 * 64; w < end; w += 64)
        __asm__ volatile(FOUR_BY_ONE("0", "16", "32", "48") FOUR_BY_ONE("4", "20", "36", "52")
                             FOUR_BY_ONE("8", "24", "40", "56") FOUR_BY_ONE("12", "28", "44", "60")
                         : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3),
                           [x] "+r"(x), [x0] "=&r"(x0), [x1] "=&r"(x1), [u] "=&r"(u),
                           [v] "=&r"(v)
                         : [w] "r"(w)
                         : "memory");
    int32_t rest = d->inputs % 16;
    if (rest) {
        a0 = rest_of(w, x, rest, a0);
        a1 = rest_of(w + rest, x, rest, a1);
        a2 = rest_of(w + 2 * rest, x, rest, a2);
        a3 = rest_of(w + 3 * rest, x, rest, a3);
    }
    const int32_t *c = r->channels + 2 * o;
    if (o + 4 > d->outputs) {
        const int32_t acc[4] = {a0, a1, a2, a3};
        for (int32_t i = 0; o + i < d->outputs; i++)
            to[o + i] = (int8_t)limited(r, requantize(r, acc[i] + c[2 * i], c[2 * i + 1]));
        return;
    }
    a0 = requantize(r, a0 + c[0], c[1]);
    a1 = requantize(r, a1 + c[2], c[3]);
    a2 = requantize(r, a2 + c[4], c[5]);
    a3 = requantize(r, a3 + c[6], c[7]);
    if (has_limits(r)) {
        a0 = limited(r, a0);
        a1 = limited(r, a1);
        a2 = limited(r, a2);
        a3 = limited(r, a3);
    }
    to += o;
    to[0] = (int8_t)a0, to[1] = (int8_t)a1, to[2] = (int8_t)a2, to[3] = (int8_t)a3;
}

/* Outputs o and o + 1 of a group, the first or the second two, of two positions. */
static inline void two_by_two(const edgeemo_dense *d, const edgeemo_requant *r, const int8_t *w,
                              const int32_t *x, int32_t o, int8_t *const *to)
{
    int32_t a0 = 0, a1 = 0, b0 = 0, b1 = 0, x0, x1, y0, y1, u, v;
    int32_t second = o & 2, rest = d->inputs % 16;
    const int8_t *end = w + d->inputs / 16 * 64;
    for (w += 16 * second, end += 16 * second; w < end; w += 64)
        __asm__ volatile(TWO_BY_TWO("0", "16") TWO_BY_TWO("4", "20") TWO_BY_TWO("8", "24")
                             TWO_BY_TWO("12", "28")
                         : [a0] "+r"(a0), [a1] "+r"(a1), [b0] "+r"(b0), [b1] "+r"(b1),
                           [x] "+r"(x), [x0] "=&r"(x0), [x1] "=&r"(x1), [y0] "=&r"(y0),
                           [y1] "=&r"(y1), [u] "=&r"(u), [v] "=&r"(v)
                         : [w] "r"(w)
                         : "memory");
    if (rest) {
        w += second * (rest - 16);
        a0 = rest_of(w, x, rest, a0);
        a1 = rest_of(w + rest, x, rest, a1);
        b0 = rest_of(w, x + 2, rest, b0);
        b1 = rest_of(w + rest, x + 2, rest, b1);
    }
    const int32_t *c = r->channels + 2 * o;
    int8_t *first = to[0] + o, *other = to[1] + o;
    a0 = requantize(r, a0 + c[0], c[1]);
    b0 = requantize(r, b0 + c[0], c[1]);
    if (o + 1 == d->outputs) {
        *first = (int8_t)limited(r, a0);
        *other = (int8_t)limited(r, b0);
        return;
    }
    a1 = requantize(r, a1 + c[2], c[3]);
    b1 = requantize(r, b1 + c[2], c[3]);
    if (has_limits(r)) {
        a0 = limited(r, a0);
        a1 = limited(r, a1);
        b0 = limited(r, b0);
        b1 = limited(r, b1);
    }
    first[0] = (int8_t)a0, first[1] = (int8_t)a1;
    other[0] = (int8_t)b0, other[1] = (int8_t)b1;
}

static void dense(const edgeemo_dense *d, const void *patches, int32_t count, int8_t *const *to)
{
    /* Copies: what is stored through int8_t might, for the compiler, change them. */
    const edgeemo_dense own = *d;
    const int8_t *w = own.weights;
    if (count == 1) {
        for (int32_t o = 0; o < own.outputs; o += 4, w += 4 * own.inputs)
            four_by_one(&own, &own.requant, w, patches, o, to[0]);
        return;
    }
    for (int32_t o = 0; o < own.outputs; o += 2, w += (o & 2) ? 0 : 4 * own.inputs)
        two_by_two(&own, &own.requant, w, patches, o, to);
}

static void depthwise_one(const edgeemo_depthwise *d, const int8_t *const *taps, int32_t at,
                          int8_t *to)
{
    const edgeemo_requant r = d->requant;
    int32_t channels = d->channels, width = (channels + 3) / 4 * 4, c = 0;
    const int32_t *weights = (const void *)d->weights; /* pairs, aligned to four bytes */
    const int8_t *const *end = taps + 2 * d->pairs;
    for (; c + 4 <= channels; c += 4) {
        const int32_t *w = weights + c, *bias = r.channels + 2 * c;
        int32_t a0 = bias[0], a1 = bias[2], a2 = bias[4], a3 = bias[6], a, b, e, f, s, t;
        for (const int8_t *const *tap = taps; tap < end; w += width)
            __asm__ volatile("ldrd %[a], %[b], [%[tap]], #8\n"
                             "ldr %[a], [%[a], %[c]]\n"
                             "ldr %[b], [%[b], %[c]]\n"
                             "sxtb16 %[e], %[a]\n"
                             "sxtb16 %[f], %[b]\n"
                             "sxtb16 %[a], %[a], ror #8\n"
                             "sxtb16 %[b], %[b], ror #8\n"
                             "pkhbt %[t], %[e], %[f], lsl #16\n"
                             "pkhtb %[f], %[f], %[e], asr #16\n"
                             "pkhbt %[e], %[a], %[b], lsl #16\n"
                             "pkhtb %[b], %[b], %[a], asr #16\n"
                             "ldrd %[a], %[s], [%[w]]\n"
                             "smlad %[a0], %[t], %[a], %[a0]\n"
                             "smlad %[a1], %[e], %[s], %[a1]\n"
                             "ldrd %[a], %[s], [%[w], #8]\n"
                             "smlad %[a2], %[f], %[a], %[a2]\n"
                             "smlad %[a3], %[b], %[s], %[a3]\n"
                             : [a0] "+r"(a0), [a1] "+r"(a1), [a2] "+r"(a2), [a3] "+r"(a3),
                               [tap] "+r"(tap), [a] "=&r"(a), [b] "=&r"(b), [e] "=&r"(e),
                               [f] "=&r"(f), [s] "=&r"(s), [t] "=&r"(t)
                             : [c] "r"(c + at), [w] "r"(w)
                             : "memory");
        a0 = requantize(&r, a0, bias[1]);
        a1 = requantize(&r, a1, bias[3]);
        a2 = requantize(&r, a2, bias[5]);
        a3 = requantize(&r, a3, bias[7]);
        if (has_limits(&r)) {
            a0 = limited(&r, a0);
            a1 = limited(&r, a1);
            a2 = limited(&r, a2);
            a3 = limited(&r, a3);
        }
        to[c] = (int8_t)a0, to[c + 1] = (int8_t)a1;
        to[c + 2] = (int8_t)a2, to[c + 3] = (int8_t)a3;
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
    const edgeemo_sum own = *s;
    for (int32_t i = 0; i < n; i++) {
        int32_t sum = a[i] * own.m0 + b[i] * own.m1 + own.rounding;
        to[i] = edgeemo_clamp(own.zero + (sum >> own.shift), own.act_min, own.act_max);
    }
}

const edgeemo_kernels edgeemo_kernels_dsp = {
    "dsp", 2, pack, dense, depthwise, add, edgeemo_accumulate_portable,
    edgeemo_quantize_portable,
};

#else
typedef int edgeemo_kernels_dsp_is_empty; /* ISO C wants something in each file */
#endif
