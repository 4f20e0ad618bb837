/* edgeemo_kernels_x86.c: AVX2, and the dot products of AVX-512 VNNI. Compiled for any x86-64; used
 * only where the processor and its operating system have them. */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_X86)
#include <cpuid.h>
#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline))
#define VNNI __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vnni")))

enum { TILE = 6, TILE_VNNI = 8 }; /* positions whose sums fit in the registers */

/* Not __m256i, which is made of 64-bit values: GCC would copy each sum in each step. */
typedef int32_t sums8 __attribute__((vector_size(32)));

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

/* Eight sums that have their biases, before they are cut to int8; m as it lies and moved by a
 * lane, so that its odd multipliers stand where a product reads them. */
AVX2 static inline __m256i scaled(const edgeemo_requant *r, __m256i acc, __m256i m, __m256i m_odd)
{
    acc = _mm256_sll_epi32(acc, _mm_cvtsi32_si128(r->pre));
    __m256i even = _mm256_srli_epi64(_mm256_mul_epi32(acc, m), 32);
    __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(acc, 32), m_odd);
    __m256i high = _mm256_blend_epi32(even, odd, 0xaa);
    return _mm256_sra_epi32(_mm256_add_epi32(high, _mm256_set1_epi32(r->rounding)),
                            _mm_cvtsi32_si128(r->shift));
}

/* Two times eight values, cut to the range: 16 bytes. */
AVX2 static inline __m128i bytes_of(int32_t low, int32_t high, __m256i a, __m256i b)
{
    /* Packing works in halves; the permutation puts the quarters into order. */
    __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    bytes = _mm_max_epi8(bytes, _mm_set1_epi8((char)low));
    return _mm_min_epi8(bytes, _mm_set1_epi8((char)high));
}

/* The first `count` (eight, or fewer) of eight bytes. */
static inline void store(int8_t *to, __m128i bytes, int32_t count)
{
    if (count >= 8)
        _mm_storel_epi64((void *)to, bytes);
    else
        memcpy(to, &bytes, (size_t)count);
}

/* ---- dot products: what differs is how the sums of eight outputs are made ---- */

typedef void sums_of(const edgeemo_dense *d, const int8_t *weights, const void *patches,
                     int32_t count, int32_t (*sums)[EDGEEMO_GROUP]);

AVX2 static void dense_by(sums_of *work, const edgeemo_dense *given, const void *patches,
                          int32_t count, int8_t *const *to)
{
    const edgeemo_dense copy = *given, *d = &copy; /* a store through int8_t might change *given */
    const int8_t *at = d->weights;
    int32_t sums[EDGEEMO_MAX_POSITIONS][EDGEEMO_GROUP];
    for (int32_t o = 0; o < d->outputs; o += EDGEEMO_GROUP, at += edgeemo_group_bytes(d->inputs)) {
        const edgeemo_group *g = (const void *)at;
        __m256i bias = _mm256_loadu_si256((const void *)g->bias);
        __m256i m = _mm256_loadu_si256((const void *)g->multiplier);
        __m256i m_odd = _mm256_srli_epi64(m, 32);
        work(d, g->weights, patches, count, sums);
        for (int32_t p = 0; p < count; p += 2) {
            /* An odd position at the end is done twice. */
            int32_t q = p + 1 < count ? p + 1 : p;
            __m256i a = _mm256_add_epi32(_mm256_loadu_si256((const void *)sums[p]), bias);
            __m256i b = _mm256_add_epi32(_mm256_loadu_si256((const void *)sums[q]), bias);
            a = scaled(&d->requant, a, m, m_odd);
            b = scaled(&d->requant, b, m, m_odd);
            __m128i bytes = bytes_of(d->requant.act_min, d->requant.act_max, a, b);
            store(to[p] + o, bytes, d->outputs - o);
            store(to[q] + o, _mm_unpackhi_epi64(bytes, bytes), d->outputs - o);
        }
    }
}

