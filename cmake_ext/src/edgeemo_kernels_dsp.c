/* edgeemo_kernels_dsp.c: Cortex-M4, M7, M33 and others with the DSP extension.
 *
 * Two int8 values of a word become a pair of int16 by one instruction (sxtb16), and one smlad
 * multiplies two pairs. Inputs are widened once for all outputs, in the order 0 2 | 1 3 in which
 * sxtb16 gives the weights, too; no byte is moved. smmla gives the high word of a product and adds
 * the rounding; a sum begins with its bias.
 *
 * The loops over outputs are in assembler as a whole: all fourteen registers are for sums, inputs
 * and weights, and what else a loop needs lies in memory, in a struct that lr points to. They take
 * layers without `pre`, by four outputs; the rest is C. Limits are applied to the bytes.
 */
#include "edgeemo_fast.h"

#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_DSP)
#include <arm_acle.h>
#include <string.h>

enum { POSITIONS = 2 }; /* in a patch, whether both are there or not */

/* Words of a patch: even and odd pair of position 0, even and odd pair of position 1, and so on. */
static void pack(const edgeemo_dense *d, const edgeemo_patch_span *p, int32_t at, int32_t position,
                 void *patches)
{
    (void)d;
    const int8_t *from = p->from;
    int32_t n = p->n, step = p->step;
    int32_t *first = (int32_t *)patches + at / 2 * POSITIONS + 2 * position;
    for (const int32_t *last = first + 2 * p->count; first < last; first += 2, from += step) {
        int32_t *to = first, even, odd;
        for (const int8_t *x = from, *end = from + n; x < end;)
            /* Any address: these cores load words from all. */
            __asm__ volatile("ldr %[odd], [%[x]], #4\n sxtb16 %[even], %[odd]\n"
                             "sxtb16 %[odd], %[odd], ror #8\n"
                             "strd %[even], %[odd], [%[to]], #16\n"
                             : [x] "+r"(x), [to] "+r"(to), [even] "=&r"(even), [odd] "=&r"(odd)
                             :
                             : "memory");
    }
}

/* ---- what the assembler shares ---- */

#define REGISTERS "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr"

/* Bytes of four sums in r0 to r3: rounding in r4, shift in r5, multipliers in a, b, c, d. */
#define SCALE(sum, multiplier) "smmla " sum ", " sum ", " multiplier ", r4\n"
#define TO_BYTE(sum) "asrs " sum ", r5\n"
#define SATURATE(sum) "ssat " sum ", #8, " sum "\n"
#define REQUANTIZE(a, b, c, d)                                  \
    SCALE("r0", a) SCALE("r1", b) SCALE("r2", c) SCALE("r3", d) \
    TO_BYTE("r0") TO_BYTE("r1") TO_BYTE("r2") TO_BYTE("r3")     \
    SATURATE("r0") SATURATE("r1") SATURATE("r2") SATURATE("r3")

/* Two pairs of weights to r12 and r11. */
#define WEIGHTS(address) \
    "ldr r11, " address "\n sxtb16 r12, r11\n sxtb16 r11, r11, ror #8\n"

/* ---- dot products ---- */

/* Offsets count in the assembler. */
typedef struct dense_state {
    const int32_t *channels; /*  0: biases or multipliers that are read next */
    const void *patches;     /*  4 */
    const int8_t *weights;   /*  8: of the next group of four outputs */
    int32_t blocks, rest;    /* 12, 16: whole blocks of 16 inputs; 0, 4, 8 or 12 inputs behind */
    int32_t rounding, shift; /* 20, 24 */
    int8_t *to0, *to1;       /* 28, 32 */
    int32_t groups;          /* 36: left */
    const void *patches_end; /* 40 */
    int32_t behind, skip;    /* 44, 48: from whole blocks to the rest, 0 for the first two outputs */
} dense_state;

/* Four inputs of two positions in r4 to r7, by two outputs: r0, r1 of the first position, r2, r3 of
 * the second. */
