/* edgeemo_model.c: frames in, estimates out. */
#include "edgeemo_model_internal.h"

#include <string.h>

int32_t edgeemo_model_prepare(edgeemo_model *m, const void *blob, size_t blob_bytes, int32_t block,
                              const edgeemo_kernels *kernels)
{
    edgeemo_model_info info;
    int32_t status = edgeemo_model_check(blob, blob_bytes, &info);
    if (status != EDGEEMO_OK)
        return status;
    if (block < 1 || block > EDGEEMO_MAX_BLOCK)
        return EDGEEMO_ERR_BLOCK;
    memset(m, 0, sizeof *m);
    edgeemo_model_view(m, blob);
    m->kernels = kernels ? kernels : edgeemo_kernels_best();
    m->block = block;
    m->streamable = info.streamable;
    m->stride = info.stride;
    m->limit = EDGEEMO_MAX_FRAMES;
    for (int32_t i = 0; i < m->head->layers; i++)
        if (m->layers[i].kind == EDGEEMO_KIND_MEAN) {
            const edgeemo_tensor *in = m->tensors + m->layers[i].input;
            int64_t limit = (int64_t)(EDGEEMO_MAX_TERMS / in->columns) * in->stride;
            m->limit = limit < m->limit ? (int32_t)limit : m->limit;
        }
    return m->streamable || block <= m->limit ? EDGEEMO_OK : EDGEEMO_ERR_BLOCK;
}

size_t edgeemo_model_size_with(const void *blob, size_t blob_bytes, int32_t block,
                               const edgeemo_kernels *kernels)
{
    edgeemo_model m;
    return edgeemo_model_prepare(&m, blob, blob_bytes, block, kernels) == EDGEEMO_OK
               ? edgeemo_model_plan(&m, NULL)
               : 0;
}

size_t edgeemo_model_size(const void *blob, size_t blob_bytes, int32_t block)
{
    return edgeemo_model_size_with(blob, blob_bytes, block, NULL);
}

/* Rows that a layer gives for n rows of its input, all of them being there. */
static int32_t rows_after(const edgeemo_layer *l, int32_t n)
{
    if (!edgeemo_has_window(l))
        return n;
    int32_t room = l->top + n + l->bottom - edgeemo_span(l->kernel_rows, l->dilation_rows);
    return room < 0 ? 0 : room / l->stride_rows + 1;
}

/* Of a model that takes its input at once: is there a row of everything? */
static int32_t has_rows(edgeemo_model *m)
{
    m->rows[0].made = m->block;
    for (int32_t i = 0; i < m->head->layers; i++) {
        const edgeemo_layer *l = m->layers + i;
        int32_t n = m->tensors[l->output].stride == 0 ? 1 : rows_after(l, m->rows[l->input].made);
        if (n < 1 || (l->second >= 0 && m->tensors[l->second].stride != 0
                      && m->rows[l->second].made != n))
            return 0;
        m->rows[l->output].made = n;
    }
    return 1;
}

int32_t edgeemo_model_init_with(edgeemo_model **model, void *memory, size_t bytes,
                                const void *blob, size_t blob_bytes, int32_t block,
                                const edgeemo_kernels *kernels)
{
    if (!model || !memory)
        return EDGEEMO_ERR_ARG;
    edgeemo_model m;
    int32_t status = edgeemo_model_prepare(&m, blob, blob_bytes, block, kernels);
    if (status != EDGEEMO_OK)
        return status;
    size_t size = edgeemo_model_plan(&m, NULL);
    if (size == 0)
        return EDGEEMO_ERR_BLOCK;
    if (bytes < size || (uintptr_t)memory % 8)
        return EDGEEMO_ERR_MEMORY;
    m.rows = (void *)((char *)memory + (sizeof m + 7) / 8 * 8);
    edgeemo_model_plan(&m, memory);
    if (!m.streamable && !has_rows(&m))
        return EDGEEMO_ERR_BLOCK;
    memcpy(memory, &m, sizeof m);
    *model = memory;
    edgeemo_model_reset(*model);
    return EDGEEMO_OK;
}

int32_t edgeemo_model_init(edgeemo_model **model, void *memory, size_t bytes, const void *blob,
                           size_t blob_bytes, int32_t block)
{
    return edgeemo_model_init_with(model, memory, bytes, blob, blob_bytes, block, NULL);
}

/* ---- running ---- */

/* Padding is the zero point of its tensor. */
static void fill(edgeemo_model *m, int32_t tensor)
{
    const edgeemo_rows *r = m->rows + tensor;
    memset(r->data, m->tensors[tensor].zero, (size_t)r->row_bytes * (size_t)r->capacity);
}

void edgeemo_reset_rows(edgeemo_model *m, int32_t tensors)
{
    for (int32_t i = 0; i < tensors; i++) {
        if (!m->rows[i].data)
            continue; /* not of this part of a network; see edgeemo_windows.c */
        fill(m, i);
        m->rows[i].made = 0;
        if (m->rows[i].sums)
            memset(m->rows[i].sums, 0, (size_t)m->tensors[i].channels * sizeof(int32_t));
    }
}

void edgeemo_model_reset(edgeemo_model *m)
{
    if (m)
        edgeemo_reset_rows(m, m->head->tensors);
}

void edgeemo_restore_padding(edgeemo_model *m, int32_t tensor)
{
    const edgeemo_tensor *t = m->tensors + tensor;
    if (t->pool >= 0 && (t->left || t->right || !m->streamable))
        fill(m, tensor);
}

