/* edgeemo_windows_plan.c: which layers two windows share, and where their rows lie. */
#include "edgeemo_windows.h"

#include <string.h>

#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("Os") /* runs once: small before fast */
#endif

/* The first rows of each tensor that depend on where a state begins: those whose kernels see
 * padding, or such rows. */
static void find_own_rows(edgeemo_windows *w)
{
    const edgeemo_model *m = &w->stem;
    w->own[0] = 0;
    for (int32_t i = 0; i < m->head->layers; i++) {
        const edgeemo_layer *l = m->layers + i;
        int32_t own = w->own[l->input];
        if (edgeemo_has_window(l))
            own = (own + l->top + l->stride_rows - 1) / l->stride_rows;
        if (l->second >= 0 && w->own[l->second] > own)
            own = w->own[l->second];
        /* None has so many. */
        w->own[l->output] = (uint16_t)(own < (int32_t)UINT16_MAX ? own : (int32_t)UINT16_MAX);
    }
}

/* The one tensor that layers from `layer` on read of those before; -1 if there are more. */
static int32_t crossing(const edgeemo_model *m, int32_t layer)
{
    int32_t found = -1;
    for (int32_t i = layer; i < m->head->layers; i++) {
        const int32_t inputs[2] = {m->layers[i].input, m->layers[i].second};
        for (int32_t k = 0; k < 2; k++) {
            if (inputs[k] < 0 || edgeemo_maker_of(m, inputs[k]) >= layer)
                continue;
            if (found >= 0 && found != inputs[k])
                return -1;
            found = inputs[k];
        }
    }
    return found;
}

/* The stem: as many layers as share rows before the next state begins. */
static int32_t find_stem(edgeemo_windows *w)
{
    const edgeemo_model *m = &w->stem;
    w->layers = w->tensor = -1;
    for (int32_t n = 0; n < m->head->layers; n++) {
        int32_t tensor = crossing(m, n);
        if (tensor >= 0 && m->tensors[tensor].pool < 0
            && w->own[tensor] < UINT16_MAX / 2
            && (int64_t)w->own[tensor] * m->tensors[tensor].stride <= w->half) {
            w->layers = n;
            w->tensor = tensor;
        }
        if (m->tensors[m->layers[n].output].stride == 0)
            break;
    }
    /* Rows in shared memory are gone before they could be taken: compute all that is read. */
    for (int32_t i = w->layers - 1; i >= 0; i--) {
        const edgeemo_layer *l = m->layers + i;
        int32_t read = w->own[l->output];
        if (edgeemo_has_window(l))
            read = (read - 1) * l->stride_rows - l->top
                   + edgeemo_span(l->kernel_rows, l->dilation_rows);
        if (m->tensors[l->input].pool >= 0 && read > w->own[l->input])
            w->own[l->input] = (uint16_t)read;
        if (l->second >= 0 && m->tensors[l->second].pool >= 0 && read > w->own[l->second])
            w->own[l->second] = (uint16_t)read;
    }
    return w->layers >= 0;
}

static int32_t is_in_stem(const edgeemo_windows *w, int32_t tensor)
{
    return edgeemo_maker_of(&w->stem, tensor) < w->layers;
}

/* Frames after which every ring of the stem begins anew; 0 if that is too long to be of use. */
static int32_t find_turn(const edgeemo_windows *w)
{
    int32_t turn = 1;
    for (int32_t i = 0; i < w->tensors; i++) {
        if (!is_in_stem(w, i))
            continue;
        int64_t frames = (int64_t)w->stem.tensors[i].stride * w->stem.rows[i].capacity;
        if (frames > EDGEEMO_WINDOWS_WRAP / 2)
            return 0;
        int32_t ring = (int32_t)frames, a = turn, b = ring;
        while (b) {
            int32_t rest = a % b;
            a = b;
            b = rest;
        }
        if ((int64_t)(turn / a) * ring > EDGEEMO_WINDOWS_WRAP / 2)
            return 0;
        turn = turn / a * ring;
    }
    return turn;
}

/* Rows of the stem, of the first rows of a new state (one memory, as only one is new), and of each
 * state its own ring of the tensor that it takes, and all behind it. */
