/* edgeemo_model_check.c: is a blob a model? After this nobody looks again. */
#include "edgeemo_model_internal.h"

#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("Os") /* runs once: small before fast */
#endif

#include <string.h>

const char *edgeemo_model_status_text(int32_t status)
{
    switch (status) {
#define EDGEEMO_X(name, code, text) \
    case code:                      \
        return text;
        EDGEEMO_MODEL_STATUSES(EDGEEMO_X)
#undef EDGEEMO_X
    default:
        return edgeemo_status_text(status);
    }
}

void edgeemo_model_view(edgeemo_model *model, const void *blob)
{
    model->blob = blob;
    model->head = blob;
    /* Through void: the offsets are multiples of four. */
    model->tensors = (const void *)(model->blob + model->head->tensors_at);
    model->layers = (const void *)(model->blob + model->head->layers_at);
}

static int32_t within(int32_t value, int32_t low, int32_t high)
{
    return value >= low && value <= high;
}

/* `count` items of `size` bytes at an offset that is a multiple of 4 lie inside the blob. */
static int32_t lies_inside(const edgeemo_blob *head, int32_t at, int64_t count, int64_t size)
{
    return at >= 0 && at % 4 == 0 && count >= 0 && count <= INT32_MAX
           && at + count * size <= head->bytes;
}

static int32_t check_header(const edgeemo_blob *head, size_t bytes)
{
    if (bytes < sizeof *head || head->magic != EDGEEMO_BLOB_MAGIC)
        return EDGEEMO_ERR_BLOB;
    if (head->version != EDGEEMO_BLOB_VERSION
        && (!EDGEEMO_WITH_INT4 || head->version != EDGEEMO_BLOB_VERSION_INT4))
        return EDGEEMO_ERR_BLOB_VERSION;
    if (head->bytes < 0 || (size_t)head->bytes > bytes
        || !within(head->tensors, 1, EDGEEMO_MAX_LIST) || !within(head->layers, 1, EDGEEMO_MAX_LIST)
        || !within(head->outputs, 1, EDGEEMO_MAX_LIST)
        || !lies_inside(head, head->tensors_at, head->tensors, sizeof(edgeemo_tensor))
        || !lies_inside(head, head->layers_at, head->layers, sizeof(edgeemo_layer))
        || !lies_inside(head, head->outputs_at, head->outputs, sizeof(int32_t))
        || !lies_inside(head, head->scales_at, head->scales, 2 * sizeof(float)))
        return EDGEEMO_ERR_BLOB;
    return EDGEEMO_OK;
}

static int32_t check_tensor(const edgeemo_tensor *t)
{
    return within(t->columns, 1, EDGEEMO_MAX_SIDE) && within(t->channels, 1, EDGEEMO_MAX_SIDE)
           && within(t->left, 0, EDGEEMO_MAX_SIDE) && within(t->right, 0, EDGEEMO_MAX_SIDE)
           && (int64_t)(t->left + t->columns + t->right) * t->channels <= EDGEEMO_MAX_ROW
           && t->stride >= 0 && within(t->pool, -1, EDGEEMO_POOLS - 1);
}

int32_t edgeemo_maker_of(const edgeemo_model *m, int32_t tensor)
{
    int32_t i = tensor == 0 ? -1 : 0;
    while (i >= 0 && i < m->head->layers && m->layers[i].output != tensor)
        i++;
    return i;
}

/* The tensor is the input, or one of the first `count` layers makes it. */
static int32_t is_made(const edgeemo_model *m, int32_t tensor, int32_t count)
{
    return edgeemo_maker_of(m, tensor) < count;
}

static int32_t check_constants(const edgeemo_model *m, const edgeemo_layer *l, int32_t inputs,
                               int32_t outputs, int64_t weight_bytes)
{
    if (inputs > EDGEEMO_MAX_INPUTS || !lies_inside(m->head, l->weights_or_m0, weight_bytes, 1)
        || !lies_inside(m->head, l->channels_or_m1, (outputs + 3) / 4, 8 * sizeof(int32_t))
        || !within(l->pre, 0, 15) || !within(l->shift, 1, EDGEEMO_MAX_SHIFT))
        return 0;
    const edgeemo_requant r = edgeemo_requant_of(m, l);
    for (int32_t i = 0; i < outputs; i++)
        if (!within(edgeemo_bias(&r, i), -EDGEEMO_MAX_BIAS, EDGEEMO_MAX_BIAS)
            || edgeemo_multiplier(&r, i) < 0)
            return 0;
    return 1;
}

