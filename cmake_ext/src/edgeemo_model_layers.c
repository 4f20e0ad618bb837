/* edgeemo_model_layers.c: what each kind of layer computes, row by row. */
#include "edgeemo_model_internal.h"

#include <string.h>

static edgeemo_rescale rescale_of(const edgeemo_model *m, const edgeemo_layer *l)
{
    int32_t zero = m->tensors[l->output].zero;
    return (edgeemo_rescale){
        (const void *)(m->blob + l->channels), l->pre, l->shift,
        zero * (1 << l->shift) + (1 << (l->shift - 1)), l->low, l->high,
    };
}

/* The values under the kernel at column x, in the order of the weights. rows: the kernel's rows,
 * each at its first column that is read. */
static void pack_position(const edgeemo_model *m, const edgeemo_layer *l, const edgeemo_dense *d,
                          const int8_t *const *rows, int32_t offset, int32_t position)
{
    int32_t channels = m->tensors[l->input].channels;
    int32_t pieces = l->dilation_columns == 1 ? 1 : l->kernel_columns;
    int32_t length = l->kernel_columns / pieces * channels;
    int32_t step = l->dilation_columns * channels, at = 0;
    for (int32_t r = 0; r < l->kernel_rows; r++)
        for (int32_t p = 0; p < pieces; p++, at += length) {
            const int8_t *from = rows[r] + offset + p * step;
            if (length % 4 == 0) {
                m->kernels->pack(d, from, length, at, position, m->patches);
                continue;
            }
            for (int32_t i = 0; i < length; i++)
                m->bytes[at + i] = from[i];
        }
    if (length % 4)
        m->kernels->pack(d, m->bytes, d->inputs, 0, position, m->patches);
}

/* The rows that a kernel sees for row i of its output, each at its first column that is read. */
static void rows_of(const edgeemo_model *m, const edgeemo_layer *l, int32_t i, const int8_t **rows)
{
    int32_t first = i * l->stride_rows - l->top;
    for (int32_t r = 0; r < l->kernel_rows; r++)
        rows[r] = edgeemo_row(m, l->input, first + r * l->dilation_rows)
                  - l->left * m->tensors[l->input].channels;
}

static void run_conv(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *in = m->tensors + l->input, *out = m->tensors + l->output;
    int32_t inputs = l->kernel_rows * l->kernel_columns * in->channels;
    const edgeemo_dense d = {(const int8_t *)m->blob + l->weights, (inputs + 3) / 4 * 4,
                             out->channels, rescale_of(m, l)};
    int8_t *to[EDGEEMO_MAX_POSITIONS];
    int32_t count = 0, most = m->kernels->positions;
    for (int32_t i = first; i < last; i++) {
        rows_of(m, l, i, m->taps);
        int8_t *row = edgeemo_row(m, l->output, i);
        for (int32_t x = 0; x < out->columns; x++) {
            pack_position(m, l, &d, m->taps, x * l->stride_columns * in->channels, count);
            to[count++] = row + x * out->channels;
            if (count == most) {
                m->kernels->dense(&d, m->patches, count, to);
                count = 0;
            }
        }
    }
    if (count)
        m->kernels->dense(&d, m->patches, count, to);
}

static void run_depthwise(const edgeemo_model *m, const edgeemo_layer *l, int32_t first,
                          int32_t last)
{
    const edgeemo_tensor *in = m->tensors + l->input;
    int32_t taps = l->kernel_rows * l->kernel_columns, channels = in->channels;
    int32_t positions = edgeemo_positions(l, in);
    const edgeemo_depthwise d = {(const void *)(m->blob + l->weights), (taps + 1) / 2, channels,
                                 rescale_of(m, l)};
    const int8_t **rows = m->taps + taps + 1; /* behind the taps; see patches of the plan */
    for (int32_t i = first; i < last; i++) {
        rows_of(m, l, i, rows);
        int8_t *row = edgeemo_row(m, l->output, i);
        for (int32_t x = 0; x < positions; x++) {
            const int8_t **tap = m->taps;
            int32_t at = x * l->stride_columns * channels, step = l->dilation_columns * channels;
            for (int32_t r = 0; r < l->kernel_rows; r++)
                for (int32_t k = 0; k < l->kernel_columns; k++)
                    *tap++ = rows[r] + at + k * step;
            *tap = tap[-1]; /* the missing half of the last pair; its weight is 0 */
            m->kernels->depthwise(&d, m->taps, row + x * channels);
        }
    }
}

