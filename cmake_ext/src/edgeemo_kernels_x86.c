/* edgeemo_kernels_x86.c: AVX2, and what this processor can run. */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_X86)
#include <cpuid.h>

#include "edgeemo_kernels_x86.h"

/* The vector registers that the operating system keeps for a program. */
static uint32_t kept_registers(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return a;
}

int32_t edgeemo_has_avx2(void)
{
    uint32_t a, b, c, d;
    return (kept_registers() & 0x6u) == 0x6u && __get_cpuid_count(7, 0, &a, &b, &c, &d)
           && (b & (1u << 5));
}

int32_t edgeemo_has_vnni(void)
{
    uint32_t a, b, c, d;
    const uint32_t wanted = 1u << 5 | 1u << 16 | 1u << 30 | 1u << 31; /* AVX2, 512F, 512BW, 512VL */
    return (kept_registers() & 0xe6u) == 0xe6u && __get_cpuid_count(7, 0, &a, &b, &c, &d)
           && (b & wanted) == wanted && (c & (1u << 11));
}

/* ---- products of pairs of int16, because sums of int8 products would leave 16 bits ---- */

enum { REGISTERS = 16, MOST_SUMS = 12 };

/* sum + two products, eight times */
AVX2 INLINE sums8 dot(sums8 sum, __m256i x, __m256i w)
{
    return sum + (sums8)_mm256_madd_epi16(x, w);
}

AVX2 INLINE __m256i high_words(__m256i even, __m256i odd)
{
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

#define TARGET AVX2
#define WEIGHT int16_t
#define DOT dot
#define INPUTS _mm256_set1_epi32
#define HIGH_WORDS high_words
#include "edgeemo_kernels_x86_conv.h"

/* By 16, and in the end up to 15 more. */
AVX2 static void widen(const int8_t *from, int32_t n, int16_t *to)
{
    for (int32_t i = 0; i < n; i += 16)
        _mm256_storeu_si256((void *)(to + i),
                            _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(from + i))));
}

/* The values of two taps, neighbours in the halves of `bytes`, as words. */
AVX2 INLINE __m256i words_of_low(__m256i bytes)
{
    return _mm256_srai_epi16(_mm256_unpacklo_epi8(bytes, bytes), 8);
}

AVX2 INLINE __m256i words_of_high(__m256i bytes)
{
    return _mm256_srai_epi16(_mm256_unpackhi_epi8(bytes, bytes), 8);
}

AVX2 static void depthwise(const edgeemo_depthwise *given, const int8_t *const *taps,
                           const edgeemo_strip *strip, int8_t *to)
{
    const edgeemo_depthwise copy = *given, *d = &copy; /* a store might change *given */
    int32_t channels = d->channels, bytes = (int32_t)edgeemo_channels_bytes(d, 2);
    const edgeemo_strip s = *strip;
    for (int32_t p = 0; p < s.count; p++, to += s.to_step) {
        const char *block = d->prepared;
        for (int32_t b = 0; EDGEEMO_BLOCK_CHANNELS * b < channels; b++, block += bytes) {
            const int32_t *bias = (const void *)block, *multipliers = bias + EDGEEMO_BLOCK_CHANNELS;
            const char *w = (const void *)(multipliers + EDGEEMO_BLOCK_CHANNELS);
            int32_t c = edgeemo_first_channel(d, b), at = p * s.step + c;
            sums8 sums[4] = {(sums8)load(bias), (sums8)load(bias + 8), (sums8)load(bias + 16),
                             (sums8)load(bias + 24)};
            for (int32_t t = 0; t < d->taps; t += 2, w += 128) {
                /* What is missing to two has no weight. */
                __m256i first = load(taps[t] + at);
                __m256i second = load(taps[t + 1 < d->taps ? t + 1 : t] + at);
                __m256i low = _mm256_unpacklo_epi8(first, second);
                __m256i high = _mm256_unpackhi_epi8(first, second);
                sums[0] = dot(sums[0], words_of_low(low), load(w));
                sums[1] = dot(sums[1], words_of_high(low), load(w + 32));
                sums[2] = dot(sums[2], words_of_low(high), load(w + 64));
                sums[3] = dot(sums[3], words_of_high(high), load(w + 96));
            }
            finish_channels(&d->requant, multipliers, sums, channels, to + c);
        }
    }
}

/* ---- what VNNI has no better way for ---- */