/* Kernel, strides and padding; the values of a row of the output, `channels` for each position. */
static int32_t check_window(const edgeemo_layer *l, const edgeemo_tensor *in,
                            const edgeemo_tensor *out, int32_t channels)
{
    if (l->kernel_rows == 0 || l->kernel_columns == 0 || l->stride_rows == 0
        || l->stride_columns == 0 || l->dilation_rows == 0 || l->dilation_columns == 0
        || l->left > in->left || l->right > in->right
        || (int64_t)l->kernel_rows * l->kernel_columns * in->channels > EDGEEMO_MAX_INPUTS)
        return 0;
    int32_t rows = edgeemo_span(l->kernel_rows, l->dilation_rows);
    int32_t columns = edgeemo_span(l->kernel_columns, l->dilation_columns);
    int32_t room = l->left + in->columns + l->right - columns;
    /* With less padding than the span, n rows give at most n / stride, rounded up. */
    return rows <= EDGEEMO_MAX_SPAN && within(l->top, 0, rows - 1)
           && within(l->bottom, 0, rows - 1 - l->top) && room >= 0
           && (int64_t)(room / l->stride_columns + 1) * channels
                  == (int64_t)out->columns * out->channels
           && (in->stride == 0 ? out->stride == 0 && l->kernel_rows == 1 && l->stride_rows == 1
                               : out->stride == in->stride * l->stride_rows);
}

static int32_t check_conv(const edgeemo_model *m, const edgeemo_layer *l, const edgeemo_tensor *in,
                          const edgeemo_tensor *out)
{
    int32_t inputs = l->kernel_rows * l->kernel_columns * in->channels;
    int64_t bytes = (int64_t)((inputs + 3) / 4 * 4) * ((out->channels + 3) / 4 * 4);
    int32_t int4 = m->head->version == EDGEEMO_BLOB_VERSION_INT4 && l->int4 == 1;
    return (int4 || l->int4 == 0)
           && check_constants(m, l, inputs, out->channels, bytes >> int4);
}

static int32_t check_depthwise(const edgeemo_model *m, const edgeemo_layer *l,
                               const edgeemo_tensor *in)
{
    int32_t taps = l->kernel_rows * l->kernel_columns;
    int64_t bytes = (int64_t)taps * ((in->channels + 3) / 4 * 4);
    return taps <= EDGEEMO_MAX_TAPS && check_constants(m, l, taps, in->channels, bytes);
}

static int32_t is_same_shape(const edgeemo_tensor *a, const edgeemo_tensor *b)
{
    return a->columns == b->columns && a->channels == b->channels && a->stride == b->stride;
}

static int32_t check_add(const edgeemo_layer *l, const edgeemo_tensor *in,
                         const edgeemo_tensor *second, const edgeemo_tensor *out)
{
    return is_same_shape(in, out) && is_same_shape(in, second)
           && within(l->weights_or_m0, -EDGEEMO_MAX_ADD, EDGEEMO_MAX_ADD)
           && within(l->channels_or_m1, -EDGEEMO_MAX_ADD, EDGEEMO_MAX_ADD) && within(l->shift, 1, 29);
}

static int32_t check_multiply(const edgeemo_layer *l, const edgeemo_tensor *in,
                              const edgeemo_tensor *second, const edgeemo_tensor *out)
{
    int32_t one = second->columns == 1 && second->stride == 0 && second->channels == in->channels;
    return is_same_shape(in, out) && (one || is_same_shape(in, second)) && within(l->pre, 0, 15)
           && within(l->shift, 1, EDGEEMO_MAX_SHIFT) && l->weights_or_m0 >= 0;
}

