/* edgeemo_speech.c: samples into the front end, its frames one by one into the network. */
#include "edgeemo_speech.h"

#include "edgeemo_internal.h"

struct edgeemo_speech {
    edgeemo_frontend *frontend;
    edgeemo_model *model;
    int32_t missing; /* samples until there is an estimate */
    int32_t least;
    float *frame; /* [bands] */
};

enum { BLOCK = 1 }; /* frames that go through the network together: one takes the least memory */

/* The parts of the memory, in order; each is a multiple of 8 bytes. */
typedef struct parts {
    size_t self, frame, frontend, model;
} parts;

static size_t in_eights(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

static int32_t measure(const edgeemo_speech_model *model, parts *p)
{
    edgeemo_model_info info;
    if (!model || !model->tables)
        return EDGEEMO_ERR_ARG;
    int32_t status = edgeemo_model_check(model->blob, model->blob_bytes, &info);
    if (status != EDGEEMO_OK)
        return status;
    if (!info.streamable || info.columns * info.channels != model->tables->bands)
        return EDGEEMO_ERR_BLOCK;
    p->self = in_eights(sizeof(edgeemo_speech));
    p->frame = in_eights((size_t)model->tables->bands * sizeof(float));
    p->frontend = edgeemo_frontend_state_size(model->tables);
    p->model = edgeemo_model_size(model->blob, model->blob_bytes, BLOCK);
    return p->model ? EDGEEMO_OK : EDGEEMO_ERR_BLOCK;
}

size_t edgeemo_speech_size(const edgeemo_speech_model *model)
{
    parts p;
    return measure(model, &p) == EDGEEMO_OK ? p.self + p.frame + p.frontend + p.model : 0;
}

int32_t edgeemo_speech_init(edgeemo_speech **speech, void *memory, size_t bytes,
                            const edgeemo_speech_model *model)
{
    parts p;
    if (!speech || !memory)
        return EDGEEMO_ERR_ARG;
    int32_t status = measure(model, &p);
    if (status != EDGEEMO_OK)
        return status;
    if (bytes < p.self + p.frame + p.frontend + p.model || (uintptr_t)memory % 8)
        return EDGEEMO_ERR_MEMORY;
    edgeemo_speech *s = memory;
    char *at = (char *)memory + p.self;
    s->frame = (void *)at;
    status = edgeemo_frontend_init_tables(&s->frontend, at + p.frame, p.frontend, model->tables);
    if (status == EDGEEMO_OK)
        status = edgeemo_model_init(&s->model, at + p.frame + p.frontend, p.model, model->blob,
                                    model->blob_bytes, BLOCK);
    if (status == EDGEEMO_OK)
        *speech = s;
    s->least = s->missing = model->least;
    return status;
}

/* One of the two kinds of samples; the other is NULL. */
static int32_t push(edgeemo_speech *s, const float *floats, const int16_t *shorts, int32_t n)
{
    for (int32_t taken; n > 0; n -= taken) {
        int32_t frames =
            floats ? edgeemo_frontend_push(s->frontend, floats, n, s->frame, 1, &taken)
                   : edgeemo_frontend_push_i16(s->frontend, shorts, n, s->frame, 1, &taken);
        if (frames < 0)
            return frames;
        int32_t heard = edgeemo_model_push(s->model, s->frame, frames);
        if (heard < 0)
            return heard;
        s->missing -= taken < s->missing ? taken : s->missing;
        if (floats)
            floats += taken;
        else
            shorts += taken;
    }
    return EDGEEMO_OK;
}

int32_t edgeemo_speech_push(edgeemo_speech *s, const float *samples, int32_t n)
{
    if (!s || n < 0 || (n > 0 && !samples))
        return EDGEEMO_ERR_ARG;
    if (edgeemo_first_bad_sample(samples, n) >= 0)
        return EDGEEMO_ERR_VALUE;
    return push(s, samples, NULL, n);
}

int32_t edgeemo_speech_push_i16(edgeemo_speech *s, const int16_t *samples, int32_t n)
{
    if (!s || n < 0 || (n > 0 && !samples))
        return EDGEEMO_ERR_ARG;
    return push(s, NULL, samples, n);
}

int32_t edgeemo_speech_estimate(edgeemo_speech *s, float *values, int32_t room)
{
    if (!s)
        return EDGEEMO_ERR_ARG;
    return s->missing ? EDGEEMO_ERR_NOT_ENOUGH_FRAMES
                      : edgeemo_model_outputs(s->model, values, room);
}

void edgeemo_speech_reset(edgeemo_speech *s)
{
    if (s) {
        edgeemo_frontend_reset(s->frontend);
        edgeemo_model_reset(s->model);
        s->missing = s->least;
    }
}
