/* lanes.c: frames side by side, also by fewer than this processor would take by itself.
 *
 * Reads `spec` and `clip` as stages.c does; exits with 0 if the frames are those of a stream, to
 * the bit, for all the clip and for clips of 1 to 5 frames. */
#include <string.h>

#include "edgeemo_batch.h"
#include "edgeemo_internal.h"
#include "host.h"

enum { CLIP = 8001, FRAMES = 20000 };
static float clip[CLIP], want[FRAMES], got[FRAMES];
static double block[4000];
static float work[60000] __attribute__((aligned(64)));

typedef void frames_of(const edgeemo_tables *t, const float *samples, int32_t count, float *frames,
                       void *memory);
frames_of edgeemo_lanes4_frames;
#ifdef __x86_64__
frames_of edgeemo_lanes8_frames, edgeemo_lanes16_frames;
#endif

/* Those that this processor has; NULL behind the last. */
static frames_of *width(int32_t i)
{
    if (i == 0)
        return edgeemo_lanes4_frames;
#ifdef __x86_64__
    if (i == 1 && __builtin_cpu_supports("avx2"))
        return edgeemo_lanes8_frames;
    if (i == 2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
        return edgeemo_lanes16_frames;
#endif
    return NULL;
}

static int32_t differ(frames_of *frames, edgeemo_frontend *fe, int32_t n, int32_t bands)
{
    int32_t taken, room = edgeemo_frontend_frames(fe, n);
    if (room * bands > FRAMES)
        return 1;
    memset(got, 0xff, sizeof got);
    frames(fe->tables, clip, room, got, work);
    int32_t made = edgeemo_frontend_push(fe, clip, n, want, room, &taken);
    edgeemo_frontend_reset(fe);
    return made != room || memcmp(got, want, (size_t)(room * bands) * sizeof *got) != 0;
}

int main(void)
{
    edgeemo_feature_spec spec;
    edgeemo_frontend *fe;
    if (host_read("spec", &spec, sizeof spec) != (int32_t)sizeof spec)
        return 2;
    int32_t n = host_read("clip", clip, sizeof clip) / (int32_t)sizeof *clip;
    if (edgeemo_frontend_init(&fe, block, sizeof block, &spec) != EDGEEMO_OK
        || edgeemo_batch_size(fe) > sizeof work)
        return 3;
    for (int32_t i = 0; width(i); i++) {
        for (int32_t frames = 1; frames <= 5; frames++)
            if (differ(width(i), fe, spec.window + (frames - 1) * spec.hop, spec.bands))
                return 4 + 2 * i;
        if (differ(width(i), fe, n, spec.bands))
            return 5 + 2 * i;
    }
    return 0;
}
