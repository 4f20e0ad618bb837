/* edgeemo_tables.c: window, twiddles and mel weights of a spec, computed once. */
#include "edgeemo_internal.h"

#define LN10 2.30258509299404568402

static void make_window(edgeemo_tables *t)
{
    for (int32_t j = 0; j < t->window; j++) {
        double c, s;
        edgeemo_turn(j, t->window, &c, &s);
        t->shape[j] = (float)(0.5 - 0.5 * c);
    }
}

static void make_twiddles(edgeemo_complex *out, int32_t count, int32_t n)
{
    for (int32_t k = 0; k < count; k++) {
        double c, s;
        edgeemo_turn(k, n, &c, &s);
        out[k].re = (float)c;
        out[k].im = (float)-s;
    }
}

/* The butterflies split a block by the remainder of the bin's number, so bin k ends where its
 * digits, read from the lowest, lead. */
static void make_places(edgeemo_tables *t)
{
    int32_t m = t->fft / 2;
    for (int32_t k = 0; k < m; k++) {
        int32_t rest = k, place = 0, length = m;
        for (; length >= 4; length /= 4, rest /= 4)
            place += (rest % 4) * (length / 4);
        t->place[k] = (uint16_t)(place + rest); /* rest is 0, or 0..1 in a last block of two */
    }
}

/* Slaney's mel: 15 mels below 1000 Hz, then 27 for each factor of 6.4. HTK's: one formula. */
static double mel_of(double hz, int32_t scale)
{
    if (scale == EDGEEMO_MEL_HTK)
        return 2595 / LN10 * edgeemo_ln(1 + hz / 700);
    return hz < 1000 ? hz * 0.015 : 15 + 27 * edgeemo_ln(hz / 1000) / edgeemo_ln(6.4);
}

static double hz_of(double mel, int32_t scale)
{
    if (scale == EDGEEMO_MEL_HTK)
        return 700 * (edgeemo_exp(mel * LN10 / 2595) - 1);
    return mel < 15 ? mel / 0.015 : 1000 * edgeemo_exp((mel - 15) / 27 * edgeemo_ln(6.4));
}

/* Corner i of the triangles, in Hz: equal steps in mel from low_hz to high_hz. */
static double corner_hz(const edgeemo_feature_spec *spec, int32_t i)
{
    if (i == 0)
        return spec->low_hz;
    if (i == spec->bands + 1)
        return spec->high_hz;
    double low = mel_of(spec->low_hz, spec->mel_scale);
    double high = mel_of(spec->high_hz, spec->mel_scale);
    return hz_of(low + (high - low) * i / (spec->bands + 1), spec->mel_scale);
}

/* Triangle b has corners b, b+1, b+2. Between two corners one triangle rises and the one before
 * it falls, and at each bin their weights add up to 1: one stored weight gives both. */
static void make_mel(edgeemo_tables *t, const edgeemo_feature_spec *spec)
{
    int32_t last = spec->fft / 2;
    int32_t in_mel = spec->triangles == EDGEEMO_TRIANGLES_MEL;
    double step = (double)spec->sample_rate / spec->fft;
    int32_t bin = 0;
    while (bin <= last && bin * step < spec->low_hz)
        t->rise[bin++] = 0;
    t->edge[0] = (uint16_t)bin;
    for (int32_t i = 0; i <= spec->bands; i++) {
        double left = corner_hz(spec, i), right = corner_hz(spec, i + 1);
        double from = in_mel ? mel_of(left, spec->mel_scale) : left;
        double to = in_mel ? mel_of(right, spec->mel_scale) : right;
        for (; bin <= last && bin * step < right; bin++) {
            double at = in_mel ? mel_of(bin * step, spec->mel_scale) : bin * step;
            t->rise[bin] = (float)((at - from) / (to - from));
        }
        t->edge[i + 1] = (uint16_t)bin;
    }
    while (bin <= last)
        t->rise[bin++] = 0;
    for (int32_t b = 0; b < spec->bands; b++) {
        double width = corner_hz(spec, b + 2) - corner_hz(spec, b);
        t->norm[b] = spec->area_norm == EDGEEMO_AREA_SLANEY ? (float)(2 / width) : 1.0f;
    }
}

void edgeemo_make_tables(edgeemo_tables *t, const edgeemo_feature_spec *spec)
{
    int32_t m = spec->fft / 2;
    t->window = spec->window;
    t->fft = spec->fft;
    t->bands = spec->bands;
    t->spectrum = spec->spectrum;
    t->floor_mode = spec->floor_mode;
    t->floor = (float)spec->floor;
    t->log_scale = spec->log == EDGEEMO_LOG_DB ? (float)(10 / LN10) : 1.0f;
    make_window(t);
    make_twiddles(t->turn, 3 * m / 4, m);
    make_twiddles(t->split, m / 2, spec->fft);
    make_places(t);
    make_mel(t, spec);
}
