/* edgeemo_model_plan.c: where all that a model writes lies in its memory. */
#include "edgeemo_model_internal.h"

#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("Os") /* runs once: small before fast */
#endif

enum { TOO_LARGE = 1 << 30 };

void *edgeemo_arena_alloc(edgeemo_arena *a, uint64_t bytes)
{
    void *at = a->start ? a->start + a->used : NULL;
    a->used += (bytes + 7) / 8 * 8;
    return at;
}

static int32_t larger(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

static int32_t row_bytes(const edgeemo_tensor *t)
{
    return ((t->left + t->columns + t->right) * t->channels + 3) / 4 * 4;
}

static int32_t is_read_by(const edgeemo_layer *l, int32_t tensor)
{
    return l->input == tensor || l->second == tensor;
}

/* Rows of a tensor that must be there at once: those of a block, and what kernels of the first
 * `layers` layers see beside. */
static int32_t capacity(const edgeemo_model *m, int32_t tensor, int32_t layers)
{
    const edgeemo_tensor *t = m->tensors + tensor;
    if (t->stride == 0)
        return 1;
    int32_t before = 0, behind = 0;
    for (int32_t i = 0; i < layers; i++) {
        const edgeemo_layer *l = m->layers + i;
        if (!is_read_by(l, tensor))
            continue;
        /* In a stream rows that do not yet fill a stride wait for the next push. */
        before = larger(before, l->top + (m->streamable ? l->stride_rows - 1 : 0));
        behind = larger(behind, l->bottom);
    }
    return before + (m->block + t->stride - 1) / t->stride + behind;
}

void edgeemo_plan_pools(const edgeemo_model *m, edgeemo_arena *scratch, void **pool_at)
{
    uint64_t pools[EDGEEMO_POOLS] = {0};
    for (int32_t i = 0; i < m->head->tensors; i++) {
        const edgeemo_tensor *t = m->tensors + i;
        uint64_t bytes = (uint64_t)row_bytes(t) * (uint64_t)capacity(m, i, m->head->layers);
        if (t->pool >= 0 && bytes > pools[t->pool])
            pools[t->pool] = bytes;
    }
    for (int32_t p = 0; p < EDGEEMO_POOLS; p++)
        pool_at[p] = edgeemo_arena_alloc(scratch, pools[p]);
}

void edgeemo_plan_rows(edgeemo_model *m, edgeemo_arena *a, void *const *pool_at, int32_t first,
                       int32_t last, int32_t layers)
{
    for (int32_t i = 0; i < m->head->tensors; i++) {
        const edgeemo_tensor *t = m->tensors + i;
        int32_t made_by = edgeemo_maker_of(m, i);
        made_by = made_by < m->head->layers ? made_by : -1; /* none: as the input */
        if (made_by < first || made_by >= last)
            continue;
        int32_t row = row_bytes(t), count = capacity(m, i, layers);
        edgeemo_rows rows = {NULL, NULL, (edgeemo_extent)row, (edgeemo_extent)count, 0};
        uint64_t bytes = (uint64_t)row * (uint64_t)count;
        if (row > EDGEEMO_MAX_EXTENT || count > EDGEEMO_MAX_EXTENT)
            bytes = TOO_LARGE;
        rows.data = t->pool >= 0 ? pool_at[t->pool] : edgeemo_arena_alloc(a, bytes);
        if (made_by >= 0 && m->layers[made_by].kind == EDGEEMO_KIND_MEAN)
            rows.sums = edgeemo_arena_alloc(a, (uint64_t)t->channels * sizeof(int32_t));
        if (a->start)
            m->rows[i] = rows;
    }
}

static int32_t is_prepared(const edgeemo_model *m)
{
#if defined(EDGEEMO_HAVE_PREPARED)
    return m->kernels->weight_bytes > 0;
#else
    (void)m;
    return 0;
#endif
}

static void plan_work(edgeemo_model *m, edgeemo_arena *a)
{
    size_t patches = 0;
    int32_t bytes = 0, pointers = 0;
    for (int32_t i = 0; i < m->head->layers; i++) {
        const edgeemo_layer *l = m->layers + i;
        if (!edgeemo_has_window(l))
            continue;
        int32_t taps = l->kernel_rows * l->kernel_columns;
        int32_t inputs = taps * m->tensors[l->input].channels;
        if (l->kind == EDGEEMO_KIND_CONV && !is_prepared(m)) {
            size_t want = edgeemo_patch_bytes(m->kernels, inputs);
            patches = want > patches ? want : patches;
            if (edgeemo_patch_span_length(m, l) % 4)
                bytes = larger(bytes, inputs + 4);
#if EDGEEMO_WITH_INT4
            inputs = (inputs + 3) / 4 * 4;
            if (l->int4)
                bytes = larger(bytes, edgeemo_outputs_at_once(inputs) * inputs);
#endif
        }
        pointers = larger(pointers, l->kernel_rows
                                        + (l->kind == EDGEEMO_KIND_DEPTHWISE ? taps : 0));
    }
    m->patches = edgeemo_arena_alloc(a, patches);
    m->bytes = edgeemo_arena_alloc(a, (uint64_t)bytes);
    m->taps = edgeemo_arena_alloc(a, (uint64_t)pointers * sizeof(int8_t *));
}

#if defined(EDGEEMO_HAVE_PREPARED)
/* Words that the rows under a tile take at most. */
static uint64_t wide_values(const edgeemo_model *m, const edgeemo_layer *l)
{
    const edgeemo_tensor *in = m->tensors + l->input;
    int64_t row = (int64_t)(l->left + in->columns + l->right) * in->channels;
    int64_t step = (int64_t)row_bytes(in) * l->stride_rows;
    return (uint64_t)edgeemo_rows_together(m->tensors + l->output) * (uint64_t)l->kernel_rows
           * (uint64_t)((row > step ? row : step) + EDGEEMO_WIDE_ROOM);
}

/* What a set of kernels wants to be made beforehand, and where it reads. */
static void plan_prepared(edgeemo_model *m, edgeemo_arena *a)
{
    if (!is_prepared(m))
        return;
    int32_t bytes = m->kernels->weight_bytes, spans = 0;
    uint64_t wide = 0;
    edgeemo_arena_alloc(a, EDGEEMO_OVERREAD); /* behind the rows */
    m->prepared = edgeemo_arena_alloc(a, (uint64_t)m->head->layers * sizeof(void *));
    for (int32_t i = 0; i < m->head->layers; i++) {
        const edgeemo_layer *l = m->layers + i;
        void *to = NULL;
        if (l->kind == EDGEEMO_KIND_CONV) {
            const edgeemo_conv c = edgeemo_conv_of(m, l);
            const edgeemo_dense d = edgeemo_dense_of(m, l);
            uint64_t values = bytes > 1 ? wide_values(m, l) : 0;
            wide = values > wide ? values : wide;
            spans = larger(spans, c.spans);
            to = edgeemo_arena_alloc(a, edgeemo_conv_bytes(&c, bytes));
            if (a->start)
                edgeemo_prepare_conv(m->kernels, &c, &d, to);
        } else if (l->kind == EDGEEMO_KIND_DEPTHWISE) {
            const edgeemo_depthwise d = edgeemo_depthwise_of(m, l);
            to = edgeemo_arena_alloc(a, edgeemo_depthwise_bytes(&d, bytes));
            if (a->start)
                edgeemo_prepare_depthwise(m->kernels, &d, to);
        }
        if (a->start)
            m->prepared[i] = to;
    }
    m->spans = edgeemo_arena_alloc(a, (uint64_t)spans * EDGEEMO_MAX_POSITIONS * sizeof(void *));
    m->wide = edgeemo_arena_alloc(a, wide * sizeof(int16_t));
}
#endif

void edgeemo_plan_kernels(edgeemo_model *m, edgeemo_arena *a, edgeemo_arena *scratch)
{
#if defined(EDGEEMO_HAVE_PREPARED)
    plan_prepared(m, a);
#else
    (void)a;
#endif
    plan_work(m, scratch);
}

size_t edgeemo_model_plan(edgeemo_model *m, void *start)
{
    edgeemo_arena whole = {start, 0}, *a = &whole;
    void *pool_at[EDGEEMO_POOLS];
    edgeemo_arena_alloc(a, sizeof(edgeemo_model));
    m->rows = edgeemo_arena_alloc(a, (uint64_t)m->head->tensors * sizeof(edgeemo_rows));
    edgeemo_plan_pools(m, a, pool_at);
    edgeemo_plan_rows(m, a, pool_at, -1, m->head->layers, m->head->layers);
    edgeemo_plan_kernels(m, a, a);
    return a->used <= TOO_LARGE ? (size_t)a->used : 0;
}
