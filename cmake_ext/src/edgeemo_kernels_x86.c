/* edgeemo_kernels_x86.c: AVX2, and the dot products of AVX-512 VNNI. Compiled for any x86-64; used
 * only where the processor and its operating system have them. */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_X86)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define VNNI __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vnni")))

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

/* ---- from sums to int8 ---- */

/* Eight sums with the biases and multipliers of two times four outputs. */
AVX2 static inline __m256i rescale(const edgeemo_rescale *r, __m256i acc, __m256i bias, __m256i m)
{
    acc = _mm256_sll_epi32(_mm256_add_epi32(acc, bias), _mm_cvtsi32_si128(r->pre));
    __m256i even = _mm256_srli_epi64(_mm256_mul_epi32(acc, m), 32);
    __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(acc, 32), _mm256_srli_epi64(m, 32));
    __m256i high = _mm256_blend_epi32(even, odd, 0xaa);
    high = _mm256_sra_epi32(_mm256_add_epi32(high, _mm256_set1_epi32(r->plus)),
                            _mm_cvtsi32_si128(r->shift));
    high = _mm256_max_epi32(high, _mm256_set1_epi32(r->low));
    return _mm256_min_epi32(high, _mm256_set1_epi32(r->high));
}

/* The low byte of each of eight values: four in the low word, four in the second. */
AVX2 static inline __m128i bytes_of(__m256i v)
{
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    return _mm_packs_epi16(words, words);
}

static inline void store(int8_t *to, uint32_t bytes, int32_t count)
{
    if (count >= 4)
        memcpy(to, &bytes, 4);
    else
        memcpy(to, &bytes, (size_t)count);
}

/* Bias and multiplier of four outputs (fewer at the end) in both halves. */
AVX2 static inline void load_channels(const edgeemo_rescale *r, int32_t o, int32_t count,
                                      __m256i *bias, __m256i *m)
{
    int32_t copied[8] = {0};
    const int32_t *pairs = r->channels + 2 * o;
    if (count < 4) {
        memcpy(copied, pairs, (size_t)count * 8);
        pairs = copied;
    }
    __m128 low = _mm_loadu_ps((const float *)(const void *)pairs);
    __m128 high = _mm_loadu_ps((const float *)(const void *)(pairs + 4));
    *bias = _mm256_broadcastsi128_si256(_mm_castps_si128(_mm_shuffle_ps(low, high, 0x88)));
    *m = _mm256_broadcastsi128_si256(_mm_castps_si128(_mm_shuffle_ps(low, high, 0xdd)));
}

/* The last block of a group with zeros to 16 inputs an output. */
static inline void whole_block(const int8_t *w, int32_t width, int8_t to[64])
{
    memset(to, 0, 64);
    for (int32_t o = 0; o < 4; o++)
        memcpy(to + 16 * o, w + o * width, (size_t)width);
}

/* ---- AVX2 ---- */

AVX2 static void pack(const edgeemo_dense *d, const int8_t *from, int32_t n, int32_t at,
                      int32_t position, void *patches)
{
    int16_t *to = (int16_t *)patches + position * ((d->inputs + 15) / 16 * 16) + at;
    int32_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm256_storeu_si256((void *)(to + i),
                            _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(from + i))));
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((void *)(to + i),
                         _mm_cvtepi8_epi16(_mm_loadl_epi64((const void *)(from + i))));
    for (; i < n; i++)
        to[i] = from[i];
}

/* Four outputs for two positions over 16 inputs. */
AVX2 static inline void step(const int8_t *w, const int16_t *x0, const int16_t *x1, __m256i *a,
                             __m256i *b)
{
    __m256i x = _mm256_loadu_si256((const void *)x0), y = _mm256_loadu_si256((const void *)x1);
    for (int32_t o = 0; o < 4; o++) {
        __m256i v = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(w + 16 * o)));
        a[o] = _mm256_add_epi32(a[o], _mm256_madd_epi16(v, x));
        b[o] = _mm256_add_epi32(b[o], _mm256_madd_epi16(v, y));
    }
}

/* Four sums from four vectors. */
AVX2 static inline __m128i total(const __m256i *a)
{
    __m256i sums = _mm256_hadd_epi32(_mm256_hadd_epi32(a[0], a[1]), _mm256_hadd_epi32(a[2], a[3]));
    return _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
}

