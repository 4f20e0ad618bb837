/* edgeemo_samples.c: checks and normalization of whole stretches of samples. */
#include <string.h>

#include "edgeemo_internal.h"

/* A number whose highest bit is set if the sample is bad: without the sign, bits grow with the size
 * of the number, and those of NaN are beyond infinity's. */
static uint32_t bad(const float *sample)
{
    const union {
        float value;
        uint32_t bits;
    } limit = {EDGEEMO_SAMPLE_LIMIT};
    uint32_t bits;
    memcpy(&bits, sample, sizeof bits);
    return limit.bits - (bits & 0x7fffffffu);
}

int32_t edgeemo_first_bad_sample(const float *samples, int32_t n)
{
    int32_t i = 0;
    for (; i < n - 63; i += 64) { /* no way out in between: compilers make vectors of it */
        uint32_t any = 0;
        for (int32_t k = 0; k < 64; k++)
            any |= bad(samples + i + k);
        if (any >> 31)
            break;
    }
    for (; i < n; i++)
        if (bad(samples + i) >> 31)
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
    double scale = 1 / edgeemo_sqrt((n > 0 ? squares / n : 0) + 1e-7);
    for (int32_t i = 0; i < n; i++)
        out[i] = (float)(((double)samples[i] - mean) * scale);
    return EDGEEMO_OK;
}
