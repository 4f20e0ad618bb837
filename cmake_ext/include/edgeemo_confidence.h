/* edgeemo_confidence.h: how likely is an estimate right? A logistic regression over the model's
 * outputs and over how the log-mel of its window lies and moves.
 *
 * All sums are on integers, so that they are the same bits in any order; what is rounded is rounded
 * once, in float. Nothing here allocates, or calls the operating system or libm. Statistics belong to
 * one thread at a time; a regression is only read, by any number of them.
 */
#ifndef EDGEEMO_CONFIDENCE_H
#define EDGEEMO_CONFIDENCE_H

#include "edgeemo.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    EDGEEMO_GROUPS = 8,               /* bands are joined to so many groups of neighbors */
    EDGEEMO_DESCRIBED = 26,           /* values of edgeemo_describe(): 2 + 3 EDGEEMO_GROUPS */
    EDGEEMO_MOST_DESCRIBED = 32767    /* frames; later ones are not looked at */
};

/* Sums over frames. The fields are the library's own. Values are in 1/1024, cut to -64..64. */
typedef struct edgeemo_statistics {
    int64_t squares[EDGEEMO_GROUPS];
    int32_t sums[EDGEEMO_GROUPS];
    uint32_t changes[EDGEEMO_GROUPS]; /* sizes of the changes from a frame to the next */
    int32_t frames;
} edgeemo_statistics;

/* The regression. Inputs are the model's outputs, then what edgeemo_describe() gives; weights are
 * of the standardized inputs, cut to -5..5, and then of their squares. */
typedef struct edgeemo_confidence {
    int32_t inputs;       /* outputs of the model + EDGEEMO_DESCRIBED */
    float bias;           /* log-odds where all is zero */
    const float *center;  /* [inputs] */
    const float *scale;   /* [inputs], above 0 */
    const float *weights; /* [2 * inputs] */
} edgeemo_confidence;

/* Forget all frames. */
void edgeemo_statistics_reset(edgeemo_statistics *statistics);

/* The mean of each group in a frame: bands are joined to EDGEEMO_GROUPS groups, the first bands %
 * EDGEEMO_GROUPS of them one band wider. `bands` is EDGEEMO_GROUPS or more. */
void edgeemo_group_means(const float *frame, int32_t bands, int32_t groups[EDGEEMO_GROUPS]);

/* Add a frame, by the means of its groups and those of the frame before, which count for nothing if
 * there was none. */
void edgeemo_statistics_add(edgeemo_statistics *statistics, const int32_t groups[EDGEEMO_GROUPS],
                            const int32_t before[EDGEEMO_GROUPS]);

/* What a confidence looks at: the mean level; of each group the mean (less the level), the
 * deviation over time, and the mean change from a frame to the next; the logarithm of the number of
 * frames. At least one frame. */
void edgeemo_describe(const edgeemo_statistics *statistics, float described[EDGEEMO_DESCRIBED]);

/* The probability, 0..1, for `inputs` values: the outputs of the model as it gives them, then what
 * edgeemo_describe() gives. */
float edgeemo_confidence_of(const edgeemo_confidence *confidence, const float *values);

/* How much of a step a running mean has gone after `elapsed` seconds with a time constant of
 * `seconds`: 1 - e^(-elapsed / seconds). Both above 0. */
float edgeemo_smoothing_weight(float elapsed, float seconds);

#ifdef __cplusplus
}
#endif

#endif