AVX2 static void dense_avx2(const edgeemo_dense *given, const void *patches, int32_t count,
                            int8_t *const *to)
{
    const edgeemo_dense copy = *given, *d = &copy; /* a store through int8_t might change *given */
    const int8_t *w = d->weights;
    int32_t stride = (d->inputs + 15) / 16 * 16, whole = d->inputs / 16 * 16;
    int8_t last[64];
    for (int32_t o = 0; o < d->outputs; o += 4, w += 4 * d->inputs) {
        int32_t left = d->outputs - o;
        __m256i bias, m;
        load_channels(&d->rescale, o, left, &bias, &m);
        if (whole < d->inputs)
            whole_block(w + 4 * whole, d->inputs - whole, last);
        for (int32_t p = 0; p < count; p += 2) {
            /* An odd position at the end is computed twice, and stored once. */
            int32_t q = p + 1 < count ? p + 1 : p;
            const int16_t *x = (const int16_t *)patches + p * stride;
            const int16_t *y = (const int16_t *)patches + q * stride;
            __m256i zero = _mm256_setzero_si256();
            __m256i a[4] = {zero, zero, zero, zero}, b[4] = {zero, zero, zero, zero};
            for (int32_t k = 0; k < whole; k += 16)
                step(w + 4 * k, x + k, y + k, a, b);
            if (whole < d->inputs)
                step(last, x + whole, y + whole, a, b);
            __m256i sums = _mm256_set_m128i(total(b), total(a));
            __m128i bytes = bytes_of(rescale(&d->rescale, sums, bias, m));
            store(to[p] + o, (uint32_t)_mm_cvtsi128_si32(bytes), left);
            store(to[q] + o, (uint32_t)_mm_extract_epi32(bytes, 1), left);
        }
    }
}

AVX2 static void depthwise(const edgeemo_depthwise *d, const int8_t *const *taps, int8_t *to)
{
    int32_t width = (d->channels + 3) / 4 * 4, c = 0;
    for (; c + 8 <= d->channels; c += 8) {
        const int16_t *w = d->weights + 2 * c;
        __m256i acc = _mm256_setzero_si256();
        for (int32_t t = 0; t < d->pairs; t++, w += 2 * width) {
            __m128i a = _mm_loadl_epi64((const void *)(taps[2 * t] + c));
            __m128i b = _mm_loadl_epi64((const void *)(taps[2 * t + 1] + c));
            __m256i x = _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b));
            acc = _mm256_add_epi32(
                acc, _mm256_madd_epi16(x, _mm256_loadu_si256((const void *)w)));
        }
        const float *pairs = (const void *)(d->rescale.channels + 2 * c);
        __m256 low = _mm256_loadu_ps(pairs), high = _mm256_loadu_ps(pairs + 8);
        /* The shuffle works in halves; the permutation puts the quarters into order. */
        __m256i bias = _mm256_permute4x64_epi64(
            _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88)), 0xd8);
        __m256i m = _mm256_permute4x64_epi64(
            _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd)), 0xd8);
        _mm_storel_epi64((void *)(to + c), bytes_of(rescale(&d->rescale, acc, bias, m)));
    }
    edgeemo_depthwise_from(d, taps, c, to);
}

AVX2 static void add(const edgeemo_sum *s, const int8_t *a, const int8_t *b, int32_t n, int8_t *to)
{
    int32_t i = 0;
    __m256i m0 = _mm256_set1_epi32(s->m0), m1 = _mm256_set1_epi32(s->m1);
    __m256i plus = _mm256_set1_epi32(s->plus), zero = _mm256_set1_epi32(s->zero);
    for (; i + 8 <= n; i += 8) {
        __m256i x = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(a + i)));
        __m256i y = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(b + i)));
        __m256i v = _mm256_add_epi32(_mm256_mullo_epi32(x, m0), _mm256_mullo_epi32(y, m1));
        v = _mm256_sra_epi32(_mm256_add_epi32(v, plus), _mm_cvtsi32_si128(s->shift));
        v = _mm256_max_epi32(_mm256_add_epi32(v, zero), _mm256_set1_epi32(s->low));
        v = _mm256_min_epi32(v, _mm256_set1_epi32(s->high));
        _mm_storel_epi64((void *)(to + i), bytes_of(v));
    }
    edgeemo_add_portable(s, a + i, b + i, n - i, to + i);
}

AVX2 static void accumulate(const int8_t *x, int32_t n, int32_t *sums)
{
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i v = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(x + i)));
        v = _mm256_add_epi32(v, _mm256_loadu_si256((const void *)(sums + i)));
        _mm256_storeu_si256((void *)(sums + i), v);
    }
    edgeemo_accumulate_portable(x + i, n - i, sums + i);
}

const edgeemo_kernels edgeemo_kernels_avx2 = {
    "avx2", 8, pack, dense_avx2, depthwise, add, accumulate,
};