static void run_add(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *a = m->tensors + l->input, *b = m->tensors + l->second;
    const edgeemo_tensor *out = m->tensors + l->output;
    const edgeemo_sum s = {
        l->m0, l->m1, (1 << (l->shift - 1)) - a->zero * l->m0 - b->zero * l->m1, l->shift,
        out->zero, l->low, l->high,
    };
    for (int32_t i = first; i < last; i++)
        m->kernels->add(&s, edgeemo_row(m, l->input, i), edgeemo_row(m, l->second, i),
                        out->columns * out->channels, edgeemo_row(m, l->output, i));
}

static void run_multiply(const edgeemo_model *m, const edgeemo_layer *l, int32_t first,
                         int32_t last)
{
    const edgeemo_tensor *a = m->tensors + l->input, *b = m->tensors + l->second;
    const edgeemo_tensor *out = m->tensors + l->output;
    int32_t one = b->stride == 0 && a->stride != 0, n = out->columns * out->channels;
    const int32_t channel[2] = {0, l->m0};
    edgeemo_rescale r = rescale_of(m, l);
    r.channels = channel;
    for (int32_t i = first; i < last; i++) {
        const int8_t *x = edgeemo_row(m, l->input, i), *y = edgeemo_row(m, l->second, one ? 0 : i);
        int8_t *to = edgeemo_row(m, l->output, i);
        for (int32_t k = 0; k < n; k++)
            to[k] = edgeemo_rescaled(
                &r, 0, (x[k] - a->zero) * (y[one ? k % out->channels : k] - b->zero));
    }
}

static void run_mean(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *in = m->tensors + l->input;
    for (int32_t i = first; i < last; i++)
        for (int32_t x = 0; x < in->columns; x++)
            m->kernels->accumulate(edgeemo_row(m, l->input, i) + x * in->channels, in->channels,
                                   m->rows[l->output].sums);
}

void edgeemo_layer_mean(edgeemo_model *m, const edgeemo_layer *l)
{
    const edgeemo_tensor *in = m->tensors + l->input, *out = m->tensors + l->output;
    int32_t terms = m->rows[l->input].made * in->columns, exponent = l->shift + 31;
    /* m0 / 2^shift, divided by the terms: 62 bits over at most 24. */
    uint64_t ratio = ((uint64_t)(uint32_t)l->m0 << 31) / (uint32_t)terms;
    for (; ratio >> 31; ratio >>= 1)
        exponent--;
    for (; exponent > 62; exponent--)
        ratio >>= 1;
    const int32_t *sums = m->rows[l->output].sums;
    int8_t *to = edgeemo_row(m, l->output, 0);
    for (int32_t c = 0; c < out->channels; c++) {
        int64_t product = (int64_t)(sums[c] - terms * in->zero) * (int64_t)ratio;
        int64_t value = (product + ((int64_t)1 << (exponent - 1))) >> exponent;
        /* Far beyond int8 only in a foolish file: into 32 bits before the sum. */
        value = value < -4096 ? -4096 : value > 4096 ? 4096 : value;
        to[c] = edgeemo_clamp(out->zero + (int32_t)value, l->low, l->high);
    }
}

/* Probabilities of 1/256 with zero -128: exp of the distance to the largest comes from the table,
 * in 1/65535; one division and one rounding for each. */
