/* edgeemo_kernels.h: the inner loops of the int8 engine. Each set gives the same bits.
 *
 * Right shifts of negative numbers round down, as on every compiler that this is for.
 */
#ifndef EDGEEMO_KERNELS_H
#define EDGEEMO_KERNELS_H

#include "edgeemo_arithmetic.h"
#include "edgeemo_parts.h"

#include <stddef.h>
#include <stdint.h>

/* Positions that a set of kernels may take at once, and inputs that are packed together. Machines
 * with memory to spare may also prepare constants of layers when a model is made. */
#if UINTPTR_MAX > UINT32_MAX
#define EDGEEMO_HAVE_PREPARED 1
enum { EDGEEMO_MAX_POSITIONS = 24, EDGEEMO_UNIT = 1 };
#elif defined(__wasm_simd128__)
enum { EDGEEMO_MAX_POSITIONS = 8, EDGEEMO_UNIT = 1 };
#else
enum { EDGEEMO_MAX_POSITIONS = 2, EDGEEMO_UNIT = 4 };
#endif

/* Bounds that the checks of a blob hold: with them no sum below leaves 32 bits. */
enum {
    EDGEEMO_MAX_TAPS = 64,         /* of a depthwise kernel */
    EDGEEMO_MAX_INPUTS = 32767,    /* of a dot product: 2^15 * 2^7 * 2^7 is under 2^30 */
    EDGEEMO_MAX_BIAS = 1 << 30,    /* in size */
    EDGEEMO_MAX_SHIFT = 22,        /* zero << shift stays under 2^30 */
    EDGEEMO_MAX_ADD = 1 << 21      /* multipliers of an addition, in size */
};

/* From a sum to int8: clamp(((((acc << pre) * multiplier) >> 32) + rounding) >> shift), which is
 * clamp(zero + round(acc * multiplier * 2^(pre - 32 - shift))), half up: the only rounding. */
typedef struct edgeemo_requant {
    const int32_t *channels; /* for each four outputs: four biases, four multipliers (0 or more) */
    int32_t pre;             /* 0..15 */
    int32_t shift;           /* 1..EDGEEMO_MAX_SHIFT */
    int32_t rounding;        /* (zero << shift) + (1 << (shift - 1)) */
    int32_t act_min, act_max;
} edgeemo_requant;

/* Dot products with all outputs. Weights lie by groups of four outputs; in a group by blocks of 16
 * inputs (the last block may have 4, 8 or 12); in a block output by output. What is missing to
 * four outputs or four inputs is 0. */
typedef struct edgeemo_dense {
    const int8_t *weights;
    int32_t inputs;  /* a multiple of 4 */
    int32_t outputs; /* as many as are written */
    edgeemo_requant requant;
#if EDGEEMO_WITH_INT4
    /* 1: weights have four bits, eight in four bytes, in the order of others: byte i has number i in
     * its low half, i + 4 in its high half. As bytes they are 16 times as large, which the multipliers
     * know of: one mask makes four of them. */
    int32_t int4;
#endif
} edgeemo_dense;

#if EDGEEMO_WITH_INT4
/* Outputs whose weights of four bits become bytes at once: whole groups, of at most 1 KB where that can
 * be. */
static inline int32_t edgeemo_outputs_at_once(int32_t inputs)
{
    int32_t outputs = 1024 / inputs / 4 * 4;
    return outputs > 4 ? outputs : 4;
}
#endif

/* A sum over taps for each channel. Weights lie tap by tap; in a tap channel by channel, and what is
 * missing to four channels is 0. */
typedef struct edgeemo_depthwise {
    const int8_t *weights;
    int32_t taps;
    int32_t channels;
    edgeemo_requant requant;
#if defined(EDGEEMO_HAVE_PREPARED)
    const void *prepared; /* as edgeemo_prepare_depthwise() made it, for sets that want it */
#endif
} edgeemo_depthwise;

#if defined(EDGEEMO_HAVE_PREPARED)
/* A convolution that reads its inputs where they lie: for each position `spans` runs of `length`
 * values, behind which up to 3 more are read (and count for nothing). */
typedef struct edgeemo_conv {
    const void *prepared; /* as edgeemo_prepare_conv() made it */
    int32_t spans, length;
    int32_t outputs;
    edgeemo_requant requant;
} edgeemo_conv;

/* Bytes behind a row that kernels may read beyond its end. */
enum { EDGEEMO_OVERREAD = 32 };

/* Outputs are taken by blocks of one, three or four groups of eight, channels of a depthwise layer by
 * blocks of 32. */
enum { EDGEEMO_GROUP = 8, EDGEEMO_BLOCK_CHANNELS = 32 };
#endif

/* `count` positions of a layer at equal distances: inputs of each lie `step` behind those of the
 * last, outputs `to_step`. */
typedef struct edgeemo_strip {
    int32_t count, step, to_step;
} edgeemo_strip;

