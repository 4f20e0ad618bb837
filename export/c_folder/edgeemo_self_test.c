/* edgeemo_self_test.c: the golden clip through the chain. */
#include "edgeemo_self_test.h"

#include <string.h>

#include "edgeemo_golden.h"
#include "edgeemo_student.h"

enum { BLOCK = 160 }; /* samples, as a microphone would give them; any number gives the same bits */

int32_t edgeemo_self_test(void *memory, size_t bytes)
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