#define TWO_INPUTS "ldmia r8!, {r4-r7}\n"
#define TWO_PRODUCTS(first, second)                       \
    "smlad " first ", r12, r4, " first "\n"               \
    "smlad " second ", r12, r6, " second "\n"             \
    "smlad " first ", r11, r5, " first "\n"               \
    "smlad " second ", r11, r7, " second "\n"
#define TWO_BY_TWO(address0, address1)                    \
    TWO_INPUTS WEIGHTS(address0) TWO_PRODUCTS("r0", "r2") \
    WEIGHTS(address1) TWO_PRODUCTS("r1", "r3")
/* A block of 16 inputs, of the first or, 32 behind, the second two outputs of a group. */
#define BLOCK_OF_TWO                                                              \
    TWO_BY_TWO("[r9], #64", "[r9, #-48]") TWO_BY_TWO("[r9, #-60]", "[r9, #-44]") \
    TWO_BY_TWO("[r9, #-56]", "[r9, #-40]") TWO_BY_TWO("[r9, #-52]", "[r9, #-36]")
#define REST_OF_TWO TWO_BY_TWO("[r9]", "[r9, r10]") "adds r9, #4\n"
/* Whether there are more, at 4; one loop is shorter than all that may be left. */
#define MORE_INPUTS "ldr r12, [lr, #40]\n cmp r8, r12\n bne 4b\n"

/* All groups of four outputs of two positions: two outputs, then the other two. `behind` of the state
 * leads, of these, from the last block's weights to those of the rest. */
static void dense_two(dense_state *state)
{
    register dense_state *s __asm__("r0") = state;
    __asm__ volatile(
        "mov lr, r0\n"
        "1: ldrd r12, r8, [lr]\n ldrd r9, r10, [lr, #8]\n"
        "ldrd r0, r1, [r12]\n mov r2, r0\n mov r3, r1\n"
        "cmp r10, #0\n beq 3f\n"
        "2:" BLOCK_OF_TWO "subs r10, #1\n bne 2b\n"
        "3: ldrd r11, r12, [lr, #44]\n ldr r10, [lr, #16]\n"
        "subs r12, r12, r11\n str r12, [lr, #44]\n add r9, r11\n"
        "cmp r10, #0\n beq 7f\n"
        "4:" REST_OF_TWO MORE_INPUTS
        "7: ldr r12, [lr]\n ldrd r4, r5, [lr, #20]\n ldrd r6, r7, [r12, #16]\n"
        REQUANTIZE("r6", "r7", "r6", "r7")
        "bfi r0, r1, #8, #8\n bfi r2, r3, #8, #8\n"
        "ldrd r6, r7, [lr, #28]\n strh r0, [r6], #2\n strh r2, [r7], #2\n"
        "strd r6, r7, [lr, #28]\n"
        "ldr r4, [lr, #44]\n cmp r4, #0\n beq 8f\n"
        "ldr r9, [lr, #8]\n add r12, r12, #8\n add r9, r9, #32\n b 9f\n"
        "8: add r9, r10\n add r12, r12, #24\n"
        "ldr r4, [lr, #36]\n subs r4, #1\n str r4, [lr, #36]\n"
        "9: str r12, [lr]\n str r9, [lr, #8]\n bne 1b\n"
        : "+r"(s) : : REGISTERS, "cc", "memory");
}

/* Four inputs of one position in r4, r5, by four outputs. */
#define ONE_PRODUCTS(sum, address) \
    WEIGHTS(address) "smlad " sum ", r12, r4, " sum "\n smlad " sum ", r11, r5, " sum "\n"
#define ONE_BY_FOUR(address0, address1, address2, address3)                          \
    "ldrd r4, r5, [r8], #16\n"                                                       \
    ONE_PRODUCTS("r0", address0) ONE_PRODUCTS("r1", address1)                        \
    ONE_PRODUCTS("r2", address2) ONE_PRODUCTS("r3", address3)
