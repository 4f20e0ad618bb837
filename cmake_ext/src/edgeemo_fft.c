/* edgeemo_fft.c: from a frame of samples to the power of its frequencies. */
#include "edgeemo_internal.h"

/* LOAD declares the two parts of *p, STORE writes them. Arm's FPU moves both by one instruction,
 * given neighbouring registers; compilers do not find that by themselves. */
#if defined __ARM_FP && defined __thumb2__ && !defined EDGEEMO_LANES
#define LOAD(x, y, p, first, second)                                                   \
    register float x __asm__(first);                                                   \
    register float y __asm__(second);                                                  \
    __asm__("vldmia %2, {%0, %1}" : "=t"(x), "=t"(y) : "r"(p), "m"(*(p)))
#define STORE(x, y, p, first, second)                                                  \
    do {                                                                               \
        register float x_ __asm__(first) = (x);                                        \
        register float y_ __asm__(second) = (y);                                       \
        __asm__("vstmia %3, {%1, %2}" : "=m"(*(p)) : "t"(x_), "t"(y_), "r"(p));        \
    } while (0)
#else
#define LOAD(x, y, p, first, second) real x = (p)->re, y = (p)->im
#define STORE(x, y, p, first, second) ((p)->re = (x), (p)->im = (y))
#endif

/* The four values a, b, c, d that lie a quarter of a block apart become the four bins modulo 4;
 * the last three are still to be turned, so as to be the input of a smaller FFT. */
#define BUTTERFLY                                                    \
    real sum_re = a_re + c_re, sum_im = a_im + c_im;                 \
    real dif_re = a_re - c_re, dif_im = a_im - c_im;                 \
    real odd_re = b_re + d_re, odd_im = b_im + d_im;                 \
    real rot_re = b_im - d_im, rot_im = d_re - b_re; /* (b - d) / i */ \
    real x0 = sum_re + odd_re, y0 = sum_im + odd_im;                 \
    real x1 = dif_re + rot_re, y1 = dif_im + rot_im;                 \
    real x2 = sum_re - odd_re, y2 = sum_im - odd_im;                 \
    real x3 = dif_re - rot_re, y3 = dif_im - rot_im

#define STORE_TURNED(w, a, b, c, d)                                                            \
    do {                                                                                       \
        STORE(x0, y0, a, "s0", "s1");                                                          \
        STORE(x1 * w.by1.re - y1 * w.by1.im, x1 * w.by1.im + y1 * w.by1.re, b, "s2", "s3");     \
        STORE(x2 * w.by2.re - y2 * w.by2.im, x2 * w.by2.im + y2 * w.by2.re, c, "s4", "s5");     \
        STORE(x3 * w.by3.re - y3 * w.by3.im, x3 * w.by3.im + y3 * w.by3.re, d, "s6", "s7");     \
    } while (0)

/* Value n of the windowed frame as the complex FFT sees it. */
static inline real_complex windowed(const edgeemo_tables *t, const real *frame, int32_t n)
{
    real zero = {0};
    if (2 * n >= t->window)
        return (real_complex){zero, zero};
    return (real_complex){frame[2 * n] * t->shape[2 * n], frame[2 * n + 1] * t->shape[2 * n + 1]};
}

void edgeemo_begin(const edgeemo_tables *t, const real *frame, edgeemo_work *work)
{
    int32_t quarter = t->fft / 8;
    for (int32_t j = 0; j < quarter; j++) {
        edgeemo_turns w = t->turns[j];
        real_complex *a = work->z + j, *b = a + quarter, *c = b + quarter, *d = c + quarter;
        real_complex za = windowed(t, frame, j), zb = windowed(t, frame, j + quarter);
        real_complex zc = windowed(t, frame, j + 2 * quarter);
        real_complex zd = windowed(t, frame, j + 3 * quarter);
        real a_re = za.re, a_im = za.im, b_re = zb.re, b_im = zb.im;
        real c_re = zc.re, c_im = zc.im, d_re = zd.re, d_im = zd.im;
        BUTTERFLY;
        STORE_TURNED(w, a, b, c, d);
    }
}

/* One stage, in every block of `length`. The same turns serve all blocks, hence the order of the
 * loops; the first value of a block is not turned. */
static void quarter_blocks(const edgeemo_turns *turns, real_complex *z, int32_t m, int32_t length)
{
    int32_t quarter = length / 4;
    for (real_complex *a = z; a < z + m; a += length) {
        real_complex *b = a + quarter, *c = b + quarter, *d = c + quarter;
        LOAD(a_re, a_im, a, "s0", "s1");
        LOAD(b_re, b_im, b, "s2", "s3");
        LOAD(c_re, c_im, c, "s4", "s5");
        LOAD(d_re, d_im, d, "s6", "s7");
        BUTTERFLY;
        STORE(x0, y0, a, "s0", "s1");
        STORE(x1, y1, b, "s2", "s3");
        STORE(x2, y2, c, "s4", "s5");
        STORE(x3, y3, d, "s6", "s7");
    }
    for (int32_t j = 1; j < quarter; j++) {
        edgeemo_turns w = turns[j];
        for (real_complex *a = z + j; a < z + m; a += length) {
            real_complex *b = a + quarter, *c = b + quarter, *d = c + quarter;
            LOAD(a_re, a_im, a, "s0", "s1");
            LOAD(b_re, b_im, b, "s2", "s3");
            LOAD(c_re, c_im, c, "s4", "s5");
            LOAD(d_re, d_im, d, "s6", "s7");
            BUTTERFLY;
            STORE_TURNED(w, a, b, c, d);
        }
    }
}