static inline int32_t patch_stride(const edgeemo_dense *d)
{
    return (d->inputs + 15) / 16 * 16;
}

/* ---- AVX2: pairs of int16, because sums of int8 products would leave 16 bits ---- */

AVX2 static inline void widen_four(const int8_t *from, int16_t *to)
{
    int32_t four;
    memcpy(&four, from, sizeof four);
    _mm_storel_epi64((void *)to, _mm_cvtepi8_epi16(_mm_cvtsi32_si128(four)));
}

AVX2 static inline void widen_eight(const int8_t *from, int16_t *to)
{
    _mm_storeu_si128((void *)to, _mm_cvtepi8_epi16(_mm_loadl_epi64((const void *)from)));
}

/* What is no multiple of 16 ends with a step that does some values again. */
AVX2 static inline void widen(const int8_t *from, int32_t n, int16_t *to)
{
    int32_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm256_storeu_si256((void *)(to + i),
                            _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(from + i))));
    int32_t rest = n - i;
    if (rest >= 8) {
        widen_eight(from + i, to + i);
        widen_eight(from + n - 8, to + n - 8);
    } else if (rest && n >= 4) {
        if (rest > 4)
            widen_four(from + i, to + i);
        widen_four(from + n - 4, to + n - 4);
    } else if (rest) {
        to[0] = from[0], to[n / 2] = from[n / 2], to[n - 1] = from[n - 1]; /* one to three */
    }
}

AVX2 static void pack(const edgeemo_dense *d, const edgeemo_patch_span *given, int32_t at,
                      int32_t position, void *patches)
{
    const edgeemo_patch_span p = *given;
    int32_t stride = patch_stride(d);
    int16_t *to = (int16_t *)patches + position * stride + at;
    for (int32_t k = 0; k < p.count; k++, to += stride)
        widen(p.from + k * p.step, p.n, to);
}

/* `n` positions, a constant: then all sums stay in registers. */
AVX2 INLINE void tile(const edgeemo_dense *d, const int8_t *w, const int16_t *x, const int32_t n,
                      int32_t (*sums)[EDGEEMO_GROUP])
{
    sums8 a[TILE], b[TILE];
    int32_t stride = patch_stride(d);
    for (int32_t p = 0; p < n; p++)
        a[p] = b[p] = (sums8){0};
    const int8_t *end = w + d->inputs * EDGEEMO_GROUP;
    do {
        __m256i u = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)w));
        __m256i v = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)(w + 16)));
        for (int32_t p = 0; p < n; p++) {
            int64_t four;
            memcpy(&four, x + p * stride, sizeof four);
            __m256i y = _mm256_set1_epi64x(four);
            a[p] += (sums8)_mm256_madd_epi16(u, y);
            b[p] += (sums8)_mm256_madd_epi16(v, y);
        }
        w += 4 * EDGEEMO_GROUP, x += 4;
    } while (w != end);
    /* Neighbours are halves of one sum; the order of a group lets them come out in order. */
    for (int32_t p = 0; p < n; p++)
        _mm256_storeu_si256((void *)sums[p], _mm256_hadd_epi32((__m256i)a[p], (__m256i)b[p]));
}

AVX2 static void sums_avx2(const edgeemo_dense *d, const int8_t *weights, const void *patches,
                           int32_t count, int32_t (*sums)[EDGEEMO_GROUP])
{
    const int16_t *x = patches;
    for (int32_t p = 0, n; p < count; p += n, x += n * patch_stride(d)) {
        n = count - p < TILE ? count - p : TILE;
        switch (n) {
        case 1: tile(d, weights, x, 1, sums + p); break;
        case 2: tile(d, weights, x, 2, sums + p); break;
        case 3: tile(d, weights, x, 3, sums + p); break;
        case 4: tile(d, weights, x, 4, sums + p); break;
        case 5: tile(d, weights, x, 5, sums + p); break;
        default: tile(d, weights, x, TILE, sums + p);
        }
    }
}