#define BLOCK_OF_FOUR                                                                \
    ONE_BY_FOUR("[r9], #64", "[r9, #-48]", "[r9, #-32]", "[r9, #-16]")               \
    ONE_BY_FOUR("[r9, #-60]", "[r9, #-44]", "[r9, #-28]", "[r9, #-12]")              \
    ONE_BY_FOUR("[r9, #-56]", "[r9, #-40]", "[r9, #-24]", "[r9, #-8]")               \
    ONE_BY_FOUR("[r9, #-52]", "[r9, #-36]", "[r9, #-20]", "[r9, #-4]")
#define REST_OF_FOUR \
    ONE_BY_FOUR("[r9], #4", "[r9, r6]", "[r9, r7]", "[r9, r10]")

/* All groups of four outputs of one position. */
static void dense_one(dense_state *state)
{
    register dense_state *s __asm__("r0") = state;
    __asm__ volatile(
        "mov lr, r0\n"
        "ldrd r12, r8, [lr]\n ldr r9, [lr, #8]\n"
        "1: ldr r10, [lr, #12]\n"
        "ldmia r12!, {r0-r3}\n str r12, [lr]\n"
        "cmp r10, #0\n beq 3f\n"
        "2:" BLOCK_OF_FOUR "subs r10, #1\n bne 2b\n"
        "3: ldr r10, [lr, #16]\n"
        "cmp r10, #0\n beq 7f\n"
        /* After a step r9 is 4 further: the other outputs are at rest - 4, 2 rest - 4, 3 rest - 4. */
        "mov r4, r10\n subs r6, r10, #4\n adds r7, r6, r4\n add r10, r7, r4\n"
        "4:" REST_OF_FOUR MORE_INPUTS
        "adds r10, #4\n add r9, r10\n"
        "7: ldrd r12, r8, [lr]\n ldrd r4, r5, [lr, #20]\n"
        "ldmia r12!, {r6, r7, r10, r11}\n"
        REQUANTIZE("r6", "r7", "r10", "r11")
        "bfi r0, r1, #8, #8\n bfi r0, r2, #16, #8\n bfi r0, r3, #24, #8\n"
        "ldr r6, [lr, #28]\n ldr r7, [lr, #36]\n"
        "str r0, [r6], #4\n subs r7, #1\n str r6, [lr, #28]\n str r7, [lr, #36]\n bne 1b\n"
        : "+r"(s) : : REGISTERS, "cc", "memory");
}

/* Outputs `first` on of `count` positions, one by one. */
static void dense_plain(const edgeemo_dense *d, const void *patches, int32_t count, int32_t first,
                        int8_t *const *to)
{
    for (int32_t p = 0; p < count; p++)
        for (int32_t o = first; o < d->outputs; o++) {
            const int32_t *x = (const int32_t *)patches + 2 * p;
            int32_t acc = 0;
            for (int32_t k = 0; k < d->inputs; k += 4, x += 2 * POSITIONS) {
                int32_t block = k / 16 * 16, word, odd;
                int32_t width = d->inputs - block < 16 ? d->inputs - block : 16;
                const int8_t *group = d->weights + o / 4 * 4 * d->inputs;
                memcpy(&word, group + 4 * block + o % 4 * width + k % 16, 4);
                __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
                acc = __smlad(odd, x[1], __smlad(__sxtb16(word), x[0], acc));
            }
            to[p][o] = edgeemo_requantize(&d->requant, o, acc);
        }
}

static int32_t has_limits(const edgeemo_requant *r)
{
    return r->act_min > -128 || r->act_max < 127;
}

static void limit(const edgeemo_requant *r, int32_t n, int8_t *to)
{
    for (int32_t i = 0; i < n; i++)
        to[i] = edgeemo_clamp(to[i], r->act_min, r->act_max);
}