static int32_t check_kind(const edgeemo_model *m, const edgeemo_layer *l)
{
    const edgeemo_tensor *in = m->tensors + l->input, *out = m->tensors + l->output;
    switch (l->kind) {
    case EDGEEMO_KIND_CONV:
        return check_window(l, in, out, out->channels) && check_conv(m, l, in, out);
    case EDGEEMO_KIND_DEPTHWISE:
        /* A row may get another shape: bands as channels become bands as columns. */
        return check_window(l, in, out, in->channels) && check_depthwise(m, l, in);
    case EDGEEMO_KIND_AVERAGE_POOL:
    case EDGEEMO_KIND_MAX_POOL:
        return EDGEEMO_WITH_POOLS && in->channels == out->channels
               && check_window(l, in, out, in->channels);
    case EDGEEMO_KIND_ADD:
        return check_add(l, in, m->tensors + l->second, out);
    case EDGEEMO_KIND_MULTIPLY:
        return EDGEEMO_WITH_MULTIPLY && check_multiply(l, in, m->tensors + l->second, out);
    case EDGEEMO_KIND_MEAN:
        return in->stride > 0 && out->stride == 0 && out->columns == 1
               && in->channels == out->channels && l->weights_or_m0 >= 1 << 30 && within(l->shift, 20, 60);
    case EDGEEMO_KIND_SOFTMAX:
        return is_same_shape(in, out) && lies_inside(m->head, l->weights_or_m0, 256, sizeof(uint16_t));
    case EDGEEMO_KIND_TABLE:
        return EDGEEMO_WITH_TABLE && is_same_shape(in, out)
               && lies_inside(m->head, l->weights_or_m0, 256, 1);
    default:
        return 0;
    }
}

static int32_t check_layer(const edgeemo_model *m, int32_t i)
{
    const edgeemo_layer *l = m->layers + i;
    int32_t last = m->head->tensors - 1;
    int32_t two = l->kind == EDGEEMO_KIND_ADD || edgeemo_is_multiply(l);
    return within(l->input, 0, last) && is_made(m, l->input, i) && within(l->output, 1, last)
           && !is_made(m, l->output, i)
           && (two ? within(l->second, 0, last) && is_made(m, l->second, i) : l->second == -1)
           && l->act_min <= l->act_max
           && (edgeemo_has_window(l) || (l->top == 0 && l->bottom == 0 && l->stride_rows == 1))
           && check_kind(m, l);
}

/* Each row can be computed when the frames that end with it are there, and from them alone. */
static int32_t is_streamable(const edgeemo_model *m)
{
    for (int32_t i = 0; i < m->head->layers; i++) {
        const edgeemo_layer *l = m->layers + i;
        if (m->tensors[l->output].stride == 0)
            continue;
        if (edgeemo_is_multiply(l) && m->tensors[l->second].stride == 0)
            return 0;
        if (edgeemo_has_window(l)
            && (l->bottom != 0
                || l->top != edgeemo_span(l->kernel_rows, l->dilation_rows) - l->stride_rows))
            return 0;
    }
    return 1;
}

static int32_t largest_stride(const edgeemo_model *m)
{
    int32_t most = 1;
    for (int32_t i = 0; i < m->head->tensors; i++)
        most = m->tensors[i].stride > most ? m->tensors[i].stride : most;
    return most;
}

int32_t edgeemo_model_check(const void *blob, size_t bytes, edgeemo_model_info *info)
{
    if (!blob)
        return EDGEEMO_ERR_ARG;
    if ((uintptr_t)blob % 4)
        return EDGEEMO_ERR_BLOB;
    int32_t status = check_header(blob, bytes);
    if (status != EDGEEMO_OK)
        return status;
    edgeemo_model m;
    edgeemo_model_view(&m, blob);
    const edgeemo_tensor *first = m.tensors;
    for (int32_t i = 0; i < m.head->tensors; i++)
        if (!check_tensor(m.tensors + i))
            return EDGEEMO_ERR_BLOB_TENSOR;
    if (first->stride != 1
        || (m.head->scales != 1 && m.head->scales != first->columns * first->channels))
        return EDGEEMO_ERR_BLOB_TENSOR;
    for (int32_t i = 0; i < m.head->layers; i++)
        if (!check_layer(&m, i))
            return EDGEEMO_ERR_BLOB_LAYER;
    const int32_t *outputs = (const void *)(m.blob + m.head->outputs_at);
    int32_t values = 0;
    for (int32_t i = 0; i < m.head->outputs; i++) {
        if (!within(outputs[i], 1, m.head->tensors - 1) || !is_made(&m, outputs[i], m.head->layers)
            || m.tensors[outputs[i]].stride != 0)
            return EDGEEMO_ERR_BLOB_OUTPUT;
        values += m.tensors[outputs[i]].columns * m.tensors[outputs[i]].channels;
    }
    /* A tensor of one row that no mean made would have no row: the input has a stride, and only
     * a mean takes it away (check_window and is_same_shape keep it). */
    if (info)
        *info = (edgeemo_model_info){first->columns, first->channels, values, m.head->outputs,
                                     is_streamable(&m), largest_stride(&m), m.head->layers,
                                     m.head->tensors};
    return EDGEEMO_OK;
}
