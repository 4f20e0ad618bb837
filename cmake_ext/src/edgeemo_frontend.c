/* edgeemo_frontend.c: the stream: samples in any blocks to frames of log-mel. */
#include <string.h>

#include "edgeemo_internal.h"

/* Behind the front end itself comes the history; then, or elsewhere, the FFT's values and the power. */
static size_t history_size(const edgeemo_tables *t)
{
    return (size_t)(t->win_length + t->win_length % 2) * t->arithmetic->sample;
}

size_t edgeemo_frontend_kept_size(const edgeemo_tables *t)
{
    return (sizeof(edgeemo_frontend) + history_size(t) + 7) / 8 * 8;
}

size_t edgeemo_frontend_work_size(const edgeemo_tables *t)
{
    return (t->arithmetic->work_size(t) + 7) / 8 * 8;
}

size_t edgeemo_frontend_state_size(const edgeemo_tables *t)
{
    return t ? edgeemo_frontend_kept_size(t) + edgeemo_frontend_work_size(t) : 0;
}

edgeemo_frontend *edgeemo_frontend_place(void *kept, void *work, const edgeemo_tables *tables)
{
    edgeemo_frontend *fe = kept;
    fe->tables = tables;
    fe->history = (void *)((unsigned char *)kept + sizeof *fe);
    fe->work.z = work;
    fe->work.power = (void *)(fe->work.z + tables->fft / 2);
    memset(fe->history, 0, history_size(tables)); /* for the value behind an odd window */
    edgeemo_frontend_reset(fe);
    return fe;
}

int32_t edgeemo_frontend_init_tables(edgeemo_frontend **out, void *memory, size_t bytes,
                                     const edgeemo_tables *tables)
{
    if (!out || !memory || !tables)
        return EDGEEMO_ERR_ARG;
    if (!edgeemo_has_parts_for(tables))
        return EDGEEMO_ERR_CHOICE;
    if (bytes < edgeemo_frontend_state_size(tables) || (uintptr_t)memory % 8)
        return EDGEEMO_ERR_MEMORY;
    void *work = (unsigned char *)memory + edgeemo_frontend_kept_size(tables);
    *out = edgeemo_frontend_place(memory, work, tables);
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
    return fe->skip + fe->tables->win_length - fe->filled;
}

int32_t edgeemo_frontend_frames(const edgeemo_frontend *fe, int32_t n)
{
    if (!fe || n < 0)
        return EDGEEMO_ERR_ARG;
    return n < missing(fe) ? 0 : 1 + (n - missing(fe)) / fe->tables->hop;
}

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* Whether `count` values cannot be where p leads. */
static int32_t lacks(const void *p, int32_t count)
{
    return count < 0 || (count > 0 && !p);
}

/* How many of n samples a push may take: no sample that would complete a frame beyond the room. */
static int32_t takeable(const edgeemo_frontend *fe, int32_t n, int32_t room)
{
    int64_t limit = missing(fe) + (int64_t)room * fe->tables->hop - 1;
    return n > limit ? (int32_t)limit : n;
}

/* How many of n samples go the same way: into the history or, between frames, nowhere. */
static int32_t next_piece(const edgeemo_frontend *fe, int32_t n)
{
    return smaller(fe->skip > 0 ? fe->skip : fe->tables->win_length - fe->filled, n);
}

int32_t edgeemo_frontend_push(edgeemo_frontend *fe, const float *samples, int32_t n,
                              float *frames, int32_t room, int32_t *taken)
{
    if (!fe || lacks(samples, n) || lacks(frames, room) || !taken)
        return EDGEEMO_ERR_ARG;
    n = takeable(fe, n, room);
    if (edgeemo_first_bad_sample(samples, n) >= 0)
        return EDGEEMO_ERR_VALUE;
    *taken = n;
    const edgeemo_arithmetic *arithmetic = fe->tables->arithmetic;
    int32_t count = 0;
    while (n > 0) {
        int32_t size = next_piece(fe, n);
        if (fe->skip == 0)
            arithmetic->take(fe, samples, size);
        samples += size, n -= size;
        count += arithmetic->finish(fe, size, frames + (size_t)count * (size_t)fe->tables->bands);
    }
    return count;
}

int32_t edgeemo_frontend_push_i16(edgeemo_frontend *fe, const int16_t *samples, int32_t n,
                                  float *frames, int32_t room, int32_t *taken)
{
    if (!fe || lacks(samples, n) || lacks(frames, room) || !taken)
        return EDGEEMO_ERR_ARG;
    n = takeable(fe, n, room);
    *taken = n;
    const edgeemo_arithmetic *arithmetic = fe->tables->arithmetic;
    int32_t count = 0;
    while (n > 0) {
        int32_t size = next_piece(fe, n);
        if (fe->skip == 0)
            arithmetic->take_i16(fe, samples, size);
        samples += size, n -= size;
        count += arithmetic->finish(fe, size, frames + (size_t)count * (size_t)fe->tables->bands);
    }
    return count;
}
