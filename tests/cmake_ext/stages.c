/* stages.c: every stage of the front end on one clip, for the host and for boards.
 *
 * Reads the files `spec` (an edgeemo_feature_spec) and `clip` (float32) from the working folder;
 * writes `stages`: for each frame, float32, the spectrum [fft/2 + 1], the mel bands and their
 * logarithms [bands each]. Exits with 0 if a stream that gets the clip in
 * blocks of other sizes gives the same logarithms to the bit. */
#include <string.h>

#include "edgeemo_internal.h"
#include "host.h"

enum { CLIP = 8001, STAGES = 50000, BLOCK = 4000 };
static float clip[CLIP], stages[STAGES], row[512];
static double block[BLOCK]; /* double: aligned on 8 bytes */

static void run_stages(edgeemo_frontend *fe, const float *frame, float *out)
{
    const edgeemo_tables *t = fe->tables;
    edgeemo_begin(t, frame, &fe->work);
    edgeemo_fft(t, &fe->work);
    edgeemo_spectrum(t, &fe->work);
    for (int32_t k = 0; k <= t->fft / 2; k++) /* it is four times the power */
        *out++ = fe->work.power[k] * (t->spectrum == EDGEEMO_SPECTRUM_POWER ? 0.25f : 0.5f);
    edgeemo_mel(t, &fe->work, out);
    memcpy(out + t->bands, out, (size_t)t->bands * sizeof(float));
    edgeemo_log(t, out + t->bands);
}

/* Frames whose logarithms differ between the stream and what run_stages() wrote, or -1. */
static int32_t compare_stream(edgeemo_frontend *fe, int32_t n, int32_t row_values)
{
    int32_t bands = fe->tables->bands, at = 0, frames = 0, different = 0, step = 1;
    while (at < n) {
        int32_t size = step < n - at ? step : n - at, taken;
        int32_t got = edgeemo_frontend_push(fe, clip + at, size, row, 1, &taken);
        if (got < 0)
            return -1;
        const float *want = stages + frames * row_values + row_values - bands;
        if (got == 1)
            different += memcmp(row, want, (size_t)bands * sizeof(float)) != 0;
        frames += got;
        at += taken;
        step = step * 7 % 641 + 1;
    }
    return different;
}

int main(void)
{
    edgeemo_feature_spec spec;
    edgeemo_frontend *fe;
    if (host_read("spec", &spec, sizeof spec) != (int32_t)sizeof spec)
        return 2;
    int32_t n = host_read("clip", clip, sizeof clip - sizeof *clip) / (int32_t)sizeof(float);
    if (edgeemo_frontend_init(&fe, block, sizeof block, &spec) != EDGEEMO_OK)
        return 3;
    int32_t row_values = spec.fft / 2 + 1 + 2 * spec.bands;
    int32_t frames = edgeemo_frontend_frames(fe, n);
    if (frames * row_values > STAGES)
        return 4;
    for (int32_t k = 0; k < frames; k++)
        run_stages(fe, clip + k * spec.hop, stages + k * row_values);
    if (compare_stream(fe, n, row_values) != 0)
        return 5;
    return host_write("stages", stages, (size_t)(frames * row_values) * sizeof(float)) ? 6 : 0;
}