static void dense(const edgeemo_dense *d, const void *patches, int32_t count, int8_t *const *to)
{
    const edgeemo_requant *r = &d->requant;
    int32_t groups = r->pre ? 0 : d->outputs / 4;
    if (groups) {
        dense_state state = {
            r->channels, patches, d->weights, d->inputs / 16, d->inputs % 16, r->rounding,
            r->shift, to[0], to[count - 1], groups, (const char *)patches + 4 * d->inputs,
            0, 2 * (d->inputs % 16) - 32,
        };
        if (count == 1)
            dense_one(&state);
        else
            dense_two(&state);
        for (int32_t p = 0; p < count && has_limits(r); p++)
            limit(r, 4 * groups, to[p]);
    }
    if (4 * groups < d->outputs)
        dense_plain(d, patches, count, 4 * groups, to);
}

/* ---- depthwise ---- */

typedef struct depthwise_state {
    const int32_t *channels;   /*  0: biases or multipliers that are read next */
    const int8_t *const *taps; /*  4 */
    const int8_t *weights;     /*  8: of the next channel */
    int32_t offset;            /* 12: of the next channel behind the taps */
    int32_t width;             /* 16: bytes of the weights of a tap */
    int32_t rounding, shift;   /* 20, 24 */
    int8_t *to;                /* 28 */
    const int8_t *const *pairs_end; /* 32 */
    int32_t odd;               /* 36: whether a tap is left behind the pairs */
    int32_t fours;             /* 40: groups of four channels, left */
} depthwise_state;

/* Four channels of a tap: their values in `x`, their weights at an address; r6, r7, r11 are free. */
#define TAP(x, address)                                                        \
    "ldr r6, " address "\n"                                                    \
    "sxtb16 r7, " x "\n sxtb16 r11, r6\n"                                      \
    "smlabb r0, r7, r11, r0\n smlatt r2, r7, r11, r2\n"                        \
    "sxtb16 r7, " x ", ror #8\n sxtb16 r11, r6, ror #8\n"                      \
    "smlabb r1, r7, r11, r1\n smlatt r3, r7, r11, r3\n"

/* All groups of four channels of one position. */
static void depthwise_one(depthwise_state *state)
{
    register depthwise_state *s __asm__("r0") = state;
    __asm__ volatile(
        "mov lr, r0\n"
        "1: ldrd r12, r8, [lr]\n ldrd r9, r10, [lr, #8]\n"
        "ldmia r12!, {r0-r3}\n str r12, [lr]\n ldr r12, [lr, #16]\n"
        "b 3f\n"
        "2: ldrd r4, r5, [r8], #8\n ldr r4, [r4, r10]\n ldr r5, [r5, r10]\n"
        TAP("r4", "[r9]") TAP("r5", "[r9, r12]") "add r9, r9, r12, lsl #1\n"
        "3: ldr r6, [lr, #32]\n cmp r8, r6\n bne 2b\n"
        "ldr r6, [lr, #36]\n cmp r6, #0\n beq 4f\n"
        "ldr r4, [r8]\n ldr r4, [r4, r10]\n" TAP("r4", "[r9]")
        "4: ldr r12, [lr]\n ldrd r4, r5, [lr, #20]\n"
        "ldmia r12!, {r6-r9}\n str r12, [lr]\n"
        REQUANTIZE("r6", "r7", "r8", "r9")
        "bfi r0, r1, #8, #8\n bfi r0, r2, #16, #8\n bfi r0, r3, #24, #8\n"
        "ldr r9, [lr, #8]\n adds r9, #4\n adds r10, #4\n strd r9, r10, [lr, #8]\n"
        "ldr r6, [lr, #28]\n ldr r7, [lr, #40]\n"
        "str r0, [r6], #4\n subs r7, #1\n str r6, [lr, #28]\n str r7, [lr, #40]\n bne 1b\n"
        : "+r"(s) : : REGISTERS, "cc", "memory");
}

