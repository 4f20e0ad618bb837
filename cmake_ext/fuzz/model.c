/* model.c: any bytes as a model, and a model with a few words changed; the invariants of
 * edgeemo_model.h must hold, and nothing outside of the blob and the memory is touched.
 *
 *     clang -fsanitize=fuzzer,address,undefined ...   libFuzzer
 *     gcc -fsanitize=address,undefined ... main.c     alone, on files or on random bytes
 *
 * The model that is changed is made here: all kinds of layers, few values. A broken invariant ends
 * the program by abort(), with a line that names it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgeemo_model_internal.h"
#include "must.h"
#include "small_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAMES = 13, MOST_MEMORY = 1 << 22 };

/* Blocks of exactly the needed size, so that the sanitizer sees each byte beyond. */
static void *block_of(size_t size)
{
    void *block = malloc(size ? size : 1);
    MUST(block);
    return block;
}

static int8_t value_at(int32_t i)
{
    return (int8_t)(i * 37 % 256 - 128);
}

/* Outputs of FRAMES rows, or the status that stood in the way. */
static int32_t run(const void *blob, size_t bytes, const edgeemo_model_info *info, int32_t block,
                   const edgeemo_kernels *kernels, int8_t *out)
{
    size_t size = edgeemo_model_size_with(blob, bytes, block, kernels);
    if (size == 0 || size > MOST_MEMORY)
        return EDGEEMO_ERR_BLOCK;
    void *memory = block_of(size);
    memset(memory, 0xa5, size); /* it may hold anything */
    edgeemo_model *model = NULL;
    MUST(edgeemo_model_init_with(&model, memory, size - 8, blob, bytes, block, kernels)
         != EDGEEMO_OK);
    int32_t status =
        edgeemo_model_init_with(&model, memory, size, blob, bytes, block, kernels);
    if (status == EDGEEMO_OK) {
        int32_t row = info->columns * info->channels, rows = info->streamable ? FRAMES : block;
        int8_t *values = block_of((size_t)rows * (size_t)row);
        for (int32_t i = 0; i < rows * row; i++)
            values[i] = value_at(i);
        int32_t first = info->streamable ? block % rows : rows;
        status = edgeemo_model_push_i8(model, values, first);
        if (status >= 0 && info->streamable)
            status = edgeemo_model_push_i8(model, values + first * row, rows - first);
        if (status >= 0)
            status = edgeemo_model_outputs_i8(model, out, info->values);
        free(values);
    }
    free(memory);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static whole_blob whole;
    size_t bytes = size;
    int32_t comparable = 0;
    void *blob;
    if (size > 0 && data[0] & 3) {
        /* Changes of words: place and value, two bytes each. */
        make(&whole);
        edgeemo_model_info sound;
        MUST(edgeemo_model_check(&whole, sizeof whole, &sound) == EDGEEMO_OK);
        MUST(sound.streamable == 1 && sound.values == 10 && sound.stride == 2);
        int32_t *words = (int32_t *)(void *)&whole;
        size_t tables = offsetof(whole_blob, constants) / 4;
        for (size_t at = 1; at + 4 <= size && at < 13; at += 4) {
            int32_t value = (int16_t)(data[at + 2] | data[at + 3] << 8);
            size_t place = (size_t)(data[at] | data[at + 1] << 8) % (tables + tables / 8);
            words[place] = (data[at] & 7) == 7 ? value * 65536 : value / 256;
        }
        /* Where tensors with a past share memory, results depend on the block; harmless, but then
         * there is nothing to compare. */
        comparable = (data[0] & 0x30) != 0;
        for (int32_t i = 0; i < TENSORS && comparable; i++)
            whole.tensors[i].pool = i == 4 ? 0 : -1;
        bytes = sizeof whole - (data[0] & 4 ? 100 : 0);
        blob = block_of(bytes);
        memcpy(blob, &whole, bytes);
    } else {
        blob = block_of(bytes);
        memcpy(blob, data, bytes);
    }
    edgeemo_model_info info;
    if (edgeemo_model_check(blob, bytes, &info) != EDGEEMO_OK) {
        MUST(edgeemo_model_size(blob, bytes, 1) == 0);
        free(blob);
        return 0;
    }
    if (info.values <= 65536 && info.columns * info.channels <= 65536) {
        int8_t *want = block_of((size_t)info.values), *got = block_of((size_t)info.values);
        int32_t told = run(blob, bytes, &info, FRAMES, edgeemo_kernels_at(0), want);
        for (int32_t i = 0; edgeemo_kernels_at(i); i++) {
            int32_t block = info.streamable ? 1 + i * 3 : FRAMES;
            int32_t status = run(blob, bytes, &info, block, edgeemo_kernels_at(i), got);
            if (comparable && told != EDGEEMO_ERR_BLOCK && status != EDGEEMO_ERR_BLOCK) {
                MUST(status == told);
                MUST(told < 0 || memcmp(want, got, (size_t)told) == 0);
            }
        }
        free(want);
        free(got);
    }
    free(blob);
    return 0;
}
