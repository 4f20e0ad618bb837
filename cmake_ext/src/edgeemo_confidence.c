/* edgeemo_confidence.c: statistics of a window, and the regression; see edgeemo_confidence.h. */
#include "edgeemo_arithmetic.h"

#include "edgeemo_confidence.h"

#include <string.h>

#define ONE 1024.0f   /* steps of a value in the sums */
#define MOST 64.0f    /* log-mels lie within -14..20 */
#define REACH 5.0f    /* deviations; nothing further out says more */
#define MOST_LOGIT 30.0f

void edgeemo_statistics_reset(edgeemo_statistics *s)
{
    memset(s, 0, sizeof *s);
}

static int32_t rounded(float x)
{
    x = x < -MOST ? -MOST : x > MOST ? MOST : x;
    return (int32_t)(x * ONE + (x < 0 ? -0.5f : 0.5f));
}

void edgeemo_group_means(const float *frame, int32_t bands, int32_t groups[EDGEEMO_GROUPS])
{
    int32_t width = bands / EDGEEMO_GROUPS, wider = bands % EDGEEMO_GROUPS;
    for (int32_t g = 0; g < EDGEEMO_GROUPS; g++) {
        int32_t n = width + (g < wider);
        float sum = *frame++;
        for (int32_t b = 1; b < n; b++)
            sum += *frame++;
        groups[g] = rounded(sum / (float)n);
    }
}

void edgeemo_statistics_add(edgeemo_statistics *s, const int32_t groups[EDGEEMO_GROUPS],
                            const int32_t before[EDGEEMO_GROUPS])
{
    if (s->frames == EDGEEMO_MOST_DESCRIBED)
        return; /* the sums would leave their bits */
    for (int32_t g = 0; g < EDGEEMO_GROUPS; g++) {
        int32_t value = groups[g], change = value - before[g];
        s->sums[g] += value;
        s->squares[g] += (int64_t)value * value;
        if (s->frames)
            s->changes[g] += (uint32_t)(change < 0 ? -change : change);
    }
    s->frames++;
}

/* The root of x, rounded down, bit by bit: no machine rounds it otherwise. */
static uint32_t root(uint64_t x)
{
    uint64_t rest = x, found = 0;
    for (uint64_t bit = (uint64_t)1 << 62; bit; bit >>= 2) {
        if (rest >= found + bit) {
            rest -= found + bit;
            found = (found >> 1) + bit;
        } else {
            found >>= 1;
        }
    }
    return (uint32_t)found;
}

static float of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ln of a whole number, 1 or more: 2 atanh(s) with |s| < 0.172; the term after s^7 is below 1e-7. */
static float natural_log(uint32_t n)
{
    int32_t e = 0;
    while (n >> (e + 1))
        e++;
    float m = (float)n / (float)((uint32_t)1 << e); /* 1..2 */
    if (m > 1.41421356f) {
        m *= 0.5f;
        e++;
    }
    float s = (m - 1) / (m + 1), square = s * s;
    float sum = 1.0f + square * (1.0f / 3 + square * (0.2f + square * (1.0f / 7)));
    return (float)e * 0.69314718f + 2 * s * sum;
}

/* e^x for -87 < x < 87: x = k ln 2 + r with |r| < 0.35; the term after r^7 / 7! is below 1e-8. */
static float exponential(float x)
{
    int32_t k = (int32_t)(x * 1.44269504f + (x < 0 ? -0.5f : 0.5f));
    float r = x - (float)k * 0.693359375f; /* ln 2 in two parts: the first product is exact */
    r -= (float)k * -2.12194440e-4f;
    float sum = 1.0f + r * (1.0f / 7);
    for (int32_t j = 6; j >= 1; j--)
        sum = 1.0f + r / (float)j * sum;
    return sum * of_bits((uint32_t)(k + 127) << 23);
}

void edgeemo_describe(const edgeemo_statistics *s, float described[EDGEEMO_DESCRIBED])
{
    float *mean = described + 1, *deviation = mean + EDGEEMO_GROUPS;
    float *change = deviation + EDGEEMO_GROUPS, level = 0;
    float frames = (float)s->frames * ONE, changes = (float)(s->frames - 1) * ONE;
    for (int32_t g = 0; g < EDGEEMO_GROUPS; g++) {
        mean[g] = (float)s->sums[g] / frames;
        level += mean[g];
        /* n^2 times the variance: n sum(x^2) - (sum x)^2, exact. */
        int64_t spread = s->frames * s->squares[g] - (int64_t)s->sums[g] * s->sums[g];
        deviation[g] = (float)root((uint64_t)spread) / frames;
        change[g] = s->frames > 1 ? (float)s->changes[g] / changes : 0;
    }
    level *= 1.0f / EDGEEMO_GROUPS;
    for (int32_t g = 0; g < EDGEEMO_GROUPS; g++)
        mean[g] -= level;
    described[0] = level;
    described[EDGEEMO_DESCRIBED - 1] = natural_log((uint32_t)s->frames);
}

float edgeemo_confidence_of(const edgeemo_confidence *c, const float *values)
{
    float logit = c->bias;
    for (int32_t i = 0; i < c->inputs; i++) {
        float z = (values[i] - c->center[i]) / c->scale[i];
        z = z < -REACH ? -REACH : z > REACH ? REACH : z;
        logit += c->weights[i] * z;
        logit += c->weights[c->inputs + i] * (z * z);
    }
    logit = logit < -MOST_LOGIT ? -MOST_LOGIT : logit > MOST_LOGIT ? MOST_LOGIT : logit;
    return 1.0f / (1.0f + exponential(-logit));
}

float edgeemo_smoothing_weight(float elapsed, float seconds)
{
    float x = elapsed / seconds;
    return x < MOST_LOGIT ? 1.0f - exponential(-x) : 1.0f;
}
