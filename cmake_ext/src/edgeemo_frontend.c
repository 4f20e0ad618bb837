/* edgeemo_frontend.c: the stream: samples in any blocks to frames of log-mel. */
#include <string.h>

#include "edgeemo_internal.h"
#include "edgeemo_pairs.h"

/* Behind the front end itself comes the history; then, or elsewhere, the FFT's values and the power. */
static size_t history_size(const edgeemo_tables *t)
{
    return (size_t)(t->win_length + t->win_length % 2) * sizeof(float);
}

size_t edgeemo_frontend_kept_size(const edgeemo_tables *t)
{
    return (sizeof(edgeemo_frontend) + history_size(t) + 7) / 8 * 8;
}

size_t edgeemo_frontend_work_size(const edgeemo_tables *t)
{
    size_t m = (size_t)t->fft / 2;
    return (m * sizeof(real_complex) + (m + 1) * sizeof(float) + 7) / 8 * 8;
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
    /* The value behind an odd window. */
    fe->history[tables->win_length - 1 + tables->win_length % 2] = 0;
    edgeemo_frontend_reset(fe);
    return fe;
}

int32_t edgeemo_frontend_init_tables(edgeemo_frontend **out, void *memory, size_t bytes,
                                     const edgeemo_tables *tables)
{
    if (!out || !memory || !tables)
        return EDGEEMO_ERR_ARG;
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

/* n values from further behind to the front, which they may overlap. */
static void move_down(float *to, const float *from, int32_t n)
{
#ifdef EDGEEMO_PAIRS
    for (; n >= 8; n -= 8)
        __asm__ volatile("vldmia %1!, {s0-s7}\n vstmia %0!, {s0-s7}\n"
                         : "+r"(to), "+r"(from)
                         :
                         : "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "memory");
    for (; n > 0; n--)
        *to++ = *from++;
#else
    memmove(to, from, (size_t)n * sizeof(float));
#endif
}

/* After a piece of n samples: if the history is full, the frame, and what the next one shares with
 * it moves to the front. Returns the frames made, 0 or 1. */
static EDGEEMO_NOINLINE int32_t finish(edgeemo_frontend *fe, int32_t n, float *out)
{
    const edgeemo_tables *t = fe->tables;
    if (fe->skip > 0) {
        fe->skip -= n;
        return 0;
    }
    fe->filled += n;
    if (fe->filled < t->win_length)
        return 0;
    edgeemo_begin(t, fe->history, &fe->work);
    edgeemo_fft(t, &fe->work);
    edgeemo_spectrum(t, &fe->work);
    edgeemo_mel(t, &fe->work, out);
    edgeemo_log(t, out);
    int32_t kept = t->win_length - t->hop;
    if (kept > 0)
        move_down(fe->history, fe->history + t->hop, kept);
    fe->filled = kept > 0 ? kept : 0;
    fe->skip = fe->filled - kept;
    return 1;
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
    int32_t count = 0;
    while (n > 0) {
        int32_t size = next_piece(fe, n);
        if (fe->skip == 0)
            memcpy(fe->history + fe->filled, samples, (size_t)size * sizeof(float));
        samples += size, n -= size;
        count += finish(fe, size, frames + (size_t)count * (size_t)fe->tables->bands);
    }
    return count;
}

/* Eight samples; returns where they end. */
static inline float *copy_eight(float *to, const int16_t *samples)
{
#ifdef EDGEEMO_PAIRS
    /* The FPU takes 16 bits with 15 behind the point from a register's low half. */
    __asm__ volatile("ldr r4, [%1]\n ldr r5, [%1, #4]\n ldr r6, [%1, #8]\n ldr r3, [%1, #12]\n"
                     "lsr r2, r4, #16\n vmov s0, s1, r4, r2\n"
                     "lsr r2, r5, #16\n vmov s2, s3, r5, r2\n"
                     "lsr r2, r6, #16\n vmov s4, s5, r6, r2\n"
                     "lsr r2, r3, #16\n vmov s6, s7, r3, r2\n"
                     "vcvt.f32.s16 s0, s0, #15\n vcvt.f32.s16 s1, s1, #15\n"
                     "vcvt.f32.s16 s2, s2, #15\n vcvt.f32.s16 s3, s3, #15\n"
                     "vcvt.f32.s16 s4, s4, #15\n vcvt.f32.s16 s5, s5, #15\n"
                     "vcvt.f32.s16 s6, s6, #15\n vcvt.f32.s16 s7, s7, #15\n"
                     "vstmia %0!, {s0-s7}\n"
                     : "+r"(to)
                     : "r"(samples)
                     : "r2", "r3", "r4", "r5", "r6", "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7",
                       "memory");
    return to;
#else
    for (int32_t i = 0; i < 8; i++)
        to[i] = (float)samples[i] * (1.0f / 32768.0f);
    return to + 8;
#endif
}

static EDGEEMO_NOINLINE void copy_i16(float *to, const int16_t *samples, int32_t n)
{
    for (; n >= 8; n -= 8, samples += 8)
        to = copy_eight(to, samples);
    for (; n > 0; n--)
        *to++ = (float)*samples++ * (1.0f / 32768.0f);
}

int32_t edgeemo_frontend_push_i16(edgeemo_frontend *fe, const int16_t *samples, int32_t n,
                                  float *frames, int32_t room, int32_t *taken)
{
    if (!fe || lacks(samples, n) || lacks(frames, room) || !taken)
        return EDGEEMO_ERR_ARG;
    n = takeable(fe, n, room);
    *taken = n;
    int32_t count = 0;
    while (n > 0) {
        int32_t size = next_piece(fe, n);
        if (fe->skip == 0)
            copy_i16(fe->history + fe->filled, samples, size);
        samples += size, n -= size;
        count += finish(fe, size, frames + (size_t)count * (size_t)fe->tables->bands);
    }
    return count;
}
