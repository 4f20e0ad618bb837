/* stream.c: any settings, then any calls in any blocks.
 *
 * Besides what the sanitizers see: two streams that get the same samples in other blocks have the same
 * estimates to the bit; a refused call changes nothing; every estimate is within its range. */
#include <stdio.h>
#include <stdlib.h>

#include "edgeemo_internal.h"
#include "edgeemo_stream.h"
#include "must.h"
#include "small_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    RATE = 1000, HOP = 10, WINDOW = 25, MOST_SAMPLES = 4096, MOST_CALLS = 24,
    INPUTS = VALUES + EDGEEMO_DESCRIBED
};

typedef struct input {
    const uint8_t *at, *end;
} input;

static int32_t next(input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static void *block_of(size_t size)
{
    void *block = malloc(size);
    MUST(block);
    return memset(block, 0xa5, size); /* it may hold anything */
}

static edgeemo_stream_settings settings_of(input *in)
{
    edgeemo_stream_settings s = EDGEEMO_STREAM_SETTINGS;
    int32_t odd = next(in); /* seldom: what is to be refused */
    s.sample_rate = odd == 255 ? 16000 : RATE;
    s.window = 100 + next(in);
    s.stride = next(in) % 64 + (odd != 254);
    s.gate = next(in) % (odd == 253 ? 3 : 2);
    s.spread = next(in) % 2;
    s.block = s.spread && odd != 252 ? 1 : 1 + next(in) % 32;
    s.abstain = (float)(next(in) % 128) / 127.0f;
    s.smoothing = (float)(next(in) % 4);
    s.margin = (float)(next(in) % 128) / 127.0f;
    s.forget_seconds = odd == 251 ? -1.0f : 0.1f + (float)next(in);
    return s;
}

/* Samples of any loudness. */
static void make_samples(input *in, int32_t n, int16_t *to)
{
    uint32_t state = (uint32_t)next(in) * 2654435761u + 1u;
    int32_t loud = next(in) % 16;
    for (int32_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        to[i] = (int16_t)((int32_t)(int16_t)(state >> 16) / (1 << loud));
    }
}

static void check(const edgeemo_stream *stream, const edgeemo_stream *twin, int64_t seen)
{
    edgeemo_estimate a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    int32_t status = edgeemo_stream_estimate(stream, &a);
    MUST(status == edgeemo_stream_estimate(twin, &b));
    if (status != EDGEEMO_OK)
        return;
    MUST(memcmp(&a, &b, sizeof a) == 0);
    MUST(a.start >= 0 && a.start < a.end && a.end <= seen);
    MUST(a.confidence >= 0 && a.confidence <= 1 && a.speech >= -1 && a.speech <= 1);
    for (int32_t i = 0; i < VALUES; i++)
        MUST(a.values[i] >= 0 && a.values[i] <= 1);
}

/* One call, and the same in two parts for the twin. Returns the samples that have passed; -1: all were
 * forgotten. */
static int32_t call(input *in, edgeemo_stream *stream, edgeemo_stream *twin)
{
    static int16_t shorts[MOST_SAMPLES];
    static float floats[MOST_SAMPLES];
    int32_t kind = next(in) % 8, n = (next(in) | next(in) << 8) % (MOST_SAMPLES + 1);
    int32_t part = n ? next(in) * n / 256 : 0, ready = 0;
    edgeemo_estimate a, b;
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    make_samples(in, n, shorts);
    for (int32_t i = 0; i < n; i++)
        floats[i] = (float)shorts[i] / 32768.0f;
    if (kind < 3) {
        ready = edgeemo_stream_push_i16(stream, shorts, n);
        ready -= edgeemo_stream_push_i16(twin, shorts, part);
        ready -= edgeemo_stream_push_i16(twin, shorts + part, n - part);
    } else if (kind == 3) {
        ready = edgeemo_stream_push(stream, floats, n);
        ready -= edgeemo_stream_push(twin, floats, part);
        ready -= edgeemo_stream_push(twin, floats + part, n - part);
    } else if (kind == 4) {
        ready = edgeemo_stream_gap(stream, NULL, n, NULL);
        MUST(ready == edgeemo_stream_gap(twin, NULL, n, NULL));
        ready = 0;
    } else if (kind == 5) {
        int32_t status = edgeemo_stream_flush(stream, &a);
        MUST(status == edgeemo_stream_flush(twin, &b) && memcmp(&a, &b, sizeof a) == 0);
        return -1;
    } else if (kind == 6) {
        edgeemo_stream_reset(stream);
        edgeemo_stream_reset(twin);
        return -1;
    } else {
        floats[0] = 2e6f; /* refused, and nothing is changed */
        MUST(edgeemo_stream_push(stream, floats, n) == (n ? EDGEEMO_ERR_VALUE : 0));
        MUST(edgeemo_stream_push_i16(stream, NULL, 1) == EDGEEMO_ERR_ARG);
        MUST(edgeemo_stream_push_i16(stream, shorts, -1) == EDGEEMO_ERR_ARG);
        return 0;
    }
    MUST(ready == 0);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static whole_blob blob;
    static double room[2048];
    static float regression[4 * INPUTS];
    const edgeemo_feature_spec spec = {
        .sample_rate = RATE, .window = WINDOW, .hop = HOP, .fft = 64, .bands = BANDS,
        .high_hz = RATE / 2.0, .floor = 1e-6,
    };
    input in = {data, data + size};
    make(&blob);
    for (int32_t i = 0; i < 4 * INPUTS; i++)
        regression[i] = i < INPUTS ? 0.0f : i < 2 * INPUTS ? 1.0f : (float)(i % 7 - 3) * 0.1f;
    MUST(edgeemo_frontend_size(&spec) <= sizeof room);
    const edgeemo_confidence confidence = {INPUTS, 0.1f, regression, regression + INPUTS,
                                           regression + 2 * INPUTS};
    edgeemo_speech_model model = {
        .blob = &blob, .blob_bytes = sizeof blob, .tables = edgeemo_make_tables(room, &spec),
        .confidence = next(&in) % 4 ? &confidence : NULL, .sample_rate = RATE,
        .least = WINDOW + HOP, .classes = next(&in) % 4 ? 7 : 0, .classes_at = 3, .high = 1,
    };
    const edgeemo_stream_settings settings = settings_of(&in);
    size_t bytes = edgeemo_stream_size(&model, &settings);
    edgeemo_stream *stream = NULL, *twin = NULL;
    void *memory = block_of(bytes + 8), *other = block_of(bytes + 8);
    MUST(edgeemo_stream_init(&stream, memory, bytes ? bytes - 8 : 0, &model, &settings) < 0 && !stream);
    int32_t status = edgeemo_stream_init(&stream, memory, bytes, &model, &settings);
    MUST((status == EDGEEMO_OK) == (bytes > 0));
    if (status == EDGEEMO_OK) {
        MUST(edgeemo_stream_init(&twin, other, bytes, &model, &settings) == EDGEEMO_OK);
        int64_t seen = 0;
        for (int32_t calls = 0; in.at < in.end && calls < MOST_CALLS; calls++) {
            int32_t passed = call(&in, stream, twin);
            seen = passed < 0 ? 0 : seen + passed;
            check(stream, twin, seen);
        }
    }
    free(memory);
    free(other);
    return 0;
}
