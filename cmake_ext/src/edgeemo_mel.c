/* edgeemo_mel.c: sums of bins under the mel triangles, and their logarithm. */
#include "edgeemo_internal.h"

/* Between corner i and corner i+1, triangle i rises and triangle i-1 falls. */
void edgeemo_mel(const edgeemo_tables *t, edgeemo_work *work, real *out)
{
    const real *power = work->power;
    for (int32_t i = 0; i <= t->bands; i++) {
        real rising = {0}, falling = {0};
        for (int32_t bin = t->edge[i]; bin < t->edge[i + 1]; bin++) {
            real part = power[bin] * t->rise[bin];
            rising += part;
            falling += power[bin] - part;
        }
        if (i > 0)
            out[i - 1] = (out[i - 1] + falling) * t->norm[i - 1];
        if (i < t->bands)
            out[i] = rising;
    }
}

/* ln x for normal x > 0, within 1e-6 of the truth plus half a bit of the result.
 *
 * x = 2^e m with m in [sqrt(1/2), sqrt(2)), and ln m = (m - 1) P(m - 1). P is the polynomial of
 * degree 6 with the smallest relative error against log1p(f) / f there (least squares, weights
 * raised where the error is largest until it is level: 1.1e-6), rounded to float. */
static real natural_log(real x)
{
    union {
        real value;
        real_bits bits;
    } m = {x};
    /* The bias makes the shift round at sqrt(1/2). */
    real_ints e = (real_ints)((m.bits - 0x3f3504f3u + 0x3f800000u) >> 23) - 127;
    m.bits -= (real_bits)e << 23;
    real f = m.value - 1.0f;
    real p = f * 0x1.e743bep-4f - 0x1.7e515ap-3f;
    p = p * f + 0x1.a3c3cep-3f;
    p = p * f - 0x1.fe26ccp-3f;
    p = p * f + 0x1.5523fcp-2f;
    p = p * f - 0x1.000176p-1f;
    p = p * f + 0x1.000010p+0f;
    return real_of(e) * 0x1.62e430p-1f + f * p;
}

void edgeemo_log(const edgeemo_tables *t, real *values)
{
    float low = t->floor, scale = t->log_scale;
    int32_t add = t->floor_mode == EDGEEMO_FLOOR_ADD;
    for (real *value = values; value < values + t->bands; value++) {
        real x = add ? *value + low : real_at_least(*value, low);
        *value = natural_log(x) * scale;
    }
}