AVX2 static void dense_avx2(const edgeemo_dense *d, const void *patches, int32_t count,
                            int8_t *const *to)
{
    dense_by(sums_avx2, d, patches, count, to);
}

/* Bias and multiplier of eight channels, which lie in turn. */
AVX2 static inline void load_channels(const int32_t *pairs, __m256i *bias, __m256i *m)
{
    __m256 low = _mm256_loadu_ps((const void *)pairs);
    __m256 high = _mm256_loadu_ps((const void *)(pairs + 8));
    /* The shuffle works in halves; the permutation puts the quarters into order. */
    *bias = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
    *m = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xdd));
    *bias = _mm256_permute4x64_epi64(*bias, 0xd8);
    *m = _mm256_permute4x64_epi64(*m, 0xd8);
}

AVX2 static inline __m256i products(__m128i taps, const int16_t *w)
{
    return _mm256_madd_epi16(_mm256_cvtepi8_epi16(taps), _mm256_loadu_si256((const void *)w));
}

/* 16 channels from c on. */
AVX2 static inline __m128i sixteen(const edgeemo_depthwise *d, const int8_t *const *taps, int32_t c)
{
    const int16_t *w = d->weights + 2 * c;
    const edgeemo_requant *r = &d->requant;
    int32_t width = (d->channels + 3) / 4 * 4;
    __m256i x, y, mx, my;
    load_channels(r->channels + 2 * c, &x, &mx);
    load_channels(r->channels + 2 * c + 16, &y, &my);
    for (int32_t t = 0; t < d->pairs; t++, w += 2 * width) {
        __m128i a = _mm_loadu_si128((const void *)(taps[2 * t] + c));
        __m128i b = _mm_loadu_si128((const void *)(taps[2 * t + 1] + c));
        x = _mm256_add_epi32(x, products(_mm_unpacklo_epi8(a, b), w));
        y = _mm256_add_epi32(y, products(_mm_unpackhi_epi8(a, b), w + 16));
    }
    return bytes_of(r->act_min, r->act_max, scaled(r, x, mx, _mm256_srli_epi64(mx, 32)),
                    scaled(r, y, my, _mm256_srli_epi64(my, 32)));
}

AVX2 static void depthwise(const edgeemo_depthwise *given, const int8_t *const *taps, int8_t *to)
{
    const edgeemo_depthwise copy = *given, *d = &copy;
    int32_t last = d->channels - 16;
    if (last < 0) {
        edgeemo_depthwise_from(d, taps, 0, to);
        return;
    }
    for (int32_t c = 0; c < last; c += 16)
        _mm_storeu_si128((void *)(to + c), sixteen(d, taps, c));
    _mm_storeu_si128((void *)(to + last), sixteen(d, taps, last)); /* some of them again */
}

AVX2 static void add(const edgeemo_sum *s, const int8_t *a, const int8_t *b, int32_t n, int8_t *to)
{
    int32_t i = 0;
    __m256i m0 = _mm256_set1_epi32(s->m0), m1 = _mm256_set1_epi32(s->m1);
    __m256i rounding = _mm256_set1_epi32(s->rounding), zero = _mm256_set1_epi32(s->zero);
    for (; i + 8 <= n; i += 8) {
        __m256i x = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(a + i)));
        __m256i y = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(b + i)));
        __m256i v = _mm256_add_epi32(_mm256_mullo_epi32(x, m0), _mm256_mullo_epi32(y, m1));
        v = _mm256_sra_epi32(_mm256_add_epi32(v, rounding), _mm_cvtsi32_si128(s->shift));
        v = _mm256_add_epi32(v, zero);
        _mm_storel_epi64((void *)(to + i), bytes_of(s->act_min, s->act_max, v, v));
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

