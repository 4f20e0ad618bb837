/* edgeemo_float.c: the front end in floats: its history, and its stages in order. */
#include <string.h>

#include "edgeemo_internal.h"
#include "edgeemo_pairs.h"

static size_t work_size(const edgeemo_tables *t)
{
    size_t m = (size_t)t->fft / 2;
    return m * sizeof(real_complex) + (m + 1) * sizeof(float);
}

static void take(edgeemo_frontend *fe, const float *samples, int32_t n)
{
    memcpy((float *)fe->history + fe->filled, samples, (size_t)n * sizeof(float));
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

static void take_i16(edgeemo_frontend *fe, const int16_t *samples, int32_t n)
{
    float *to = (float *)fe->history + fe->filled;
    for (; n >= 8; n -= 8, samples += 8)
        to = copy_eight(to, samples);
    for (; n > 0; n--)
        *to++ = (float)*samples++ * (1.0f / 32768.0f);
}

/* n values of the history from `first` on to its front, which they may overlap. */
static void move_down(edgeemo_frontend *fe, int32_t first, int32_t n)
{
    float *to = fe->history;
    const float *from = to + first;
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

static inline void frame(edgeemo_frontend *fe, float *out)
{
    const edgeemo_tables *t = fe->tables;
    edgeemo_begin(t, fe->history, &fe->work);
    edgeemo_fft(t, &fe->work);
    edgeemo_spectrum(t, &fe->work);
    edgeemo_mel(t, &fe->work, out);
    edgeemo_log(t, out);
}

static EDGEEMO_NOINLINE int32_t finish(edgeemo_frontend *fe, int32_t n, float *out)
{
    return edgeemo_finish(fe, n, out, frame, move_down);
}

const edgeemo_arithmetic edgeemo_float_arithmetic = {sizeof(float), work_size, take, take_i16, finish};
