/* frontend.c: any bytes as a spec and a series of calls; the invariants of edgeemo.h must hold.
 *
 *     clang -fsanitize=fuzzer,address,undefined ...   libFuzzer
 *     gcc -fsanitize=address,undefined ... main.c     alone, on files or on random bytes
 *
 * A broken invariant ends the program by abort(), with a line that names it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgeemo.h"
#include "edgeemo_batch.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_SAMPLES = 2000 };

typedef struct bytes {
    const uint8_t *at;
    size_t left;
} bytes;

/* The next `size` bytes; zeros behind the end. */
static void take(bytes *in, void *to, size_t size)
{
    size_t n = size < in->left ? size : in->left;
    memset(to, 0, size);
    memcpy(to, in->at, n);
    in->at += n;
    in->left -= n;
}

static int32_t choose(bytes *in, int32_t low, int32_t high)
{
    uint16_t value;
    take(in, &value, sizeof value);
    return low + value % (high - low + 1);
}

/* Mostly a spec that can be used, sometimes raw bytes. */
static edgeemo_feature_spec make_spec(bytes *in)
{
    edgeemo_feature_spec spec = EDGEEMO_LOGMEL40;
    if (choose(in, 0, 7) == 0) {
        take(in, &spec, sizeof spec);
        return spec;
    }
    spec.fft = 64 << choose(in, 0, 4);
    spec.window = choose(in, 2, spec.fft);
    spec.hop = choose(in, 1, 2 * spec.fft);
    spec.bands = choose(in, 1, spec.fft / 2);
    spec.spectrum = choose(in, 0, 1);
    spec.mel_scale = choose(in, 0, 1);
    spec.triangles = choose(in, 0, 1);
    spec.area_norm = choose(in, 0, 1);
    spec.log = choose(in, 0, 1);
    spec.floor_mode = choose(in, 0, 1);
    spec.low_hz = choose(in, 0, 7999);
    spec.high_hz = choose(in, (int32_t)spec.low_hz + 1, 8000);
    return spec;
}

/* Blocks of exactly the needed size, so that the sanitizer sees each byte beyond. */
static void *block_of(size_t size)
{
    void *block = malloc(size ? size : 1);
    MUST(block);
    return block;
}

static edgeemo_frontend *make(const edgeemo_feature_spec *spec, void **block)
{
    edgeemo_frontend *fe = NULL;
    size_t size = edgeemo_frontend_size(spec);
    *block = block_of(size);
    memset(*block, 0xa5, size); /* it may hold anything */
    MUST(edgeemo_frontend_init(&fe, *block, size - 1, spec) == EDGEEMO_ERR_MEMORY);
    MUST(edgeemo_frontend_init(&fe, (char *)*block + 4, size, spec) == EDGEEMO_ERR_MEMORY);
    MUST(fe == NULL);
    MUST(edgeemo_frontend_init(&fe, *block, size, spec) == EDGEEMO_OK && fe);
    return fe;
}

/* What a caller can get wrong: a status, and nothing has changed. */
static void refuse(const edgeemo_feature_spec *spec, edgeemo_frontend *fe, void *block)
{
    float x = 0, out = 7;
    int16_t y = 0;
    int32_t taken = -7, soon = edgeemo_frontend_frames(fe, 1000);
    edgeemo_frontend *none = NULL;
    MUST(edgeemo_frontend_init(NULL, block, 1, spec) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_init(&none, NULL, 1, spec) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_init(&none, block, SIZE_MAX, NULL) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_init_tables(&none, block, SIZE_MAX, NULL) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_push(NULL, &x, 1, &out, 1, &taken) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_push(fe, NULL, 1, &out, 1, &taken) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_push(fe, &x, -1, &out, 1, &taken) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_push(fe, &x, 1, NULL, 1, &taken) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_push(fe, &x, 1, &out, -1, &taken) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_push(fe, &x, 1, &out, 1, NULL) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_push_i16(fe, NULL, 1, &out, 1, &taken) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_push_i16(fe, &y, INT32_MIN, &out, 1, &taken) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_frontend_frames(fe, -1) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_batch(fe, NULL, 1, &out, block, SIZE_MAX) == EDGEEMO_ERR_ARG);
    MUST(edgeemo_normalize_utterance(NULL, 1, &out) == EDGEEMO_ERR_ARG);
    MUST(none == NULL && taken == -7 && out == 7);
    MUST(edgeemo_frontend_frames(fe, 1000) == soon);
}

static int is_finite(float x)
{
    return x - x == 0;
}