/* n inputs each of `count` positions; those of a position lie `step` behind those of the last. */
typedef struct edgeemo_patch_span {
    const int8_t *from;
    int32_t n, step, count;
} edgeemo_patch_span;

/* clamp(zero + ((a * m0 + b * m1 + rounding) >> shift)) */
typedef struct edgeemo_sum {
    int32_t m0, m1, rounding, shift, zero, act_min, act_max;
} edgeemo_sum;

typedef struct edgeemo_kernels {
    const char *name;
    int32_t positions;    /* that dense() takes at once */
#if defined(EDGEEMO_HAVE_PREPARED)
    int32_t weight_bytes; /* of a prepared weight; 0: nothing is prepared, pack() and dense() work */
    int32_t input_offset; /* what is added to inputs and made good by the prepared bias */
#endif

    /* Put the inputs of a position and those behind it at place `at` of each; n and `at` are
     * multiples of EDGEEMO_UNIT. */
    void (*pack)(const edgeemo_dense *d, const edgeemo_patch_span *p, int32_t at, int32_t position,
                 void *patches);
    /* All outputs of `count` positions, 1..positions, that were packed. Not of weights of four bits. */
    void (*dense)(const edgeemo_dense *d, const void *patches, int32_t count, int8_t *const *to);
    /* All channels of a strip. taps: pointers to `channels` values each, of its first
     * position. */
    void (*depthwise)(const edgeemo_depthwise *d, const int8_t *const *taps,
                      const edgeemo_strip *strip, int8_t *to);
    void (*add)(const edgeemo_sum *s, const int8_t *a, const int8_t *b, int32_t n, int8_t *to);
    /* sums[i] += x[i] */
    void (*accumulate)(const int8_t *x, int32_t n, int32_t *sums);
    /* Float to int8: a * x + b, rounded, halves up. A NaN becomes -128. */
    void (*quantize)(const float *x, int32_t n, float a, float b, int8_t *to);
#if defined(EDGEEMO_HAVE_PREPARED)
    /* n values as words, and behind them room for 15 more. NULL if conv() reads bytes. */
    void (*widen)(const int8_t *from, int32_t n, int16_t *to);
    /* All outputs of `count` positions, 1..positions. from[s * EDGEEMO_MAX_POSITIONS + p]: span s
     * of position p. NULL if weight_bytes is 0. */
    void (*conv)(const edgeemo_conv *c, const void *const *from, int32_t count, int8_t *const *to);
#endif
} edgeemo_kernels;

#if EDGEEMO_WITH_INT4
/* dense() of a set with weights of four bits. bytes: edgeemo_outputs_at_once() * inputs, at 4. */
void edgeemo_dense_int4(const edgeemo_kernels *k, const edgeemo_dense *d, const void *patches,
                        int32_t count, int8_t *const *to, int8_t *bytes);
#endif

/* The same with weights of either kind. */
static inline void edgeemo_dense_run(const edgeemo_kernels *k, const edgeemo_dense *d,
                                     const void *patches, int32_t count, int8_t *const *to,
                                     int8_t *bytes)
{
    (void)bytes;
#if EDGEEMO_WITH_INT4
    if (d->int4) {
        edgeemo_dense_int4(k, d, patches, count, to, bytes);
        return;
    }
#endif
    k->dense(d, patches, count, to);
}

/* Bytes of the patches of all positions of a set of kernels. */
static inline size_t edgeemo_patch_bytes(const edgeemo_kernels *k, int32_t inputs)
{
    return (size_t)k->positions * (size_t)((inputs + 15) / 16 * 16) * sizeof(int16_t);
}

/* The best set for this processor. */
const edgeemo_kernels *edgeemo_kernels_best(void);

/* The set number `index` of those that this processor can run, the portable one first; NULL behind
 * the last. For tests and benchmarks. */
const edgeemo_kernels *edgeemo_kernels_at(int32_t index);

extern const edgeemo_kernels edgeemo_kernels_portable;

#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define EDGEEMO_HAVE_HELIUM 1
extern const edgeemo_kernels edgeemo_kernels_helium;
#elif defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__thumb__)
#define EDGEEMO_HAVE_DSP 1
extern const edgeemo_kernels edgeemo_kernels_dsp;
#elif defined(__aarch64__) && defined(__ARM_NEON) && !defined(__ARM_BIG_ENDIAN)
#define EDGEEMO_HAVE_NEON 1
extern const edgeemo_kernels edgeemo_kernels_neon;
#elif defined(__wasm_simd128__)
#define EDGEEMO_HAVE_WASM 1
extern const edgeemo_kernels edgeemo_kernels_wasm;
#elif defined(__x86_64__) && defined(__GNUC__)
#define EDGEEMO_HAVE_X86 1
extern const edgeemo_kernels edgeemo_kernels_avx2, edgeemo_kernels_vnni;
/* Which of them this processor and its operating system can run. */
int32_t edgeemo_has_avx2(void);
int32_t edgeemo_has_vnni(void);
#endif