void edgeemo_model_layer(edgeemo_model *m, const edgeemo_layer *l)
{
    edgeemo_rows *out = m->rows + l->output;
    int32_t made = m->rows[l->input].made;
    if (m->tensors[l->input].stride == 0 && m->streamable)
        return; /* when somebody asks */
    if (l->kind == EDGEEMO_KIND_MEAN) {
        /* Of a mean `made` counts the rows that it has added, until it is asked for. */
        edgeemo_layer_run(m, l, out->made, made);
        out->made = made;
        if (!m->streamable) {
            edgeemo_layer_mean(m, l);
            out->made = 1;
        }
        return;
    }
    int32_t last = m->streamable ? made / l->stride_rows : rows_after(l, made);
    if (last > out->made)
        edgeemo_restore_padding(m, l->output);
    edgeemo_layer_run(m, l, out->made, last);
    out->made = last;
}

void edgeemo_model_quantize(const edgeemo_model *m, const float *x, int8_t *to)
{
    const float *scales = (const void *)(m->blob + m->head->scales_at);
    int32_t n = m->tensors[0].columns * m->tensors[0].channels;
    int32_t run = m->head->scales == 1 ? n : 1; /* values with the same scale */
    for (int32_t i = 0; i < n; i += run, scales += 2)
        m->kernels->quantize(x + i, run, scales[0], scales[1], to + i);
}

static int32_t tokens(const edgeemo_model *m)
{
    if (m->streamable)
        return m->rows[0].made / m->stride;
    int32_t least = m->rows[0].made;
    for (int32_t i = 0; i < m->head->layers; i++)
        if (m->tensors[m->layers[i].input].stride != 0)
            least = m->rows[m->layers[i].output].made < least ? m->rows[m->layers[i].output].made
                                                              : least;
    return least;
}

static int32_t push(edgeemo_model *m, const float *features, const int8_t *rows, int32_t frames)
{
    if (!m || frames < 0 || (frames && !features && !rows)
        || (!m->streamable && frames != m->block))
        return EDGEEMO_ERR_ARG;
    if (!m->streamable)
        edgeemo_model_reset(m);
    if (frames > m->limit - m->rows[0].made)
        return EDGEEMO_ERR_TOO_MANY_FRAMES;
    int32_t n = m->tensors[0].columns * m->tensors[0].channels;
    for (int32_t at = 0; at < frames;) {
        int32_t size = frames - at < m->block ? frames - at : m->block;
        edgeemo_restore_padding(m, 0);
        for (int32_t i = 0; i < size; i++, at++) {
            int8_t *to = edgeemo_row(m, 0, m->rows[0].made++);
            if (rows)
                memcpy(to, rows + (size_t)at * (size_t)n, (size_t)n);
            else
                edgeemo_model_quantize(m, features + (size_t)at * (size_t)n, to);
        }
        for (int32_t i = 0; i < m->head->layers; i++)
            edgeemo_model_layer(m, m->layers + i);
    }
    return tokens(m);
}

int32_t edgeemo_model_push(edgeemo_model *m, const float *features, int32_t frames)
{
    return push(m, features, NULL, frames);
}

int32_t edgeemo_model_push_i8(edgeemo_model *m, const int8_t *rows, int32_t frames)
{
    return push(m, NULL, rows, frames);
}

/* The layers behind the means. Their tensors lie in memory of their own or in pools that no
 * tensor with a past shares, so the stream goes on undisturbed. */
static int32_t finish(edgeemo_model *m)
{
    if (!m->streamable)
        return m->rows[0].made ? EDGEEMO_OK : EDGEEMO_ERR_NOT_ENOUGH_FRAMES;
    for (int32_t i = 0; i < m->head->layers; i++)
        if (m->layers[i].kind == EDGEEMO_KIND_MEAN && m->rows[m->layers[i].input].made == 0)
            return EDGEEMO_ERR_NOT_ENOUGH_FRAMES;
    for (int32_t i = 0; i < m->head->layers; i++) {
        const edgeemo_layer *l = m->layers + i;
        if (m->tensors[l->output].stride != 0)
            continue;
        edgeemo_restore_padding(m, l->output);
        if (l->kind == EDGEEMO_KIND_MEAN)
            edgeemo_layer_mean(m, l);
        else
            edgeemo_layer_run(m, l, 0, 1);
    }
    return EDGEEMO_OK;
}

static int32_t outputs(edgeemo_model *m, float *values, int8_t *codes, int32_t room)
{
    if (!m || room < 0 || (!values && !codes))
        return EDGEEMO_ERR_ARG;
    const int32_t *list = (const void *)(m->blob + m->head->outputs_at);
    int32_t total = 0;
    for (int32_t i = 0; i < m->head->outputs; i++)
        total += m->tensors[list[i]].columns * m->tensors[list[i]].channels;
    if (room < total)
        return EDGEEMO_ERR_MEMORY;
    int32_t status = finish(m);
    if (status != EDGEEMO_OK)
        return status;
    for (int32_t i = 0; i < m->head->outputs; i++) {
        const edgeemo_tensor *t = m->tensors + list[i];
        const int8_t *row = edgeemo_row(m, list[i], 0);
        for (int32_t k = 0; k < t->columns * t->channels; k++) {
            if (values)
                *values++ = (float)(row[k] - t->zero) * t->scale;
            else
                *codes++ = row[k];
        }
    }
    return total;
}

int32_t edgeemo_model_outputs(edgeemo_model *m, float *values, int32_t room)
{
    return outputs(m, values, NULL, room);
}

int32_t edgeemo_model_outputs_i8(edgeemo_model *m, int8_t *values, int32_t room)
{
    return outputs(m, NULL, values, room);
}
