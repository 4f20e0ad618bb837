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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                            \
    do {                                                                           \
        if (!(condition)) {                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                               \
        }                                                                          \
    } while (0)

enum { TENSORS = 12, LAYERS = 11, CONSTANTS = 1024, FRAMES = 13, MOST_MEMORY = 1 << 22 };

typedef struct whole_blob {
    edgeemo_blob head;
    edgeemo_tensor tensors[TENSORS];
    edgeemo_layer layers[LAYERS];
    float scales[2];
    int32_t outputs[2];
    int32_t constants[CONSTANTS];
} whole_blob;

static void add_layer(whole_blob *b, int32_t i, int32_t kind, int32_t input, int32_t second,
                      edgeemo_tensor out)
{
    const int32_t constants = (int32_t)offsetof(whole_blob, constants);
    edgeemo_layer l = {
        .kind = (int8_t)kind, .input = (int16_t)input, .second = (int16_t)second,
        .output = (int16_t)(i + 1), .kernel_rows = 1, .kernel_columns = 1, .stride_rows = 1,
        .stride_columns = 1, .dilation_rows = 1, .dilation_columns = 1, .act_min = -128,
        .act_max = 127, .shift = 8, .weights_or_m0 = constants,
        .channels_or_m1 = constants + 1024,
    };
    if (kind == EDGEEMO_KIND_ADD || kind == EDGEEMO_KIND_MULTIPLY) {
        l.weights_or_m0 = l.channels_or_m1 = 1 << 20;
        l.shift = 20;
    } else if (kind == EDGEEMO_KIND_MEAN) {
        l.weights_or_m0 = (1 << 30) + 12345;
        l.shift = 31;
    }
    b->layers[i] = l;
    b->tensors[i + 1] = out;
}

/* columns, channels, left, right, stride, zero, pool, scale */
#define ROWS(columns, channels, left, right, stride) \
    ((edgeemo_tensor){columns, channels, left, right, stride, -3, -1, 0.0078125f})

/* Convolutions over time, pools, everything else, a mean and what may stand behind it. */
static void make(whole_blob *b)
{
    memset(b, 0, sizeof *b);
    for (int32_t i = 0; i < CONSTANTS; i++)
        b->constants[i] = (i * 40503) & 0x0fffffff; /* as weights, biases, multipliers and tables */
    b->head = (edgeemo_blob){
        EDGEEMO_BLOB_MAGIC, EDGEEMO_BLOB_VERSION, sizeof *b, TENSORS,
        offsetof(whole_blob, tensors), LAYERS, offsetof(whole_blob, layers), 2,
        offsetof(whole_blob, outputs), 1, offsetof(whole_blob, scales),
    };
    b->scales[0] = 8.0f;
    b->scales[1] = 1.0f;
    b->tensors[0] = ROWS(6, 1, 1, 1, 1);
    add_layer(b, 0, EDGEEMO_KIND_CONV, 0, -1, ROWS(3, 5, 1, 1, 2));
    b->layers[0].kernel_rows = b->layers[0].kernel_columns = 3;
    b->layers[0].stride_rows = b->layers[0].stride_columns = 2;
    b->layers[0].top = b->layers[0].left = b->layers[0].right = 1;
    add_layer(b, 1, EDGEEMO_KIND_DEPTHWISE, 1, -1, ROWS(3, 5, 0, 0, 2));
    b->layers[1].kernel_rows = b->layers[1].kernel_columns = 3;
    b->layers[1].dilation_rows = 2;
    b->layers[1].top = 4;
    b->layers[1].left = b->layers[1].right = 1;
    add_layer(b, 2, EDGEEMO_KIND_ADD, 1, 2, ROWS(3, 5, 0, 0, 2));
    add_layer(b, 3, EDGEEMO_KIND_TABLE, 3, -1, ROWS(3, 5, 0, 0, 2));
    b->tensors[4].pool = 0;
    add_layer(b, 4, EDGEEMO_KIND_MULTIPLY, 4, 3, ROWS(3, 5, 1, 0, 2));
    b->layers[4].shift = 4;
    add_layer(b, 5, EDGEEMO_KIND_MAX_POOL, 5, -1, ROWS(2, 5, 0, 0, 2));
    b->layers[5].kernel_rows = b->layers[5].kernel_columns = 2;
    b->layers[5].stride_columns = 2;
    b->layers[5].top = b->layers[5].left = 1;
    add_layer(b, 6, EDGEEMO_KIND_AVERAGE_POOL, 6, -1, ROWS(1, 5, 0, 0, 2));
    b->layers[6].kernel_columns = 2;
    add_layer(b, 7, EDGEEMO_KIND_MEAN, 7, -1, ROWS(1, 5, 0, 0, 0));
    add_layer(b, 8, EDGEEMO_KIND_CONV, 8, -1, ROWS(1, 3, 0, 0, 0));
    add_layer(b, 9, EDGEEMO_KIND_SOFTMAX, 9, -1, ROWS(1, 3, 0, 0, 0));
    add_layer(b, 10, EDGEEMO_KIND_CONV, 8, -1, ROWS(1, 7, 0, 0, 0));
    b->outputs[0] = 10;
    b->outputs[1] = 11;
}

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