static inline int8_t edgeemo_clamp(int32_t value, int32_t low, int32_t high)
{
    return (int8_t)(value < low ? low : value > high ? high : value);
}

static inline int32_t edgeemo_high_word(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b) >> 32);
}

static inline int32_t edgeemo_bias(const edgeemo_requant *r, int32_t o)
{
    return r->channels[o / 4 * 8 + o % 4];
}

static inline int32_t edgeemo_multiplier(const edgeemo_requant *r, int32_t o)
{
    return r->channels[o / 4 * 8 + 4 + o % 4];
}

/* The sum `acc`, without its bias, of output `o`. */
static inline int8_t edgeemo_requantize(const edgeemo_requant *r, int32_t o, int32_t acc)
{
    uint32_t sum = (uint32_t)acc + (uint32_t)edgeemo_bias(r, o);
    int32_t high = edgeemo_high_word((int32_t)(sum << r->pre), edgeemo_multiplier(r, o));
    return edgeemo_clamp((high + r->rounding) >> r->shift, r->act_min, r->act_max);
}

#if defined(EDGEEMO_HAVE_PREPARED)
/* Groups of a block, one, three or four; the last one may be empty in part. */
static inline int32_t edgeemo_block_groups(int32_t outputs)
{
    int32_t groups = (outputs + EDGEEMO_GROUP - 1) / EDGEEMO_GROUP;
    return groups % 4 == 0 && groups % 3 ? 4 : groups >= 3 ? 3 : 1;
}

/* Values of a span with what is read beyond it: four bytes at once, of weights and of inputs. */
static inline int32_t edgeemo_padded(int32_t length, int32_t weight_bytes)
{
    int32_t together = 4 / weight_bytes;
    return (length + together - 1) / together * together;
}

/* Bytes of a prepared block. */
static inline size_t edgeemo_block_bytes(const edgeemo_conv *c, int32_t weight_bytes)
{
    size_t inputs = (size_t)c->spans * (size_t)edgeemo_padded(c->length, weight_bytes);
    size_t outputs = (size_t)edgeemo_block_groups(c->outputs) * EDGEEMO_GROUP;
    return outputs * (2 * sizeof(int32_t) + inputs * (size_t)weight_bytes);
}

static inline size_t edgeemo_channels_bytes(const edgeemo_depthwise *d, int32_t weight_bytes)
{
    size_t taps = (size_t)(d->taps + 3) / 4 * 4;
    return EDGEEMO_BLOCK_CHANNELS * (2 * sizeof(int32_t) + taps * (size_t)weight_bytes);
}

/* Channel where block `block` begins: the last block ends with the channels, if they fill one. */
static inline int32_t edgeemo_first_channel(const edgeemo_depthwise *d, int32_t block)
{
    int32_t first = EDGEEMO_BLOCK_CHANNELS * block, last = d->channels - EDGEEMO_BLOCK_CHANNELS;
    return last <= 0 ? 0 : first < last ? first : last;
}

/* Block by block: bias and multiplier [groups][8] each; weights [steps][groups][8 outputs] of four
 * bytes: four inputs of one byte or two of two bytes. `from` has the weights of a blob. */
size_t edgeemo_conv_bytes(const edgeemo_conv *c, int32_t weight_bytes);
void edgeemo_prepare_conv(const edgeemo_kernels *k, const edgeemo_conv *c,
                          const edgeemo_dense *from, void *to);

/* Block by block of 32 channels: bias and multiplier [4][8] each, and for each four taps, with
 * weights of one byte, [4][8 channels][4 taps]; for each two taps, with weights of two bytes,
 * [4][8 channels][2 taps]. Vector j has the channels 16 * (i / 4) + 4 * j + i % 4, the order in
 * which unpacking the halves of a register leaves them. */
size_t edgeemo_depthwise_bytes(const edgeemo_depthwise *d, int32_t weight_bytes);
void edgeemo_prepare_depthwise(const edgeemo_kernels *k, const edgeemo_depthwise *d, void *to);
#endif

/* What the sets of kernels share where they have nothing better. */
void edgeemo_pack_int16(const edgeemo_dense *d, const edgeemo_patch_span *p, int32_t at,
                        int32_t position, void *patches);
void edgeemo_pack_int8(const edgeemo_dense *d, const edgeemo_patch_span *p, int32_t at,
                       int32_t position, void *patches);
/* Channels `from` on of the position that lies `at` behind the taps. */
void edgeemo_depthwise_from(const edgeemo_depthwise *d, const int8_t *const *taps, int32_t from,
                            int32_t at, int8_t *to);
void edgeemo_add_portable(const edgeemo_sum *s, const int8_t *a, const int8_t *b, int32_t n,
                          int8_t *to);
void edgeemo_accumulate_portable(const int8_t *x, int32_t n, int32_t *sums);
void edgeemo_quantize_portable(const float *x, int32_t n, float a, float b, int8_t *to);

#endif