static void plan_rows(edgeemo_windows *w, edgeemo_arena *a, edgeemo_arena *scratch)
{
    edgeemo_model *m = &w->stem;
    size_t tables = (size_t)m->head->tensors * sizeof(edgeemo_rows);
    int32_t all = m->head->layers, taken = edgeemo_maker_of(m, w->tensor);
    void *pool_at[EDGEEMO_POOLS];
    for (int32_t i = 0; i < m->head->tensors; i++)
        w->tensors = is_in_stem(w, i) ? i + 1 : w->tensors;
    size_t bytes = 2 * tables + (size_t)w->tensors * sizeof(edgeemo_rows);
    m->rows = edgeemo_arena_alloc(a, bytes);
    if (a->start)
        memset(m->rows, 0, bytes);
    edgeemo_plan_pools(m, scratch, pool_at);
    edgeemo_plan_rows(m, a, pool_at, -1, w->layers, w->layers);
    for (int32_t k = 0; k < 2; k++) {
        edgeemo_model *state = &w->state[k];
        *state = *m;
        state->rows = a->start ? m->rows + w->tensors + k * m->head->tensors : NULL;
        if (k == 0) {
            edgeemo_plan_rows(state, a, pool_at, -1, taken, all);
            edgeemo_plan_rows(state, a, pool_at, taken + 1, w->layers, all);
        } else if (a->start) {
            memcpy(state->rows, w->state[0].rows, tables);
        }
    }
    for (int32_t k = 0; k < 2; k++) {
        edgeemo_plan_rows(&w->state[k], a, pool_at, taken, taken + 1, all);
        edgeemo_plan_rows(&w->state[k], a, pool_at, w->layers, all, all);
    }
}

/* Where work may not stop: whether a later layer reads shared memory that an earlier one has filled. */
static void find_open(edgeemo_windows *w)
{
    const edgeemo_model *m = &w->stem;
    for (int32_t i = 0; i < m->head->layers; i++) {
        if (m->tensors[m->layers[i].input].stride == 0)
            continue; /* runs when somebody asks */
        const int32_t inputs[2] = {m->layers[i].input, m->layers[i].second};
        for (int32_t k = 0; k < 2; k++)
            if (inputs[k] > 0 && m->tensors[inputs[k]].pool >= 0)
                for (int32_t at = edgeemo_maker_of(m, inputs[k]) + 1; at <= i; at++)
                    w->open |= (uint64_t)1 << at;
    }
}

int32_t edgeemo_windows_plan(edgeemo_windows *w, edgeemo_arena *a, edgeemo_arena *scratch,
                             const void *blob, size_t blob_bytes, int32_t half, int32_t block,
                             int32_t spread, const edgeemo_kernels *kernels)
{
    memset(w, 0, sizeof *w);
    edgeemo_model *m = &w->stem;
    int32_t status = edgeemo_model_prepare(m, blob, blob_bytes, block, kernels);
    if (status != EDGEEMO_OK)
        return status;
    if (!m->streamable || half < 1 || half > m->limit / 2 - m->stride
        || m->head->layers > EDGEEMO_MAX_WINDOW_LIST || m->head->tensors > EDGEEMO_MAX_WINDOW_LIST)
        return EDGEEMO_ERR_BLOCK;
    w->stride = m->stride;
    w->half = (half + w->stride - 1) / w->stride * w->stride;
    w->spread = spread && block == 1;
    uint16_t own[EDGEEMO_MAX_WINDOW_LIST]; /* while bytes are counted there is no memory */
    void *kept = edgeemo_arena_alloc(a, (uint64_t)m->head->tensors * sizeof *w->own);
    w->own = a->start ? kept : own;
    find_own_rows(w);
    if (!find_stem(w))
        return EDGEEMO_ERR_BLOCK;
    find_open(w);
    plan_rows(w, a, scratch);
    edgeemo_plan_kernels(m, a, scratch);
    w->own = kept;
    if (!a->start)
        return EDGEEMO_OK;
    for (int32_t k = 0; k < 2; k++) { /* with what the kernels have prepared */
        edgeemo_rows *rows = w->state[k].rows;
        w->state[k] = *m;
        w->state[k].rows = rows;
    }
    w->turn = find_turn(w);
    if (!w->turn)
        return EDGEEMO_ERR_BLOCK;
    edgeemo_windows_reset(w);
    return EDGEEMO_OK;
}
