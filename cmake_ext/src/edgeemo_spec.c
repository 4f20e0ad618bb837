/* edgeemo_spec.c: which feature specs can be used, and what a status means. */
#include "edgeemo.h"

const char *edgeemo_status_text(int32_t status)
{
    switch (status) {
#define EDGEEMO_X(name, code, text) \
    case code:                      \
        return text;
        EDGEEMO_STATUSES(EDGEEMO_X)
#undef EDGEEMO_X
    default:
        return "unknown status";
    }
}

static int32_t within(int32_t value, int32_t low, int32_t high)
{
    return low <= value && value <= high;
}

static int32_t choices_are_known(const edgeemo_feature_spec *spec)
{
#define EDGEEMO_X(name, value, text) +1
    return within(spec->window_shape, 0, 0 EDGEEMO_WINDOW_SHAPES(EDGEEMO_X) - 1)
        && within(spec->spectrum, 0, 0 EDGEEMO_SPECTRA(EDGEEMO_X) - 1)
        && within(spec->mel_scale, 0, 0 EDGEEMO_MEL_SCALES(EDGEEMO_X) - 1)
        && within(spec->triangles, 0, 0 EDGEEMO_TRIANGLES(EDGEEMO_X) - 1)
        && within(spec->area_norm, 0, 0 EDGEEMO_AREA_NORMS(EDGEEMO_X) - 1)
        && within(spec->log, 0, 0 EDGEEMO_LOGS(EDGEEMO_X) - 1)
        && within(spec->floor_mode, 0, 0 EDGEEMO_FLOOR_MODES(EDGEEMO_X) - 1);
#undef EDGEEMO_X
}

int32_t edgeemo_feature_spec_check(const edgeemo_feature_spec *spec)
{
    if (!spec)
        return EDGEEMO_ERR_ARG;
    if (!within(spec->sample_rate, 1000, 768000))
        return EDGEEMO_ERR_SAMPLE_RATE;
    if (!within(spec->fft, 64, 1024) || (spec->fft & (spec->fft - 1)))
        return EDGEEMO_ERR_FFT;
    if (!within(spec->window, 2, spec->fft))
        return EDGEEMO_ERR_WINDOW;
    if (!within(spec->hop, 1, 65536))
        return EDGEEMO_ERR_HOP;
    if (!within(spec->bands, 1, spec->fft / 2))
        return EDGEEMO_ERR_BANDS;
    /* Written so that a NaN fails. */
    if (!(spec->low_hz >= 0 && spec->high_hz >= spec->low_hz + 1
          && spec->high_hz <= spec->sample_rate / 2.0))
        return EDGEEMO_ERR_EDGES;
    if (!(spec->floor >= 1e-30 && spec->floor <= 1))
        return EDGEEMO_ERR_FLOOR;
    return choices_are_known(spec) ? EDGEEMO_OK : EDGEEMO_ERR_CHOICE;
}
