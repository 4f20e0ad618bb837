/* edgeemo_self_test.c: CRCs of what lies in flash, then the golden clip through front end and stream.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edgeemo_self_test.h"

#ifndef EDGEEMO_NO_SELF_TEST
#include "edgeemo_golden.h"
#include "edgeemo_internal.h"
#include "edgeemo_student.h"

enum { BLOCK = 160 }; /* samples; any number gives the same bits */

/* The log-mel of the clip: fused multiply-add and other flags show here, where nothing is rounded to 8
 * bits yet. */
static int32_t test_features(void *memory, size_t bytes)
{
    edgeemo_frontend *frontend;
    float frame[EDGEEMO_GOLDEN_BANDS];
    uint32_t crc = 0;
    const edgeemo_tables *tables = edgeemo_student.tables;
    int32_t status = edgeemo_frontend_init_tables(&frontend, memory, bytes, tables);
    if (status != EDGEEMO_OK)
        return status;
    for (int32_t at = 0, taken = 0; at < EDGEEMO_GOLDEN_SAMPLES; at += taken) {
        int32_t frames = edgeemo_frontend_push_i16(frontend, edgeemo_golden_clip + at,
                                                   EDGEEMO_GOLDEN_SAMPLES - at, frame, 1, &taken);
        if (frames > 0)
            crc = edgeemo_crc32(crc, frame, sizeof frame);
    }
    return crc == EDGEEMO_GOLDEN_FEATURES_CRC ? EDGEEMO_OK : EDGEEMO_ERR_BITS;
}

static int32_t has_bits_of(const float *a, const float *b, size_t n)
{
    return edgeemo_crc32(0, a, n * sizeof *a) == edgeemo_crc32(0, b, n * sizeof *b);
}

/* Network, gate and confidence. */
static int32_t test_stream(void *memory, size_t bytes)
{
    edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
    edgeemo_stream *stream;
    edgeemo_estimate found;
    settings.sample_rate = EDGEEMO_STUDENT_RATE;
    settings.spread = 0; /* the estimate comes with the clip's end */
    int32_t status = edgeemo_stream_init(&stream, memory, bytes, &edgeemo_student, &settings);
    for (int32_t at = 0; status >= 0 && at < EDGEEMO_GOLDEN_SAMPLES; at += BLOCK) {
        int32_t left = EDGEEMO_GOLDEN_SAMPLES - at;
        status = edgeemo_stream_push_i16(stream, edgeemo_golden_clip + at,
                                         left < BLOCK ? left : BLOCK);
    }
    if (status >= 0)
        status = edgeemo_stream_estimate(stream, &found);
    if (status != EDGEEMO_OK)
        return status;
    /* Bits, not numbers: -0 and 0 are equal as numbers. */
    return has_bits_of(found.values, edgeemo_golden_estimate, EDGEEMO_STUDENT_VALUES)
                   && has_bits_of(&found.confidence, &edgeemo_golden_confidence, 1)
               ? EDGEEMO_OK
               : EDGEEMO_ERR_BITS;
}

int32_t edgeemo_self_test(void *memory, size_t bytes)
{
    if (edgeemo_crc32(0, edgeemo_student.blob, edgeemo_student.blob_bytes)
            != EDGEEMO_GOLDEN_NETWORK_CRC
        || edgeemo_tables_crc(edgeemo_student.tables) != EDGEEMO_GOLDEN_TABLES_CRC)
        return EDGEEMO_ERR_CRC;
    int32_t status = test_features(memory, bytes);
    return status == EDGEEMO_OK ? test_stream(memory, bytes) : status;
}

#else
typedef int edgeemo_self_test_is_empty; /* ISO C wants something in each file */
#endif
