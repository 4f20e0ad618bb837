/* edgeemo_frontend.c: the stream: samples in any blocks to frames of log-mel. */
#include <string.h>

#include "edgeemo_internal.h"

/* The parts of a front end's block, in order; every part begins on 8 bytes. */
typedef struct layout {
    size_t shape, turn, split, rise, norm, history, re, im, power, place, edge, end;
} layout;

static size_t append(size_t *end, int32_t count, size_t size)
{
    size_t at = *end;
    *end = (at + (size_t)count * size + 7) / 8 * 8;
    return at;
}

static layout lay_out(const edgeemo_feature_spec *spec)
{
    int32_t m = spec->fft / 2;
    size_t end = 0;
    layout l;
    append(&end, 1, sizeof(edgeemo_frontend));
    l.shape = append(&end, spec->window, sizeof(float));
    l.turn = append(&end, 3 * m / 4, sizeof(edgeemo_complex));
    l.split = append(&end, m / 2, sizeof(edgeemo_complex));
    l.rise = append(&end, m + 1, sizeof(float));
    l.norm = append(&end, spec->bands, sizeof(float));
    l.history = append(&end, spec->window, sizeof(float));
    l.re = append(&end, m, sizeof(float));
    l.im = append(&end, m, sizeof(float));
    l.power = append(&end, m + 1, sizeof(float));
    l.place = append(&end, m, sizeof(uint16_t));
    l.edge = append(&end, spec->bands + 2, sizeof(uint16_t));
    l.end = end;
    return l;
}

size_t edgeemo_frontend_size(const edgeemo_feature_spec *spec)
{
    return edgeemo_feature_spec_check(spec) == EDGEEMO_OK ? lay_out(spec).end : 0;
}

int32_t edgeemo_frontend_init(edgeemo_frontend **out, void *memory, size_t bytes,
                              const edgeemo_feature_spec *spec)
{
    if (!out || !memory)
        return EDGEEMO_ERR_ARG;
    int32_t status = edgeemo_feature_spec_check(spec);
    if (status != EDGEEMO_OK)
        return status;
    layout l = lay_out(spec);
    if (bytes < l.end || (uintptr_t)memory % 8)
        return EDGEEMO_ERR_MEMORY;
    unsigned char *base = memory;
    edgeemo_frontend *fe = memory;
    fe->tables.shape = (void *)(base + l.shape);
    fe->tables.turn = (void *)(base + l.turn);
    fe->tables.split = (void *)(base + l.split);
    fe->tables.rise = (void *)(base + l.rise);
    fe->tables.norm = (void *)(base + l.norm);
    fe->tables.place = (void *)(base + l.place);
    fe->tables.edge = (void *)(base + l.edge);
    fe->history = (void *)(base + l.history);
    fe->work.re = (void *)(base + l.re);
    fe->work.im = (void *)(base + l.im);
    fe->work.power = (void *)(base + l.power);
    fe->hop = spec->hop;
    edgeemo_make_tables(&fe->tables, spec);
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
    return fe->skip + fe->tables.window - fe->filled;
}

int32_t edgeemo_frontend_frames(const edgeemo_frontend *fe, int32_t n)
{
    if (!fe || n < 0)
        return EDGEEMO_ERR_ARG;
    return n < missing(fe) ? 0 : 1 + (n - missing(fe)) / fe->hop;
}

static void one_frame(edgeemo_frontend *fe, float *out)
{
    edgeemo_window(&fe->tables, fe->history, &fe->work);
    edgeemo_fft(&fe->tables, &fe->work);
    edgeemo_spectrum(&fe->tables, &fe->work);
    edgeemo_mel(&fe->tables, fe->work.power, out);
    edgeemo_log(&fe->tables, out);
}

/* After a frame: keep what the next one shares with it. */
static void advance(edgeemo_frontend *fe)
{
    int32_t kept = fe->tables.window - fe->hop;
    if (kept > 0) {
        memmove(fe->history, fe->history + fe->hop, (size_t)kept * sizeof(float));
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
    int64_t limit = missing(fe) + (int64_t)room * fe->hop - 1;
    if (n > limit)
        n = (int32_t)limit;
    if (floats && edgeemo_first_bad_sample(floats, n) >= 0)
        return EDGEEMO_ERR_VALUE;
    int32_t count = 0, at = 0;
    while (at < n) {
        int32_t skipped = smaller(fe->skip, n - at);
        fe->skip -= skipped;
        at += skipped;
        int32_t copied = smaller(fe->tables.window - fe->filled, n - at);
        if (copied > 0) {
            copy_in(fe->history + fe->filled, floats ? floats + at : NULL,
                    shorts ? shorts + at : NULL, copied);
            fe->filled += copied;
            at += copied;
        }
        if (fe->filled == fe->tables.window) {
            one_frame(fe, frames + (size_t)count * (size_t)fe->tables.bands);
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
