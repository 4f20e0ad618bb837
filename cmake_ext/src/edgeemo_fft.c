/* edgeemo_fft.c: from a frame of samples to the power of its frequencies. */
#include "edgeemo_internal.h"
#include "edgeemo_pairs.h"

/* The four values a, b, c, d that lie a quarter of a block apart become the four bins modulo 4;
 * the last three are still to be turned, so as to be the input of a smaller FFT. The arguments
 * are b + d and (b - d) / i. */
#define BUTTERFLY(type, odd_re, odd_im, rot_re, rot_im)      \
    type sum_re = a_re + c_re, sum_im = a_im + c_im;         \
    type dif_re = a_re - c_re, dif_im = a_im - c_im;         \
    type x0 = sum_re + (odd_re), y0 = sum_im + (odd_im);     \
    type x1 = dif_re + (rot_re), y1 = dif_im + (rot_im);     \
    type x2 = sum_re - (odd_re), y2 = sum_im - (odd_im);     \
    type x3 = dif_re - (rot_re), y3 = dif_im - (rot_im)
#define BUTTERFLY_OF_FOUR(type) \
    BUTTERFLY(type, b_re + d_re, b_im + d_im, b_im - d_im, d_re - b_re)

#define TWIDDLED_RE(n) x##n * w##n##_re - y##n * w##n##_im
#define TWIDDLED_IM(n) x##n * w##n##_im + y##n * w##n##_re

/* The complex FFT took even samples as real and odd ones as imaginary parts. With Z its result,
 * E = Z[k] + conj Z[M-k] and O = (Z[k] - conj Z[M-k]) / i are twice the FFTs of the even and of
 * the odd samples; with w = cos - i sin of 2 pi k / N, E + w O is twice bin k of the signal, and
 * E - w O twice the conjugate of bin M-k, so that a pair shares its products. */
#define PAIR_OF_BINS(type)                                                         \
    type e_re = p_re + q_re, e_im = p_im - q_im;                                   \
    type o_re = p_im + q_im, o_im = q_re - p_re;                                   \
    type wo_re = o_re * w_cos + o_im * w_sin, wo_im = o_im * w_cos - o_re * w_sin; \
    type a_re = e_re + wo_re, a_im = e_im + wo_im;                                 \
    type b_re = e_re - wo_re, b_im = e_im - wo_im

#if EDGEEMO_HELIUM
#include "edgeemo_helium.h"
#else
/* Columns 1..last of every block of `length`. The same twiddles serve all blocks, hence the order
 * of the loops. */
static EDGEEMO_NOINLINE void turn_columns(const edgeemo_tables *t, real_complex *z, int32_t length,
                                          int32_t last)
{
    int32_t m = udiv(t->fft, 2), quarter = udiv(length, 4);
    int32_t step = udiv(m, (uint32_t)length); /* every so many of the longest blocks' twiddles */
    const edgeemo_twiddles *twiddles = t->twiddles + step;
    for (int32_t j = 1; j < last; j++, twiddles += step) {
        float w1_re = twiddles->by1.re, w1_im = twiddles->by1.im;
        float w2_re = twiddles->by2.re, w2_im = twiddles->by2.im;
        float w3_re = twiddles->by3.re, w3_im = twiddles->by3.im;
        real_complex *a = z + j, *b = a + quarter, *c = b + quarter, *d = c + quarter;
        for (; a < z + m; a += length, b += length, c += length, d += length) {
            LOAD(a_re, a_im, a, "s0", "s1");
            LOAD(b_re, b_im, b, "s2", "s3");
            LOAD(c_re, c_im, c, "s4", "s5");
            LOAD(d_re, d_im, d, "s6", "s7");
            BUTTERFLY_OF_FOUR(real);
            STORE(x0, y0, a, "s0", "s1");
            STORE(TWIDDLED_RE(1), TWIDDLED_IM(1), b, "s2", "s3");
            STORE(TWIDDLED_RE(2), TWIDDLED_IM(2), c, "s4", "s5");
            STORE(TWIDDLED_RE(3), TWIDDLED_IM(3), d, "s6", "s7");
        }
    }
}