static void run_softmax(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *out = m->tensors + l->output;
    const uint16_t *table = (const void *)(m->blob + l->weights);
    for (int32_t i = first; i < last; i++)
        for (int32_t x = 0; x < out->columns; x++) {
            const int8_t *from = edgeemo_row(m, l->input, i) + x * out->channels;
            int8_t *to = edgeemo_row(m, l->output, i) + x * out->channels;
            int32_t largest = -128;
            uint32_t sum = 0;
            for (int32_t c = 0; c < out->channels; c++)
                largest = from[c] > largest ? from[c] : largest;
            for (int32_t c = 0; c < out->channels; c++)
                sum += table[largest - from[c]];
            sum = sum ? sum : 1;
            for (int32_t c = 0; c < out->channels; c++) {
                uint32_t share = (table[largest - from[c]] * 512u + sum) / (2u * sum);
                to[c] = edgeemo_clamp((int32_t)share - 128, l->low, l->high);
            }
        }
}

static void run_table(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *out = m->tensors + l->output;
    const int8_t *table = (const int8_t *)m->blob + l->weights;
    for (int32_t i = first; i < last; i++) {
        const int8_t *from = edgeemo_row(m, l->input, i);
        int8_t *to = edgeemo_row(m, l->output, i);
        for (int32_t k = 0; k < out->columns * out->channels; k++)
            to[k] = table[from[k] + 128];
    }
}

/* One channel of one window, without the padding. */
static int8_t pool(const edgeemo_model *m, const edgeemo_layer *l, const int8_t *const *rows,
                   int32_t first, int32_t x, int32_t c)
{
    const edgeemo_tensor *in = m->tensors + l->input;
    int32_t left = x * l->stride_columns - l->left, sum = 0, count = 0, largest = -128;
    int32_t made = in->stride == 0 ? 1 : m->rows[l->input].made;
    for (int32_t r = 0; r < l->kernel_rows; r++) {
        int32_t row = first + r * l->dilation_rows;
        if (row < 0 || row >= made)
            continue;
        for (int32_t k = 0; k < l->kernel_columns; k++) {
            int32_t column = left + k * l->dilation_columns;
            if (column < 0 || column >= in->columns)
                continue;
            int32_t value = rows[r][(column + l->left) * in->channels + c];
            sum += value;
            count++;
            largest = value > largest ? value : largest;
        }
    }
    if (l->kind == EDGEEMO_KIND_MAX_POOL || count == 0)
        return edgeemo_clamp(largest, l->low, l->high);
    /* Halves away from zero, as TFLite has it. */
    int32_t mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
    return edgeemo_clamp(mean, l->low, l->high);
}

static void run_pool(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *out = m->tensors + l->output;
    for (int32_t i = first; i < last; i++) {
        rows_of(m, l, i, m->taps);
        int8_t *row = edgeemo_row(m, l->output, i);
        for (int32_t x = 0; x < out->columns; x++)
            for (int32_t c = 0; c < out->channels; c++)
                row[x * out->channels + c] =
                    pool(m, l, m->taps, i * l->stride_rows - l->top, x, c);
    }
}

void edgeemo_layer_run(edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    switch (l->kind) {
    case EDGEEMO_KIND_CONV:
        run_conv(m, l, first, last);
        break;
    case EDGEEMO_KIND_DEPTHWISE:
        run_depthwise(m, l, first, last);
        break;
    case EDGEEMO_KIND_ADD:
        run_add(m, l, first, last);
        break;
    case EDGEEMO_KIND_MULTIPLY:
        run_multiply(m, l, first, last);
        break;
    case EDGEEMO_KIND_MEAN:
        run_mean(m, l, first, last);
        break;
    case EDGEEMO_KIND_SOFTMAX:
        run_softmax(m, l, first, last);
        break;
    case EDGEEMO_KIND_TABLE:
        run_table(m, l, first, last);
        break;
    default:
        run_pool(m, l, first, last);
    }
}
