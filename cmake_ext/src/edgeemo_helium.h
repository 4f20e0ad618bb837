/* edgeemo_helium.h: stages of edgeemo_fft.c with Arm's vector unit, four values of one frame at a
 * time. The same operations in the same order, so the bits are the same. The sums and products are
 * the compiler's own; intrinsics only move, compare and convert.
 *
 * Written for few bytes: one loop serves all stages of the FFT, whatever lies side by side there.
 * It gathers, which takes more cycles than to load neighbours, but no more instructions. */
#ifndef EDGEEMO_HELIUM_H
#define EDGEEMO_HELIUM_H

#include <arm_mve.h>

#include "edgeemo_internal.h"

/* Parts of four complex values, `at` bytes behind x. */
#define PART(x, part) vldrwq_gather_offset_f32(&(x)->part, at)
#define KEEP(x, part, value) vstrwq_scatter_offset_f32(&(x)->part, at, value)

/* Multiply four values by the twiddles that lie `offset` bytes behind `twiddles`. */
#define TURN(x, offset)                                                   \
    do {                                                                  \
        float32x4_t w_re = vldrwq_gather_base_f32(twiddles, offset);       \
        float32x4_t w_im = vldrwq_gather_base_f32(twiddles, (offset) + 4); \
        float32x4_t x_re = PART(x, re), x_im = PART(x, im);               \
        KEEP(x, re, x_re * w_re - x_im * w_im);                           \
        KEEP(x, im, x_re * w_im + x_im * w_re);                           \
    } while (0)

/* The windowed frame, and zeros behind its end. */
static EDGEEMO_NOINLINE void fill_frame(const edgeemo_tables *t, const float *frame,
                                        real_complex *z)
{
    const float *scale = t->window;
    float *to = &z->re, *half = to + t->fft / 2, *end = to + t->fft;
    int32_t left = (t->win_length + 1) & ~1;
    for (; left >= 4 && to < half; left -= 4, to += 4, frame += 4, scale += 4)
        vstrwq_f32(to, vldrwq_f32(frame) * vldrwq_f32(scale));
    int32_t next = to < half ? 1 : -1; /* the window's second half is its first one backwards */
    scale = to < half ? scale : t->window + t->win_length - t->fft / 2;
    uint32x4_t back = vddupq_n_u32(3, 1);
    for (; left >= 4; left -= 4, to += 4, frame += 4, scale -= 4)
        vstrwq_f32(to, vldrwq_f32(frame) * vldrwq_gather_shifted_offset_f32(scale - 3, back));
    for (float *zero = to; zero < end; zero += 4)
        vstrwq_f32(zero, vdupq_n_f32(0));
    for (; left > 0; left--, scale += next)
        *to++ = *frame++ * *scale;
}

/* One stage, of blocks with four times `quarter` values. Columns count through all blocks: column c
 * begins at value 4 c - 3 (c mod quarter). So four lanes are neighbours in one block or, where
 * blocks are small, in several. A block of four has no twiddles. */
static EDGEEMO_NOINLINE void quarter_blocks(const edgeemo_tables *t, real_complex *z,
                                            int32_t length)
{
    uint32_t quarter = (uint32_t)length / 4, columns = (uint32_t)t->fft / 8;
    uint32_t first_twiddle = (uint32_t)(uintptr_t)t->twiddles;
    uint32_t step = (uint32_t)t->fft / 2 / (uint32_t)length;
    real_complex *a = z, *b = a + quarter, *c = b + quarter, *d = c + quarter;
    for (uint32_t first = 0; first < columns; first += 4) {
        uint32x4_t column = vidupq_n_u32(first, 1);
        uint32x4_t twiddles = vandq_u32(column, vdupq_n_u32(quarter - 1));
        twiddles = vmulq_n_u32(twiddles, sizeof(edgeemo_twiddles)); /* three complex values */
        uint32x4_t at = vsubq_u32(vmulq_n_u32(column, 4 * sizeof *z), twiddles);
        /* Real before imaginary parts, as the vector unit has but eight registers. */
        float32x4_t a_re = PART(a, re), c_re = PART(c, re);
        float32x4_t sum_re = a_re + c_re, dif_re = a_re - c_re;
        float32x4_t b_re = PART(b, re), d_re = PART(d, re);
        float32x4_t odd_re = b_re + d_re, rot_im = d_re - b_re;
        KEEP(a, re, sum_re + odd_re);
        KEEP(c, re, sum_re - odd_re);
        float32x4_t a_im = PART(a, im), c_im = PART(c, im);
        float32x4_t sum_im = a_im + c_im, dif_im = a_im - c_im;
        float32x4_t b_im = PART(b, im), d_im = PART(d, im);
        float32x4_t odd_im = b_im + d_im, rot_re = b_im - d_im;
        KEEP(a, im, sum_im + odd_im);
        KEEP(c, im, sum_im - odd_im);
        KEEP(b, re, dif_re + rot_re);
        KEEP(b, im, dif_im + rot_im);
        KEEP(d, re, dif_re - rot_re);
        KEEP(d, im, dif_im - rot_im);
        if (quarter == 1)
            continue;
        twiddles = vaddq_n_u32(vmulq_n_u32(twiddles, step), first_twiddle);
        TURN(b, 0);
        TURN(c, 8);
        TURN(d, 16);
    }
}

void edgeemo_begin(const edgeemo_tables *t, const float *frame, edgeemo_work *work)
{
    fill_frame(t, frame, work->z);
    quarter_blocks(t, work->z, udiv(t->fft, 2));
}

static void last_fours(const edgeemo_tables *t, real_complex *z)
{
    quarter_blocks(t, z, 4);
}

/* The bins of the first quarter or, with `second` 1, of the second, and their partners; of bin 0,
 * which has none, edgeemo_spectrum() knows. */
static EDGEEMO_NOINLINE void split_bins(const edgeemo_tables *t, edgeemo_work *work, int32_t second)
{
    uint32_t quarter = (uint32_t)t->fft / 8, bin = (uint32_t)second * quarter;
    const real_complex *from = work->z + t->quarters[second];
    const real_complex *mirror = work->z + t->quarters[3 - second];
    const float *cosine = t->cosines + bin, *sine = t->cosines + quarter - bin;
    const uint16_t *permutation = t->permutation;
    float *low = work->power + bin, *high = work->power + 3 * quarter - bin;
    for (uint32_t left = quarter; left > 0; left -= 4) {
        uint32x4_t back = vddupq_n_u32(left, 1);
        uint32x4_t at = vldrhq_u32(permutation);
        float32x4_t p_re = PART(from, re), p_im = PART(from, im);
        at = vldrhq_gather_shifted_offset_u32(t->permutation, back);
        float32x4_t q_re = PART(mirror, re), q_im = PART(mirror, im);
        float32x4_t w_cos = vldrwq_f32(cosine);
        float32x4_t w_sin = vldrwq_gather_shifted_offset_f32(sine, back);
        PAIR_OF_BINS(float32x4_t);
        vstrwq_f32(low, a_re * a_re + a_im * a_im);
        vstrwq_scatter_shifted_offset_f32(high, back, b_re * b_re + b_im * b_im);
        permutation += 4, cosine += 4, low += 4;
    }
}

#undef TURN
#undef PART
#undef KEEP
#endif
