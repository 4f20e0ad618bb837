/* edgeemo_kernels_x86.h: what the sets of kernels for x86-64 share. */
#ifndef EDGEEMO_KERNELS_X86_H
#define EDGEEMO_KERNELS_X86_H

#include <immintrin.h>
#include <string.h>

#include "edgeemo_kernels.h"

#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline))

/* Loops over the registers of a tile: all of them unrolled, so that sums stay in registers. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Not __m256i, which is made of 64-bit values: GCC would copy each sum in each step. */
typedef int32_t sums8 __attribute__((vector_size(32)));

void edgeemo_add_avx2(const edgeemo_sum *s, const int8_t *a, const int8_t *b, int32_t n,
                      int8_t *to);
void edgeemo_accumulate_avx2(const int8_t *x, int32_t n, int32_t *sums);
void edgeemo_quantize_avx2(const float *x, int32_t n, float a, float b, int8_t *to);

AVX2 INLINE __m256i load(const void *from)
{
    return _mm256_loadu_si256(from);
}

/* Four times eight values, cut to the range: 32 bytes. Packing works in halves: these come out
 * four by four, those of the low halves first. */
AVX2 INLINE __m256i bytes_by_halves(int32_t act_min, int32_t act_max, const __m256i *v)
{
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(v[0], v[1]),
                                       _mm256_packs_epi32(v[2], v[3]));
    if (act_min == -128 && act_max == 127)
        return bytes;
    bytes = _mm256_max_epi8(bytes, _mm256_set1_epi8((char)act_min));
    return _mm256_min_epi8(bytes, _mm256_set1_epi8((char)act_max));
}

AVX2 INLINE __m256i bytes_in_order(int32_t act_min, int32_t act_max, const __m256i *v)
{
    return _mm256_permutevar8x32_epi32(bytes_by_halves(act_min, act_max, v),
                                       _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* The first `count` (32, or fewer) of 32 bytes. */
AVX2 INLINE void store(int8_t *to, __m256i bytes, int32_t count)
{
    if (count >= 32) {
        _mm256_storeu_si256((void *)to, bytes);
    } else if (count == 24) {
        _mm_storeu_si128((void *)to, _mm256_castsi256_si128(bytes));
        _mm_storel_epi64((void *)(to + 16), _mm256_extracti128_si256(bytes, 1));
    } else {
        memcpy(to, &bytes, (size_t)count);
    }
}

#endif
