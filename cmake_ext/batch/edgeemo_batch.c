/* edgeemo_batch.c: the stages of the front end, compiled again for several frames side by side. */
#if defined __GNUC__ /* and clang: they have vector types */
#define EDGEEMO_LANES 4
enum { LANES = EDGEEMO_LANES };
#else
enum { LANES = 1 };
#endif

#define edgeemo_begin edgeemo_lanes_begin
#define edgeemo_fft edgeemo_lanes_fft
#define edgeemo_spectrum edgeemo_lanes_spectrum
#define edgeemo_mel edgeemo_lanes_mel
#define edgeemo_log edgeemo_lanes_log
#include "../src/edgeemo_fft.c"
#include "../src/edgeemo_mel.c"

#include "edgeemo_batch.h"

size_t edgeemo_batch_size(const edgeemo_frontend *fe)
{
    if (!fe)
        return 0;
    /* frame, z, power, bands */
    const edgeemo_tables *t = fe->tables;
    return (size_t)(t->window + 1 + 3 * (t->fft / 2) + 1 + t->bands) * sizeof(real);
}

/* Value j of the frames from `first` on, a lane each; behind `last` the last one again. */
static void side_by_side(const edgeemo_frontend *fe, const float *samples, int32_t first,
                         int32_t last, real *frame)
{
    const float *from[LANES];
    for (int32_t lane = 0; lane < LANES; lane++) {
        int32_t k = first + lane < last ? first + lane : last;
        from[lane] = samples + (size_t)k * (size_t)fe->tables->hop;
    }
    for (int32_t j = 0; j < fe->tables->window; j++) {
        union {
            real value;
            float lane[LANES];
        } x;
        for (int32_t lane = 0; lane < LANES; lane++)
            x.lane[lane] = from[lane][j];
        frame[j] = x.value;
    }
}

static void apart(const real *values, int32_t bands, float *frames, int32_t count)
{
    for (int32_t b = 0; b < bands; b++) {
        union {
            real value;
            float lane[LANES];
        } x = {values[b]};
        for (int32_t lane = 0; lane < count; lane++)
            frames[lane * bands + b] = x.lane[lane];
    }
}

int32_t edgeemo_batch(const edgeemo_frontend *fe, const float *samples, int32_t n, float *frames,
                      void *memory, size_t bytes)
{
    if (!fe || n < 0 || (n > 0 && !samples) || !memory)
        return EDGEEMO_ERR_ARG;
    const edgeemo_tables *t = fe->tables;
    int32_t count = n < t->window ? 0 : 1 + (n - t->window) / fe->tables->hop, m = t->fft / 2;
    if (count > 0 && !frames)
        return EDGEEMO_ERR_ARG;
    if (bytes < edgeemo_batch_size(fe) || (uintptr_t)memory % 16)
        return EDGEEMO_ERR_MEMORY;
    if (edgeemo_first_bad_sample(samples, n) >= 0)
        return EDGEEMO_ERR_VALUE;
    real *frame = memory;
    real *z = frame + t->window + 1;
    edgeemo_work work = {(real_complex *)z, z + 2 * m};
    real *bands = work.power + m + 1;
    frame[t->window] = (real){0};
    for (int32_t k = 0; k < count; k += LANES) {
        side_by_side(fe, samples, k, count - 1, frame);
        edgeemo_begin(t, frame, &work);
        edgeemo_fft(t, &work);
        edgeemo_spectrum(t, &work);
        edgeemo_mel(t, &work, bands);
        edgeemo_log(t, bands);
        apart(bands, t->bands, frames + (size_t)k * (size_t)t->bands,
              LANES < count - k ? LANES : count - k);
    }
    return count;
}
