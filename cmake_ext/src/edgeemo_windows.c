/* edgeemo_windows.c: two windows with a common stem; see edgeemo_windows.h. */
#include "edgeemo_windows.h"

#include <string.h>

void edgeemo_windows_reset(edgeemo_windows *w)
{
    edgeemo_reset_rows(&w->stem, w->tensors);
    for (int32_t k = 0; k < 2; k++) {
        edgeemo_model_reset(&w->state[k]);
        w->next[k] = w->stem.head->layers;
        w->origin[k] = 0;
    }
    w->phase = w->running = w->first = 0;
    w->young = -1;
    w->left = 0;
}

/* Row r of a state's tensor, from the stem. */
static void take_row(const edgeemo_windows *w, int32_t k, int32_t tensor, int32_t r)
{
    const edgeemo_tensor *t = w->stem.tensors + tensor;
    memcpy(edgeemo_row(&w->state[k], tensor, r),
           edgeemo_row(&w->stem, tensor, r + w->origin[k] / t->stride),
           (size_t)(t->columns * t->channels));
}

/* Rows up to `last` of a tensor of the stem, for a state: those that it does not compute. */
static void take_rows(edgeemo_windows *w, int32_t k, int32_t tensor, int32_t last)
{
    edgeemo_rows *rows = w->state[k].rows + tensor;
    if (w->stem.tensors[tensor].pool < 0)
        for (int32_t r = rows->made; r < last; r++)
            take_row(w, k, tensor, r);
    rows->made = last;
}

/* Rows of a tensor that the frames of a state give. */
static int32_t rows_there(const edgeemo_windows *w, int32_t k, int32_t tensor)
{
    return (w->stem.rows[0].made - w->origin[k]) / w->stem.tensors[tensor].stride;
}

/* A state computes rows of its own until all that the stem gives it are common. */
static int32_t is_new(const edgeemo_windows *w, int32_t k)
{
    return w->state[k].rows[w->tensor].made < w->own[w->tensor];
}

/* Whether the young state still computes a layer of the stem, or one that reads what it makes. */
static int32_t has_own_left(const edgeemo_windows *w, int32_t layer)
{
    const edgeemo_rows *rows = w->state[w->young].rows;
    int32_t made = w->stem.layers[layer].output;
    int32_t left = rows[made].made < w->own[made];
    for (int32_t i = layer + 1; i < w->layers; i++) {
        const edgeemo_layer *l = w->stem.layers + i;
        if (l->input == made || l->second == made)
            left |= rows[l->output].made < w->own[l->output];
    }
    return left || made == w->tensor;
}

/* With which layer a state begins when frames have come. */
static int32_t first_layer(const edgeemo_windows *w, int32_t k)
{
    return is_new(w, k) ? w->first : w->layers;
}

static void run_layer(edgeemo_windows *w, int32_t k, int32_t layer)
{
    edgeemo_model *m = &w->state[k];
    const edgeemo_layer *l = m->layers + layer;
    if (layer >= w->layers) {
        edgeemo_model_layer(m, l);
        return;
    }
    edgeemo_rows *out = m->rows + l->output;
    int32_t last = rows_there(w, k, l->output);
    int32_t own = last < w->own[l->output] ? last : w->own[l->output];
    if (own > out->made) {
        edgeemo_restore_padding(m, l->output);
        edgeemo_layer_run(m, l, out->made, own);
        out->made = own;
    }
    take_rows(w, k, l->output, last);
}

/* Products of the rows of a convolution that wait; other layers cost little. */
static uint32_t cost(const edgeemo_windows *w, int32_t k, int32_t layer)
{
    const edgeemo_model *m = &w->state[k];
    const edgeemo_layer *l = m->layers + layer;
    const edgeemo_tensor *out = m->tensors + l->output;
    if (l->kind != EDGEEMO_KIND_CONV || out->stride == 0)
        return 0;
    int32_t rows = rows_there(w, k, l->output), own = w->own[l->output];
    if (layer < w->layers && rows > own)
        rows = own;
    rows -= m->rows[l->output].made;
    return rows <= 0 ? 0
                     : (uint32_t)rows * (uint32_t)(out->columns * out->channels)
                           * (uint32_t)edgeemo_inputs(m, l);
}

/* The layer waits no longer: at the beginning of this frame the last one before rows that it needs
 * are overwritten. */
static int32_t is_urgent(const edgeemo_windows *w, int32_t layer)
{
    int32_t stride = w->stem.tensors[w->stem.layers[layer].input].stride;
    return stride < 3 || w->phase % stride + 1 >= stride - 1;
}