/* ---- VNNI: unsigned times signed bytes, so inputs are 128 higher; the sum of the weights, times
 * 128, comes off again ---- */

AVX2 static void pack_unsigned(const edgeemo_dense *d, const int8_t *from, int32_t n, int32_t at,
                               int32_t position, void *patches)
{
    uint8_t *to = (uint8_t *)patches + position * ((d->inputs + 15) / 16 * 16) + at;
    int32_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm_storeu_si128((void *)(to + i),
                         _mm_xor_si128(_mm_loadu_si128((const void *)(from + i)),
                                       _mm_set1_epi8((char)-128)));
    for (; i < n; i++)
        to[i] = (uint8_t)(from[i] ^ -128);
}

/* Sums of four outputs from those of [output 0, output 1] and [output 2, output 3]. */
AVX2 static inline __m128i total_of_pairs(__m256i a, __m256i b)
{
    __m256i sums = _mm256_hadd_epi32(a, b); /* lanes: 0 0 2 2 | 1 1 3 3 */
    __m128i low = _mm256_castsi256_si128(sums), high = _mm256_extracti128_si256(sums, 1);
    sums = _mm256_castsi128_si256(_mm_hadd_epi32(low, high)); /* 0 2 1 3 */
    return _mm_shuffle_epi32(_mm256_castsi256_si128(sums), 0xd8);
}

enum { ABREAST = 4 };

VNNI static inline void step_vnni(const int8_t *w, const uint8_t *const *x, int32_t k, __m256i *a,
                                  __m256i *b, __m256i *ones)
{
    __m256i w0 = _mm256_loadu_si256((const void *)w);
    __m256i w1 = _mm256_loadu_si256((const void *)(w + 32));
    __m256i offset = _mm256_set1_epi8((char)-128); /* 128 as an unsigned byte */
    ones[0] = _mm256_dpbusd_epi32(ones[0], offset, w0);
    ones[1] = _mm256_dpbusd_epi32(ones[1], offset, w1);
    for (int32_t p = 0; p < ABREAST; p++) {
        __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)(x[p] + k)));
        a[p] = _mm256_dpbusd_epi32(a[p], v, w0);
        b[p] = _mm256_dpbusd_epi32(b[p], v, w1);
    }
}

VNNI static void dense_vnni(const edgeemo_dense *given, const void *patches, int32_t count,
                            int8_t *const *to)
{
    const edgeemo_dense copy = *given, *d = &copy; /* a store through int8_t might change *given */
    const int8_t *w = d->weights;
    int32_t stride = (d->inputs + 15) / 16 * 16, whole = d->inputs / 16 * 16;
    int8_t last[64];
    for (int32_t o = 0; o < d->outputs; o += 4, w += 4 * d->inputs) {
        int32_t left = d->outputs - o;
        __m256i bias, m;
        load_channels(&d->rescale, o, left, &bias, &m);
        if (whole < d->inputs)
            whole_block(w + 4 * whole, d->inputs - whole, last);
        for (int32_t p = 0; p < count; p += ABREAST) {
            const uint8_t *x[ABREAST];
            int8_t *at[ABREAST];
            __m256i a[ABREAST], b[ABREAST];
            __m256i ones[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
            for (int32_t i = 0; i < ABREAST; i++) {
                /* Places behind the last position compute it again. */
                int32_t q = p + i < count ? p + i : count - 1;
                x[i] = (const uint8_t *)patches + q * stride;
                at[i] = to[q] + o;
                a[i] = b[i] = _mm256_setzero_si256();
            }
            for (int32_t k = 0; k < whole; k += 16)
                step_vnni(w + 4 * k, x, k, a, b, ones);
            if (whole < d->inputs)
                step_vnni(last, x, whole, a, b, ones);
            __m256i high = _mm256_broadcastsi128_si256(total_of_pairs(ones[0], ones[1]));
            for (int32_t i = 0; i < ABREAST; i += 2) {
                __m256i sums = _mm256_set_m128i(total_of_pairs(a[i + 1], b[i + 1]),
                                                total_of_pairs(a[i], b[i]));
                sums = _mm256_sub_epi32(sums, high);
                __m128i bytes = bytes_of(rescale(&d->rescale, sums, bias, m));
                store(at[i], (uint32_t)_mm_cvtsi128_si32(bytes), left);
                store(at[i + 1], (uint32_t)_mm_extract_epi32(bytes, 1), left);
            }
        }
    }
}

const edgeemo_kernels edgeemo_kernels_vnni = {
    "vnni", 8, pack_unsigned, dense_vnni, depthwise, add, accumulate,
};

#else
typedef int edgeemo_kernels_x86_is_empty; /* ISO C wants something in each file */
#endif
