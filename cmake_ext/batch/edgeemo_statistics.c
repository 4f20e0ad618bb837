/* edgeemo_statistics.c: what a clip's confidence looks at; see edgeemo_batch.h. */
#include "edgeemo_arithmetic.h"

#include "edgeemo_batch.h"

/* The mean of each group in a frame. */
static void join(const float *frame, int32_t bands, int32_t groups, double *out)
{
    int32_t width = bands / groups, wider = bands % groups;
    for (int32_t g = 0; g < groups; g++) {
        int32_t n = width + (g < wider);
        float sum = frame[0];
        for (int32_t b = 1; b < n; b++)
            sum += frame[b];
        out[g] = (double)(sum / (float)n);
        frame += n;
    }
}

/* Sums over frames: of the groups' values, and of the sizes of their changes. */
static void add_up(const double *values, int32_t frames, int32_t groups, double *sums,
                   double *changes)
{
    for (int32_t g = 0; g < groups; g++)
        sums[g] = changes[g] = 0;
    for (int32_t i = 0; i < frames; i++)
        for (int32_t g = 0; g < groups; g++) {
            double value = values[(size_t)i * (size_t)groups + (size_t)g];
            sums[g] += value;
            double change = i ? value - values[(size_t)(i - 1) * (size_t)groups + (size_t)g] : 0;
            changes[g] += change < 0 ? -change : change;
        }
}

int32_t edgeemo_band_statistics(const float *features, int32_t frames, int32_t bands,
                                int32_t groups, double *work, double *out)
{
    if (!features || !work || !out || frames < 1 || groups < 1 || groups > bands)
        return EDGEEMO_ERR_ARG;
    double *means = out, *variances = out + groups, *changes = variances + groups;
    for (int32_t i = 0; i < frames; i++)
        join(features + (size_t)i * (size_t)bands, bands, groups,
             work + (size_t)i * (size_t)groups);
    add_up(work, frames, groups, means, changes);
    for (int32_t g = 0; g < groups; g++) {
        means[g] /= frames;
        variances[g] = 0;
        if (frames > 1)
            changes[g] /= frames - 1;
    }
    for (int32_t i = 0; i < frames; i++)
        for (int32_t g = 0; g < groups; g++) {
            double apart = work[(size_t)i * (size_t)groups + (size_t)g] - means[g];
            variances[g] += apart * apart;
        }
    for (int32_t g = 0; g < groups; g++)
        variances[g] /= frames;
    return EDGEEMO_OK;
}
