/* edgeemo_stream_init.c: making a stream: what it may be, and where its parts lie. */
#include <string.h>

#include "edgeemo_internal.h"
#include "edgeemo_stream_internal.h"

#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("Os") /* runs once: small before fast */
#endif

static int32_t is_share(float x)
{
    return x >= 0 && x <= 1;
}

static int32_t check_settings(const edgeemo_speech_model *m, const edgeemo_stream_settings *c)
{
    int32_t hop = m->tables->hop;
    int32_t most = m->sample_rate * EDGEEMO_MOST_SECONDS / hop; /* at most 768000 Hz */
    return c->window >= 1 && c->window <= most && c->stride >= 1 && c->stride <= most
                   && c->gate >= 0 && c->gate <= 2 && (c->spread == 0 || c->spread == 1)
                   && c->block >= 1 && c->block <= 1024 && (!c->spread || c->block == 1)
                   && is_share(c->abstain) && is_share(c->margin) && c->smoothing >= 0
                   && c->smoothing <= 3600
                   && (c->smoothing == 0 || (c->forget_seconds > 0 && c->forget_seconds <= 1e6f))
               ? EDGEEMO_OK
               : EDGEEMO_ERR_SETTINGS;
}

static int32_t check_model(const edgeemo_speech_model *m, edgeemo_model_info *info)
{
    if (!m || !m->tables)
        return EDGEEMO_ERR_ARG;
    if (m->sample_rate < 1000 || m->sample_rate > 768000)
        return EDGEEMO_ERR_SAMPLE_RATE;
    if (!edgeemo_has_parts_for(m->tables))
        return EDGEEMO_ERR_CHOICE;
    int32_t status = edgeemo_model_check(m->blob, m->blob_bytes, info);
    if (status != EDGEEMO_OK)
        return status;
    if (!info->streamable || info->columns * info->channels != m->tables->bands
        || m->tables->bands < EDGEEMO_GROUPS || info->values > EDGEEMO_MOST_VALUES
        || m->least < m->tables->win_length + (info->stride - 1) * m->tables->hop
        || m->least > m->sample_rate * EDGEEMO_MOST_SECONDS || m->classes < 0
        || m->classes_at < 0 || m->classes > info->values - m->classes_at || !(m->low < m->high)
        || m->classes_at > EDGEEMO_MOST_SAID - m->classes
        || (m->confidence && m->confidence->inputs != m->classes_at + m->classes + EDGEEMO_DESCRIBED))
        return EDGEEMO_ERR_BLOCK;
    return EDGEEMO_OK;
}

/* Samples up to the first estimate: a whole number of strides. */
static int32_t first_estimate(const edgeemo_speech_model *m, const edgeemo_stream_settings *c)
{
    int32_t hop = m->tables->hop, stride = c->stride * hop;
    int32_t least = m->sample_rate * EDGEEMO_FIRST_SECONDS;
    least = c->window * hop < least ? c->window * hop : least;
    least = m->least > least ? m->least : least;
    return (least + stride - 1) / stride * stride;
}

/* Lay out in the memory behind a stream, or count the bytes. */
static int32_t lay_out(edgeemo_stream *s, char *memory, size_t *bytes,
                       const edgeemo_kernels *kernels)
{
    const edgeemo_tables *t = s->model.tables;
    const edgeemo_stream_settings *c = &s->settings;
    edgeemo_arena scratch = {NULL, 0}, kept = {NULL, 0};
    int32_t half = c->window / 2 + c->window % 2;
    int32_t status = edgeemo_windows_plan(&s->windows, &kept, &scratch, s->model.blob,
                                          s->model.blob_bytes, half, c->block, c->spread, kernels);
    if (status != EDGEEMO_OK)
        return status;
    /* The front end works in what the network does not need at the same time. */
    uint64_t work = edgeemo_frontend_work_size(t), frames = (uint64_t)c->block * (uint64_t)t->bands;
    edgeemo_arena all = {memory, 0};
    edgeemo_arena_alloc(&all, sizeof *s);
    void *shared = edgeemo_arena_alloc(&all, scratch.used > work ? scratch.used : work);
    void *frontend = edgeemo_arena_alloc(&all, edgeemo_frontend_kept_size(t));
    s->frames = edgeemo_arena_alloc(&all, frames * sizeof(float));
    void *rest = edgeemo_arena_alloc(&all, kept.used);
    *bytes = (size_t)all.used;
    if (!memory)
        return all.used <= (uint64_t)1 << 30 ? EDGEEMO_OK : EDGEEMO_ERR_BLOCK;
    s->frontend = edgeemo_frontend_place(frontend, shared, t);
    scratch = (edgeemo_arena){shared, 0};
    kept = (edgeemo_arena){rest, 0};
    return edgeemo_windows_plan(&s->windows, &kept, &scratch, s->model.blob, s->model.blob_bytes,
                                half, c->block, c->spread, kernels);
}

