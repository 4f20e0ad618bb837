/* lanes.c: four frames side by side, which a processor with AVX2 never takes by itself.
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
static float work[30000] __attribute__((aligned(32)));

void edgeemo_lanes4_frames(const edgeemo_tables *t, const float *samples, int32_t count,
                           float *frames, void *memory);

static int32_t differ(edgeemo_frontend *fe, int32_t n, int32_t bands)
{
    int32_t taken, room = edgeemo_frontend_frames(fe, n);
    if (room * bands > FRAMES)
        return 1;
    memset(got, 0xff, sizeof got);
    edgeemo_lanes4_frames(fe->tables, clip, room, got, work);
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
    for (int32_t frames = 1; frames <= 5; frames++)
        if (differ(fe, spec.window + (frames - 1) * spec.hop, spec.bands))
            return 4;
    return differ(fe, n, spec.bands) ? 5 : 0;
}
