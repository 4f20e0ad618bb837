/* edgeemo_batch.c: whole clips, with four frames side by side; on x86 with AVX2 eight, with
 * AVX-512 sixteen. */
#if defined __GNUC__ /* and clang: they have vector types */
#define EDGEEMO_LANES 4
#endif
#define EDGEEMO_NAME(name) edgeemo_lanes4_##name
#include "edgeemo_lanes.h"

#include "edgeemo_batch.h"

/* The widest, whatever this processor takes: edgeemo_batch_avx512.c. */
enum { MOST_LANES = 16, ALIGNMENT = MOST_LANES * sizeof(float) };

typedef void frames_of(const edgeemo_tables *t, const float *samples, int32_t count, float *frames,
                       void *memory);

#if defined __GNUC__ && defined __x86_64__
frames_of edgeemo_lanes8_frames, edgeemo_lanes16_frames;

static frames_of *frames_for(int32_t count)
{
    if (count > 8 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        return edgeemo_lanes16_frames;
    return __builtin_cpu_supports("avx2") ? edgeemo_lanes8_frames : edgeemo_lanes4_frames;
}
#else
static frames_of *frames_for(int32_t count)
{
    (void)count;
    return edgeemo_lanes4_frames;
}
#endif

size_t edgeemo_batch_size(const edgeemo_frontend *fe)
{
    if (!fe)
        return 0;
    /* frame, z, power, bands: see edgeemo_lanes.h */
    const edgeemo_tables *t = fe->tables;
    return (size_t)(t->win_length + 1 + t->fft + t->fft / 2 + 1 + t->bands) * ALIGNMENT;
}

int32_t edgeemo_batch(const edgeemo_frontend *fe, const float *samples, int32_t n, float *frames,
                      void *work, size_t bytes)
{
    if (!fe || fe->tables->fixed || n < 0 || (n > 0 && !samples) || !work)
        return EDGEEMO_ERR_ARG;
    const edgeemo_tables *t = fe->tables;
    int32_t count = n < t->win_length ? 0 : 1 + (n - t->win_length) / t->hop;
    if (count > 0 && !frames)
        return EDGEEMO_ERR_ARG;
    if (bytes < edgeemo_batch_size(fe) || (uintptr_t)work % ALIGNMENT)
        return EDGEEMO_ERR_MEMORY;
    if (edgeemo_first_bad_sample(samples, n) >= 0)
        return EDGEEMO_ERR_VALUE;
    frames_for(count)(t, samples, count, frames, work);
    return count;
}
