/* model_file.c: model.bin of a folder, beside the student that is compiled with it.
 *
 *     program model.bin CHANGES SEED
 *
 * Exits with 0 if both give the same estimate to the bit, every changed bit is noticed, and files
 * that were changed and have a right CRC are refused or run. Prints the names of the values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgeemo_file.h"
#include "edgeemo_golden.h"
#include "edgeemo_student.h"

enum { MOST = 1 << 18, PLACE_OF_CRC = 12, MOST_MEMORY = 1 << 22 };

static uint32_t state;

static uint32_t next(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % below;
}

/* The estimate for the golden clip; 0 if the model is refused. */
static int run(const edgeemo_speech_model *model, edgeemo_estimate *estimate)
{
    edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
    edgeemo_stream *stream;
    settings.sample_rate = model->sample_rate;
    settings.spread = 0;
    size_t bytes = edgeemo_stream_size(model, &settings);
    if (bytes == 0 || bytes > MOST_MEMORY)
        return 0;
    void *memory = malloc(bytes);
    if (!memory)
        exit(3);
    int ran = edgeemo_stream_init(&stream, memory, bytes, model, &settings) == EDGEEMO_OK
              && edgeemo_stream_push_i16(stream, edgeemo_golden_clip, EDGEEMO_GOLDEN_SAMPLES) >= 0
              && edgeemo_stream_estimate(stream, estimate) == EDGEEMO_OK;
    free(memory);
    return ran;
}

/* Words of what is no weight, changed; with a right CRC. */
static int changed(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n);
    edgeemo_file file;
    edgeemo_estimate estimate;
    if (!copy)
        exit(3);
    memcpy(copy, bytes, n);
    for (uint32_t i = 0; i <= next(3); i++) {
        uint32_t at = 16 + next(next(2) ? 128 : 8192) / 4 * 4;
        int32_t value = next(2) ? (int32_t)next(64) - 8 : (int32_t)(next(1 << 16) << 16);
        memcpy(copy + at, &value, sizeof value);
    }
    uint32_t crc = edgeemo_crc32(0, copy + 16, n - 16);
    memcpy(copy + PLACE_OF_CRC, &crc, sizeof crc);
    int opened = edgeemo_file_open(&file, copy, n) == EDGEEMO_OK;
    if (opened)
        run(&file.model, &estimate);
    free(copy);
    return opened;
}

int main(int count, char **arguments)
{
    static uint64_t room[MOST / 8];
    uint8_t *bytes = (uint8_t *)room;
    edgeemo_file file;
    edgeemo_estimate ours, theirs;
    FILE *from = count == 4 ? fopen(arguments[1], "rb") : NULL;
    if (!from)
        return 2;
    size_t n = fread(bytes, 1, MOST, from);
    fclose(from);
    state = (uint32_t)strtoul(arguments[3], NULL, 10) | 1u;
    memset(&ours, 0, sizeof ours);
    memset(&theirs, 0, sizeof theirs);
    if (edgeemo_file_open(&file, bytes, n) != EDGEEMO_OK || !run(&file.model, &ours)
        || !run(&edgeemo_student, &theirs) || memcmp(&ours, &theirs, sizeof ours) != 0)
        return 1;
    const char *name = file.names;
    for (int32_t i = 0; i < file.values; i++, name += strlen(name) + 1)
        printf("%s\n", name);
    int32_t opened = 0, changes = (int32_t)strtol(arguments[2], NULL, 10);
    for (int32_t i = 0; i < changes; i++) {
        uint32_t at = next((uint32_t)n), bit = 1u << next(8);
        bytes[at] = (uint8_t)(bytes[at] ^ bit);
        if (edgeemo_file_open(&file, bytes, n) == EDGEEMO_OK) {
            fprintf(stderr, "bit %u of byte %u is not noticed\n", bit, at);
            return 1;
        }
        bytes[at] = (uint8_t)(bytes[at] ^ bit);
        opened += changed(bytes, n);
    }
    if (edgeemo_file_open(&file, bytes, n - 4) != EDGEEMO_ERR_BLOB)
        return 1;
    fprintf(stderr, "%d of %d changed files opened\n", opened, changes);
    return 0;
}
