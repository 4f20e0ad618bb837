/* layers.c: instructions of each layer of a model, for boards.
 *
 * Reads `blob` and `frames` as model.c does, pushes all frames one by one, asks for one estimate, and
 * writes `layers`, uint32: ticks of each layer. Link with -Wl,--wrap=edgeemo_layer_run: that call
 * goes through here. */
#include "cortex_m.h"
#include "edgeemo_model_internal.h"
#include "host.h"

enum { BLOB = 131072, FRAMES = 100 * 40, MEMORY = 160000, VALUES = 64 };
static int8_t blob[BLOB] __attribute__((aligned(16)));
static float frames[FRAMES];
static double memory[MEMORY / 8];
static uint32_t ticks[EDGEEMO_MAX_LIST];

void __real_edgeemo_layer_run(edgeemo_model *m, const edgeemo_layer *l, int32_t first,
                              int32_t last);
void __wrap_edgeemo_layer_run(edgeemo_model *m, const edgeemo_layer *l, int32_t first,
                              int32_t last);

void __wrap_edgeemo_layer_run(edgeemo_model *m, const edgeemo_layer *l, int32_t first,
                              int32_t last)
{
    cortex_m_start();
    __real_edgeemo_layer_run(m, l, first, last);
    ticks[l - m->layers] += cortex_m_ticks();
}

int main(void)
{
    edgeemo_model *model;
    edgeemo_model_info info;
    int8_t outputs[VALUES];
    int32_t bytes = host_read("blob", blob, sizeof blob);
    if (bytes < 0 || edgeemo_model_check(blob, (size_t)bytes, &info) != EDGEEMO_OK
        || edgeemo_model_init(&model, memory, sizeof memory, blob, (size_t)bytes, 1) != EDGEEMO_OK)
        return 2;
    int32_t row = info.columns * info.channels;
    int32_t count = host_read("frames", frames, sizeof frames) / (int32_t)sizeof(float) / row;
    for (int32_t i = 0; i < count; i++)
        edgeemo_model_push(model, frames + i * row, 1);
    edgeemo_model_outputs_i8(model, outputs, VALUES);
    return host_write("layers", ticks, sizeof *ticks * (size_t)info.layers) ? 3 : 0;
}
