/* edgeemo_model_layers.c: what each kind of layer computes, row by row. */
#include "edgeemo_internal.h"
#include "edgeemo_model_internal.h"

#include <string.h>

/* As pack_columns(), where the values of a row are no whole words: those of a column are put
 * together in m->bytes, word by word, of which the last takes too much that the next overwrites. */
static void pack_uneven(const edgeemo_model *m, const edgeemo_layer *l, const edgeemo_dense *d,
                        int32_t x, int32_t count, int32_t position)
{
    int32_t channels = m->tensors[l->input].channels, length = edgeemo_patch_span_length(m, l);
    int32_t in_row = l->kernel_columns * channels, next = l->dilation_columns * channels;
    int32_t step = l->stride_columns * channels;
    const edgeemo_patch_span span = {m->bytes, d->inputs, 0, 1};
    for (int32_t at = x * step; count > 0; count--, at += step, position++) {
        const int8_t *const *row = m->taps, *const *end = row + l->kernel_rows;
        int8_t *to = m->bytes;
        do {
            const int8_t *from = *row++ + at;
            int32_t left = in_row;
            do {
                int32_t i = 0;
                do {
                    memcpy(to + i, from + i, 4);
                } while ((i += 4) < length);
                to += length, from += next;
            } while ((left -= length) > 0);
        } while (row < end);
        memset(to, 0, 4); /* what a foolish file multiplies with more than 0 */
        m->kernels->pack(d, &span, 0, position, m->patches);
    }
}

/* The values under the kernel at column x and at those behind it, `count` columns in all, in the
 * order of the weights. m->taps: the kernel's rows, each at its first column that is read. */
static void pack_columns(const edgeemo_model *m, const edgeemo_layer *l, const edgeemo_dense *d,
                         int32_t x, int32_t count, int32_t position)
{
    int32_t channels = m->tensors[l->input].channels, length = edgeemo_patch_span_length(m, l);
    int32_t in_row = l->kernel_columns * channels, next = l->dilation_columns * channels, at = 0;
    edgeemo_patch_span span = {NULL, length, l->stride_columns * channels, count};
    for (int32_t r = 0; r < l->kernel_rows; r++) {
        span.from = m->taps[r] + x * span.step;
        for (int32_t left = in_row; left > 0; left -= length, span.from += next, at += length)
            m->kernels->pack(d, &span, at, position, m->patches);
    }
    if (at < d->inputs) {
        static const int8_t zeros[4] = {0}; /* as above */
        span = (edgeemo_patch_span){zeros, d->inputs - at, 0, count};
        m->kernels->pack(d, &span, at, position, m->patches);
    }
}

/* The rows that a kernel sees for row i of its output, each at its first column that is read. Gives
 * the number of rows, up to `last`, for which these and those of the output lie at equal distances:
 * none of the rings ends among them. */
static int32_t rows_of(const edgeemo_model *m, const edgeemo_layer *l, int32_t i, int32_t last,
                       const int8_t **rows)
{
    const edgeemo_tensor *t = m->tensors + l->input;
    int32_t skipped = (t->left - l->left) * t->channels;
    const edgeemo_rows *in = m->rows + l->input, *out = m->rows + l->output;
    int32_t count = out->capacity - i % out->capacity;
    count = count < last - i ? count : last - i;
    int32_t at = i * l->stride_rows - l->top;
    at = (at < 0 ? at + in->capacity : at) % in->capacity;
    for (int32_t r = 0; r < l->kernel_rows; r++, at += l->dilation_rows) {
        if (at >= in->capacity)
            at -= in->capacity;
        rows[r] = in->data + at * in->row_bytes + skipped;
        if (count > 1 && at + (count - 1) * l->stride_rows >= in->capacity)
            count = (in->capacity - 1 - at) / l->stride_rows + 1;
    }
    return count;
}

/* The positions of a row, `to_step` from one output to the next; or, if a row has but one, those of
 * `rows` that lie at equal distances. */
