/* small_model.h: a model with every kind of layer, for the fuzz entries. */
#ifndef EDGEEMO_FUZZ_SMALL_MODEL_H
#define EDGEEMO_FUZZ_SMALL_MODEL_H

#include <stddef.h>
#include <string.h>

#include "edgeemo_model_internal.h"

enum { TENSORS = 12, LAYERS = 11, CONSTANTS = 1024, VALUES = 10, BANDS = 8 };

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
        EDGEEMO_BLOB_MAGIC, EDGEEMO_BLOB_VERSION_INT4, sizeof *b, TENSORS,
        offsetof(whole_blob, tensors), LAYERS, offsetof(whole_blob, layers), 2,
        offsetof(whole_blob, outputs), 1, offsetof(whole_blob, scales),
    };
    b->scales[0] = 8.0f;
    b->scales[1] = 1.0f;
    b->tensors[0] = ROWS(BANDS, 1, 1, 1, 1);
    add_layer(b, 0, EDGEEMO_KIND_CONV, 0, -1, ROWS(4, 5, 1, 1, 2));
    b->layers[0].kernel_rows = b->layers[0].kernel_columns = 3;
    b->layers[0].stride_rows = b->layers[0].stride_columns = 2;
    b->layers[0].top = b->layers[0].left = b->layers[0].right = 1;
    add_layer(b, 1, EDGEEMO_KIND_DEPTHWISE, 1, -1, ROWS(4, 5, 0, 0, 2));
    b->layers[1].kernel_rows = b->layers[1].kernel_columns = 3;
    b->layers[1].dilation_rows = 2;
    b->layers[1].top = 4;
    b->layers[1].left = b->layers[1].right = 1;
    add_layer(b, 2, EDGEEMO_KIND_ADD, 1, 2, ROWS(4, 5, 0, 0, 2));
    add_layer(b, 3, EDGEEMO_KIND_TABLE, 3, -1, ROWS(4, 5, 0, 0, 2));
    b->tensors[4].pool = 0;
    add_layer(b, 4, EDGEEMO_KIND_MULTIPLY, 4, 3, ROWS(4, 5, 1, 0, 2));
    b->layers[4].shift = 4;
    add_layer(b, 5, EDGEEMO_KIND_MAX_POOL, 5, -1, ROWS(2, 5, 0, 0, 2));
    b->layers[5].kernel_rows = b->layers[5].kernel_columns = 2;
    b->layers[5].stride_columns = 2;
    b->layers[5].top = b->layers[5].left = 1;
    add_layer(b, 6, EDGEEMO_KIND_AVERAGE_POOL, 6, -1, ROWS(1, 5, 0, 0, 2));
    b->layers[6].kernel_columns = 2;
    add_layer(b, 7, EDGEEMO_KIND_MEAN, 7, -1, ROWS(1, 5, 0, 0, 0));
    add_layer(b, 8, EDGEEMO_KIND_CONV, 8, -1, ROWS(1, 3, 0, 0, 0));
    b->layers[8].int4 = 1;
    add_layer(b, 9, EDGEEMO_KIND_SOFTMAX, 9, -1, ROWS(1, 3, 0, 0, 0));
    add_layer(b, 10, EDGEEMO_KIND_CONV, 8, -1, ROWS(1, 7, 0, 0, 0));
    b->outputs[0] = 10;
    b->outputs[1] = 11;
}

#endif
