/* edgeemo_model_internal.h: the layout of a blob, and what the engine's files share.
 *
 * A blob is little-endian: a header, tables of tensors, layers and outputs, the scales of the
 * input, and constants, all aligned on 4 bytes. Offsets count bytes from its start. The lists below
 * make the structs; the Python side reads names and types of the fields from the binding.
 */
#ifndef EDGEEMO_MODEL_INTERNAL_H
#define EDGEEMO_MODEL_INTERNAL_H

#include "edgeemo_kernels.h"
#include "edgeemo_model.h"

/* "EGEM"; a blob with weights of four bits is of the second version. */
enum { EDGEEMO_BLOB_MAGIC = 0x4d454745, EDGEEMO_BLOB_VERSION = 3, EDGEEMO_BLOB_VERSION_INT4 = 4 };

enum {
    EDGEEMO_MAX_LIST = 512,        /* tensors, layers */
    EDGEEMO_MAX_SIDE = 4096,       /* columns, channels, padding of a tensor */
    EDGEEMO_MAX_ROW = 1 << 20,     /* values of a row with its padding */
    EDGEEMO_MAX_SPAN = 32768,      /* rows that a kernel spans; strides */
    EDGEEMO_MAX_BLOCK = 65536,
    EDGEEMO_MAX_TERMS = 1 << 23,   /* of a mean: 2^23 * 2^8 fits in 32 bits */
    EDGEEMO_MAX_FRAMES = 1 << 30,
    EDGEEMO_POOLS = 8
};

#define EDGEEMO_HEADER_FIELDS(X)                                                               \
    X(int32_t, magic) X(int32_t, version) X(int32_t, bytes)                                    \
    X(int32_t, tensors) X(int32_t, tensors_at) X(int32_t, layers) X(int32_t, layers_at)        \
    X(int32_t, outputs) X(int32_t, outputs_at) /* counts, offsets */                           \
    X(int32_t, scales) X(int32_t, scales_at) /* pairs of floats a, b: x * a + b is the int8    \
                              value before rounding; one pair for all, or one for each value   \
                              of a row */

/* A tensor has rows over time (or the rows of a picture), or one row only: then stride is 0. */
#define EDGEEMO_TENSOR_FIELDS(X)                                                               \
    X(int16_t, columns) X(int16_t, channels)                                                   \
    X(int16_t, left) X(int16_t, right) /* columns of padding that its readers want */          \
    X(int16_t, stride) /* rows of the input for each row of this */                            \
    X(int8_t, zero) X(int8_t, pool) /* memory that it shares with tensors used at other times, \
                                       or -1 */                                                \
    X(float, scale) /* real value = (q - zero) * scale */

#define EDGEEMO_LAYER_FIELDS(X)                                                                \
    X(int16_t, input) X(int16_t, second) X(int16_t, output) /* tensors; second -1 if none */   \
    X(int16_t, top) X(int16_t, bottom) X(uint8_t, left) X(uint8_t, right) /* padding */         \
    X(uint8_t, kernel_rows) X(uint8_t, kernel_columns)                                         \
    X(uint8_t, stride_rows) X(uint8_t, stride_columns)                                         \
    X(uint8_t, dilation_rows) X(uint8_t, dilation_columns)                                     \
    X(int8_t, act_min) X(int8_t, act_max) /* range of the output */                            \
    X(int8_t, pre) X(int8_t, shift) X(int8_t, kind)                                            \
    X(int8_t, int4) /* 1: a convolution whose weights have four bits */                         \
    X(int32_t, weights_or_m0)  /* offset of weights or table; of others the multiplier m0 */   \
    X(int32_t, channels_or_m1) /* offset of biases and multipliers of the output channels */

#define EDGEEMO_KINDS(X)                                                           \
    X(CONV, 1) X(DEPTHWISE, 2) X(ADD, 3) X(MULTIPLY, 4) X(MEAN, 5) X(SOFTMAX, 6)   \
    X(TABLE, 7) X(AVERAGE_POOL, 8) X(MAX_POOL, 9)

#define EDGEEMO_X(type, name) type name;
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

/* Bytes and rows of a ring: small parts need no more bits, and have a table of them for each state. */
#if UINTPTR_MAX > UINT32_MAX
typedef int32_t edgeemo_extent;
enum { EDGEEMO_MAX_EXTENT = INT32_MAX };
#else
typedef uint16_t edgeemo_extent;
enum { EDGEEMO_MAX_EXTENT = UINT16_MAX };
#endif

