/* web.c: the student for a page: one listener, and buffers that JavaScript reads and writes. */
#include "edgeemo_self_test.h"
#include "edgeemo_student.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

enum { ROOM = 4096 }; /* samples of a push */

static uint64_t memory[EDGEEMO_STUDENT_MEMORY / 8];
static float samples[ROOM], values[EDGEEMO_STUDENT_VALUES];
static edgeemo_speech *speech;

/* The self-test, then a new listener. Returns 0, or a status below 0. */
int32_t EXPORT(start)(void)
{
    int32_t status = edgeemo_self_test(memory, sizeof memory);
    return status == EDGEEMO_OK
               ? edgeemo_speech_init(&speech, memory, sizeof memory, &edgeemo_student)
               : status;
}

/* Where room() samples go before push(), 16 kHz, -1..1. */
float *EXPORT(samples_at)(void)
{
    return samples;
}

int32_t EXPORT(room)(void)
{
    return ROOM;
}

int32_t EXPORT(push)(int32_t n)
{
    return n <= ROOM ? edgeemo_speech_push(speech, samples, n) : EDGEEMO_ERR_ARG;
}

/* The estimate for all since the reset to values_at(). Returns their number, or a status. */
int32_t EXPORT(estimate)(void)
{
    return edgeemo_speech_estimate(speech, values, EDGEEMO_STUDENT_VALUES);
}

float *EXPORT(values_at)(void)
{
    return values;
}

void EXPORT(reset)(void)
{
    edgeemo_speech_reset(speech);
}

/* The name of a value, and the text of a status: ends with a 0. */
const char *EXPORT(name)(int32_t value)
{
    return value >= 0 && value < EDGEEMO_STUDENT_VALUES ? edgeemo_student_names[value] : "";
}

const char *EXPORT(text)(int32_t status)
{
    return edgeemo_model_status_text(status);
}