static edgeemo_strip strip_of(const edgeemo_model *m, const edgeemo_layer *l, int32_t positions,
                              int32_t to_step, int32_t rows)
{
    if (positions > 1 || rows == 1)
        return (edgeemo_strip){positions, l->stride_columns * m->tensors[l->input].channels,
                               to_step};
    return (edgeemo_strip){rows, l->stride_rows * m->rows[l->input].row_bytes,
                           m->rows[l->output].row_bytes};
}

#if defined(EDGEEMO_HAVE_PREPARED)
/* Positions that a set of kernels takes at once, collected from strips. */
typedef struct tile {
    edgeemo_conv conv;
    int32_t count, reach; /* values of a row that a kernel sees */
    int16_t *wide;        /* where the next row becomes words */
    int8_t *to[EDGEEMO_MAX_POSITIONS];
} tile;

static void run_tile(const edgeemo_model *m, tile *t)
{
    if (t->count)
        m->kernels->conv(&t->conv, m->spans, t->count, t->to);
    t->count = 0;
    t->wide = m->wide;
}

/* Add a strip that fits; m->taps: the rows under its first position. */
static void add_strip(const edgeemo_model *m, const edgeemo_layer *l, const edgeemo_strip *strip,
                      int8_t *to, tile *t)
{
    int32_t in_row = t->conv.spans / l->kernel_rows, bytes = m->kernels->widen ? 2 : 1;
    int32_t to_next = l->dilation_columns * m->tensors[l->input].channels * bytes;
    int32_t step = strip->step * bytes, n = (strip->count - 1) * strip->step + t->reach;
    const void **spans = m->spans + t->count;
    for (int32_t r = 0; r < l->kernel_rows; r++) {
        const int8_t *from = m->taps[r];
        if (m->kernels->widen) {
            m->kernels->widen(from, n, t->wide);
            from = (const void *)t->wide;
            t->wide += n + EDGEEMO_WIDE_ROOM;
        }
        for (int32_t s = 0; s < in_row; s++, spans += EDGEEMO_MAX_POSITIONS, from += to_next)
            for (int32_t p = 0; p < strip->count; p++)
                spans[p] = from + p * step;
    }
    for (int32_t p = 0; p < strip->count; p++)
        t->to[t->count++] = to + p * strip->to_step;
}

static void run_prepared(const edgeemo_model *m, const edgeemo_layer *l, int32_t first,
                         int32_t last)
{
    const edgeemo_tensor *out = m->tensors + l->output;
    tile t = {.conv = edgeemo_conv_of(m, l), .wide = m->wide};
    t.conv.prepared = m->prepared[l - m->layers];
    t.reach = edgeemo_span(l->kernel_columns, l->dilation_columns) * m->tensors[l->input].channels;
    for (int32_t i = first, rows; i < last; i += rows) {
        rows = rows_of(m, l, i, last, m->taps);
        edgeemo_strip strip = strip_of(m, l, out->columns, out->channels, rows);
        rows = out->columns == 1 ? rows : 1;
        int8_t *to = edgeemo_row(m, l->output, i);
        for (int32_t left = strip.count; left > 0; left -= strip.count) {
            strip.count = left < EDGEEMO_MAX_POSITIONS ? left : EDGEEMO_MAX_POSITIONS;
            if (t.count + strip.count > EDGEEMO_MAX_POSITIONS)
                run_tile(m, &t);
            add_strip(m, l, &strip, to, &t);
            for (int32_t r = 0; r < l->kernel_rows; r++)
                m->taps[r] += strip.count * strip.step;
            to += strip.count * strip.to_step;
        }
    }
    run_tile(m, &t);
}
#endif

