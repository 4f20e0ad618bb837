/* edgeemo_init.c: a front end whose tables are computed here. In firmware that has them in flash
 * nothing calls this file, and the linker leaves it out with all arithmetic in double. */
#include "edgeemo_internal.h"

/* What edgeemo_frontend_state_size() reads of the tables. */
static size_t state_size(const edgeemo_feature_spec *spec)
{
    edgeemo_tables sizes = {
        .win_length = spec->window, .fft = spec->fft, .arithmetic = &edgeemo_float_arithmetic};
    return edgeemo_frontend_state_size(&sizes);
}

size_t edgeemo_frontend_size(const edgeemo_feature_spec *spec)
{
    if (edgeemo_feature_spec_check(spec) != EDGEEMO_OK)
        return 0;
    return state_size(spec) + edgeemo_tables_size(spec);
}

int32_t edgeemo_frontend_init(edgeemo_frontend **fe, void *memory, size_t bytes,
                              const edgeemo_feature_spec *spec)
{
    if (!fe || !memory)
        return EDGEEMO_ERR_ARG;
    int32_t status = edgeemo_feature_spec_check(spec);
    if (status != EDGEEMO_OK)
        return status;
    if (bytes < edgeemo_frontend_size(spec) || (uintptr_t)memory % 8)
        return EDGEEMO_ERR_MEMORY;
    size_t state = state_size(spec);
    return edgeemo_frontend_init_tables(
        fe, memory, state, edgeemo_make_tables((unsigned char *)memory + state, spec));
}