/* The clip, or the same in `shorts` if that is not NULL, in blocks whose sizes and rooms come from the input: the same frames as at once. */
static void stream(bytes *in, const edgeemo_feature_spec *spec, edgeemo_frontend *fe,
                   const float *clip, const int16_t *shorts, int32_t n, const float *want,
                   int32_t want_frames)
{
    int32_t at = 0, frames = 0;
    while (at < n) {
        int32_t size = choose(in, 0, n - at), room = choose(in, 0, 3), taken = -1;
        if (in->left == 0) {
            size = n - at;
            room = want_frames;
        }
        float *out = block_of((size_t)room * (size_t)spec->bands * sizeof(float));
        float *samples = block_of((size_t)size * sizeof(float));
        memcpy(samples, clip + at, (size_t)size * sizeof(float));
        int32_t foreseen = edgeemo_frontend_frames(fe, size);
        int32_t got = shorts ? edgeemo_frontend_push_i16(fe, shorts + at, size, out, room, &taken)
                             : edgeemo_frontend_push(fe, samples, size, out, room, &taken);
        MUST(got >= 0 && got <= room && taken >= 0 && taken <= size);
        MUST(foreseen <= room ? got == foreseen && taken == size : got == room && taken < size);
        MUST(frames + got <= want_frames);
        MUST(memcmp(out, want + frames * spec->bands,
                    (size_t)(got * spec->bands) * sizeof(float)) == 0);
        frames += got;
        at += taken;
        free(samples);
        free(out);
    }
    MUST(frames == want_frames);
}

/* Several frames side by side: the same frames as at once. */
static void batch(const edgeemo_feature_spec *spec, const edgeemo_frontend *fe, const float *clip,
                  int32_t n, const float *want, int32_t want_frames)
{
    size_t bytes = edgeemo_batch_size(fe), size = (size_t)(want_frames * spec->bands);
    float *out = block_of(size * sizeof(float));
    char *block = block_of(bytes + 31);
    void *work = block + (32 - (uintptr_t)block % 32) % 32;
    MUST(edgeemo_batch(fe, clip, n, out, work, bytes - 1) == EDGEEMO_ERR_MEMORY);
    MUST(edgeemo_batch(fe, clip, n, out, work, bytes) == want_frames);
    MUST(memcmp(out, want, size * sizeof(float)) == 0);
    free(block);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bytes in = {data, size};
    edgeemo_feature_spec spec = make_spec(&in);
    if (edgeemo_feature_spec_check(&spec) != EDGEEMO_OK) {
        MUST(edgeemo_frontend_size(&spec) == 0);
        return 0;
    }
    void *block;
    edgeemo_frontend *fe = make(&spec, &block);
    int32_t n = choose(&in, 0, MOST_SAMPLES), raw = choose(&in, 0, 3) == 0, taken = -7;
    float *clip = block_of((size_t)n * sizeof(float));
    int16_t *shorts = block_of((size_t)n * sizeof(int16_t));
    for (int32_t i = 0; i < n; i++) {
        int16_t value = 0;
        if (raw)
            take(&in, clip + i, sizeof(float));
        else
            take(&in, &value, sizeof value);
        if (!raw)
            clip[i] = (float)value / 32768.0f;
        shorts[i] = value;
    }
    int32_t bad = edgeemo_first_bad_sample(clip, n);
    int32_t room = edgeemo_frontend_frames(fe, n);
    MUST(room == (n < spec.window ? 0 : 1 + (n - spec.window) / spec.hop));
    float *want = block_of((size_t)room * (size_t)spec.bands * sizeof(float));
    int32_t got = edgeemo_frontend_push(fe, clip, n, want, room, &taken);
    if (bad >= 0) {
        MUST(got == EDGEEMO_ERR_VALUE && taken == -7 && edgeemo_frontend_frames(fe, n) == room);
        for (int32_t i = bad; i < n; i++)
            clip[i] = 0;
        got = edgeemo_frontend_push(fe, clip, n, want, room, &taken);
    }
    MUST(got == room && taken == n);
    for (int32_t i = 0; i < got * spec.bands; i++)
        MUST(is_finite(want[i]));
    edgeemo_frontend_reset(fe);
    stream(&in, &spec, fe, clip, NULL, n, want, room);
    if (!raw) {
        edgeemo_frontend_reset(fe);
        stream(&in, &spec, fe, clip, shorts, n, want, room);
    }
    refuse(&spec, fe, block);
    batch(&spec, fe, clip, n, want, room);
    MUST(edgeemo_normalize_utterance(clip, n, clip) == EDGEEMO_OK);
    MUST(edgeemo_first_bad_sample(clip, n) == -1);
    free(want);
    free(shorts);
    free(clip);
    free(block);
    return 0;
}
