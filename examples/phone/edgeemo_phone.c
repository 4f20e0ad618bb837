/* edgeemo_phone.c: handles with memory of their own around edgeemo_speech.h. */
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

const char *edgeemo_phone_text(int32_t status)
{
    return edgeemo_model_status_text(status);
}