/* A multiplier of an addition as high * 2^15 + low, for products of words. */
AVX2 INLINE __m256i low_parts(const edgeemo_sum *s)
{
    return _mm256_set1_epi32((s->m0 & 0x7fff) | (s->m1 & 0x7fff) << 16);
}

AVX2 INLINE __m256i high_parts(const edgeemo_sum *s)
{
    return _mm256_set1_epi32((s->m0 >> 15 & 0xffff) | (int32_t)((uint32_t)(s->m1 >> 15) << 16));
}

/* Eight sums of pairs of words. */
AVX2 INLINE __m256i added(const edgeemo_sum *s, __m256i pairs)
{
    __m256i high = _mm256_slli_epi32(_mm256_madd_epi16(pairs, high_parts(s)), 15);
    __m256i v = _mm256_add_epi32(high, _mm256_madd_epi16(pairs, low_parts(s)));
    v = _mm256_sra_epi32(_mm256_add_epi32(v, _mm256_set1_epi32(s->rounding)),
                         _mm_cvtsi32_si128(s->shift));
    return _mm256_add_epi32(v, _mm256_set1_epi32(s->zero));
}

AVX2 INLINE void add_16(const edgeemo_sum *s, const int8_t *a, const int8_t *b, int8_t *to)
{
    __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)a));
    __m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)b));
    __m256i words = _mm256_packs_epi32(added(s, _mm256_unpacklo_epi16(x, y)),
                                       added(s, _mm256_unpackhi_epi16(x, y)));
    __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(words, words), 0x08);
    bytes = _mm256_max_epi8(bytes, _mm256_set1_epi8((char)s->act_min));
    bytes = _mm256_min_epi8(bytes, _mm256_set1_epi8((char)s->act_max));
    _mm_storeu_si128((void *)to, _mm256_castsi256_si128(bytes));
}

AVX2 void edgeemo_add_avx2(const edgeemo_sum *given, const int8_t *a, const int8_t *b, int32_t n,
                           int8_t *to)
{
    const edgeemo_sum s = *given;
    if (n < 16) {
        edgeemo_add_portable(&s, a, b, n, to);
        return;
    }
    for (int32_t i = 0; i < n - 16; i += 16)
        add_16(&s, a + i, b + i, to + i);
    add_16(&s, a + n - 16, b + n - 16, to + n - 16); /* some of them again */
}

AVX2 void edgeemo_accumulate_avx2(const int8_t *x, int32_t n, int32_t *sums)
{
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i v = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(x + i)));
        v = _mm256_add_epi32(v, _mm256_loadu_si256((const void *)(sums + i)));
        _mm256_storeu_si256((void *)(sums + i), v);
    }
    edgeemo_accumulate_portable(x + i, n - i, sums + i);
}

/* Eight codes, rounded. */
AVX2 INLINE __m256i codes_of(const float *x, __m256 a, __m256 b)
{
    __m256 v = _mm256_add_ps(_mm256_mul_ps(_mm256_loadu_ps(x), a), b);
    v = _mm256_max_ps(v, _mm256_set1_ps(-128.0f)); /* what is no number gives the second */
    v = _mm256_min_ps(v, _mm256_set1_ps(127.0f));
    __m256i codes = _mm256_cvttps_epi32(_mm256_add_ps(v, _mm256_set1_ps(128.5f)));
    return _mm256_sub_epi32(codes, _mm256_set1_epi32(128));
}

AVX2 void edgeemo_quantize_avx2(const float *x, int32_t n, float a, float b, int8_t *to)
{
    int32_t i = 0;
    __m256 factor = _mm256_set1_ps(a), offset = _mm256_set1_ps(b);
    for (; i + 8 <= n; i += 8) {
        __m256i codes = codes_of(x + i, factor, offset);
        __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(codes, codes), 0x08);
        _mm_storel_epi64((void *)(to + i),
                         _mm256_castsi256_si128(_mm256_packs_epi16(words, words)));
    }
    edgeemo_quantize_portable(x + i, n - i, a, b, to + i);
}

const edgeemo_kernels edgeemo_kernels_avx2 = {
    "avx2", EDGEEMO_MAX_POSITIONS, 2, 0, NULL, NULL, depthwise, edgeemo_add_avx2,
    edgeemo_accumulate_avx2, edgeemo_quantize_avx2, widen, conv,
};

#else
typedef int edgeemo_kernels_x86_is_empty; /* ISO C wants something in each file */
#endif