/* The rows of a tensor: a ring in which row r lies at r modulo capacity. */
typedef struct edgeemo_rows {
    int8_t *data;
    int32_t *sums; /* of the terms of a mean, by channel; NULL if no mean makes the tensor */
    edgeemo_extent row_bytes; /* with padding, a multiple of 4 */
    edgeemo_extent capacity;
    int32_t made; /* rows since the reset */
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
    int8_t *bytes;      /* one patch, where it is put together from uneven spans; then weights of
                         * four bits that have become bytes */
    const int8_t **taps;
    int32_t block;
    int32_t streamable, stride;
    int32_t limit; /* frames that may be pushed between two resets */
};

/* The tables of a blob that has been checked. */
void edgeemo_model_view(edgeemo_model *model, const void *blob);

/* The first layer that makes a tensor; -1 for the input, `layers` of the head if none makes it. */
int32_t edgeemo_maker_of(const edgeemo_model *m, int32_t tensor);

/* Values that a kernel spans over rows. */
static inline int32_t edgeemo_span(int32_t kernel, int32_t dilation)
{
    return (kernel - 1) * dilation + 1;
}

static inline int32_t edgeemo_is_pool(const edgeemo_layer *l)
{
    return EDGEEMO_WITH_POOLS
           && (l->kind == EDGEEMO_KIND_AVERAGE_POOL || l->kind == EDGEEMO_KIND_MAX_POOL);
}

/* 1 for the kinds that look at a window of rows and columns. */
static inline int32_t edgeemo_has_window(const edgeemo_layer *l)
{
    return l->kind == EDGEEMO_KIND_CONV || l->kind == EDGEEMO_KIND_DEPTHWISE || edgeemo_is_pool(l);
}

static inline int32_t edgeemo_is_multiply(const edgeemo_layer *l)
{
    return EDGEEMO_WITH_MULTIPLY && l->kind == EDGEEMO_KIND_MULTIPLY;
}

static inline edgeemo_requant edgeemo_requant_of(const edgeemo_model *m, const edgeemo_layer *l)
{
    int32_t zero = m->tensors[l->output].zero;
    return (edgeemo_requant){
        (const void *)(m->blob + l->channels_or_m1), l->pre, l->shift,
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
    return (edgeemo_dense){.weights = (const int8_t *)m->blob + l->weights_or_m0,
                           .inputs = (edgeemo_inputs(m, l) + 3) / 4 * 4,
                           .outputs = m->tensors[l->output].channels,
                           .requant = edgeemo_requant_of(m, l),
#if EDGEEMO_WITH_INT4
                           .int4 = l->int4,
#endif
    };
}

static inline edgeemo_depthwise edgeemo_depthwise_of(const edgeemo_model *m,
                                                     const edgeemo_layer *l)
{
    return (edgeemo_depthwise){.weights = (const void *)(m->blob + l->weights_or_m0),
                               .taps = l->kernel_rows * l->kernel_columns,
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

/* Bytes of a model's memory; 0 if beyond 2^30. With a start, where m->rows lie already, the places of
 * all, and what kernels want to be prepared. */
size_t edgeemo_model_plan(edgeemo_model *m, void *start);

/* Its parts, for who plans by himself. The same steps count the bytes and hand them out. `scratch` is
 * what holds nothing between two layers; it may be the arena of the rest. */
typedef struct edgeemo_arena {
    char *start; /* NULL: count only */
    uint64_t used;
} edgeemo_arena;
void *edgeemo_arena_alloc(edgeemo_arena *a, uint64_t bytes);

/* The memory that tensors share: pool_at[EDGEEMO_POOLS]. */
void edgeemo_plan_pools(const edgeemo_model *m, edgeemo_arena *scratch, void **pool_at);

/* m->rows of the tensors that the layers [first, last) make; -1 makes the input. They are read by the
 * first `layers` layers. */
void edgeemo_plan_rows(edgeemo_model *m, edgeemo_arena *a, void *const *pool_at, int32_t first,
                       int32_t last, int32_t layers);

/* What kernels prepare and work in; it comes behind the rows, beyond whose end they may read. */
void edgeemo_plan_kernels(edgeemo_model *m, edgeemo_arena *a, edgeemo_arena *scratch);

/* All of a model but its memory. Returns a status. */
int32_t edgeemo_model_prepare(edgeemo_model *m, const void *blob, size_t blob_bytes, int32_t block,
                              const edgeemo_kernels *kernels);

/* A row of features to int8. */
void edgeemo_model_quantize(const edgeemo_model *m, const float *x, int8_t *to);

/* Run a layer over time as far as the rows of its input reach. */
void edgeemo_model_layer(edgeemo_model *m, const edgeemo_layer *l);

/* Forget the rows of the first `tensors` tensors. */
void edgeemo_reset_rows(edgeemo_model *m, int32_t tensors);

/* Another tensor has used this one's memory: make its padding again. */
void edgeemo_restore_padding(edgeemo_model *m, int32_t tensor);

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
