/* web.c: speech in WebAssembly: a clip, or a stream as edgeemo_stream.h has it.
 *
 * A clip is a front end and a model that takes all; its confidence is that of the whole. Nothing is
 * freed: an instance lives as long as its clip or stream.
 */
#include <string.h>

#include "edgeemo_internal.h"
#include "edgeemo_stream.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

enum { ROOM = 4096, BLOCK = 8, MOST_VALUES = 256, MOST_BANDS = 512, PAGE = 65536, MOST = 1 << 28 };

typedef struct clip {
    edgeemo_frontend *frontend;
    edgeemo_model *model;
    const edgeemo_confidence *confidence; /* or NULL */
    edgeemo_statistics statistics;
    int32_t groups[EDGEEMO_GROUPS]; /* of the last frame */
    int32_t bands;
    double taken; /* samples since the reset: an int32_t ends after 37 hours */
} clip;

extern unsigned char __heap_base;
static float samples[ROOM], frames[BLOCK * MOST_BANDS], values[MOST_VALUES + EDGEEMO_DESCRIBED];
static edgeemo_estimate newest;
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

/* Where room() samples go before push() and hear(), at the front end's rate, -1..1. */
float *EXPORT(samples_at)(void)
{
    return samples;
}

int32_t EXPORT(room)(void)
{
    return ROOM;
}

/* A regression for make() and open(): `parts` are floats, the centers of its inputs, their scales, the
 * weights, and those of the squares. NULL if there is no memory, or none is wanted. */
static const edgeemo_confidence *regression(const float *parts, int32_t inputs, float bias)
{
    edgeemo_confidence *made = inputs ? reserve(sizeof *made) : NULL;
    if (made)
        *made = (edgeemo_confidence){inputs, bias, parts, parts + inputs, parts + 2 * inputs};
    return made;
}

/* ---- clips ---- */

/* A clip; or a status below 0.
 * blob, spec, parts  lie in memory of reserve(), and stay. inputs is 0 without a regression. */
int32_t EXPORT(make)(const void *blob, uint32_t blob_bytes, const edgeemo_feature_spec *spec,
                     const float *parts, int32_t inputs, float bias)
{
    edgeemo_model_info info;
    int32_t status = edgeemo_model_check(blob, blob_bytes, &info);
    if (status != EDGEEMO_OK)
        return status;
    size_t bytes = edgeemo_frontend_size(spec);
    size_t model_bytes = edgeemo_model_size(blob, blob_bytes, BLOCK);
    if (!bytes || !model_bytes || !info.streamable || info.columns * info.channels != spec->bands
        || spec->bands > MOST_BANDS || info.values > MOST_VALUES
        || (inputs && (inputs != info.values + EDGEEMO_DESCRIBED || spec->bands < EDGEEMO_GROUPS)))
        return EDGEEMO_ERR_ARG;
    clip *c = reserve(sizeof *c);
    void *memory = reserve(bytes), *model = reserve(model_bytes);
    if (!c || !memory || !model)
        return EDGEEMO_ERR_MEMORY;
    *c = (clip){.bands = spec->bands, .confidence = regression(parts, inputs, bias)};
    status = edgeemo_frontend_init(&c->frontend, memory, bytes, spec);
    if (status == EDGEEMO_OK)
        status = edgeemo_model_init(&c->model, model, model_bytes, blob, blob_bytes, BLOCK);
    return status == EDGEEMO_OK ? (int32_t)c : status;
}

static void describe(clip *c, int32_t made)
{
    int32_t groups[EDGEEMO_GROUPS];
    for (int32_t i = 0; c->confidence && i < made; i++) {
        edgeemo_group_means(frames + i * c->bands, c->bands, groups);
        edgeemo_statistics_add(&c->statistics, groups, c->groups);
        memcpy(c->groups, groups, sizeof groups);
    }
}

