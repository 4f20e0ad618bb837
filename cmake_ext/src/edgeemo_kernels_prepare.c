/* edgeemo_kernels_prepare.c: constants of layers in the order in which vector units read them. */
#include "edgeemo_kernels.h"

#if defined(EDGEEMO_HAVE_PREPARED)
#include <string.h>

static int32_t blocks_of(const edgeemo_conv *c)
{
    int32_t outputs = edgeemo_block_groups(c->outputs) * EDGEEMO_GROUP;
    return (c->outputs + outputs - 1) / outputs;
}

size_t edgeemo_conv_bytes(const edgeemo_conv *c, int32_t weight_bytes)
{
    return (size_t)blocks_of(c) * edgeemo_block_bytes(c, weight_bytes);
}

/* The weight of output o and input k in a blob. */
static int32_t weight_of(const edgeemo_dense *d, int32_t o, int32_t k)
{
    int32_t block = k / 16 * 16, width = d->inputs - block < 16 ? d->inputs - block : 16;
    int32_t at = o / 4 * 4 * d->inputs + 4 * block + o % 4 * width + k - block;
#if EDGEEMO_WITH_INT4
    if (d->int4) {
        int32_t two = (uint8_t)d->weights[at / 8 * 4 + at % 4];
        return (int8_t)(at % 8 < 4 ? two << 4 : two & 0xf0);
    }
#endif
    return d->weights[at];
}

static void put(void *weights, int32_t weight_bytes, int32_t at, int32_t value)
{
    if (weight_bytes == 1)
        ((int8_t *)weights)[at] = (int8_t)value;
    else
        ((int16_t *)weights)[at] = (int16_t)value;
}

/* The bias that makes an offset of the inputs good; modulo 2^32, as the sums. */
static int32_t bias_for(const edgeemo_kernels *k, int32_t bias, int32_t sum_of_weights)
{
    return (int32_t)((uint32_t)bias - (uint32_t)(k->input_offset * sum_of_weights));
}

void edgeemo_prepare_conv(const edgeemo_kernels *k, const edgeemo_conv *c,
                          const edgeemo_dense *from, void *to)
{
    int32_t width = edgeemo_block_groups(c->outputs) * EDGEEMO_GROUP;
    int32_t together = 4 / k->weight_bytes, padded = edgeemo_padded(c->length, k->weight_bytes);
    memset(to, 0, edgeemo_conv_bytes(c, k->weight_bytes));
    for (int32_t o = 0; o < c->outputs; o++) {
        int32_t *bias = (void *)((char *)to + (size_t)(o / width)
                                                  * edgeemo_block_bytes(c, k->weight_bytes));
        int32_t *multiplier = bias + width, *weights = multiplier + width;
        int32_t sum = 0;
        for (int32_t s = 0; s < c->spans; s++)
            for (int32_t i = 0; i < c->length; i++) {
                int32_t at = s * padded + i, value = weight_of(from, o, s * c->length + i);
                put(weights, k->weight_bytes,
                    (at / together * width + o % width) * together + at % together, value);
                sum += value;
            }
        bias[o % width] = bias_for(k, edgeemo_bias(&c->requant, o), sum);
        multiplier[o % width] = edgeemo_multiplier(&c->requant, o);
    }
}

size_t edgeemo_depthwise_bytes(const edgeemo_depthwise *d, int32_t weight_bytes)
{
    int32_t blocks = (d->channels + EDGEEMO_BLOCK_CHANNELS - 1) / EDGEEMO_BLOCK_CHANNELS;
    return (size_t)blocks * edgeemo_channels_bytes(d, weight_bytes);
}

void edgeemo_prepare_depthwise(const edgeemo_kernels *k, const edgeemo_depthwise *d, void *to)
{
    int32_t width = (d->channels + 3) / 4 * 4;
    int32_t together = 4 / k->weight_bytes; /* taps whose weights are neighbours */
    size_t bytes = edgeemo_channels_bytes(d, k->weight_bytes);
    memset(to, 0, edgeemo_depthwise_bytes(d, k->weight_bytes));
    for (int32_t block = 0; block * EDGEEMO_BLOCK_CHANNELS < d->channels; block++) {
        int32_t *bias = (void *)((char *)to + (size_t)block * bytes);
        int32_t *multiplier = bias + EDGEEMO_BLOCK_CHANNELS;
        for (int32_t i = 0; i < EDGEEMO_BLOCK_CHANNELS; i++) {
            int32_t c = edgeemo_first_channel(d, block) + i % 8 / 4 * 16 + i / 8 * 4 + i % 4;
            int32_t sum = 0;
            for (int32_t t = 0; t < d->taps && c < d->channels; t++) {
                int32_t value = d->weights[t * width + c];
                put(multiplier + EDGEEMO_BLOCK_CHANNELS, k->weight_bytes,
                    (t / together * EDGEEMO_BLOCK_CHANNELS + i) * together + t % together, value);
                sum += value;
            }
            if (c < d->channels) {
                bias[i] = bias_for(k, edgeemo_bias(&d->requant, c), sum);
                multiplier[i] = edgeemo_multiplier(&d->requant, c);
            }
        }
    }
}

#else
typedef int edgeemo_kernels_prepare_is_empty; /* ISO C wants something in each file */
#endif