static void halve_pairs(real_complex *z, int32_t m)
{
    for (real_complex *a = z; a < z + m; a += 2) {
        real_complex x = a[0], y = a[1];
        a[0] = (real_complex){x.re + y.re, x.im + y.im};
        a[1] = (real_complex){x.re - y.re, x.im - y.im};
    }
}

void edgeemo_fft(const edgeemo_tables *t, edgeemo_work *work)
{
    int32_t m = t->fft / 2, length = m / 4;
    const edgeemo_turns *turns = t->turns + m / 4;
    for (; length >= 4; length /= 4) {
        quarter_blocks(turns, work->z, m, length);
        turns += length / 4;
    }
    if (length == 2)
        halve_pairs(work->z, m);
}

/* Root by Newton's method on 1/sqrt(x): three steps from the usual guess reach float's last
 * bits, and + - * give the same bits everywhere. 0 gives 0. */
static real root(real x)
{
    union {
        real value;
        real_bits bits;
    } y = {x};
    y.bits = 0x5f3759dfu - (y.bits >> 1);
    for (int32_t i = 0; i < 3; i++)
        y.value = y.value * (1.5f - 0.5f * x * y.value * y.value);
    return x * y.value;
}

/* The complex FFT took even samples as real and odd ones as imaginary parts. With Z its result,
 * E = Z[k] + conj Z[M-k] and O = (Z[k] - conj Z[M-k]) / i are twice the FFTs of the even and of
 * the odd samples; E + w O is twice bin k of the signal, and E - w O twice the conjugate of bin
 * M-k, so that a pair shares its products. */
#define SPLIT(p, q, w, low, high)                                                \
    do {                                                                         \
        real e_re = p##_re + q##_re, e_im = p##_im - q##_im;                     \
        real o_re = p##_im + q##_im, o_im = q##_re - p##_re;                     \
        real wo_re = o_re * w##_re - o_im * w##_im;                              \
        real wo_im = o_re * w##_im + o_im * w##_re;                              \
        real l_re = e_re + wo_re, l_im = e_im + wo_im;                           \
        real h_re = e_re - wo_re, h_im = e_im - wo_im;                           \
        *(low) = l_re * l_re + l_im * l_im;                                      \
        *(high) = h_re * h_re + h_im * h_im;                                     \
    } while (0)

void edgeemo_spectrum(const edgeemo_tables *t, edgeemo_work *work)
{
    int32_t m = t->fft / 2, quarter = m / 4;
    const real_complex *z = work->z;
    real *power = work->power;
    real even = z[0].re + z[0].im, odd = z[0].re - z[0].im;
    power[0] = 4.0f * (even * even);
    power[m] = 4.0f * (odd * odd);
    real_complex middle = z[t->quarters[2]];
    power[m / 2] = 4.0f * (middle.re * middle.re + middle.im * middle.im);
    real p_re = z[t->quarters[1]].re, p_im = z[t->quarters[1]].im;
    real q_re = z[t->quarters[3]].re, q_im = z[t->quarters[3]].im;
    float w_re = t->split[1].re, w_im = t->split[1].im;
    SPLIT(p, q, w, power + quarter, power + m - quarter);
    for (int32_t r = 1; r < quarter; r++) {
        /* Bins r and r + M/4, with their partners M-r and M-r - M/4. */
        const real_complex *from = z + t->place[r], *partner = z + t->place[quarter - r];
        const edgeemo_complex *w = t->split + 2 * r;
        LOAD(p_re, p_im, from, "s0", "s1");
        LOAD(q_re, q_im, partner + t->quarters[3], "s2", "s3");
        float w_re = w[0].re, w_im = w[0].im;
        SPLIT(p, q, w, power + r, power + m - r);
        LOAD(p2_re, p2_im, from + t->quarters[1], "s4", "s5");
        LOAD(q2_re, q2_im, partner + t->quarters[2], "s6", "s7");
        float w2_re = w[1].re, w2_im = w[1].im;
        SPLIT(p2, q2, w2, power + r + quarter, power + m - r - quarter);
    }
    if (t->spectrum == EDGEEMO_SPECTRUM_MAGNITUDE)
        for (int32_t k = 0; k <= m; k++)
            power[k] = root(power[k]);
}