/* Take n samples. Returns 0, or a status below 0: then some may have been taken, and reset() is next. */
int32_t EXPORT(push)(clip *c, int32_t n)
{
    if (n < 0 || n > ROOM)
        return EDGEEMO_ERR_ARG;
    const float *from = samples;
    for (int32_t taken; n > 0; n -= taken, from += taken, c->taken += taken) {
        int32_t made = edgeemo_frontend_push(c->frontend, from, n, frames, BLOCK, &taken);
        int32_t status = made < 0 ? made : edgeemo_model_push(c->model, frames, made);
        if (status < 0)
            return status;
        describe(c, made);
    }
    return EDGEEMO_OK;
}

/* The estimate so far to values_at(). Returns the number of values, or a status below 0. */
int32_t EXPORT(estimate)(clip *c)
{
    return edgeemo_model_outputs(c->model, values, MOST_VALUES);
}

/* The confidence of that estimate; below 0 without a regression. */
float EXPORT(confidence)(clip *c)
{
    if (!c->confidence)
        return -1;
    edgeemo_describe(&c->statistics, values + c->confidence->inputs - EDGEEMO_DESCRIBED);
    return edgeemo_confidence_of(c->confidence, values);
}

float *EXPORT(values_at)(void)
{
    return values;
}

/* Samples since the reset. */
double EXPORT(taken)(const clip *c)
{
    return c->taken;
}

void EXPORT(reset)(clip *c)
{
    edgeemo_frontend_reset(c->frontend);
    edgeemo_model_reset(c->model);
    edgeemo_statistics_reset(&c->statistics);
    c->taken = 0;
}

/* ---- streams ---- */

/* A stream; or a status below 0.
 * blob, spec, parts  as for make().
 * settings           as EDGEEMO_STREAM_SETTINGS, but for the sample rate, which is the spec's. */
int32_t EXPORT(open)(const void *blob, uint32_t blob_bytes, const edgeemo_feature_spec *spec,
                     const float *parts, int32_t inputs, float bias, int32_t least,
                     int32_t classes_at, int32_t classes, float low, float high)
{
    edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
    edgeemo_stream *stream;
    if (edgeemo_feature_spec_check(spec) != EDGEEMO_OK)
        return EDGEEMO_ERR_ARG;
    void *tables = reserve(edgeemo_tables_size(spec));
    if (!tables)
        return EDGEEMO_ERR_MEMORY;
    edgeemo_speech_model model = {
        .blob = blob, .blob_bytes = blob_bytes, .tables = edgeemo_make_tables(tables, spec),
        .confidence = regression(parts, inputs, bias), .sample_rate = spec->sample_rate,
        .least = least, .classes_at = classes_at, .classes = classes, .low = low, .high = high,
    };
    settings.sample_rate = spec->sample_rate;
    settings.spread = 0; /* an estimate comes with the sample that ends it */
    settings.block = BLOCK;
    size_t bytes = edgeemo_stream_size(&model, &settings);
    void *memory = bytes ? reserve(bytes) : NULL;
    if (bytes && !memory)
        return EDGEEMO_ERR_MEMORY;
    int32_t status = edgeemo_stream_init(&stream, memory, bytes, &model, &settings);
    return status == EDGEEMO_OK ? (int32_t)stream : status;
}

/* Take n samples; up to a stride of them, so that one estimate at most becomes ready. Returns how many
 * became ready, with the newest at newest_at(), or a status below 0. */
int32_t EXPORT(hear)(edgeemo_stream *stream, int32_t n)
{
    int32_t ready = n > ROOM ? EDGEEMO_ERR_ARG : edgeemo_stream_push(stream, samples, n);
    if (ready > 0)
        edgeemo_stream_estimate(stream, &newest);
    return ready;
}

edgeemo_estimate *EXPORT(newest_at)(void)
{
    return &newest;
}

void EXPORT(forget)(edgeemo_stream *stream)
{
    edgeemo_stream_reset(stream);
}

/* The text of a status: ends with a 0. */
const char *EXPORT(text)(int32_t status)
{
    return edgeemo_model_status_text(status);
}
