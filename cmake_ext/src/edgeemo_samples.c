/* edgeemo_samples.c: checks and normalization of whole stretches of samples. */
#include "edgeemo_internal.h"

int32_t edgeemo_first_bad_sample(const float *samples, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        /* Written so that a NaN fails. */
        if (!(samples[i] >= -EDGEEMO_SAMPLE_LIMIT && samples[i] <= EDGEEMO_SAMPLE_LIMIT))
            return i;
    return -1;
}

int32_t edgeemo_normalize_utterance(const float *samples, int32_t n, float *out)
{
    if (n < 0 || (n > 0 && (!samples || !out)))
        return EDGEEMO_ERR_ARG;
    if (edgeemo_first_bad_sample(samples, n) >= 0)
        return EDGEEMO_ERR_VALUE;
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < n; i++)
        sum += (double)samples[i];
    double mean = n > 0 ? sum / n : 0;
    for (int32_t i = 0; i < n; i++)
        squares += ((double)samples[i] - mean) * ((double)samples[i] - mean);
    double scale = 1 / edgeemo_root((n > 0 ? squares / n : 0) + 1e-7);
    for (int32_t i = 0; i < n; i++)
        out[i] = (float)(((double)samples[i] - mean) * scale);
    return EDGEEMO_OK;
}
