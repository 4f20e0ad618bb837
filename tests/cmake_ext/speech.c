/* speech.c: edgeemo_speech.h on the files `blob` and `clip` (16-bit samples) of the working folder.
 * Writes the estimate to `estimate`. The status is the line of the first fault, cut to 8 bits. */
#include "edgeemo_speech.h"

#include <math.h>
#include <string.h>

#include "edgeemo_internal.h"
#include "host.h"

#define EXPECT(truth)                   \
    do {                                \
        if (!(truth))                   \
            return __LINE__ % 255 + 1;  \
    } while (0)

enum { SAMPLES = 16000, VALUES = 11, MOST = 1 << 18 };
static uint64_t blob[MOST / 8], memory[MOST / 8], table_memory[2000];
static int16_t clip[SAMPLES];
static float floats[SAMPLES];

static int32_t push_floats(edgeemo_speech *s, int32_t size)
{
    for (int32_t at = 0; at < SAMPLES; at += size)
        if (edgeemo_speech_push(s, floats + at, SAMPLES - at < size ? SAMPLES - at : size))
            return -1;
    return 0;
}

int main(void)
{
    const edgeemo_feature_spec spec = EDGEEMO_LOGMEL40;
    float want[VALUES], found[VALUES];
    edgeemo_speech *s = NULL;
    int32_t bytes = host_read("blob", blob, sizeof blob);
    EXPECT(bytes > 0 && host_read("clip", clip, sizeof clip) == (int32_t)sizeof clip);
    for (int32_t i = 0; i < SAMPLES; i++)
        floats[i] = (float)clip[i] / 32768.0f;
    edgeemo_tables *tables = edgeemo_make_tables(table_memory, &spec);
    edgeemo_speech_model model = {
        .blob = blob, .blob_bytes = (size_t)bytes, .tables = tables, .least = 1520};
    size_t size = edgeemo_speech_size(&model);
    EXPECT(size > 0 && size % 8 == 0 && size <= sizeof memory);

    /* What cannot be used, and leaves everything as it was. */
    EXPECT(edgeemo_speech_init(NULL, memory, size, &model) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_speech_init(&s, NULL, size, &model) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_speech_init(&s, memory, size, NULL) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_speech_init(&s, memory, size - 8, &model) == EDGEEMO_ERR_MEMORY);
    EXPECT(edgeemo_speech_init(&s, (char *)memory + 4, size, &model) == EDGEEMO_ERR_MEMORY);
    edgeemo_tables narrow = *tables;
    narrow.bands--;
    edgeemo_speech_model other = model;
    other.tables = &narrow;
    EXPECT(edgeemo_speech_size(&other) == 0);
    EXPECT(edgeemo_speech_init(&s, memory, sizeof memory, &other) == EDGEEMO_ERR_BLOCK);
    other = model;
    other.blob_bytes -= 4;
    EXPECT(edgeemo_speech_init(&s, memory, sizeof memory, &other) < 0 && s == NULL);
    EXPECT(edgeemo_speech_push_i16(NULL, clip, 1) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_speech_estimate(NULL, want, VALUES) == EDGEEMO_ERR_ARG);
    edgeemo_speech_reset(NULL);
    EXPECT(EDGEEMO_ERR_EARLY == -46 && EDGEEMO_ERR_LATE == -47); /* the deprecated names */

    EXPECT(edgeemo_speech_init(&s, memory, size, &model) == EDGEEMO_OK);
    EXPECT(edgeemo_speech_estimate(s, want, VALUES) == EDGEEMO_ERR_NOT_ENOUGH_FRAMES);
    EXPECT(edgeemo_speech_push_i16(s, clip, -1) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_speech_push_i16(s, NULL, 1) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_speech_push_i16(s, NULL, 0) == EDGEEMO_OK);
    for (int32_t at = 0; at < SAMPLES; at += 160) {
        EXPECT(edgeemo_speech_push_i16(s, clip + at, 160) == EDGEEMO_OK);
        /* As in Python, from the model's shortest clip on. */
        int32_t written = edgeemo_speech_estimate(s, found, VALUES);
        EXPECT(written == (at + 160 < 1520 ? EDGEEMO_ERR_NOT_ENOUGH_FRAMES : VALUES));
    }
    EXPECT(edgeemo_speech_estimate(s, want, VALUES - 1) == EDGEEMO_ERR_MEMORY);
    EXPECT(edgeemo_speech_estimate(s, want, VALUES) == VALUES);

    /* A sample that is no number is refused before any of its block is taken. */
    float saved = floats[500];
    floats[500] = NAN;
    EXPECT(edgeemo_speech_push(s, floats, 501) == EDGEEMO_ERR_VALUE);
    floats[500] = saved;
    EXPECT(edgeemo_speech_estimate(s, found, VALUES) == VALUES);
    EXPECT(memcmp(found, want, sizeof want) == 0);

    /* Floats in other blocks, after a reset, give the same bits. */
    const int32_t sizes[] = {7, 401, SAMPLES};
    for (int32_t i = 0; i < 3; i++) {
        edgeemo_speech_reset(s);
        EXPECT(push_floats(s, sizes[i]) == 0);
        EXPECT(edgeemo_speech_estimate(s, found, VALUES) == VALUES);
        EXPECT(memcmp(found, want, sizeof want) == 0);
    }
    return host_write("estimate", want, sizeof want) ? 1 : 0;
}
