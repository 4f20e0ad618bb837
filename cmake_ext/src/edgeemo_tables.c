/* edgeemo_tables.c: window, twiddles and mel weights of a spec, computed once. */
#include "edgeemo_internal.h"

#define LN10 2.30258509299404568402

static void make_window(float *out, int32_t values, int32_t length)
{
    for (int32_t j = 0; j < values; j++) {
        double c = 1, s;
        if (j < length)
            edgeemo_sincos(j, length, &c, &s);
        out[j] = (float)(0.5 - 0.5 * c); /* behind the window 0 */
    }
}

/* e^(-2 pi i k / n) */
static edgeemo_complex twiddle(int32_t k, int32_t n)
{
    double c, s;
    edgeemo_sincos(k, n, &c, &s);
    return (edgeemo_complex){(float)c, (float)-s};
}

static void make_twiddles(edgeemo_twiddles *out, int32_t m)
{
    for (int32_t j = 0; j < m / 4; j++)
        out[j] = (edgeemo_twiddles){twiddle(j, m), twiddle(2 * j, m), twiddle(3 * j, m)};
}

/* The butterflies split a block by the remainder of the bin's number, so bin k ends where its
 * digits, read from the lowest, lead. */
static uint16_t permuted(int32_t k, int32_t m)
{
    int32_t index = 0;
    for (int32_t length = m; length >= 4; length /= 4, k /= 4)
        index += (k % 4) * (length / 4);
    return (uint16_t)(index + k); /* k is now 0, or 0..1 in a last block of two */
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
static void make_mel(float *mel_weights, uint16_t *edge, float *norm,
                     const edgeemo_feature_spec *spec)
{
    int32_t last = spec->fft / 2;
    int32_t in_mel = spec->triangles == EDGEEMO_TRIANGLES_MEL;
    double step = (double)spec->sample_rate / spec->fft;
    int32_t bin = 0;
    while (bin <= last && bin * step < spec->low_hz)
        mel_weights[bin++] = 0;
    edge[0] = (uint16_t)bin;
    for (int32_t i = 0; i <= spec->bands; i++) {
        double left = corner_hz(spec, i), right = corner_hz(spec, i + 1);
        double from = in_mel ? mel_of(left, spec->mel_scale) : left;
        double to = in_mel ? mel_of(right, spec->mel_scale) : right;
        for (; bin <= last && bin * step < right; bin++) {
            double at = in_mel ? mel_of(bin * step, spec->mel_scale) : bin * step;
            mel_weights[bin] = (float)((at - from) / (to - from));
        }
        edge[i + 1] = (uint16_t)bin;
    }
    while (bin <= last)
        mel_weights[bin++] = 0;
    for (int32_t b = 0; b < spec->bands; b++) {
        double width = corner_hz(spec, b + 2) - corner_hz(spec, b);
        float area = spec->area_norm == EDGEEMO_AREA_SLANEY ? (float)(2 / width) : 1.0f;
        /* The spectrum comes as four times the power or twice the magnitude. */
        norm[b] = area * (spec->spectrum == EDGEEMO_SPECTRUM_POWER ? 0.25f : 0.5f);
    }
}

/* The parts of the tables, in order; every part begins on 8 bytes. */
typedef struct layout {
    size_t window, twiddles, cosines, mel_weights, norm, permutation, edge, end;
} layout;

static layout lay_out(const edgeemo_feature_spec *spec)
{
    int32_t m = spec->fft / 2;
    size_t end = 0;
    layout l;
    edgeemo_append(&end, 1, sizeof(edgeemo_tables));
    l.window = edgeemo_append(&end, edgeemo_window_values(spec->window, spec->fft), sizeof(float));
    l.twiddles = edgeemo_append(&end, m / 4, sizeof(edgeemo_twiddles));
    l.cosines = edgeemo_append(&end, m / 2 + 1, sizeof(float));
    l.mel_weights = edgeemo_append(&end, m + 1, sizeof(float));
    l.norm = edgeemo_append(&end, spec->bands, sizeof(float));
    l.permutation = edgeemo_append(&end, m / 4 + 1, sizeof(uint16_t));
    l.edge = edgeemo_append(&end, spec->bands + 2, sizeof(uint16_t));
    l.end = end;
    return l;
}

size_t edgeemo_tables_size(const edgeemo_feature_spec *spec)
{
    return lay_out(spec).end;
}

edgeemo_tables *edgeemo_make_tables(void *memory, const edgeemo_feature_spec *spec)
{
    layout l = lay_out(spec);
    unsigned char *base = memory;
    float *window = (void *)(base + l.window);
    edgeemo_twiddles *twiddles = (void *)(base + l.twiddles);
    float *cosines = (void *)(base + l.cosines), *norm = (void *)(base + l.norm);
    float *mel_weights = (void *)(base + l.mel_weights);
    uint16_t *permutation = (void *)(base + l.permutation), *edge = (void *)(base + l.edge);
    int32_t m = spec->fft / 2;
    make_window(window, edgeemo_window_values(spec->window, spec->fft), spec->window);
    make_twiddles(twiddles, m);
    for (int32_t k = 0; k <= m / 2; k++)
        cosines[k] = twiddle(k, spec->fft).re;
    for (int32_t k = 0; k <= m / 4; k++)
        permutation[k] = (uint16_t)(permuted(k, m) * sizeof(edgeemo_complex));
    make_mel(mel_weights, edge, norm, spec);
    edgeemo_tables *t = memory;
    *t = (edgeemo_tables){
        .win_length = spec->window, .hop = spec->hop, .fft = spec->fft, .bands = spec->bands,
        .spectrum = spec->spectrum, .floor_mode = spec->floor_mode, .floor = (float)spec->floor,
        .log_scale = spec->log == EDGEEMO_LOG_DB ? (float)(10 / LN10) : 1.0f,
        .window = window, .twiddles = twiddles, .cosines = cosines,
        .mel_weights = mel_weights, .norm = norm,
        .permutation = permutation, .edge = edge,
        .quarters = {0, permuted(m / 4, m), permuted(m / 2, m), permuted(m / 4 * 3, m)},
        .arithmetic = &edgeemo_float_arithmetic,
    };
    return t;
}