/* Column 0, whose twiddles are all 1. */
static EDGEEMO_NOINLINE void first_column(const edgeemo_tables *t, real_complex *z, int32_t length)
{
    int32_t m = udiv(t->fft, 2), quarter = udiv(length, 4);
    for (real_complex *a = z; a < z + m; a += length) {
        real_complex *b = a + quarter, *c = b + quarter, *d = c + quarter;
        LOAD(a_re, a_im, a, "s0", "s1");
        LOAD(b_re, b_im, b, "s2", "s3");
        LOAD(c_re, c_im, c, "s4", "s5");
        LOAD(d_re, d_im, d, "s6", "s7");
        BUTTERFLY_OF_FOUR(real);
        STORE(x0, y0, a, "s0", "s1");
        STORE(x1, y1, b, "s2", "s3");
        STORE(x2, y2, c, "s4", "s5");
        STORE(x3, y3, d, "s6", "s7");
    }
}

/* Columns first..last of the windowed frame, which fills the first three quarters there and, if
 * `whole`, the last. */
static EDGEEMO_INLINE void window_columns(const edgeemo_tables *t, const real *frame, real_complex *z,
                                  int32_t first, int32_t last, int32_t whole)
{
    int32_t quarter = udiv(t->fft, 8);
    const real_complex *ia = (const real_complex *)frame + first;
    const real_complex *ib = ia + quarter, *ic = ib + quarter, *id = ic + quarter;
    const edgeemo_complex *sa = (const edgeemo_complex *)t->window + first;
    const edgeemo_complex *sb = sa + quarter; /* and of the other quarters, backwards: */
    const edgeemo_complex *sc = (const void *)(t->window + t->win_length - 4 * quarter - 2 * first + 1);
    const edgeemo_complex *sd = (const void *)((const float *)(const void *)sc - 2 * quarter);
    const edgeemo_complex *w = &t->twiddles[first].by1;
    real_complex *a = z + first, *b = a + quarter, *c = b + quarter, *d = c + quarter;
    for (real_complex *end = z + last; a < end;) {
        LOAD_NEXT(ia_re, ia_im, ia, "s0", "s1");
        LOAD_NEXT(ib_re, ib_im, ib, "s2", "s3");
        LOAD_NEXT(ic_re, ic_im, ic, "s4", "s5");
        LOAD_FLOATS_NEXT(sa_re, sa_im, sa, "s6", "s7");
        LOAD_FLOATS_NEXT(sb_re, sb_im, sb, "s8", "s9");
        LOAD_FLOATS_BEFORE(sc_im, sc_re, sc, "s10", "s11");
        real a_re = ia_re * sa_re, a_im = ia_im * sa_im;
        real b_re = ib_re * sb_re, b_im = ib_im * sb_im;
        real c_re = ic_re * sc_re, c_im = ic_im * sc_im;
        real odd_re = b_re, odd_im = b_im, rot_re = b_im, rot_im = -b_re;
        if (whole) {
            LOAD_NEXT(id_re, id_im, id, "s0", "s1");
            LOAD_FLOATS_BEFORE(sd_im, sd_re, sd, "s2", "s3");
            real d_re = id_re * sd_re, d_im = id_im * sd_im;
            odd_re = b_re + d_re, odd_im = b_im + d_im;
            rot_re = b_im - d_im, rot_im = d_re - b_re;
        }
        BUTTERFLY(real, odd_re, odd_im, rot_re, rot_im);
        STORE_NEXT(x0, y0, a, "s0", "s1");
        LOAD_FLOATS_NEXT(w1_re, w1_im, w, "s8", "s9");
        STORE_NEXT(TWIDDLED_RE(1), TWIDDLED_IM(1), b, "s0", "s1");
        LOAD_FLOATS_NEXT(w2_re, w2_im, w, "s8", "s9");
        STORE_NEXT(TWIDDLED_RE(2), TWIDDLED_IM(2), c, "s0", "s1");
        LOAD_FLOATS_NEXT(w3_re, w3_im, w, "s8", "s9");
        STORE_NEXT(TWIDDLED_RE(3), TWIDDLED_IM(3), d, "s0", "s1");
    }
}

static EDGEEMO_NOINLINE void whole_columns(const edgeemo_tables *t, const real *frame,
                                           real_complex *z, int32_t last)
{
    window_columns(t, frame, z, 0, last, 1);
}

