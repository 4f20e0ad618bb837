/* edgeemo_model_internal.h: the layout of a blob, and what the engine's files share.
 *
 * A blob is little-endian, its words are int32: a header, tables of tensors, layers and outputs,
 * the scales of the input, and constants. Offsets count bytes from its start. The lists below make
 * the structs; the Python side reads the names of the fields from the binding.
 */
#ifndef EDGEEMO_MODEL_INTERNAL_H
#define EDGEEMO_MODEL_INTERNAL_H

#include "edgeemo_kernels.h"
#include "edgeemo_model.h"

enum { EDGEEMO_BLOB_MAGIC = 0x4d454745, EDGEEMO_BLOB_VERSION = 1 }; /* "EGEM" */

enum {
    EDGEEMO_MAX_LIST = 512,        /* tensors, layers */
    EDGEEMO_MAX_SIDE = 4096,       /* columns, channels, kernels, dilations, padding */
    EDGEEMO_MAX_ROW = 1 << 20,     /* values of a row with its padding */
    EDGEEMO_MAX_BLOCK = 65536,
    EDGEEMO_MAX_TERMS = 1 << 23,   /* of a mean: 2^23 * 2^8 fits in 32 bits */
    EDGEEMO_MAX_FRAMES = 1 << 30,
    EDGEEMO_POOLS = 8
};

#define EDGEEMO_HEADER_FIELDS(X)                                                          \
    X(magic) X(version) X(bytes)                                                          \
    X(tensors) X(tensors_at) X(layers) X(layers_at) X(outputs) X(outputs_at) /* counts, offsets */ \
    X(scales) X(scales_at) /* pairs of floats a, b: x * a + b is the int8 value before rounding;  \
                              one pair for all, or one for each value of a row */

/* A tensor has rows over time (or the rows of a picture), or one row only: then stride is 0. */
#define EDGEEMO_TENSOR_FIELDS(X)                                                   \
    X(columns) X(channels)                                                         \
    X(left) X(right)  /* columns of padding that its readers want */               \
    X(zero) X(scale)  /* real value = (q - zero) * scale, scale a float's bits */  \
    X(stride)         /* rows of the input for each row of this */                 \
    X(pool)           /* memory that it shares with tensors used at other times, or -1 */

#define EDGEEMO_LAYER_FIELDS(X)                                                    \
    X(kind) X(input) X(second) X(output) /* numbers of tensors; second -1 if none */ \
    X(kernel_rows) X(kernel_columns) X(stride_rows) X(stride_columns)              \
    X(dilation_rows) X(dilation_columns) X(top) X(bottom) X(left) X(right)         \
    X(act_min) X(act_max) /* range of the output, -128..127 */                     \
    X(pre) X(shift) X(m0) X(m1)                                                    \
    X(weights)        /* offset of weights or table */                             \
    X(channels)       /* offset of bias and multiplier of each output channel */

#define EDGEEMO_KINDS(X)                                                           \
    X(CONV, 1) X(DEPTHWISE, 2) X(ADD, 3) X(MULTIPLY, 4) X(MEAN, 5) X(SOFTMAX, 6)   \
    X(TABLE, 7) X(AVERAGE_POOL, 8) X(MAX_POOL, 9)

#define EDGEEMO_X(name) int32_t name;
typedef struct edgeemo_blob {
    EDGEEMO_HEADER_FIELDS(EDGEEMO_X)
} edgeemo_blob;

typedef struct edgeemo_tensor {
    EDGEEMO_TENSOR_FIELDS(EDGEEMO_X)
} edgeemo_tensor;

typedef struct edgeemo_layer {
    EDGEEMO_LAYER_FIELDS(EDGEEMO_X)
} edgeemo_layer;
#undef EDGEEMO_X

enum {
#define EDGEEMO_X(name, value) EDGEEMO_KIND_##name = value,
    EDGEEMO_KINDS(EDGEEMO_X)
#undef EDGEEMO_X
};

/* The rows of a tensor: a ring in which row r lies at r modulo capacity. */
typedef struct edgeemo_rows {
    int8_t *data;
    int32_t *sums;     /* of the terms of a mean, by channel; NULL if no mean makes the tensor */
    int32_t row_bytes; /* with padding, a multiple of 4 */
    int32_t capacity;
    int32_t made;      /* rows since the reset */
} edgeemo_rows;

struct edgeemo_model {
    const uint8_t *blob;
    const edgeemo_blob *head;
    const edgeemo_tensor *tensors;
    const edgeemo_layer *layers;
    const edgeemo_kernels *kernels;
    edgeemo_rows *rows; /* one for each tensor */
    void *patches;      /* for the kernels */
#if defined(EDGEEMO_HAVE_PREPARED)
    void **prepared;    /* constants of each layer, if the kernels want them so */
    const void **spans; /* where those of a convolution's positions begin */
    int16_t *wide;      /* the rows under a kernel as words, if the kernels want them so */
#endif
    int8_t *bytes;      /* one patch, where it is put together from uneven spans */
    const int8_t **taps;
    int32_t block;
    int32_t streamable;
    int32_t limit; /* frames that may be pushed between two resets */
};

