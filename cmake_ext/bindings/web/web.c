/* web.c: speech in WebAssembly: a listener with one front end and two states of a model.
 *
 * A model that goes on frame by frame cannot forget the beginning of its context. So a listener has
 * two states: number i takes the frames from sample i * half on, the older one speaks, and when it
 * has a whole context it gives its place to the younger. An estimate looks at the last half to whole
 * context. With half = 0 one state takes all, for clips.
 *
 * Nothing is freed: an instance lives as long as its listener.
 */
#include "edgeemo_internal.h"
#include "edgeemo_model.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

enum { ROOM = 4096, BLOCK = 8, MOST_VALUES = 256, MOST_BANDS = 512, PAGE = 65536, MOST = 1 << 28 };

typedef struct listener {
    edgeemo_frontend *frontend;
    edgeemo_model *states[2]; /* the older one, the younger one; no younger one without half */
    int32_t half, hop, bands;
    double number;        /* of the older state */
    double taken, frames; /* samples and frames since the reset: an int32_t ends after 37 hours */
} listener;

extern unsigned char __heap_base;
static float samples[ROOM], frames[BLOCK * MOST_BANDS], values[MOST_VALUES];
static uintptr_t top;

/* Memory of `bytes` bytes on 16 bytes, for good; NULL if there is none. */
void *EXPORT(reserve)(uint32_t bytes)
{
    uintptr_t at = ((top ? top : (uintptr_t)&__heap_base) + 15) / 16 * 16;
    uintptr_t size = __builtin_wasm_memory_size(0) * (uintptr_t)PAGE;
    if (bytes > MOST)
        return NULL;
    if (at + bytes > size
        && __builtin_wasm_memory_grow(0, (at + bytes - size + PAGE - 1) / PAGE) == (size_t)-1)
        return NULL;
    top = at + bytes;
    return (void *)at;
}

static int32_t make_state(edgeemo_model **state, const void *blob, uint32_t blob_bytes)
{
    size_t bytes = edgeemo_model_size(blob, blob_bytes, BLOCK);
    void *memory = bytes ? reserve(bytes) : NULL;
    return memory ? edgeemo_model_init(state, memory, bytes, blob, blob_bytes, BLOCK)
                  : EDGEEMO_ERR_MEMORY;
}

/* A listener; or a status below 0.
 * blob, spec  lie in memory of reserve(), and stay.
 * half        samples, a multiple of the hop; or 0. */
int32_t EXPORT(make)(const void *blob, uint32_t blob_bytes, const edgeemo_feature_spec *spec,
                     int32_t half)
{
    edgeemo_model_info info;
    int32_t status = edgeemo_model_check(blob, blob_bytes, &info);
    if (status != EDGEEMO_OK)
        return status;
    size_t bytes = edgeemo_frontend_size(spec);
    if (!bytes || !info.streamable || info.columns * info.channels != spec->bands
        || spec->bands > MOST_BANDS || info.values > MOST_VALUES || half < 0 || half % spec->hop)
        return EDGEEMO_ERR_ARG;
    listener *l = reserve(sizeof *l);
    void *memory = reserve(bytes);
    if (!l || !memory)
        return EDGEEMO_ERR_MEMORY;
    *l = (listener){.half = half, .hop = spec->hop, .bands = spec->bands};
    status = edgeemo_frontend_init(&l->frontend, memory, bytes, spec);
    for (int32_t i = 0; status == EDGEEMO_OK && i < (half ? 2 : 1); i++)
        status = make_state(l->states + i, blob, blob_bytes);
    return status == EDGEEMO_OK ? (int32_t)l : status;
}

/* Where room() samples go before push(), at the front end's rate, -1..1. */
float *EXPORT(samples_at)(void)
{
    return samples;
}

int32_t EXPORT(room)(void)
{
    return ROOM;
}

/* Frames to a state, those from its own first one on. */
static int32_t feed(const listener *l, int32_t which, int32_t made)
{
    double first = (l->number + which) * (l->half / l->hop) - l->frames;
    int32_t skipped = first <= 0 ? 0 : first < made ? (int32_t)first : made;
    if (!l->states[which] || skipped == made)
        return EDGEEMO_OK;
    return edgeemo_model_push(l->states[which], frames + skipped * l->bands, made - skipped);
}

/* Samples among which no state begins. */
static int32_t push_stretch(listener *l, const float *from, int32_t n)
{
    for (int32_t taken; n > 0; n -= taken, from += taken, l->taken += taken) {
        int32_t made = edgeemo_frontend_push(l->frontend, from, n, frames, BLOCK, &taken);
        if (made < 0)
            return made;
        for (int32_t i = 0; i < 2; i++) {
            int32_t status = feed(l, i, made);
            if (status < 0)
                return status;
        }
        l->frames += made;
    }
    return EDGEEMO_OK;
}

/* Samples until the younger state takes the place of the older one, 1 or more: that happens when the
 * first sample behind a whole context comes. */
static double until_next_state(listener *l)
{
    double left = (l->number + 2) * l->half - l->taken;
    if (left > 0)
        return left;
    edgeemo_model *older = l->states[0];
    edgeemo_model_reset(older);
    l->states[0] = l->states[1];
    l->states[1] = older;
    l->number++;
    return l->half;
}

/* Take n samples. Returns 0, or a status below 0: then some may have been taken, and reset() is next. */
int32_t EXPORT(push)(listener *l, int32_t n)
{
    if (n < 0 || n > ROOM)
        return EDGEEMO_ERR_ARG;
    for (int32_t at = 0, some; at < n; at += some) {
        double left = l->half ? until_next_state(l) : n;
        some = left < n - at ? (int32_t)left : n - at;
        int32_t status = push_stretch(l, samples + at, some);
        if (status < 0)
            return status;
    }
    return EDGEEMO_OK;
}

/* The estimate so far to values_at(). Returns the number of values, or a status below 0. */
int32_t EXPORT(estimate)(listener *l)
{
    return edgeemo_model_outputs(l->states[0], values, MOST_VALUES);
}

float *EXPORT(values_at)(void)
{
    return values;
}

/* The first sample that an estimate looks at, and the samples so far. */
double EXPORT(first)(const listener *l)
{
    return l->number * l->half;
}

double EXPORT(taken)(const listener *l)
{
    return l->taken;
}

void EXPORT(reset)(listener *l)
{
    edgeemo_frontend_reset(l->frontend);
    edgeemo_model_reset(l->states[0]);
    edgeemo_model_reset(l->states[1]);
    l->taken = l->number = l->frames = 0;
}

/* The text of a status: ends with a 0. */
const char *EXPORT(text)(int32_t status)
{
    return edgeemo_model_status_text(status);
}
