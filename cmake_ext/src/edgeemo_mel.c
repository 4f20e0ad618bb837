/* edgeemo_mel.c: sums of bins under the mel triangles, and their logarithm. */
#include "edgeemo_internal.h"
#include "edgeemo_pairs.h"

#if EDGEEMO_HELIUM
#include <arm_mve.h>

/* Lane i takes the bins between corners i and i+1, one after the other; four bands at a time, as
 * many steps as the widest has bins. The falling sums wait in work->z. */
void edgeemo_mel(const edgeemo_tables *t, edgeemo_work *work, float *out)
{
    float *fallen = &work->z[0].re;
    for (int32_t i = 0; i <= t->bands; i += 4) {
        mve_pred16_t in = vctp32q((uint32_t)(t->bands + 1 - i));
        uint32x4_t bin = vldrhq_z_u32(t->edge + i, in), end = vldrhq_z_u32(t->edge + i + 1, in);
        float32x4_t rising = vdupq_n_f32(0), falling = rising;
        for (mve_pred16_t some; (some = vcmphiq_u32(end, bin)) != 0; bin = vaddq_n_u32(bin, 1)) {
            /* Behind its last bin a lane adds zeros. */
            float32x4_t power = vldrwq_gather_shifted_offset_z_f32(work->power, bin, some);
            float32x4_t weight = vldrwq_gather_shifted_offset_z_f32(t->mel_weights, bin, some);
            float32x4_t part = power * weight;
            rising += part;
            falling += power - part;
        }
        vstrwq_p_f32(out + i, rising, vctp32q((uint32_t)(t->bands - i)));
        vstrwq_p_f32(fallen + i, falling, in);
    }
    int32_t b = 0;
    for (; b + 4 <= t->bands; b += 4) {
        float32x4_t sum = vldrwq_f32(out + b) + vldrwq_f32(fallen + b + 1);
        vstrwq_f32(out + b, sum * vldrwq_f32(t->norm + b));
    }
    for (; b < t->bands; b++)
        out[b] = (out[b] + fallen[b + 1]) * t->norm[b];
}
#else
#define ADD_BIN(power, weight)             \
    do {                                   \
        real part_ = (power) * (weight);   \
        rising += part_;                   \
        falling += (power) - part_;        \
    } while (0)

/* The bins up to the next corner. */
#define ADD_BINS()                                                     \
    do {                                                               \
        int32_t bins = edge[1] - edge[0];                              \
        edge++;                                                        \
        for (int32_t pairs = udiv(bins, 2); pairs > 0; pairs--) {      \
            LOAD_NEXT(low, high, power, "s0", "s1");                   \
            LOAD_FLOATS_NEXT(low_weight, high_weight, weight, "s2", "s3"); \
            ADD_BIN(low, low_weight);                                  \
            ADD_BIN(high, high_weight);                                \
        }                                                              \
        if (bins % 2) {                                                \
            ADD_BIN(power->re, weight->re);                            \
            power = (const real_complex *)(&power->re + 1);            \
            weight = (const edgeemo_complex *)(&weight->re + 1);       \
        }                                                              \
    } while (0)

/* Between corner i and corner i+1, triangle i rises and triangle i-1 falls. */
void edgeemo_mel(const edgeemo_tables *t, edgeemo_work *work, real *out)
{
    const uint16_t *edge = t->edge;
    const real_complex *power = (const real_complex *)(work->power + *edge);
    const edgeemo_complex *weight = (const edgeemo_complex *)(t->mel_weights + *edge);
    const float *norm = t->norm;
    real rising = {0}, falling = {0};
    ADD_BINS();
    for (real *end = out + t->bands; out < end; out++) {
        real risen = rising; /* by the triangle that falls now */
        rising = falling = (real){0};
        ADD_BINS();
        *out = (risen + falling) * *norm++;
    }
}

#endif

/* ln x for normal x > 0, within 1e-6 of the truth plus half a bit of the result.
 *
 * x = 2^e m with m in [sqrt(1/2), sqrt(2)), and ln m = (m - 1) P(m - 1). P is the polynomial of
 * degree 6 with the smallest relative error against log1p(f) / f there (least squares, weights
 * raised where the error is largest until it is level: 1.1e-6), rounded to float. */
#define LN(type, f, e, plus)                 \
    type p = plus(f * 0x1.e743bep-4f, -0x1.7e515ap-3f); \
    p = plus(p * f, 0x1.a3c3cep-3f);         \
    p = plus(p * f, -0x1.fe26ccp-3f);        \
    p = plus(p * f, 0x1.5523fcp-2f);         \
    p = plus(p * f, -0x1.000176p-1f);        \
    p = plus(p * f, 0x1.000010p+0f);         \
    p = e * 0x1.62e430p-1f + f * p
enum { ROUND_UP = 0x3f800000 - 0x3f3504f3 }; /* makes the shift round at sqrt(1/2) */

#if EDGEEMO_HELIUM
/* Of four values; the constants wait in the core's registers, as the vector unit has but eight. */
static inline float32x4_t natural_logs(float32x4_t x)
{
    uint32x4_t bits = vreinterpretq_u32_f32(x);
    int32x4_t whole = vreinterpretq_s32_u32(vaddq_n_u32(bits, ROUND_UP) >> 23);
    whole = vsubq_n_s32(whole, 127);
    bits -= vreinterpretq_u32_s32(whole << 23);
    float32x4_t f = vsubq_n_f32(vreinterpretq_f32_u32(bits), 1.0f), e = vcvtq_f32_s32(whole);
    LN(float32x4_t, f, e, vaddq_n_f32);
    return p;
}

void edgeemo_log(const edgeemo_tables *t, float *values)
{
    int32_t add = t->floor_mode == EDGEEMO_FLOOR_ADD;
    /* One of the two changes nothing: a band's sum is 0 or more. */
    float more = add ? t->floor : 0, least = add ? 0 : t->floor;
    for (int32_t left = t->bands; left > 0; left -= 4, values += 4) {
        mve_pred16_t in = vctp32q((uint32_t)left);
        float32x4_t x = vaddq_n_f32(vldrwq_z_f32(values, in), more);
        x = vmaxnmq_f32(x, vdupq_n_f32(least));
        vstrwq_p_f32(values, vmulq_n_f32(natural_logs(x), t->log_scale), in);
    }
}
#else
static inline real natural_log(real x)
{
    union {
        real value;
        real_bits bits;
    } m = {x};
    /* Shifted as a signed number, which divides and rounds down. */
    real_ints whole = (real_ints)(m.bits + (uint32_t)(ROUND_UP - 0x3f800000)) >> 23;
    AS_NUMBER(whole);
    m.bits -= (real_bits)whole << 23;
    real f = m.value - 1.0f, e = real_of(whole);
#define PLUS(x, y) ((x) + (y))
    LN(real, f, e, PLUS);
#undef PLUS
    return p;
}

void edgeemo_log(const edgeemo_tables *t, real *values)
{
    float scale = t->log_scale, least = t->floor;
    real *end = values + t->bands;
    if (t->floor_mode == EDGEEMO_FLOOR_ADD) /* and then nothing lies below it */
        for (real *value = values; value < end; value++)
            *value += least;
    for (; values < end; values++)
        *values = natural_log(real_max(*values, least)) * scale;
}
#endif
