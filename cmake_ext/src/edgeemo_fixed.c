/* edgeemo_fixed.c: the front end in integers: 16-bit samples and tables, 32-bit values.
 *
 * Full scale is 2^25 behind the window, so that ten bits lie under a sample's last. A stage with
 * twiddles halves what it makes, and the signal's bins are halved once more: nothing can overflow,
 * and what is rounded away lies below the samples' own rounding. The mel sums take each stretch of
 * bins between two corners with 14 bits of its largest. */
#include <string.h>

#include "edgeemo_fixed.h"

typedef struct fixed_complex {
    int32_t re, im;
} fixed_complex;

/* ---- history ---- */

static size_t work_size(const edgeemo_tables *t)
{
    return (size_t)t->fft / 2 * sizeof(fixed_complex);
}

static void take(edgeemo_frontend *fe, const float *samples, int32_t n)
{
    int16_t *to = (int16_t *)fe->history + fe->filled;
    for (int32_t i = 0; i < n; i++)
        to[i] = edgeemo_short_of(samples[i]);
}

static void take_i16(edgeemo_frontend *fe, const int16_t *samples, int32_t n)
{
    memcpy((int16_t *)fe->history + fe->filled, samples, (size_t)n * sizeof *samples);
}

static void move_down(edgeemo_frontend *fe, int32_t first, int32_t n)
{
    int16_t *history = fe->history;
    memmove(history, history + first, (size_t)n * sizeof *history);
}

/* ---- spectrum ---- */

static EDGEEMO_NOINLINE void begin(const edgeemo_tables *t, const int16_t *frame, fixed_complex *z)
{
    const uint16_t *window = t->fixed->window;
    int32_t *to = &z->re, *end = to + t->win_length;
    while (to < end)
        *to++ = (*frame++ * *window++) >> 5;
    memset(to, 0, (size_t)(t->fft - t->win_length) * sizeof *to);
}

/* As BUTTERFLY_OF_FOUR of edgeemo_fft.c. */
#define BUTTERFLY(a, b, c, d)                                              \
    int32_t sum_re = a->re + c->re, sum_im = a->im + c->im;                \
    int32_t dif_re = a->re - c->re, dif_im = a->im - c->im;                \
    int32_t odd_re = b->re + d->re, odd_im = b->im + d->im;                \
    int32_t rot_re = b->im - d->im, rot_im = d->re - b->re;                \
    int32_t x0 = sum_re + odd_re, y0 = sum_im + odd_im;                    \
    int32_t x1 = dif_re + rot_re, y1 = dif_im + rot_im;                    \
    int32_t x2 = sum_re - odd_re, y2 = sum_im - odd_im;                    \
    int32_t x3 = dif_re - rot_re, y3 = dif_im - rot_im

/* (x + i y) w / 2 */
static inline fixed_complex turned(int32_t x, int32_t y, edgeemo_fixed_complex w)
{
    return (fixed_complex){edgeemo_fixed_times(x, w.re) - edgeemo_fixed_times(y, w.im),
                           edgeemo_fixed_times(x, w.im) + edgeemo_fixed_times(y, w.re)};
}

static EDGEEMO_NOINLINE void turn_columns(const edgeemo_fixed_twiddles *twiddles, fixed_complex *z,
                                          int32_t m, int32_t length)
{
    int32_t quarter = udiv(length, 4);
    for (int32_t j = 1; j < quarter; j++) {
        edgeemo_fixed_twiddles w = twiddles[j];
        fixed_complex *a = z + j, *b = a + quarter, *c = b + quarter, *d = c + quarter;
        for (; a < z + m; a += length, b += length, c += length, d += length) {
            BUTTERFLY(a, b, c, d);
            *a = (fixed_complex){x0 >> 1, y0 >> 1};
            *b = turned(x1, y1, w.by1);
            *c = turned(x2, y2, w.by2);
            *d = turned(x3, y3, w.by3);
        }
    }
}

/* Column 0, whose twiddles are all 1; `shift` 1 halves. */
static EDGEEMO_NOINLINE void first_column(fixed_complex *z, int32_t m, int32_t length, int32_t shift)
{
    int32_t quarter = udiv(length, 4);
    for (fixed_complex *a = z; a < z + m; a += length) {
        fixed_complex *b = a + quarter, *c = b + quarter, *d = c + quarter;
        BUTTERFLY(a, b, c, d);
        *a = (fixed_complex){x0 >> shift, y0 >> shift};
        *b = (fixed_complex){x1 >> shift, y1 >> shift};
        *c = (fixed_complex){x2 >> shift, y2 >> shift};
        *d = (fixed_complex){x3 >> shift, y3 >> shift};
    }
}

static void halve_pairs(fixed_complex *z, int32_t m)
{
    for (fixed_complex *a = z; a < z + m; a += 2) {
        fixed_complex x = a[0], y = a[1];
        a[0] = (fixed_complex){x.re + y.re, x.im + y.im};
        a[1] = (fixed_complex){x.re - y.re, x.im - y.im};
    }
}

static void transform(const edgeemo_tables *t, fixed_complex *z)
{
    const edgeemo_fixed_twiddles *twiddles = t->fixed->twiddles;
    int32_t m = udiv(t->fft, 2), length = m;
    for (; length > 4; length = udiv(length, 4)) {
        first_column(z, m, length, 1);
        turn_columns(twiddles, z, m, length);
        twiddles += udiv(length, 4);
    }
    if (length == 2)
        halve_pairs(z, m);
    else
        first_column(z, m, 4, 0);
}

