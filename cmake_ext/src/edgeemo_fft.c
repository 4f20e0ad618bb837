/* edgeemo_fft.c: from a windowed frame to the power of its frequencies. */
#include "edgeemo_internal.h"

void edgeemo_window(const edgeemo_tables *t, const real *frame, edgeemo_work *work)
{
    int32_t m = t->fft / 2, pairs = t->window / 2;
    for (int32_t j = 0; j < pairs; j++) {
        work->re[j] = frame[2 * j] * t->shape[2 * j];
        work->im[j] = frame[2 * j + 1] * t->shape[2 * j + 1];
    }
    for (int32_t j = pairs; j < m; j++)
        work->re[j] = work->im[j] = (real){0};
    if (t->window % 2)
        work->re[pairs] = frame[2 * pairs] * t->shape[2 * pairs];
}

/* One stage: in each block of `length`, the four values that lie a quarter apart become the
 * four bins modulo 4, each turned to be the input of a smaller FFT. The same twiddles serve
 * all blocks, hence the order of the loops. */
static void quarter_blocks(const edgeemo_tables *t, edgeemo_work *work, int32_t length)
{
    int32_t m = t->fft / 2, quarter = length / 4, stride = m / length;
    real *restrict re = work->re;
    real *restrict im = work->im;
    for (int32_t j = 0; j < quarter; j++) {
        edgeemo_complex w1 = t->turn[j * stride];
        edgeemo_complex w2 = t->turn[2 * j * stride];
        edgeemo_complex w3 = t->turn[3 * j * stride];
        for (int32_t a = j; a < m; a += length) {
            int32_t b = a + quarter, c = b + quarter, d = c + quarter;
            real sum_re = re[a] + re[c], sum_im = im[a] + im[c];
            real dif_re = re[a] - re[c], dif_im = im[a] - im[c];
            real odd_re = re[b] + re[d], odd_im = im[b] + im[d];
            real rot_re = im[b] - im[d], rot_im = re[d] - re[b]; /* (b - d) times -i */
            real x1 = dif_re + rot_re, y1 = dif_im + rot_im;
            real x2 = sum_re - odd_re, y2 = sum_im - odd_im;
            real x3 = dif_re - rot_re, y3 = dif_im - rot_im;
            re[a] = sum_re + odd_re;
            im[a] = sum_im + odd_im;
            re[b] = x1 * w1.re - y1 * w1.im;
            im[b] = x1 * w1.im + y1 * w1.re;
            re[c] = x2 * w2.re - y2 * w2.im;
            im[c] = x2 * w2.im + y2 * w2.re;
            re[d] = x3 * w3.re - y3 * w3.im;
            im[d] = x3 * w3.im + y3 * w3.re;
        }
    }
}

static void halve_pairs(edgeemo_work *work, int32_t m)
{
    for (int32_t a = 0; a < m; a += 2) {
        real re = work->re[a], im = work->im[a];
        work->re[a] = re + work->re[a + 1];
        work->im[a] = im + work->im[a + 1];
        work->re[a + 1] = re - work->re[a + 1];
        work->im[a + 1] = im - work->im[a + 1];
    }
}

void edgeemo_fft(const edgeemo_tables *t, edgeemo_work *work)
{
    int32_t length = t->fft / 2;
    for (; length >= 4; length /= 4)
        quarter_blocks(t, work, length);
    if (length == 2)
        halve_pairs(work, t->fft / 2);
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
 * the odd samples; bin k of the signal is (E + w O) / 2, and bin M-k the conjugate of
 * (E - w O) / 2, so that a pair shares its products. */
void edgeemo_spectrum(const edgeemo_tables *t, edgeemo_work *work)
{
    int32_t m = t->fft / 2;
    const real *re = work->re, *im = work->im;
    real *power = work->power;
    real even = re[0] + im[0], odd = re[0] - im[0];
    power[0] = even * even;
    power[m] = odd * odd;
    for (int32_t k = 1; k < m / 2; k++) {
        int32_t p = t->place[k], q = t->place[m - k];
        edgeemo_complex w = t->split[k];
        real e_re = re[p] + re[q], e_im = im[p] - im[q];
        real o_re = im[p] + im[q], o_im = re[q] - re[p];
        real wo_re = o_re * w.re - o_im * w.im, wo_im = o_re * w.im + o_im * w.re;
        real a_re = e_re + wo_re, a_im = e_im + wo_im;
        real b_re = e_re - wo_re, b_im = e_im - wo_im;
        power[k] = 0.25f * (a_re * a_re + a_im * a_im);
        power[m - k] = 0.25f * (b_re * b_re + b_im * b_im);
    }
    int32_t middle = t->place[m / 2];
    power[m / 2] = re[middle] * re[middle] + im[middle] * im[middle];
    if (t->spectrum == EDGEEMO_SPECTRUM_MAGNITUDE)
        for (int32_t k = 0; k <= m; k++)
            power[k] = root(power[k]);
}
