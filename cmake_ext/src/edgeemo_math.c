/* edgeemo_math.c: logarithm, exponential, root and angle for the tables, without libm. */
#include <string.h>

#include "edgeemo_internal.h"

#define LN2 0.69314718055994530942
#define HALF_PI 1.57079632679489661923

static uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

double edgeemo_ln(double x)
{
    /* x = 2^e m with m in [sqrt(1/2), sqrt(2)): the bias makes the shift round there. */
    uint64_t bits = bits_of(x);
    int32_t e = (int32_t)((bits - 0x3fe6a09e667f3bcdu + 0x3ff0000000000000u) >> 52) - 1023;
    double m = double_of(bits - ((uint64_t)(int64_t)e << 52));
    /* ln m = 2 atanh(s), |s| < 0.172: the term after s^23 is below 2^-60. */
    double s = (m - 1) / (m + 1);
    double sum = 0;
    for (int32_t k = 23; k >= 1; k -= 2)
        sum = sum * (s * s) + 1.0 / k;
    return e * LN2 + 2 * s * sum;
}

double edgeemo_exp(double x)
{
    /* x = k ln 2 + r, |r| <= 0.35: the term after r^15 / 15! is below 2^-60. */
    int32_t k = (int32_t)(x / LN2 + (x < 0 ? -0.5 : 0.5));
    double r = x - k * LN2;
    double sum = 1;
    for (int32_t j = 15; j >= 1; j--)
        sum = 1 + sum * r / j;
    return sum * double_of((uint64_t)(k + 1023) << 52);
}

double edgeemo_sqrt(double x)
{
    /* Halving the exponent is within 7 %; Newton doubles the correct digits each time. */
    double y = double_of((bits_of(x) >> 1) + 0x1ff8000000000000u);
    for (int32_t i = 0; i < 5; i++)
        y = 0.5 * (y + x / y);
    return y;
}

void edgeemo_sincos(int32_t k, int32_t n, double *cosine, double *sine)
{
    int32_t quarter = 4 * k / n;
    int32_t rest = 4 * k - quarter * n; /* of n, within a quarter turn */
    int32_t mirrored = 2 * rest > n;
    double a = HALF_PI * (mirrored ? n - rest : rest) / n; /* 0..pi/4 */
    double c = 1, s = 1;
    for (int32_t j = 18; j >= 2; j -= 2) { /* next terms below 2^-65 */
        c = 1 - c * a * a / (j * (j - 1));
        s = 1 - s * a * a / (j * (j + 1));
    }
    s *= a;
    double x = mirrored ? s : c, y = mirrored ? c : s;
    *cosine = quarter == 0 ? x : quarter == 1 ? -y : quarter == 2 ? -x : y;
    *sine = quarter == 0 ? y : quarter == 1 ? x : quarter == 2 ? -y : -x;
}