/* Where the FFT leaves a bin. */
typedef struct places {
    const edgeemo_tables *tables;
    int32_t mask, shift;
} places;

static places places_of(const edgeemo_tables *t)
{
    places p = {t, udiv(t->fft, 8) - 1, 0};
    while (p.mask >> p.shift)
        p.shift++;
    return p;
}

static inline int32_t place(const places *p, int32_t k)
{
    return (int32_t)(p->tables->permutation[k & p->mask] / sizeof(edgeemo_complex))
           + p->tables->quarters[k >> p->shift];
}

/* The bins of the signal in place, halved: PAIR_OF_BINS of edgeemo_fft.c. Bin 0 has no weight in any
 * band, and counts for nothing. */
static EDGEEMO_NOINLINE void split_bins(const places *p, fixed_complex *z)
{
    const edgeemo_fixed_complex *w = p->tables->fixed->rfft_twiddles + 1;
    int32_t m = udiv(p->tables->fft, 2);
    z[0] = (fixed_complex){0, 0};
    for (int32_t k = 1; k < udiv(m, 2); k++) {
        fixed_complex *low = z + place(p, k), *high = z + place(p, m - k);
        int32_t e_re = (low->re + high->re) >> 1, e_im = (low->im - high->im) >> 1;
        fixed_complex o = turned(low->im + high->im, high->re - low->re, *w++);
        *low = (fixed_complex){e_re + o.re, e_im + o.im};
        *high = (fixed_complex){e_re - o.re, e_im - o.im};
    }
}

/* ---- bands ---- */

/* mantissa * 4^shift */
typedef struct energy {
    uint64_t mantissa;
    int32_t shift;
} energy;

static int32_t bit_length(uint32_t x)
{
    int32_t n = 0;
    for (int32_t step = 16; step; step >>= 1)
        if (x >> step) {
            x >>= step;
            n += step;
        }
    return n + (int32_t)x; /* x is now 0 or 1 */
}

static inline int32_t shifted(int32_t x, int32_t by)
{
    return by < 0 ? x * (1 << -by) : x >> by;
}

/* Powers of the bins [first, last) by the triangle that rises over them, and by the one that falls. */
static EDGEEMO_NOINLINE void add_up(const places *p, const fixed_complex *z, int32_t first,
                                    int32_t last, energy *rising, energy *falling)
{
    const uint16_t *weights = p->tables->fixed->mel_weights;
    uint32_t any = 0, all = 0;
    uint64_t up = 0;
    for (int32_t k = first; k < last; k++) {
        fixed_complex x = z[place(p, k)];
        any |= (uint32_t)((x.re ^ x.re >> 31) | (x.im ^ x.im >> 31));
    }
    int32_t shift = bit_length(any) - 14;
    for (int32_t k = first; k < last; k++) {
        fixed_complex x = z[place(p, k)];
        int32_t re = shifted(x.re, shift), im = shifted(x.im, shift);
        uint32_t power = (uint32_t)(re * re + im * im + 4096) >> 13; /* 65536 at most */
        all += power;
        up += power * (uint32_t)weights[k];
    }
    *rising = (energy){up, shift};
    *falling = (energy){((uint64_t)all << 15) - up, shift};
}

static energy sum_of(energy a, energy b)
{
    if (a.shift < b.shift) {
        energy c = a;
        a = b;
        b = c;
    }
    int32_t apart = 2 * (a.shift - b.shift);
    return (energy){a.mantissa + (apart < 64 ? b.mantissa >> apart : 0), a.shift};
}

/* The natural logarithm in 1/65536, within 4e-5: straight lines between the table's values. The
 * mantissa is not 0. */
static int32_t log_of(const edgeemo_fixed_tables *f, energy e)
{
    int32_t more = bit_length((uint32_t)(e.mantissa >> 32));
    uint32_t m = (uint32_t)(e.mantissa >> more);
    int32_t bits = bit_length(m), power = bits - 1 + more + 2 * e.shift;
    m <<= 32 - bits;
    const uint16_t *at = f->logs + (m >> 25 & 63);
    int32_t part = (int32_t)(m >> 9 & 0xffff);
    return at[0] + ((at[1] - at[0]) * part >> 16) + power * EDGEEMO_FIXED_LN2;
}

static void write_bands(const places *p, const fixed_complex *z, float *out)
{
    const edgeemo_tables *t = p->tables;
    const edgeemo_fixed_tables *f = t->fixed;
    energy before = {0, 0}, rising, falling;
    for (int32_t i = 0; i <= t->bands; i++) {
        add_up(p, z, t->edge[i], t->edge[i + 1], &rising, &falling);
        if (i > 0) {
            energy band = sum_of(before, falling);
            int32_t log = band.mantissa ? log_of(f, band) + f->norm[i - 1] : f->floor;
            log = log < f->floor ? f->floor : log;
            *out++ = (float)edgeemo_fixed_times(log * 16, f->log_scale) * (1.0f / 65536.0f);
        }
        before = rising;
    }
}

static void frame(edgeemo_frontend *fe, float *out)
{
    fixed_complex *z = (fixed_complex *)(void *)fe->work.z;
    begin(fe->tables, fe->history, z);
    transform(fe->tables, z);
    places p = places_of(fe->tables);
    split_bins(&p, z);
    write_bands(&p, z, out);
}

static int32_t finish(edgeemo_frontend *fe, int32_t n, float *out)
{
    return edgeemo_finish(fe, n, out, frame, move_down);
}

const edgeemo_arithmetic edgeemo_fixed_arithmetic = {
    sizeof(int16_t), work_size, take, take_i16, finish,
};
