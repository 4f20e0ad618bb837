/* edgeemo_frontend.c: the stream: samples in any blocks to frames of log-mel. */
#include <string.h>

#include "edgeemo_internal.h"

/* Behind the front end itself come the history, the FFT's values and the power. */
static size_t history_size(const edgeemo_tables *t)
{
    return (size_t)(t->window + t->window % 2) * sizeof(float);
}

size_t edgeemo_frontend_state_size(const edgeemo_tables *t)
{
    if (!t)
        return 0;
    size_t m = (size_t)t->fft / 2;
    size_t values = m * sizeof(real_complex) + (m + 1) * sizeof(float);
    return (sizeof(edgeemo_frontend) + history_size(t) + values + 7) / 8 * 8;
}

int32_t edgeemo_frontend_init_tables(edgeemo_frontend **out, void *memory, size_t bytes,
                                     const edgeemo_tables *tables)
{
    if (!out || !memory || !tables)
        return EDGEEMO_ERR_ARG;
    if (bytes < edgeemo_frontend_state_size(tables) || (uintptr_t)memory % 8)
        return EDGEEMO_ERR_MEMORY;
    edgeemo_frontend *fe = memory;
    unsigned char *history = (unsigned char *)memory + sizeof *fe;
    fe->tables = tables;
    fe->history = (void *)history;
    fe->work.z = (void *)(history + history_size(tables));
    fe->work.power = (void *)(fe->work.z + tables->fft / 2);
    fe->history[tables->window - 1 + tables->window % 2] = 0; /* that behind an odd window */
    edgeemo_frontend_reset(fe);
    *out = fe;
    return EDGEEMO_OK;
}

void edgeemo_frontend_reset(edgeemo_frontend *fe)
{
    if (fe)
        fe->filled = fe->skip = 0;
}

/* Samples until the next frame is complete: at least 1. */
static int32_t missing(const edgeemo_frontend *fe)
{
    return fe->skip + fe->tables->window - fe->filled;
}

int32_t edgeemo_frontend_frames(const edgeemo_frontend *fe, int32_t n)
{
    if (!fe || n < 0)
        return EDGEEMO_ERR_ARG;
    return n < missing(fe) ? 0 : 1 + (n - missing(fe)) / fe->tables->hop;
}

static void one_frame(edgeemo_frontend *fe, float *out)
{
    edgeemo_begin(fe->tables, fe->history, &fe->work);
    edgeemo_fft(fe->tables, &fe->work);
    edgeemo_spectrum(fe->tables, &fe->work);
    edgeemo_mel(fe->tables, &fe->work, out);
    edgeemo_log(fe->tables, out);
}

/* After a frame: keep what the next one shares with it. */
static void advance(edgeemo_frontend *fe)
{
    int32_t kept = fe->tables->window - fe->tables->hop;
    if (kept > 0) {
        memmove(fe->history, fe->history + fe->tables->hop, (size_t)kept * sizeof(float));
        fe->filled = kept;
    } else {
        fe->filled = 0;
        fe->skip = -kept;
    }
}

static void copy_in(float *to, const float *floats, const int16_t *shorts, int32_t n)
{
    if (floats)
        memcpy(to, floats, (size_t)n * sizeof(float));
    else
        for (int32_t i = 0; i < n; i++)
            to[i] = (float)shorts[i] * (1.0f / 32768.0f);
}

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* Both kinds of push; one of floats and shorts is NULL. */
static int32_t push(edgeemo_frontend *fe, const float *floats, const int16_t *shorts, int32_t n,
                    float *frames, int32_t room, int32_t *taken)
{
    if (!fe || !taken || n < 0 || room < 0 || (n > 0 && !floats && !shorts)
        || (room > 0 && !frames))
        return EDGEEMO_ERR_ARG;
    /* Take no sample that would complete a frame beyond the room. */
    int64_t limit = missing(fe) + (int64_t)room * fe->tables->hop - 1;
    if (n > limit)
        n = (int32_t)limit;
    if (floats && edgeemo_first_bad_sample(floats, n) >= 0)
        return EDGEEMO_ERR_VALUE;
    int32_t count = 0, at = 0;
    while (at < n) {
        int32_t skipped = smaller(fe->skip, n - at);
        fe->skip -= skipped;
        at += skipped;
        int32_t copied = smaller(fe->tables->window - fe->filled, n - at);
        if (copied > 0) {
            copy_in(fe->history + fe->filled, floats ? floats + at : NULL,
                    shorts ? shorts + at : NULL, copied);
            fe->filled += copied;
            at += copied;
        }
        if (fe->filled == fe->tables->window) {
            one_frame(fe, frames + (size_t)count * (size_t)fe->tables->bands);
            count++;
            advance(fe);
        }
    }
    *taken = n;
    return count;
}

int32_t edgeemo_frontend_push(edgeemo_frontend *fe, const float *samples, int32_t n,
                              float *frames, int32_t room, int32_t *taken)
{
    return push(fe, samples, NULL, n, frames, room, taken);
}

int32_t edgeemo_frontend_push_i16(edgeemo_frontend *fe, const int16_t *samples, int32_t n,
                                  float *frames, int32_t room, int32_t *taken)
{
    return push(fe, NULL, samples, n, frames, room, taken);
}
