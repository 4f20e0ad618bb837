/* edgeemo_phone.c: handles with memory of their own around edgeemo_speech.h and edgeemo_stream.h. */
#include "edgeemo_phone.h"

#include <stdlib.h>

#include "edgeemo_self_test.h"
#include "edgeemo_student.h"

struct edgeemo_phone {
    uint64_t memory[EDGEEMO_STUDENT_STREAM_MEMORY / 8]; /* the self-test needs more than a clip */
    edgeemo_speech *speech;
};

edgeemo_phone *edgeemo_phone_new(void)
{
    edgeemo_phone *phone = malloc(sizeof *phone);
    if (phone
        && edgeemo_self_test(phone->memory, sizeof phone->memory) == EDGEEMO_OK
        && edgeemo_speech_init(&phone->speech, phone->memory, sizeof phone->memory,
                               &edgeemo_student) == EDGEEMO_OK)
        return phone;
    free(phone);
    return NULL;
}

void edgeemo_phone_free(edgeemo_phone *phone)
{
    free(phone);
}

int32_t edgeemo_phone_values(void)
{
    return EDGEEMO_STUDENT_VALUES;
}

const char *edgeemo_phone_name(int32_t value)
{
    return value >= 0 && value < EDGEEMO_STUDENT_VALUES ? edgeemo_student_names[value] : NULL;
}

int32_t edgeemo_phone_push(edgeemo_phone *phone, const float *samples, int32_t n)
{
    return phone ? edgeemo_speech_push(phone->speech, samples, n) : EDGEEMO_ERR_ARG;
}

int32_t edgeemo_phone_push_i16(edgeemo_phone *phone, const int16_t *samples, int32_t n)
{
    return phone ? edgeemo_speech_push_i16(phone->speech, samples, n) : EDGEEMO_ERR_ARG;
}

int32_t edgeemo_phone_estimate(edgeemo_phone *phone, float *values, int32_t room)
{
    return phone ? edgeemo_speech_estimate(phone->speech, values, room) : EDGEEMO_ERR_ARG;
}

void edgeemo_phone_reset(edgeemo_phone *phone)
{
    if (phone)
        edgeemo_speech_reset(phone->speech);
}

struct edgeemo_phone_stream {
    uint64_t memory[EDGEEMO_STUDENT_STREAM_MEMORY / 8];
    edgeemo_stream *stream;
};

/* Without `spread`, an estimate comes with the sample that ends it. */
static const edgeemo_stream_settings defaults = EDGEEMO_STREAM_SETTINGS;

edgeemo_phone_stream *edgeemo_phone_stream_new(void)
{
    edgeemo_phone_stream *s = malloc(sizeof *s);
    edgeemo_stream_settings settings = defaults;
    settings.spread = 0;
    settings.sample_rate = EDGEEMO_STUDENT_RATE;
    if (s && edgeemo_self_test(s->memory, sizeof s->memory) == EDGEEMO_OK
        && edgeemo_stream_init(&s->stream, s->memory, sizeof s->memory, &edgeemo_student, &settings)
               == EDGEEMO_OK)
        return s;
    free(s);
    return NULL;
}

void edgeemo_phone_stream_free(edgeemo_phone_stream *s)
{
    free(s);
}

int32_t edgeemo_phone_stream_stride(void)
{
    return defaults.stride * EDGEEMO_STUDENT_HOP;
}

int32_t edgeemo_phone_stream_push(edgeemo_phone_stream *s, const float *samples, int32_t n)
{
    return s ? edgeemo_stream_push(s->stream, samples, n) : EDGEEMO_ERR_ARG;
}

int32_t edgeemo_phone_stream_push_i16(edgeemo_phone_stream *s, const int16_t *samples, int32_t n)
{
    return s ? edgeemo_stream_push_i16(s->stream, samples, n) : EDGEEMO_ERR_ARG;
}

int32_t edgeemo_phone_stream_estimate(const edgeemo_phone_stream *s, float *values, int32_t room,
                                      double *told)
{
    edgeemo_estimate e;
    if (!s || !values || !told)
        return EDGEEMO_ERR_ARG;
    if (room < EDGEEMO_STUDENT_VALUES)
        return EDGEEMO_ERR_MEMORY;
    int32_t status = edgeemo_stream_estimate(s->stream, &e);
    if (status != EDGEEMO_OK)
        return status;
    for (int32_t i = 0; i < EDGEEMO_STUDENT_VALUES; i++)
        values[i] = e.values[i];
    told[0] = (double)e.start / EDGEEMO_STUDENT_RATE;
    told[1] = (double)e.end / EDGEEMO_STUDENT_RATE;
    told[2] = e.known;
    told[3] = e.expression;
    told[4] = (double)e.confidence;
    return EDGEEMO_STUDENT_VALUES;
}

void edgeemo_phone_stream_reset(edgeemo_phone_stream *s)
{
    if (s)
        edgeemo_stream_reset(s->stream);
}

const char *edgeemo_phone_text(int32_t status)
{
    return edgeemo_model_status_text(status);
}
