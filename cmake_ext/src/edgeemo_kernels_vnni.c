/* edgeemo_kernels_vnni.c: x86-64 with VNNI: four products of bytes and their sum in one.
 *
 * Unsigned times signed bytes, so inputs are taken 128 higher, and the prepared biases are lower by
 * 128 times the sum of the weights.
 */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_X86)
#include "edgeemo_kernels_x86.h"

#define VNNI __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vnni")))

enum { INPUT_OFFSET = 128, REGISTERS = 32, MOST_SUMS = 24 };

/* sum + four unsigned times four signed bytes, eight times */
VNNI INLINE sums8 dot(sums8 sum, __m256i x, __m256i w)
{
    return (sums8)_mm256_dpbusd_epi32((__m256i)sum, x, w);
}

VNNI INLINE __m256i with_offset(__m256i x)
{
    return _mm256_xor_si256(x, _mm256_set1_epi8((char)-INPUT_OFFSET));
}

/* The odd products have their high words in place already. */
VNNI INLINE __m256i high_words(__m256i even, __m256i odd)
{
    return _mm256_mask_shuffle_epi32(odd, 0x55, even, 0xf5);
}

#define TARGET VNNI
#define WEIGHT int8_t
#define DOT dot
#define INPUTS(four) with_offset(_mm256_set1_epi32(four))
#define HIGH_WORDS high_words
#include "edgeemo_kernels_x86_conv.h"

/* ---- depthwise: four taps of 32 channels become neighbours by unpacking ---- */

/* 32 channels that lie `at` behind the taps. */
VNNI INLINE void quad(const int8_t *const *taps, int32_t at, const char *w, sums8 *sums)
{
    __m256i t0 = with_offset(load(taps[0] + at)), t1 = with_offset(load(taps[1] + at));
    __m256i t2 = with_offset(load(taps[2] + at)), t3 = with_offset(load(taps[3] + at));
    __m256i low01 = _mm256_unpacklo_epi8(t0, t1), high01 = _mm256_unpackhi_epi8(t0, t1);
    __m256i low23 = _mm256_unpacklo_epi8(t2, t3), high23 = _mm256_unpackhi_epi8(t2, t3);
    sums[0] = dot(sums[0], _mm256_unpacklo_epi16(low01, low23), load(w));
    sums[1] = dot(sums[1], _mm256_unpackhi_epi16(low01, low23), load(w + 32));
    sums[2] = dot(sums[2], _mm256_unpacklo_epi16(high01, high23), load(w + 64));
    sums[3] = dot(sums[3], _mm256_unpackhi_epi16(high01, high23), load(w + 96));
}

VNNI static void depthwise(const edgeemo_depthwise *given, const int8_t *const *taps,
                           const edgeemo_strip *strip, int8_t *to)
{
    const edgeemo_depthwise copy = *given, *d = &copy; /* a store might change *given */
    int32_t channels = d->channels, last = d->taps - 1, quads = (last + 4) / 4;
    int32_t bytes = (int32_t)edgeemo_channels_bytes(d, 1);
    const int8_t *own[EDGEEMO_MAX_TAPS + 4];
    for (int32_t t = 0; t < 4 * quads; t++)
        own[t] = taps[t < last ? t : last]; /* what is missing to four has no weight */
    const edgeemo_strip s = *strip;
    for (int32_t p = 0; p < s.count; p++, to += s.to_step) {
        const char *block = d->prepared;
        for (int32_t b = 0; EDGEEMO_BLOCK_CHANNELS * b < channels; b++, block += bytes) {
            const int32_t *bias = (const void *)block, *multipliers = bias + EDGEEMO_BLOCK_CHANNELS;
            const char *w = (const void *)(multipliers + EDGEEMO_BLOCK_CHANNELS);
            int32_t c = edgeemo_first_channel(d, b), at = p * s.step + c;
            sums8 sums[4] = {(sums8)load(bias), (sums8)load(bias + 8), (sums8)load(bias + 16),
                             (sums8)load(bias + 24)};
            for (int32_t q = 0; q < quads; q++, w += 128)
                quad(own + 4 * q, at, w, sums);
            finish_channels(&d->requant, multipliers, sums, channels, to + c);
        }
    }
}

const edgeemo_kernels edgeemo_kernels_vnni = {
    "vnni", EDGEEMO_MAX_POSITIONS, 1, INPUT_OFFSET, NULL, NULL, depthwise, edgeemo_add_avx2,
    edgeemo_accumulate_avx2, edgeemo_quantize_avx2, NULL, conv,
};

#else
typedef int edgeemo_kernels_vnni_is_empty; /* ISO C wants something in each file */
#endif
