/* frontend_clip.c: seconds of processor time for one minute of sound, inside C: whole and in blocks.
 *
 *     frontend_clip REPEATS
 *
 * Prints `frames seconds-whole seconds-blocks`, the best of REPEATS each. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "edgeemo_batch.h"

enum { SAMPLES = 60 * 16000, BLOCK = 160, BANDS = 40, MOST = 6000 };
static float clip[SAMPLES], frames[MOST * BANDS];
static double memory[1500];
static float work[30000] __attribute__((aligned(32)));

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static int32_t in_blocks(edgeemo_frontend *fe)
{
    int32_t made = 0, taken;
    edgeemo_frontend_reset(fe);
    for (int32_t at = 0; at < SAMPLES; at += BLOCK)
        made += edgeemo_frontend_push(fe, clip + at, BLOCK, frames + made * BANDS, 1, &taken);
    return made;
}

int main(int argc, char **argv)
{
    static const edgeemo_feature_spec spec = EDGEEMO_LOGMEL40;
    edgeemo_frontend *fe;
    if (argc != 2 || edgeemo_frontend_init(&fe, memory, sizeof memory, &spec) != EDGEEMO_OK
        || edgeemo_batch_size(fe) > sizeof work)
        return 1;
    uint32_t state = 1; /* uniform noise: the time does not depend on the values */
    for (int32_t i = 0; i < SAMPLES; i++) {
        state = state * 1664525u + 1013904223u;
        clip[i] = (float)(int32_t)state * 0x1p-34f;
    }
    double whole = 1e9, blocks = 1e9;
    int32_t made = 0;
    for (long i = 0; i < strtol(argv[1], NULL, 10); i++) {
        double start = now();
        made = edgeemo_batch(fe, clip, SAMPLES, frames, work, sizeof work);
        double between = now();
        if (in_blocks(fe) != made)
            return 2;
        double end = now();
        whole = between - start < whole ? between - start : whole;
        blocks = end - between < blocks ? end - between : blocks;
    }
    printf("%d %.9f %.9f\n", (int)made, whole, blocks);
    return 0;
}
