/* edgeemo_crc.c: CRC-32, bit by bit: it runs once, and a table would be larger than its code. */
#include "edgeemo_fixed.h"

uint32_t edgeemo_crc32(uint32_t crc, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    crc = ~crc;
    for (size_t i = 0; i < bytes; i++) {
        crc ^= at[i];
        for (int32_t bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
    }
    return ~crc;
}

static uint32_t floats_crc(const edgeemo_tables *t)
{
    size_t m = (size_t)t->fft / 2, window = (size_t)edgeemo_window_values(t->win_length, t->fft);
    uint32_t crc = edgeemo_crc32(0, t->window, window * sizeof *t->window);
    crc = edgeemo_crc32(crc, t->twiddles, m / 4 * sizeof *t->twiddles);
    crc = edgeemo_crc32(crc, t->cosines, (m / 2 + 1) * sizeof *t->cosines);
    crc = edgeemo_crc32(crc, t->mel_weights, (m + 1) * sizeof *t->mel_weights);
    return edgeemo_crc32(crc, t->norm, (size_t)t->bands * sizeof *t->norm);
}

static uint32_t integers_crc(const edgeemo_tables *t, size_t twiddles)
{
    const edgeemo_fixed_tables *f = t->fixed;
    size_t m = (size_t)t->fft / 2;
    uint32_t crc = edgeemo_crc32(0, f->window, (size_t)t->win_length * sizeof *f->window);
    crc = edgeemo_crc32(crc, f->twiddles, twiddles * sizeof *f->twiddles);
    crc = edgeemo_crc32(crc, f->rfft_twiddles, m / 2 * sizeof *f->rfft_twiddles);
    crc = edgeemo_crc32(crc, f->mel_weights, m * sizeof *f->mel_weights);
    crc = edgeemo_crc32(crc, f->norm, (size_t)t->bands * sizeof *f->norm);
    return edgeemo_crc32(crc, f->logs, (EDGEEMO_FIXED_LOGS + 1) * sizeof *f->logs);
}

uint32_t edgeemo_tables_crc(const edgeemo_tables *t)
{
    size_t m = (size_t)t->fft / 2, twiddles = 0;
    for (size_t length = m; length >= 8; length /= 4)
        twiddles += length / 4;
    uint32_t crc = t->fixed ? integers_crc(t, twiddles) : floats_crc(t);
    crc = edgeemo_crc32(crc, t->permutation, (m / 4 + 1) * sizeof *t->permutation);
    return edgeemo_crc32(crc, t->edge, ((size_t)t->bands + 2) * sizeof *t->edge);
}
