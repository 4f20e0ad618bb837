/* edgeemo_fixed_tables.c: the tables of the front end in integers, of those in floats. Firmware has
 * them in flash: nothing in it calls this file. */
#include "edgeemo_fixed.h"

static int32_t rounded(double x)
{
    return (int32_t)(x < 0 ? x - 0.5 : x + 0.5);
}

static int32_t log_of(double x)
{
    return rounded(edgeemo_ln(x) * 65536);
}

static int16_t in_16_bits(double x)
{
    int32_t y = rounded(x * 32768);
    return (int16_t)(y > 32767 ? 32767 : y); /* 1 is of column 0, which is not turned */
}

static edgeemo_fixed_complex fixed_of(edgeemo_complex x)
{
    return (edgeemo_fixed_complex){in_16_bits((double)x.re), in_16_bits((double)x.im)};
}

/* Twiddles, and how many stages have them. */
static int32_t twiddles_of(int32_t m, int32_t *stages)
{
    int32_t count = 0;
    *stages = 0;
    for (int32_t length = m; length > 4; length /= 4, ++*stages)
        count += length / 4;
    return count;
}

/* The parts, in order; every part begins on 8 bytes. */
typedef struct layout {
    size_t self, window, twiddles, rfft_twiddles, mel_weights, norm, logs, end;
} layout;

static layout lay_out(const edgeemo_tables *t)
{
    int32_t m = t->fft / 2, stages;
    size_t end = 0;
    layout l;
    edgeemo_append(&end, 1, sizeof(edgeemo_tables));
    l.self = edgeemo_append(&end, 1, sizeof(edgeemo_fixed_tables));
    l.window = edgeemo_append(&end, t->win_length, sizeof(uint16_t));
    l.twiddles = edgeemo_append(&end, twiddles_of(m, &stages), sizeof(edgeemo_fixed_twiddles));
    l.rfft_twiddles = edgeemo_append(&end, m / 2, sizeof(edgeemo_fixed_complex));
    l.mel_weights = edgeemo_append(&end, m, sizeof(uint16_t));
    l.norm = edgeemo_append(&end, t->bands, sizeof(int32_t));
    l.logs = edgeemo_append(&end, EDGEEMO_FIXED_LOGS + 1, sizeof(uint16_t));
    l.end = end;
    return l;
}

size_t edgeemo_fixed_tables_size(const edgeemo_tables *from)
{
    return lay_out(from).end;
}

static void fill(const edgeemo_tables *from, edgeemo_fixed_tables *f, unsigned char *base)
{
    layout l = lay_out(from);
    uint16_t *window = (void *)(base + l.window), *weights = (void *)(base + l.mel_weights);
    uint16_t *logs = (void *)(base + l.logs);
    edgeemo_fixed_twiddles *twiddles = (void *)(base + l.twiddles);
    edgeemo_fixed_complex *rfft_twiddles = (void *)(base + l.rfft_twiddles);
    int32_t *norm = (void *)(base + l.norm);
    int32_t m = from->fft / 2, stages;
    edgeemo_fixed_twiddles *turn = twiddles;
    twiddles_of(m, &stages);
    for (int32_t i = 0; i < from->win_length; i++)
        window[i] = (uint16_t)rounded(
            (double)edgeemo_window_at(from->window, i, from->win_length, from->fft) * 32768);
    for (int32_t length = m; length >= 8; length /= 4)
        for (int32_t j = 0; j < length / 4; j++) {
            const edgeemo_twiddles *w = from->twiddles + j * (m / length);
            *turn++ = (edgeemo_fixed_twiddles){fixed_of(w->by1), fixed_of(w->by2), fixed_of(w->by3)};
        }
    for (int32_t i = 0; i < m / 2; i++)
        rfft_twiddles[i] = fixed_of((edgeemo_complex){from->cosines[i], -from->cosines[m / 2 - i]});
    for (int32_t i = 0; i < m; i++)
        weights[i] = (uint16_t)rounded((double)from->mel_weights[i] * 32768);
    /* A sum of bins is 2^15 2^-13 times that of their squares, and a bin 2^(25 - stages) times that of
     * the signal; norm is for four times the power. */
    double scale = edgeemo_exp(edgeemo_ln(2) * (2 * stages - 50));
    for (int32_t b = 0; b < from->bands; b++)
        norm[b] = log_of((double)from->norm[b] * scale);
    for (int32_t i = 0; i <= EDGEEMO_FIXED_LOGS; i++)
        logs[i] = (uint16_t)log_of(1 + (double)i / EDGEEMO_FIXED_LOGS);
    *f = (edgeemo_fixed_tables){
        .window = window, .twiddles = twiddles, .rfft_twiddles = rfft_twiddles,
        .mel_weights = weights, .norm = norm, .logs = logs,
        .floor = log_of((double)from->floor),
        .log_scale = rounded((double)from->log_scale * 4096),
    };
}

edgeemo_tables *edgeemo_make_fixed_tables(void *memory, const edgeemo_tables *from)
{
    if (from->spectrum != EDGEEMO_SPECTRUM_POWER || from->floor_mode != EDGEEMO_FLOOR_CLAMP)
        return NULL;
    edgeemo_tables *t = memory;
    edgeemo_fixed_tables *f = (void *)((unsigned char *)memory + lay_out(from).self);
    fill(from, f, memory);
    *t = *from;
    t->window = t->mel_weights = t->norm = NULL;
    t->twiddles = NULL;
    t->cosines = NULL;
    t->arithmetic = &edgeemo_fixed_arithmetic;
    t->fixed = f;
    return t;
}