static EDGEEMO_NOINLINE void run_conv(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
#if defined(EDGEEMO_HAVE_PREPARED)
    if (m->kernels->weight_bytes) {
        run_prepared(m, l, first, last);
        return;
    }
#endif
    const edgeemo_tensor *out = m->tensors + l->output;
    const edgeemo_dense d = edgeemo_dense_of(m, l);
    int8_t *to[EDGEEMO_MAX_POSITIONS];
    int32_t count = 0, most = m->kernels->positions;
    int32_t uneven = edgeemo_patch_span_length(m, l) % EDGEEMO_UNIT;
    for (int32_t i = first; i < last; i++) {
        rows_of(m, l, i, i + 1, m->taps);
        int8_t *row = edgeemo_row(m, l->output, i);
        for (int32_t x = 0; x < out->columns;) {
            int32_t n = out->columns - x < most - count ? out->columns - x : most - count;
            (uneven ? pack_uneven : pack_columns)(m, l, &d, x, n, count);
            for (int32_t end = x + n; x < end; x++)
                to[count++] = row + x * out->channels;
            if (count == most) {
                edgeemo_dense_run(m->kernels, &d, m->patches, count, to, m->bytes);
                count = 0;
            }
        }
    }
    if (count)
        edgeemo_dense_run(m->kernels, &d, m->patches, count, to, m->bytes);
}

static EDGEEMO_NOINLINE void run_depthwise(const edgeemo_model *m, const edgeemo_layer *l, int32_t first,
                          int32_t last)
{
    const edgeemo_tensor *in = m->tensors + l->input;
    int32_t taps = l->kernel_rows * l->kernel_columns, channels = in->channels;
    int32_t positions = edgeemo_positions(l, in);
    edgeemo_depthwise d = edgeemo_depthwise_of(m, l);
#if defined(EDGEEMO_HAVE_PREPARED)
    d.prepared = m->prepared ? m->prepared[l - m->layers] : NULL;
#endif
    const int8_t **rows = m->taps + taps; /* behind the taps; see patches of the plan */
    for (int32_t i = first, count; i < last; i += positions == 1 ? count : 1) {
        count = rows_of(m, l, i, last, rows);
        const int8_t **tap = m->taps;
        for (int32_t r = 0; r < l->kernel_rows; r++)
            for (int32_t k = 0; k < l->kernel_columns; k++)
                *tap++ = rows[r] + k * l->dilation_columns * channels;
        const edgeemo_strip strip = strip_of(m, l, positions, channels, count);
        m->kernels->depthwise(&d, m->taps, &strip, edgeemo_row(m, l->output, i));
    }
}

static void run_add(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *a = m->tensors + l->input, *b = m->tensors + l->second;
    const edgeemo_tensor *out = m->tensors + l->output;
    const edgeemo_sum s = {
        l->weights_or_m0, l->channels_or_m1, (1 << (l->shift - 1)) - a->zero * l->weights_or_m0 - b->zero * l->channels_or_m1, l->shift,
        out->zero, l->act_min, l->act_max,
    };
    for (int32_t i = first; i < last; i++)
        m->kernels->add(&s, edgeemo_row(m, l->input, i), edgeemo_row(m, l->second, i),
                        out->columns * out->channels, edgeemo_row(m, l->output, i));
}

#if EDGEEMO_WITH_MULTIPLY
static void run_multiply(const edgeemo_model *m, const edgeemo_layer *l, int32_t first,
                         int32_t last)
{
    const edgeemo_tensor *a = m->tensors + l->input, *b = m->tensors + l->second;
    const edgeemo_tensor *out = m->tensors + l->output;
    int32_t one = b->stride == 0 && a->stride != 0, n = out->columns * out->channels;
    const int32_t channel[8] = {0, 0, 0, 0, l->weights_or_m0};
    edgeemo_requant r = edgeemo_requant_of(m, l);
    r.channels = channel;
    for (int32_t i = first; i < last; i++) {
        const int8_t *x = edgeemo_row(m, l->input, i), *y = edgeemo_row(m, l->second, one ? 0 : i);
        int8_t *to = edgeemo_row(m, l->output, i);
        for (int32_t k = 0; k < n; k++)
            to[k] = edgeemo_requantize(
                &r, 0, (x[k] - a->zero) * (y[one ? k % out->channels : k] - b->zero));
    }
}
#endif