static EDGEEMO_NOINLINE void other_columns(const edgeemo_tables *t, const real *frame,
                                           real_complex *z, int32_t first)
{
    window_columns(t, frame, z, first, udiv(t->fft, 8), 0);
}

static void quarter_blocks(const edgeemo_tables *t, real_complex *z, int32_t length);

#if EDGEEMO_WITH_OTHER_FFTS
/* The windowed frame, zeros behind its end. */
static EDGEEMO_NOINLINE void fill_frame(const edgeemo_tables *t, const real *frame, real_complex *z)
{
    int32_t half = udiv(t->fft, 2), pairs = udiv(t->win_length + 1, 2);
    const real_complex *in = (const real_complex *)frame, nothing = {0};
    for (int32_t i = 0; i < half; i++) {
        int32_t at = 2 * i < half ? 2 * i : t->win_length - 2 * i, next = 2 * i < half ? 1 : -1;
        if (i < pairs)
            z[i] = (real_complex){in[i].re * t->window[at], in[i].im * t->window[at + next]};
        else
            z[i] = nothing;
    }
}
#endif

void edgeemo_begin(const edgeemo_tables *t, const real *frame, edgeemo_work *work)
{
    /* So many columns the frame fills in the last quarter; in the first three, all. */
    int32_t more = udiv(t->win_length + 1, 2) - 3 * udiv(t->fft, 8);
#if EDGEEMO_WITH_OTHER_FFTS
    if (more < 0) {
        fill_frame(t, frame, work->z);
        quarter_blocks(t, work->z, udiv(t->fft, 2));
        return;
    }
#endif
    whole_columns(t, frame, work->z, more);
    other_columns(t, frame, work->z, more);
}

static void quarter_blocks(const edgeemo_tables *t, real_complex *z, int32_t length)
{
    first_column(t, z, length);
    turn_columns(t, z, length, udiv(length, 4));
}

/* The last stage, if its blocks have four values: they are neighbours, and nothing is turned. */
static EDGEEMO_NOINLINE void last_fours(const edgeemo_tables *t, real_complex *z)
{
    for (real_complex *a = z, *end = z + udiv(t->fft, 2); a < end;) {
#ifdef EDGEEMO_PAIRS
        register float a_re __asm__("s0"), a_im __asm__("s1"), b_re __asm__("s2");
        register float b_im __asm__("s3"), c_re __asm__("s4"), c_im __asm__("s5");
        register float d_re __asm__("s6"), d_im __asm__("s7");
        __asm__("vldmia %8, {s0-s7}"
                : "=t"(a_re), "=t"(a_im), "=t"(b_re), "=t"(b_im), "=t"(c_re), "=t"(c_im),
                  "=t"(d_re), "=t"(d_im)
                : "r"(a) : "memory");
        BUTTERFLY_OF_FOUR(real);
        a_re = x0, a_im = y0, b_re = x1, b_im = y1;
        c_re = x2, c_im = y2, d_re = x3, d_im = y3;
        __asm__ volatile("vstmia %0!, {s0-s7}"
                : "+r"(a)
                : "t"(a_re), "t"(a_im), "t"(b_re), "t"(b_im), "t"(c_re), "t"(c_im), "t"(d_re),
                  "t"(d_im)
                : "memory");
#else
        real_complex *b = a + 1, *c = a + 2, *d = a + 3;
        LOAD(a_re, a_im, a, , );
        LOAD(b_re, b_im, b, , );
        LOAD(c_re, c_im, c, , );
        LOAD(d_re, d_im, d, , );
        BUTTERFLY_OF_FOUR(real);
        STORE(x0, y0, a, , );
        STORE(x1, y1, b, , );
        STORE(x2, y2, c, , );
        STORE(x3, y3, d, , );
        a += 4;
#endif
    }
}

/* The value that the permutation has left so many bytes behind z, counted with one lane. */
static inline const real_complex *permuted(const real_complex *z, uint32_t bytes)
{
    return (const void *)((const char *)z + bytes * (sizeof *z / sizeof(edgeemo_complex)));
}

/* The power of a bin and of its partner; the values that they come from. */
#define POWER_OF_PAIR(low, high, p, q, cosine, sine) \
    do {                                             \
        float w_cos = (cosine), w_sin = (sine);      \
        LOAD(p_re, p_im, p, "s0", "s1");             \
        LOAD(q_re, q_im, q, "s2", "s3");             \
        PAIR_OF_BINS(real);                          \
        (low) = a_re * a_re + a_im * a_im;           \
        (high) = b_re * b_re + b_im * b_im;          \
    } while (0)