static void depthwise(const edgeemo_depthwise *d, const int8_t *const *taps,
                      const edgeemo_strip *strip, int8_t *to)
{
    const edgeemo_requant *r = &d->requant;
    const int32_t fours = r->pre ? 0 : d->channels / 4, limits = has_limits(r);
    depthwise_state state = {
        .taps = taps, .width = (d->channels + 3) / 4 * 4, .rounding = r->rounding,
        .shift = r->shift, .pairs_end = taps + d->taps / 2 * 2, .odd = d->taps % 2,
    };
    for (int32_t at = 0, p = strip->count; p > 0; p--, at += strip->step, to += strip->to_step) {
        if (fours) {
            state.channels = r->channels;
            state.weights = d->weights;
            state.offset = at;
            state.to = to;
            state.fours = fours;
            depthwise_one(&state);
        }
        if (limits)
            limit(r, 4 * fours, to);
        if (4 * fours < d->channels)
            edgeemo_depthwise_from(d, taps, 4 * fours, at, to);
    }
}

/* ---- values one by one ---- */

/* Byte number `bits` / 8 of the words a and b. */
static inline int32_t sum_of(const edgeemo_sum *s, int32_t a, int32_t b, const int32_t bits)
{
    int32_t x = (int8_t)(a >> bits), y = (int8_t)(b >> bits);
    return (int32_t)__ssat((x * s->m0 + (y * s->m1 + s->rounding)) >> s->shift, 8);
}

static inline int32_t bytes_of(int32_t a, int32_t b, int32_t c, int32_t d)
{
    uint32_t low = ((uint32_t)a & 255u) | ((uint32_t)b & 255u) << 8 | ((uint32_t)c & 255u) << 16;
    return (int32_t)(low | (uint32_t)d << 24);
}

static void add(const edgeemo_sum *given, const int8_t *a, const int8_t *b, int32_t n, int8_t *to)
{
    edgeemo_sum s = *given;
    int32_t i = 0;
    if (s.shift <= EDGEEMO_MAX_SHIFT && s.act_min == -128 && s.act_max == 127) {
        s.rounding += s.zero * (1 << s.shift); /* stays in 32 bits with such a shift */
        for (; i + 4 <= n; i += 4) {
            int32_t x, y, bytes;
            memcpy(&x, a + i, 4);
            memcpy(&y, b + i, 4);
            bytes = bytes_of(sum_of(&s, x, y, 0), sum_of(&s, x, y, 8), sum_of(&s, x, y, 16),
                             sum_of(&s, x, y, 24));
            memcpy(to + i, &bytes, 4);
        }
    }
    edgeemo_add_portable(given, a + i, b + i, n - i, to + i);
}

/* Rounded, 128 higher, and cut to 0..255: the conversion gives 0 for what is no number. */
static inline int32_t code_of(float x, float a, float b)
{
    int32_t code;
    float value = x * a + b;
    __asm__("vcvt.s32.f32 %0, %1" : "=t"(value) : "t"(value + 128.5f));
    __asm__("vmov %0, %1" : "=r"(code) : "t"(value));
    return (int32_t)__usat(code, 8);
}

static void quantize(const float *x, int32_t n, float a, float b, int8_t *to)
{
    int32_t i = 0;
    for (; i + 4 <= n; i += 4, x += 4) {
        int32_t bytes = bytes_of(code_of(x[0], a, b), code_of(x[1], a, b), code_of(x[2], a, b),
                                 code_of(x[3], a, b)) ^ -0x7f7f7f80;
        memcpy(to + i, &bytes, 4);
    }
    for (; i < n; i++)
        to[i] = (int8_t)(code_of(*x++, a, b) - 128);
}

const edgeemo_kernels edgeemo_kernels_dsp = {
    "dsp", POSITIONS, pack, dense, depthwise, add, edgeemo_accumulate_portable, quantize,
};

#else
typedef int edgeemo_kernels_dsp_is_empty; /* ISO C wants something in each file */
#endif