/* The tables of a blob that has been checked. */
void edgeemo_model_view(edgeemo_model *model, const void *blob);

/* Values that a kernel spans over rows. */
static inline int32_t edgeemo_span(int32_t kernel, int32_t dilation)
{
    return (kernel - 1) * dilation + 1;
}

/* 1 for the kinds that look at a window of rows and columns. */
static inline int32_t edgeemo_has_window(const edgeemo_layer *l)
{
    return l->kind == EDGEEMO_KIND_CONV || l->kind == EDGEEMO_KIND_DEPTHWISE
           || l->kind == EDGEEMO_KIND_AVERAGE_POOL || l->kind == EDGEEMO_KIND_MAX_POOL;
}

static inline edgeemo_requant edgeemo_requant_of(const edgeemo_model *m, const edgeemo_layer *l)
{
    int32_t zero = m->tensors[l->output].zero;
    return (edgeemo_requant){
        (const void *)(m->blob + l->channels), l->pre, l->shift,
        zero * (1 << l->shift) + (1 << (l->shift - 1)), l->act_min, l->act_max,
    };
}

/* Values that a convolution takes for an output. */
static inline int32_t edgeemo_inputs(const edgeemo_model *m, const edgeemo_layer *l)
{
    return l->kernel_rows * l->kernel_columns * m->tensors[l->input].channels;
}

/* The dot products of a convolution, with the weights of the blob. */
static inline edgeemo_dense edgeemo_dense_of(const edgeemo_model *m, const edgeemo_layer *l)
{
    return (edgeemo_dense){(const int8_t *)m->blob + l->weights,
                           (edgeemo_inputs(m, l) + 3) / 4 * 4,
                           m->tensors[l->output].channels, edgeemo_requant_of(m, l)};
}

static inline edgeemo_depthwise edgeemo_depthwise_of(const edgeemo_model *m,
                                                     const edgeemo_layer *l)
{
    return (edgeemo_depthwise){.weights = (const void *)(m->blob + l->weights),
                               .pairs = (l->kernel_rows * l->kernel_columns + 1) / 2,
                               .channels = m->tensors[l->input].channels,
                               .requant = edgeemo_requant_of(m, l)};
}

/* Values of a patch that lie side by side in a row. */
static inline int32_t edgeemo_patch_span_length(const edgeemo_model *m, const edgeemo_layer *l)
{
    return m->tensors[l->input].channels * (l->dilation_columns == 1 ? l->kernel_columns : 1);
}

#if defined(EDGEEMO_HAVE_PREPARED)
static inline edgeemo_conv edgeemo_conv_of(const edgeemo_model *m, const edgeemo_layer *l)
{
    int32_t length = edgeemo_patch_span_length(m, l);
    return (edgeemo_conv){NULL, edgeemo_inputs(m, l) / length, length,
                          m->tensors[l->output].channels, edgeemo_requant_of(m, l)};
}
#endif

#if defined(EDGEEMO_HAVE_PREPARED)
/* Rows of the output that go together; a row of more positions than kernels take goes in parts. */
static inline int32_t edgeemo_rows_together(const edgeemo_tensor *out)
{
    return out->columns < EDGEEMO_MAX_POSITIONS ? EDGEEMO_MAX_POSITIONS / out->columns : 1;
}

enum { EDGEEMO_WIDE_ROOM = 16 }; /* words that widening may write behind a row */
#endif

/* Positions of a kernel in a row. */
static inline int32_t edgeemo_positions(const edgeemo_layer *l, const edgeemo_tensor *in)
{
    int32_t columns = edgeemo_span(l->kernel_columns, l->dilation_columns);
    return (l->left + in->columns + l->right - columns) / l->stride_columns + 1;
}

/* Row r, -capacity or more, from its first column that is no padding on. */
static inline int8_t *edgeemo_row(const edgeemo_model *m, int32_t tensor, int32_t r)
{
    const edgeemo_rows *rows = m->rows + tensor;
    int32_t at = (r < 0 ? r + rows->capacity : r) % rows->capacity;
    return rows->data + at * rows->row_bytes
           + m->tensors[tensor].left * m->tensors[tensor].channels;
}

/* Compute rows [first, last) of a layer's output; a mean adds rows of its input to its sums. */
void edgeemo_layer_run(edgeemo_model *m, const edgeemo_layer *l, int32_t first, int32_t last);

/* The mean of what was added up so far, into the output's only row. */
void edgeemo_layer_mean(edgeemo_model *m, const edgeemo_layer *l);

/* As edgeemo_model_init(), with a set of kernels; NULL for the best. For tests. */
int32_t edgeemo_model_init_with(edgeemo_model **model, void *memory, size_t bytes,
                                const void *blob, size_t blob_bytes, int32_t block,
                                const edgeemo_kernels *kernels);
size_t edgeemo_model_size_with(const void *blob, size_t blob_bytes, int32_t block,
                               const edgeemo_kernels *kernels);

#endif
