/* edgeemo_helium.h: stages of edgeemo_fft.c and edgeemo_mel.c with Arm's vector unit, four values
 * of one frame at a time. The same operations in the same order, so the bits are the same. The
 * sums and products are the compiler's own; intrinsics only move, compare and convert. */
#ifndef EDGEEMO_HELIUM_H
#define EDGEEMO_HELIUM_H

#include <arm_mve.h>

#include "edgeemo_internal.h"

/* Real and imaginary parts of four neighbours. GCC 12 takes the intrinsics' pair of vectors through
 * the stack, hence the assembler. */
#define PARTS(name, p, first, second)                                              \
    register float32x4_t name##_re __asm__(first);                                 \
    register float32x4_t name##_im __asm__(second);                                \
    __asm__("vld20.32 {%q0, %q1}, [%2]\n\tvld21.32 {%q0, %q1}, [%2]"                \
            : "=&w"(name##_re), "=&w"(name##_im)                                   \
            : "r"(p)                                                               \
            : "memory")
#define KEEP(re_, im_, p)                                                          \
    do {                                                                           \
        register float32x4_t kept_re __asm__("q0") = (re_);                        \
        register float32x4_t kept_im __asm__("q1") = (im_);                        \
        __asm__ volatile("vst20.32 {%q0, %q1}, [%2]\n\tvst21.32 {%q0, %q1}, [%2]"  \
                         :                                                         \
                         : "w"(kept_re), "w"(kept_im), "r"(p)                      \
                         : "memory");                                              \
    } while (0)

/* Turn n of the four columns from `turns` on. */
#define TURN(n, turns)                                                                      \
    float32x4_t w##n##_re = vldrwq_gather_offset_f32(&(turns)->by##n.re, every_turns);      \
    float32x4_t w##n##_im = vldrwq_gather_offset_f32(&(turns)->by##n.im, every_turns)

static inline uint32x4_t steps_of(uint32_t bytes)
{
    return vmulq_n_u32(vidupq_n_u32(0, 1), bytes);
}

/* Columns 0..last of every block; last is a multiple of four. */
static EDGEEMO_APART void helium_columns(const edgeemo_turns *turns, real_complex *z, int32_t m,
                                         int32_t length, int32_t last)
{
    const uint32x4_t every_turns = steps_of(sizeof *turns);
    int32_t quarter = over(length, 4);
    for (int32_t j = 0; j < last; j += 4) {
        TURN(1, turns + j);
        TURN(2, turns + j);
        TURN(3, turns + j);
        for (real_complex *at = z + j; at < z + m; at += length) {
            PARTS(a, at, "q0", "q1");
            PARTS(b, at + quarter, "q2", "q3");
            PARTS(c, at + 2 * quarter, "q4", "q5");
            PARTS(d, at + 3 * quarter, "q6", "q7");
            BUTTERFLY_OF_FOUR(float32x4_t);
            KEEP(x0, y0, at);
            KEEP(TURNED_RE(1), TURNED_IM(1), at + quarter);
            KEEP(TURNED_RE(2), TURNED_IM(2), at + 2 * quarter);
            KEEP(TURNED_RE(3), TURNED_IM(3), at + 3 * quarter);
        }
    }
}

/* As fill_columns(). Behind the last value of the frame, 0 times 0. */
static EDGEEMO_APART void helium_fill(const edgeemo_tables *t, const float *frame,
                                      real_complex *z, int32_t last)
{
    int32_t quarter = over(t->fft, 4), values = (t->window + 1) & ~1;
    for (int32_t row = 0; row < t->fft; row += quarter)
        for (int32_t i = row; i < row + 2 * last; i += 4) {
            mve_pred16_t in = vctp32q(i < values ? (uint32_t)(values - i) : 0);
            float32x4_t x = vldrwq_z_f32(frame + i, in) * vldrwq_z_f32(t->shape + i, in);
            vstrwq_f32((float *)z + i, x);
        }
}

/* As window_columns(); first is a multiple of four. */
static EDGEEMO_APART void helium_window(const edgeemo_tables *t, const float *frame,
                                        real_complex *z, int32_t first)
{
    const uint32x4_t every_turns = steps_of(sizeof(edgeemo_turns));
    int32_t quarter = over(t->fft, 8);
    const real_complex *in = (const real_complex *)frame + first;
    const edgeemo_complex *shape = (const edgeemo_complex *)t->shape + first;
    const edgeemo_turns *turns = t->turns + first;
    for (real_complex *at = z + first; at < z + quarter; at += 4) {
        /* The shape's three parts share registers, so each is used before the next is loaded. */
        PARTS(ia, in, "q0", "q1");
        PARTS(sa, shape, "q6", "q7");
        float32x4_t a_re = ia_re * sa_re, a_im = ia_im * sa_im;
        PARTS(ib, in + quarter, "q2", "q3");
        PARTS(sb, shape + quarter, "q6", "q7");
        float32x4_t b_re = ib_re * sb_re, b_im = ib_im * sb_im;
        PARTS(ic, in + 2 * quarter, "q4", "q5");
        PARTS(sc, shape + 2 * quarter, "q6", "q7");
        float32x4_t c_re = ic_re * sc_re, c_im = ic_im * sc_im;
        BUTTERFLY_OF_THREE(float32x4_t);
        KEEP(x0, y0, at);
        TURN(1, turns);
        KEEP(TURNED_RE(1), TURNED_IM(1), at + quarter);
        TURN(2, turns);
        KEEP(TURNED_RE(2), TURNED_IM(2), at + 2 * quarter);
        TURN(3, turns);
        KEEP(TURNED_RE(3), TURNED_IM(3), at + 3 * quarter);
        in += 4, shape += 4, turns += 4;
    }
}

/* As last_fours(): lane i is block i of four blocks. */
static EDGEEMO_APART void helium_fours(real_complex *z, int32_t m)
{
    const uint32x4_t every_block = steps_of(4 * sizeof *z);
#define PART(i) vldrwq_gather_offset_f32(&z->re + (i), every_block)
#define KEEP_PART(i, x) vstrwq_scatter_offset_f32(&z->re + (i), every_block, x)
    for (real_complex *end = z + m; z < end; z += 16) {
        float32x4_t a_re = PART(0), a_im = PART(1), b_re = PART(2), b_im = PART(3);
        float32x4_t c_re = PART(4), c_im = PART(5), d_re = PART(6), d_im = PART(7);
        BUTTERFLY_OF_FOUR(float32x4_t);
        KEEP_PART(0, x0);
        KEEP_PART(1, y0);
        KEEP_PART(2, x1);
        KEEP_PART(3, y1);
        KEEP_PART(4, x2);
        KEEP_PART(5, y2);
        KEEP_PART(6, x3);
        KEEP_PART(7, y3);
    }
#undef PART
#undef KEEP_PART
}

/* As split_bins(), by four: at least four bins, and at the end the last four, be it once more. */
static EDGEEMO_APART void helium_split(const edgeemo_tables *t, edgeemo_work *work,
                                       int32_t second)
{
    int32_t quarter = over(t->fft, 8), r = !second, first = second * quarter + r;
    const real_complex *from = work->z + t->quarters[second];
    const real_complex *mirror = work->z + t->quarters[3 - second];
    const edgeemo_complex *w = t->split + first;
    const uint16_t *place = t->place + r, *mirrored = t->place + quarter - r - 3;
    float *low = work->power + first, *high = work->power + 4 * quarter - first - 3;
    const uint32x4_t back = 3 - vidupq_n_u32(0, 1);
    for (int32_t left = quarter - r, step = 4; step > 0; left -= step) {
        uint32x4_t p = vshlq_n_u32(vldrhq_u32(place), 3);
        uint32x4_t q = vshlq_n_u32(vldrhq_gather_shifted_offset_u32(mirrored, back), 3);
        float32x4_t p_re = vldrwq_gather_offset_f32(&from->re, p);
        float32x4_t p_im = vldrwq_gather_offset_f32(&from->im, p);
        float32x4_t q_re = vldrwq_gather_offset_f32(&mirror->re, q);
        float32x4_t q_im = vldrwq_gather_offset_f32(&mirror->im, q);
        PARTS(w, w, "q6", "q7");
        PAIR_OF_BINS(float32x4_t);
        vstrwq_f32(low, a_re * a_re + a_im * a_im);
        vstrwq_scatter_shifted_offset_f32(high, back, b_re * b_re + b_im * b_im);
        if (left < 8)
            step = left - 4;
        place += step, mirrored -= step, w += step, low += step, high -= step;
    }
}

#endif
