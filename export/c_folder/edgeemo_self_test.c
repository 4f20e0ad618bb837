/* edgeemo_self_test.c: the golden clip through the front end and through the chain. */
#include "edgeemo_self_test.h"

#ifndef EDGEEMO_NO_SELF_TEST
#include <string.h>

#include "edgeemo_golden.h"
#include "edgeemo_student.h"

enum { BLOCK = 160 }; /* samples, as a microphone would give them; any number gives the same bits */

/* FNV-1a, word by word. */
static uint32_t checksum_of(uint32_t checksum, const float *values, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, values + i, sizeof bits);
        checksum = (checksum ^ bits) * 16777619u;
    }
    return checksum;
}

static int32_t test_features(void *memory, size_t bytes)
{
    edgeemo_frontend *frontend;
    float frame[EDGEEMO_GOLDEN_BANDS];
    uint32_t checksum = 2166136261u;
    int32_t status =
        edgeemo_frontend_init_tables(&frontend, memory, bytes, edgeemo_student.tables);
    for (int32_t at = 0, taken = 0; status >= 0 && at < EDGEEMO_GOLDEN_SAMPLES; at += taken) {
        status = edgeemo_frontend_push_i16(frontend, edgeemo_golden_clip + at,
                                           EDGEEMO_GOLDEN_SAMPLES - at, frame, 1, &taken);
        checksum = checksum_of(checksum, frame, status == 1 ? EDGEEMO_GOLDEN_BANDS : 0);
    }
    if (status < 0)
        return status;
    return checksum == EDGEEMO_GOLDEN_FEATURES ? EDGEEMO_OK : EDGEEMO_ERR_VALUE;
}

static int32_t test_estimate(void *memory, size_t bytes)
{
    edgeemo_speech *speech;
    float found[EDGEEMO_STUDENT_VALUES];
    int32_t status = edgeemo_speech_init(&speech, memory, bytes, &edgeemo_student);
    for (int32_t at = 0; status == EDGEEMO_OK && at < EDGEEMO_GOLDEN_SAMPLES; at += BLOCK) {
        int32_t left = EDGEEMO_GOLDEN_SAMPLES - at;
        status = edgeemo_speech_push_i16(speech, edgeemo_golden_clip + at,
                                         left < BLOCK ? left : BLOCK);
    }
    if (status != EDGEEMO_OK)
        return status;
    status = edgeemo_speech_estimate(speech, found, EDGEEMO_STUDENT_VALUES);
    if (status < 0)
        return status;
    /* Bits, not numbers: -0 and 0 are equal as numbers. */
    return memcmp(found, edgeemo_golden_estimate, sizeof found) == 0 ? EDGEEMO_OK
                                                                     : EDGEEMO_ERR_VALUE;
}

int32_t edgeemo_self_test(void *memory, size_t bytes)
{
    int32_t status = test_features(memory, bytes);
    return status == EDGEEMO_OK ? test_estimate(memory, bytes) : status;
}

#else
typedef int edgeemo_self_test_is_empty; /* ISO C wants something in each file */
#endif