static void run_mean(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *in = m->tensors + l->input;
    for (int32_t i = first; i < last; i++)
        for (int32_t x = 0; x < in->columns; x++)
            m->kernels->accumulate(edgeemo_row(m, l->input, i) + x * in->channels, in->channels,
                                   m->rows[l->output].sums);
}

/* value / n for a value under 2^62 and n under 2^24, digit by digit of eight bits: small cores have no
 * division of 64 bits, and its code is larger than a layer's. */
static uint64_t divided(uint64_t value, uint32_t n)
{
    uint64_t quotient = 0;
    uint32_t rest = 0;
    for (int32_t i = 0; i < 8; i++, value <<= 8) {
        rest = rest << 8 | (uint32_t)(value >> 56);
        quotient = quotient << 8 | rest / n;
        rest %= n;
    }
    return quotient;
}

void edgeemo_layer_mean(edgeemo_model *m, const edgeemo_layer *l)
{
    const edgeemo_tensor *in = m->tensors + l->input, *out = m->tensors + l->output;
    int32_t terms = m->rows[l->input].made * in->columns, exponent = l->shift + 31;
    /* m0 / 2^shift, divided by the terms: 62 bits over at most 24. */
    uint64_t ratio = divided((uint64_t)(uint32_t)l->weights_or_m0 << 31, (uint32_t)terms);
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
        to[c] = edgeemo_clamp(out->zero + (int32_t)value, l->act_min, l->act_max);
    }
}

/* Probabilities of 1/256 with zero -128: exp of the distance to the largest comes from the table,
 * in 1/65535; one division and one rounding for each. */
static void run_softmax(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *out = m->tensors + l->output;
    const uint16_t *table = (const void *)(m->blob + l->weights_or_m0);
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
                to[c] = edgeemo_clamp((int32_t)share - 128, l->act_min, l->act_max);
            }
        }
}

#if EDGEEMO_WITH_TABLE
static void run_table(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *out = m->tensors + l->output;
    const int8_t *table = (const int8_t *)m->blob + l->weights_or_m0;
    for (int32_t i = first; i < last; i++) {
        const int8_t *from = edgeemo_row(m, l->input, i);
        int8_t *to = edgeemo_row(m, l->output, i);
        for (int32_t k = 0; k < out->columns * out->channels; k++)
            to[k] = table[from[k] + 128];
    }
}
#endif

#if EDGEEMO_WITH_POOLS
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
        return edgeemo_clamp(largest, l->act_min, l->act_max);
    /* Halves away from zero, as TFLite has it. */
    int32_t mean = sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
    return edgeemo_clamp(mean, l->act_min, l->act_max);
}

static void run_pool(const edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last)
{
    const edgeemo_tensor *out = m->tensors + l->output;
    for (int32_t i = first; i < last; i++) {
        rows_of(m, l, i, i + 1, m->taps);
        int8_t *row = edgeemo_row(m, l->output, i);
        for (int32_t x = 0; x < out->columns; x++)
            for (int32_t c = 0; c < out->channels; c++)
                row[x * out->channels + c] =
                    pool(m, l, m->taps, i * l->stride_rows - l->top, x, c);
    }
}
#endif

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
    case EDGEEMO_KIND_MEAN:
        run_mean(m, l, first, last);
        break;
    case EDGEEMO_KIND_SOFTMAX:
        run_softmax(m, l, first, last);
        break;
#if EDGEEMO_WITH_MULTIPLY
    case EDGEEMO_KIND_MULTIPLY:
        run_multiply(m, l, first, last);
        break;
#endif
#if EDGEEMO_WITH_TABLE
    case EDGEEMO_KIND_TABLE:
        run_table(m, l, first, last);
        break;
#endif
#if EDGEEMO_WITH_POOLS
    default:
        run_pool(m, l, first, last);
#endif
    }
}
