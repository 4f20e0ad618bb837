/* edgeemo_model.h: int8 networks from a blob in flash, frame by frame or a clip at once.
 *
 * Use, in this order:
 *
 *     size_t bytes = edgeemo_model_size(blob, blob_bytes, 1);       (how much memory)
 *     edgeemo_model *model;
 *     edgeemo_model_init(&model, memory, bytes, blob, blob_bytes, 1);
 *     edgeemo_model_push(model, frame, 1);                          (again and again)
 *     edgeemo_model_outputs(model, values, room);                   (whenever an estimate is wanted)
 *     edgeemo_model_reset(model);                                   (before another clip)
 *
 * Ownership: the caller owns all memory. The model lives inside the block given to
 * edgeemo_model_init(), holds pointers into it and into the blob (so neither may move or change),
 * and ends when the caller takes the block away. Arguments are borrowed for the call.
 * One model belongs to one thread at a time; two models may share a blob, and nothing else.
 *
 * Nothing here allocates, locks, prints, or calls the operating system or libm.
 *
 * Bits: all arithmetic behind the rounding of the input is on integers, with one stated rounding
 * a layer (see REQUANTIZATION below), so every target, every kernel, every size of block and every
 * cut of a clip into pushes gives the same bits. The rounding of the input is one float product and
 * one sum, without contraction, as edgeemo.h says.
 *
 * REQUANTIZATION, the only rounding of a layer; >> is the shift that rounds down:
 *
 *     convolution  y = clamp(zero + ((acc * 2^pre * m[channel] + 2^(31+shift)) >> (32+shift)))
 *     add          y = clamp(zero + ((d1 * m0 + d2 * m1 + 2^(shift-1)) >> shift)), d = x - its zero
 *     mean         y = clamp(zero + ((sum * r + 2^(e-1)) >> e)), r / 2^e the scale divided by the
 *                  number of terms, r of 31 bits, rounded down
 *
 * The blob may come from anywhere: it is checked as a whole before use, and no content makes a
 * read or write outside of it or of the model's memory.
 */
#ifndef EDGEEMO_MODEL_H
#define EDGEEMO_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "edgeemo.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Beside EDGEEMO_OK, EDGEEMO_ERR_ARG and EDGEEMO_ERR_MEMORY of edgeemo.h. */
#define EDGEEMO_MODEL_STATUSES(X)                                                             \
    X(EDGEEMO_ERR_BLOB, -40, "not a model, truncated, or not 4-byte aligned")                 \
    X(EDGEEMO_ERR_BLOB_VERSION, -41, "the model's layout is of another version than 3, or 4 with EDGEEMO_WITH_INT4") \
    X(EDGEEMO_ERR_BLOB_TENSOR, -42, "a tensor of the model is out of range")                  \
    X(EDGEEMO_ERR_BLOB_LAYER, -43, "a layer of the model is out of range or does not fit its tensors") \
    X(EDGEEMO_ERR_BLOB_OUTPUT, -44, "an output of the model is not one row")                  \
    X(EDGEEMO_ERR_BLOCK, -45, "block is not in 1..65536, or the model is too large for it")   \
    X(EDGEEMO_ERR_NOT_ENOUGH_FRAMES, -46, "too few frames for an estimate yet")               \
    X(EDGEEMO_ERR_TOO_MANY_FRAMES, -47, "too many frames since the reset")                    \
    X(EDGEEMO_ERR_SETTINGS, -48, "a setting of the stream is out of range")

enum {
#define EDGEEMO_X(name, code, text) name = code,
    EDGEEMO_MODEL_STATUSES(EDGEEMO_X)
#undef EDGEEMO_X
    /* Deprecated names. */
    EDGEEMO_ERR_EARLY = EDGEEMO_ERR_NOT_ENOUGH_FRAMES,
    EDGEEMO_ERR_LATE = EDGEEMO_ERR_TOO_MANY_FRAMES
};

/* What a blob holds. */
typedef struct edgeemo_model_info {
    int32_t columns;    /* of the input: bands, or the width of a picture */
    int32_t channels;   /* of the input: 1 for features, 3 for a picture */
    int32_t values;     /* of all outputs together */
    int32_t outputs;    /* their number */
    int32_t streamable; /* 1: takes frames one by one; 0: takes all rows of its input at once */
    int32_t stride;     /* frames for each new token, if streamable */
    int32_t layers;
    int32_t tensors;
} edgeemo_model_info;

typedef struct edgeemo_model edgeemo_model;

/* The text of a status, those of edgeemo.h included. Static, never NULL. */
const char *edgeemo_model_status_text(int32_t status);

/* Check a blob and tell what it holds; `info` may be NULL.
 *
 * blob  `bytes` bytes, 4-byte aligned (16 is faster), borrowed.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_ARG or an EDGEEMO_ERR_BLOB...; then *info is as before.
 */
int32_t edgeemo_model_check(const void *blob, size_t bytes, edgeemo_model_info *info);

/* Bytes that edgeemo_model_init() needs, a multiple of 8; 0 if the blob or block is not valid.
 *
 * block  rows that go through a layer together, 1..65536. 1 takes the least memory. Larger is
 *        faster, the most on machines with vector units, and changes no bit. A model that is not
 *        streamable needs all rows of its input at once: its block is their number.
 */
size_t edgeemo_model_size(const void *blob, size_t blob_bytes, int32_t block);

/* Make a model in `memory`, reset.
 *
 * model   receives the model; it lies inside memory.
 * memory  `bytes` bytes, 8-byte aligned, at least edgeemo_model_size(); may hold anything.
 * blob    stays in use: it may not move or change as long as the model is used.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_ARG, EDGEEMO_ERR_MEMORY, EDGEEMO_ERR_BLOCK or what
 * edgeemo_model_check() says; on an error *model is as before.
 */
int32_t edgeemo_model_init(edgeemo_model **model, void *memory, size_t bytes, const void *blob,
                           size_t blob_bytes, int32_t block);

/* Take frames.
 *
 * features  [frames][columns * channels], as the front end gives them; borrowed for the call.
 *           A value that is not finite is taken for the end of the range.
 * frames    0 or more; for a model that is not streamable exactly `block`, and what came before
 *           is forgotten.
 *
 * Returns the tokens that the model has heard since the reset (0 or more; frames / stride), or
 * EDGEEMO_ERR_ARG or EDGEEMO_ERR_TOO_MANY_FRAMES; on an error the model is as before.
 */
int32_t edgeemo_model_push(edgeemo_model *model, const float *features, int32_t frames);

/* As edgeemo_model_push(), for rows that are quantized already as the model's input is. */
int32_t edgeemo_model_push_i8(edgeemo_model *model, const int8_t *rows, int32_t frames);

/* The estimate for all frames since the reset; the model goes on as if it had not been asked.
 *
 * values  room for `room` floats; receives the outputs, one behind the other.
 *
 * Returns the values written, or EDGEEMO_ERR_ARG, EDGEEMO_ERR_MEMORY (room is too small) or
 * EDGEEMO_ERR_NOT_ENOUGH_FRAMES; on an error values is as before.
 */
int32_t edgeemo_model_outputs(edgeemo_model *model, float *values, int32_t room);

/* As edgeemo_model_outputs(), as the int8 values that the model computed. */
int32_t edgeemo_model_outputs_i8(edgeemo_model *model, int8_t *values, int32_t room);

/* Forget all frames: what follows is bit-identical to a new model. NULL does nothing. */
void edgeemo_model_reset(edgeemo_model *model);

#ifdef __cplusplus
}
#endif

#endif