/* What is known of a stream before its memory. */
static int32_t prepare(edgeemo_stream *s, const edgeemo_speech_model *model,
                       const edgeemo_stream_settings *settings, size_t *bytes,
                       const edgeemo_kernels *kernels)
{
    edgeemo_model_info info;
    int32_t status = check_model(model, &info);
    if (status == EDGEEMO_OK)
        status = settings ? check_settings(model, settings) : EDGEEMO_ERR_ARG;
    if (status != EDGEEMO_OK)
        return status;
    if (settings->sample_rate != model->sample_rate)
        return EDGEEMO_ERR_RATE;
    if (first_estimate(model, settings) > settings->window * model->tables->hop)
        return EDGEEMO_ERR_SETTINGS;
    memset(s, 0, sizeof *s);
    s->model = *model;
    s->settings = *settings;
    s->values = info.values;
    s->said = model->classes_at + model->classes;
    if (settings->gate == 2 && s->said == s->values)
        return EDGEEMO_ERR_SETTINGS;
    return lay_out(s, NULL, bytes, kernels);
}

size_t edgeemo_stream_size_with(const edgeemo_speech_model *model,
                                const edgeemo_stream_settings *settings,
                                const edgeemo_kernels *kernels, int32_t *tables)
{
    edgeemo_stream s;
    size_t bytes;
    if (prepare(&s, model, settings, &bytes, kernels) != EDGEEMO_OK)
        return 0;
    *tables = 2 * s.windows.stem.head->tensors + s.windows.tensors;
    return bytes;
}

size_t edgeemo_stream_size(const edgeemo_speech_model *model,
                           const edgeemo_stream_settings *settings)
{
    int32_t tables;
    return edgeemo_stream_size_with(model, settings, NULL, &tables);
}

int32_t edgeemo_stream_init(edgeemo_stream **stream, void *memory, size_t bytes,
                            const edgeemo_speech_model *model,
                            const edgeemo_stream_settings *settings)
{
    size_t needed;
    if (!stream || !memory)
        return EDGEEMO_ERR_ARG;
    if (bytes < sizeof(edgeemo_stream) || (uintptr_t)memory % 8)
        return EDGEEMO_ERR_MEMORY;
    edgeemo_stream *s = memory; /* in place: it is large for the stack of a small part */
    int32_t status = prepare(s, model, settings, &needed, NULL);
    if (status == EDGEEMO_OK)
        status = bytes < needed ? EDGEEMO_ERR_MEMORY : lay_out(s, memory, &needed, NULL);
    if (status != EDGEEMO_OK)
        return status;
    s->half = s->windows.half * model->tables->hop;
    s->stride = settings->stride * model->tables->hop;
    edgeemo_stream_reset(s);
    *stream = s;
    return EDGEEMO_OK;
}

void edgeemo_stream_reset(edgeemo_stream *s)
{
    if (!s)
        return;
    edgeemo_frontend_reset(s->frontend);
    edgeemo_windows_reset(&s->windows);
    edgeemo_gate_init(&s->gate, s->model.sample_rate);
    if (EDGEEMO_WITH_INTEGERS)
        edgeemo_fixed_gate_init(&s->fixed_gate, &s->gate);
    s->filled = s->frame = s->older = s->is_due = 0;
    s->until = first_estimate(&s->model, &s->settings);
    s->seen = s->last_end = s->start = s->block_start = s->share_begin = 0;
    s->young = s->share_young = 1; /* so that the first is number 0 */
    memset(s->statistics, 0, sizeof s->statistics);
    memset(&s->mean, 0, sizeof s->mean);
    s->turn = 0;
}