/* Go on with a state; 1 if it is done. `quota` is in products, UINT32_MAX for all. */
static int32_t go_on(edgeemo_windows *w, int32_t k, uint32_t *quota)
{
    int32_t all = w->stem.head->layers;
    if (w->next[k] < 0) {
        /* The state's own stem, or its newest row alone. */
        w->next[k] = first_layer(w, k);
        int32_t tensor = is_new(w, k) ? 0 : w->tensor;
        if (w->next[k] == 0 || w->next[k] == w->layers)
            take_rows(w, k, tensor, rows_there(w, k, tensor));
    }
    while (w->next[k] < all) {
        int32_t layer = w->next[k];
        if (*quota == 0 && !is_urgent(w, layer) && !(w->open >> layer & 1))
            return 0;
        if (*quota != UINT32_MAX) {
            uint32_t spent = cost(w, k, layer);
            w->left -= spent < w->left ? spent : w->left;
            *quota -= spent < *quota ? spent : *quota;
        }
        run_layer(w, k, layer);
        w->next[k]++;
    }
    return 1;
}

/* The younger first: its first rows are the larger part. */
static void work(edgeemo_windows *w, uint32_t quota)
{
    if (go_on(w, w->young, &quota))
        go_on(w, !w->young, &quota);
}

static int32_t is_idle(const edgeemo_windows *w)
{
    int32_t all = w->stem.head->layers;
    return w->next[0] == all && w->next[1] == all;
}

int32_t edgeemo_windows_is_done(const edgeemo_windows *w, int32_t k)
{
    const edgeemo_model *m = &w->state[k];
    for (int32_t i = w->layers; i < m->head->layers; i++) {
        const edgeemo_layer *l = m->layers + i;
        if (l->kind == EDGEEMO_KIND_MEAN
            && m->rows[l->output].made < rows_there(w, k, l->input))
            return 0;
    }
    return 1;
}

void edgeemo_windows_finish(edgeemo_windows *w)
{
    if (!is_idle(w))
        work(w, UINT32_MAX);
    w->left = 0;
}

/* A share of what waits: it must be done when the next token comes. */
static void work_a_share(edgeemo_windows *w)
{
    int32_t frames = w->stride - 1 - w->phase % w->stride; /* from this one on */
    if (is_idle(w))
        return;
    if (frames < 2)
        edgeemo_windows_finish(w);
    else
        work(w, w->left / (uint32_t)frames);
}

/* The next state begins. */
static void begin(edgeemo_windows *w)
{
    edgeemo_windows_finish(w);
    w->young = w->young < 0 ? 0 : !w->young;
    w->running += w->running < 2;
    edgeemo_model_reset(&w->state[w->young]);
    w->origin[w->young] = w->stem.rows[0].made;
    w->first = 0;
}

/* Counters of the stem go back, its rings stay. */
static void wrap(edgeemo_windows *w)
{
    int32_t back = w->stem.rows[0].made / w->turn * w->turn;
    for (int32_t i = 0; i < w->tensors; i++)
        if (w->stem.rows[i].data)
            w->stem.rows[i].made -= back / w->stem.tensors[i].stride;
    for (int32_t k = 0; k < 2; k++)
        w->origin[k] -= back;
}

static void push_stem(edgeemo_windows *w, const float *features, int32_t frames)
{
    edgeemo_model *m = &w->stem;
    if (m->rows[0].made >= EDGEEMO_WINDOWS_WRAP)
        wrap(w);
    int32_t values = m->tensors[0].columns * m->tensors[0].channels;
    for (int32_t i = 0; i < frames; i++, features += values)
        edgeemo_model_quantize(m, features, edgeemo_row(m, 0, m->rows[0].made++));
    for (int32_t i = 0; i < w->layers; i++)
        edgeemo_model_layer(m, m->layers + i);
}

/* Whether frames have come that a state has work with. */
static int32_t has_work(edgeemo_windows *w, int32_t k)
{
    int32_t tensor = w->tensor;
    if (is_new(w, k)) {
        while (!has_own_left(w, w->first))
            w->first++;
        tensor = w->first ? w->stem.layers[w->first].output : 0;
    }
    return rows_there(w, k, tensor) > w->state[k].rows[tensor].made;
}

/* Frames have come: which states have work, and how much. */
static void wake(edgeemo_windows *w)
{
    int32_t woken = 0;
    for (int32_t k = 0; k < w->running; k++)
        if (has_work(w, k)) {
            w->next[k] = -1;
            woken = 1;
        }
    if (!woken || !w->spread)
        return;
    w->left = 0;
    for (int32_t k = 0; k < w->running; k++)
        for (int32_t i = first_layer(w, k); i < w->stem.head->layers; i++)
            w->left += cost(w, k, i);
}

void edgeemo_windows_push(edgeemo_windows *w, const float *features, int32_t frames)
{
    int32_t values = w->stem.tensors[0].columns * w->stem.tensors[0].channels;
    while (frames > 0) {
        int32_t size = w->half - w->phase;
        size = size < w->stem.block ? size : w->stem.block;
        size = size < frames ? size : frames;
        if (w->phase == 0)
            begin(w);
        else if (w->spread)
            work_a_share(w);
        push_stem(w, features, size);
        w->phase = (w->phase + size) % w->half;
        wake(w);
        if (!w->spread)
            edgeemo_windows_finish(w);
        features += size * values;
        frames -= size;
    }
}