/* The bins of the first quarter or, with `second` 1, of the second, and their partners, two at a time;
 * of bin 0, which has none, edgeemo_spectrum() knows. */
static EDGEEMO_NOINLINE void split_bins(const edgeemo_tables *t, edgeemo_work *work, int32_t second)
{
    int32_t quarter = udiv(t->fft, 8), first = second * quarter;
    const real_complex *from = work->z + t->quarters[second];
    const real_complex *mirror = work->z + t->quarters[3 - second];
    const edgeemo_complex *cosine = (const void *)(t->cosines + first);
    const edgeemo_complex *sine = (const void *)(t->cosines + 2 * quarter - first + 1);
    AS_ADDRESS(from);
    AS_ADDRESS(mirror);
    const uint16_t *lower = t->permutation, *mirrored = t->permutation + quarter;
    real_complex *low = (real_complex *)(work->power + first), *end = low + udiv(quarter, 2);
    real_complex *high = (real_complex *)(work->power + 4 * quarter - first + 1);
    while (low < end) {
        real low_0, low_1, high_0, high_1;
        LOAD_FLOATS_NEXT(cos_0, cos_1, cosine, "s4", "s5");
        LOAD_FLOATS_BEFORE(sin_1, sin_0, sine, "s6", "s7");
        const real_complex *p = permuted(from, *lower++), *q = permuted(mirror, *mirrored--);
        AS_ADDRESS(lower);
        AS_ADDRESS(mirrored);
        POWER_OF_PAIR(low_0, high_0, p, q, cos_0, sin_0);
        FIRST(low_0, high_0);
        p = permuted(from, *lower++), q = permuted(mirror, *mirrored--);
        POWER_OF_PAIR(low_1, high_1, p, q, cos_1, sin_1);
        STORE_NEXT(low_0, low_1, low, "s14", "s15");
        STORE_BEFORE(high_1, high_0, high, "s12", "s13");
    }
}
#endif

#if EDGEEMO_WITH_OTHER_FFTS
static void halve_pairs(real_complex *z, int32_t m)
{
    for (real_complex *a = z; a < z + m; a += 2) {
        real_complex x = a[0], y = a[1];
        a[0] = (real_complex){x.re + y.re, x.im + y.im};
        a[1] = (real_complex){x.re - y.re, x.im - y.im};
    }
}
#endif

void edgeemo_fft(const edgeemo_tables *t, edgeemo_work *work)
{
    int32_t m = udiv(t->fft, 2), length = udiv(m, 4);
    for (; length > 4; length = udiv(length, 4))
        quarter_blocks(t, work->z, length);
#if EDGEEMO_WITH_OTHER_FFTS
    if (length == 2) {
        halve_pairs(work->z, m);
        return;
    }
#endif
    last_fours(t, work->z);
}

#if EDGEEMO_WITH_MAGNITUDE
/* Root by Newton's method on 1/sqrt(x): three steps from the usual guess reach float's last
 * bits, and + - * give the same bits everywhere. 0 gives 0. */
static inline real root(real x)
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

static EDGEEMO_NOINLINE void take_square_roots(real *power, int32_t count)
{
    for (real *end = power + count; power < end; power++)
        *power = root(*power);
}
#endif

void edgeemo_spectrum(const edgeemo_tables *t, edgeemo_work *work)
{
    int32_t m = udiv(t->fft, 2);
    const real_complex *z = work->z;
    real *power = work->power;
    split_bins(t, work, 0);
    split_bins(t, work, 1);
    real even = z[0].re + z[0].im, odd = z[0].re - z[0].im;
    power[0] = 4.0f * (even * even);
    power[m] = 4.0f * (odd * odd);
    real_complex middle = z[t->quarters[2]];
    power[udiv(m, 2)] = 4.0f * (middle.re * middle.re + middle.im * middle.im);
#if EDGEEMO_WITH_MAGNITUDE
    if (t->spectrum == EDGEEMO_SPECTRUM_MAGNITUDE)
        take_square_roots(power, m + 1);
#endif
}