AVX2 static void quantize(const float *x, int32_t n, float a, float b, int8_t *to)
{
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(a));
        v = _mm256_add_ps(v, _mm256_set1_ps(b));
        v = _mm256_max_ps(v, _mm256_set1_ps(-128.0f)); /* what is no number gives the second */
        v = _mm256_min_ps(v, _mm256_set1_ps(127.0f));
        __m256i codes = _mm256_cvttps_epi32(_mm256_add_ps(v, _mm256_set1_ps(128.5f)));
        codes = _mm256_sub_epi32(codes, _mm256_set1_epi32(128));
        _mm_storel_epi64((void *)(to + i), bytes_of(-128, 127, codes, codes));
    }
    edgeemo_quantize_portable(x + i, n - i, a, b, to + i);
}

const edgeemo_kernels edgeemo_kernels_avx2 = {
    "avx2", EDGEEMO_MAX_POSITIONS, 1, 0, pack, dense_avx2, depthwise, add, accumulate, quantize,
};

/* ---- VNNI: unsigned times signed bytes, so inputs are INPUT_OFFSET higher, and biases lower by
 * that times the sum of the weights ---- */

enum { INPUT_OFFSET = 128 };

AVX2 static void pack_unsigned(const edgeemo_dense *d, const edgeemo_patch_span *p, int32_t at,
                               int32_t position, void *patches)
{
    int32_t stride = patch_stride(d);
    uint8_t *to = (uint8_t *)patches + position * stride + at;
    for (int32_t k = 0; k < p->count; k++, to += stride) {
        const int8_t *from = p->from + k * p->step;
        int32_t i = 0;
        for (; i + 16 <= p->n; i += 16)
            _mm_storeu_si128((void *)(to + i),
                             _mm_xor_si128(_mm_loadu_si128((const void *)(from + i)),
                                           _mm_set1_epi8((char)-INPUT_OFFSET)));
        for (; i < p->n; i++)
            to[i] = (uint8_t)(from[i] + INPUT_OFFSET);
    }
}

VNNI INLINE void tile_vnni(const edgeemo_dense *d, const int8_t *w, const uint8_t *x,
                           const int32_t n, int32_t (*sums)[EDGEEMO_GROUP])
{
    __m256i a[TILE_VNNI];
    int32_t stride = patch_stride(d);
    for (int32_t p = 0; p < n; p++)
        a[p] = _mm256_setzero_si256();
    for (int32_t k = 0; k < d->inputs; k += 4, w += 4 * EDGEEMO_GROUP) {
        __m256i u = _mm256_loadu_si256((const void *)w);
        for (int32_t p = 0; p < n; p++) {
            int32_t four;
            memcpy(&four, x + p * stride + k, sizeof four);
            a[p] = _mm256_dpbusd_epi32(a[p], _mm256_set1_epi32(four), u);
        }
    }
    for (int32_t p = 0; p < n; p++)
        _mm256_storeu_si256((void *)sums[p], _mm256_permute4x64_epi64(a[p], 0xd8));
}

VNNI static void sums_vnni(const edgeemo_dense *d, const int8_t *weights, const void *patches,
                           int32_t count, int32_t (*sums)[EDGEEMO_GROUP])
{
    const uint8_t *x = patches;
    int32_t p = 0, stride = patch_stride(d);
    for (; p + TILE_VNNI <= count; p += TILE_VNNI)
        tile_vnni(d, weights, x + p * stride, TILE_VNNI, sums + p);
    for (; p + 4 <= count; p += 4)
        tile_vnni(d, weights, x + p * stride, 4, sums + p);
    for (; p < count; p++)
        tile_vnni(d, weights, x + p * stride, 1, sums + p);
}

VNNI static void dense_vnni(const edgeemo_dense *d, const void *patches, int32_t count,
                            int8_t *const *to)
{
    dense_by(sums_vnni, d, patches, count, to);
}

const edgeemo_kernels edgeemo_kernels_vnni = {
    "vnni", EDGEEMO_MAX_POSITIONS, 1, INPUT_OFFSET, pack_unsigned, dense_vnni, depthwise, add,
    accumulate, quantize,
};

#else
typedef int edgeemo_kernels_x86_is_empty; /* ISO C wants something in each file */
#endif
