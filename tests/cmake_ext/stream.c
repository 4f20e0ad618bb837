/* stream.c: edgeemo_stream.h on files of the working folder, on the host and on boards.
 *
 * Reads `blob`, `clip` (16-bit samples) and `regression` (floats: centers, scales, weights, bias).
 * Writes `estimates`: those of the whole clip, in blocks of 10 ms; `counts`, uint32: bytes of memory,
 * estimates, most bytes of stack, ticks of the blocks in a whole window, of the most expensive one,
 * their number, and ticks of a loop of 2000 instructions; `ticks` of each block. Then the same in
 * other blocks and settings, after resets, with counters near their limits, and through a month: all
 * must give the same. The status is the line of the first fault, cut to 8 bits. */
#include <string.h>

#include "edgeemo_internal.h"
#include "edgeemo_stream_internal.h"
#include "host.h"

#ifdef __arm__
#include "cortex_m.h"
#else
static void cortex_m_start(void) {}
static uint32_t cortex_m_ticks(void) { return 0; }
static uint32_t cortex_m_stack(void (*work)(void))
{
    work();
    return 0;
}
#endif

#define EXPECT(truth)                  \
    do {                               \
        if (!(truth))                  \
            return __LINE__ % 255 + 1; \
    } while (0)

/* Large machines prepare weights. */
#if UINTPTR_MAX > UINT32_MAX
enum { MEMORY = 1 << 20 };
#else
enum { MEMORY = 64000 };
#endif
enum { MOST = 7 * 16000, BLOCK = 160, BLOB = 98304, ESTIMATES = 32 };
static uint64_t blob[BLOB / 8], memory[MEMORY / 8], table_memory[2000];
static int16_t clip[MOST];
static float regression[4 * 64 + 1];
static edgeemo_estimate want[ESTIMATES], found[ESTIMATES];
static uint32_t counts[7], ticks[MOST / BLOCK];
static edgeemo_stream *stream;
static int32_t samples, got, failed;

/* The newest estimate, behind the others. */
static void note(edgeemo_estimate *to, int32_t ready)
{
    failed |= ready < 0 || ready > 1 || got + ready > ESTIMATES;
    if (!failed && ready)
        failed |= edgeemo_stream_estimate(stream, to + got++) != EDGEEMO_OK;
}

static int32_t at;
static void push_block(void)
{
    note(want, edgeemo_stream_push_i16(stream, clip + at, BLOCK));
}

static void loop_of_2000(void)
{
#ifdef __arm__
    uint32_t n = 1000;
    __asm__ volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(n) : : "cc");
#endif
}

/* The clip in blocks of 10 ms. What it costs is added up over a whole cycle of windows. */
static void measure(void)
{
    int32_t window = 2 * stream->half / BLOCK;
    for (at = 0; at < samples; at += BLOCK) {
        cortex_m_start();
        push_block();
        uint32_t spent = cortex_m_ticks();
        ticks[at / BLOCK] = spent;
        if (at / BLOCK >= window && at / BLOCK < 2 * window) {
            counts[3] += spent;
            counts[4] = spent > counts[4] ? spent : counts[4];
            counts[5]++;
        }
    }
}

static void measure_stack(void)
{
    for (at = 0; at < samples; at += BLOCK)
        push_block();
}

/* The clip in blocks of a size, as floats or not; in `found` what comes. */
static void run(int32_t size, int32_t floats)
{
    static float block[4096];
    got = 0;
    for (int32_t i = 0; i < samples; i += size) {
        int32_t n = samples - i < size ? samples - i : size;
        for (int32_t k = 0; floats && k < n; k++)
            block[k] = (float)clip[i + k] / 32768.0f;
        note(found, floats ? edgeemo_stream_push(stream, block, n)
                           : edgeemo_stream_push_i16(stream, clip + i, n));
    }
}

/* As before, with all times later by so many samples; without spreading the last one comes in time. */
static int32_t is_same(int64_t later)
{
    int32_t all = (int32_t)counts[1];
    if (failed || got < all || got > all + !stream->settings.spread)
        return 0;
    for (int32_t i = 0; i < all; i++) {
        found[i].start -= later;
        found[i].end -= later;
        if (found[i].start != want[i].start || found[i].end != want[i].end
            || found[i].speech != want[i].speech || found[i].known != want[i].known
            || found[i].expression != want[i].expression
            || memcmp(&found[i].confidence, &want[i].confidence, sizeof(float))
            || memcmp(found[i].values, want[i].values, sizeof found[i].values))
            return 0;
    }
    return 1;
}

/* A stream that is as new, but for the time: `turns` whole turns of the stem's rings. */
static int64_t as_after(int64_t turns)
{
    edgeemo_windows *w = &stream->windows;
    int64_t frames = turns * w->turn, later = frames * stream->model.tables->hop;
    edgeemo_stream_reset(stream);
    int32_t in_rings = (int32_t)(frames % ((int64_t)1 << 29) / w->turn * w->turn);
    for (int32_t i = 0; i < w->tensors; i++)
        if (w->stem.rows[i].data)
            w->stem.rows[i].made = in_rings / w->stem.tensors[i].stride;
    stream->seen = stream->last_end = stream->start = later;
    stream->block_start = stream->share_begin = later;
    return later;
}

#ifndef __arm__
static int64_t common(int64_t a, int64_t b)
{
    return b ? common(b, a % b) : a;
}

/* All counters later by so many frames, whole turns and whole windows of both states. */
static void go_on(int64_t frames)
{
    edgeemo_windows *w = &stream->windows;
    int64_t later = frames * BLOCK;
    for (int32_t i = 0; i < w->tensors; i++)
        if (w->stem.rows[i].data)
            w->stem.rows[i].made += (int32_t)(frames / w->stem.tensors[i].stride);
    for (int32_t k = 0; k < 2; k++)
        w->origin[k] += (int32_t)frames;
    stream->seen += later, stream->last_end += later, stream->start += later;
    stream->block_start += later, stream->share_begin += later;
}

/* A month of which the stream hears some seconds every few hours; in between its counters alone go on.
 * Each cycle of windows must give what the one before the month gave. 0 if it does not. */
static int32_t month(void)
{
    const int64_t day = 8640000, cycle = 2 * stream->windows.half;
    int64_t skip = stream->windows.turn / common(stream->windows.turn, cycle) * cycle, now = 0;
    edgeemo_estimate e;
    as_after((((int64_t)1 << 29) - 10 * day) / skip * (skip / stream->windows.turn));
    int64_t begun = stream->seen;
    for (int32_t round = 0; now < 30 * day; round++) {
        int32_t count = 0;
        if (round > 2) { /* until then windows reach back to the beginning */
            go_on(skip);
            now += skip;
        }
        for (int32_t i = 0; i < cycle; i++) {
            if (edgeemo_stream_push_i16(stream, clip + i * BLOCK, BLOCK) != 1)
                continue;
            edgeemo_stream_estimate(stream, &e);
            e.start -= begun + now * BLOCK, e.end -= begun + now * BLOCK;
            if (round == 2)
                found[count] = e;
            else if (round > 2 && memcmp(&found[count], &e, sizeof e))
                return 0;
            count++;
        }
        now += cycle;
    }
    return 1;
}
#endif

int main(void)
{
    const edgeemo_feature_spec spec = EDGEEMO_LOGMEL40;
    edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
    edgeemo_model_info info;
    int32_t bytes = host_read("blob", blob, sizeof blob);
    EXPECT(bytes > 0 && edgeemo_model_check(blob, (size_t)bytes, &info) == EDGEEMO_OK);
    samples = host_read("clip", clip, sizeof clip) / 2;
    EXPECT(samples > 0 && samples % BLOCK == 0);
    int32_t inputs = info.values + EDGEEMO_DESCRIBED, floats = 4 * inputs + 1;
    EXPECT(host_read("regression", regression, sizeof regression) == 4 * floats);
    const edgeemo_confidence confidence = {inputs, regression[4 * inputs], regression,
                                           regression + inputs, regression + 2 * inputs};
    edgeemo_speech_model model = {blob,  (size_t)bytes, edgeemo_make_tables(table_memory, &spec),
                                  &confidence, 16000, 1520, 3, 8, 0, 1};
    size_t size = edgeemo_stream_size(&model, &settings);
    EXPECT(size > 0 && size % 8 == 0 && size <= sizeof memory);
    counts[0] = (uint32_t)size;

    /* What cannot be used leaves everything as it was. */
    EXPECT(edgeemo_stream_init(NULL, memory, size, &model, &settings) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_stream_init(&stream, NULL, size, &model, &settings) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_stream_init(&stream, memory, size, NULL, &settings) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_stream_init(&stream, memory, size, &model, NULL) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_stream_init(&stream, memory, size - 8, &model, &settings) == EDGEEMO_ERR_MEMORY);
    EXPECT(edgeemo_stream_init(&stream, memory, 8, &model, &settings) == EDGEEMO_ERR_MEMORY);
    EXPECT(edgeemo_stream_init(&stream, (char *)memory + 4, size, &model, &settings)
           == EDGEEMO_ERR_MEMORY);
    settings.sample_rate = 24000;
    EXPECT(edgeemo_stream_init(&stream, memory, size, &model, &settings) == EDGEEMO_ERR_RATE);
    settings.sample_rate = 16000, settings.stride = 0;
    EXPECT(edgeemo_stream_init(&stream, memory, size, &model, &settings) == EDGEEMO_ERR_SETTINGS);
    settings.stride = 25, settings.window = 9;
    EXPECT(edgeemo_stream_size(&model, &settings) == 0);
    settings.window = 300;
    edgeemo_speech_model other = model;
    other.least = 400;
    EXPECT(edgeemo_stream_init(&stream, memory, size, &other, &settings) == EDGEEMO_ERR_BLOCK);
    other = model;
    other.blob_bytes -= 4;
    EXPECT(edgeemo_stream_init(&stream, memory, size, &other, &settings) < 0 && !stream);
    EXPECT(edgeemo_stream_push_i16(NULL, clip, 1) == EDGEEMO_ERR_ARG);
    edgeemo_stream_reset(NULL);

    EXPECT(edgeemo_stream_init(&stream, memory, size, &model, &settings) == EDGEEMO_OK);
    EXPECT(edgeemo_stream_estimate(stream, found) == EDGEEMO_ERR_NOT_ENOUGH_FRAMES);
    EXPECT(edgeemo_stream_push_i16(stream, NULL, 1) == EDGEEMO_ERR_ARG);
    EXPECT(edgeemo_stream_push_i16(stream, NULL, 0) == 0);
    measure();
    EXPECT(!failed && got > 15);
    counts[1] = (uint32_t)got;
    got = 0;
    edgeemo_stream_reset(stream);
    counts[2] = cortex_m_stack(measure_stack);
    EXPECT(!failed && got == (int32_t)counts[1]);
    cortex_m_start();
    loop_of_2000();
    counts[6] = cortex_m_ticks();

    /* Other blocks, floats, all at once. */
    edgeemo_stream_reset(stream);
    run(160, 1);
    EXPECT(is_same(0));
    edgeemo_stream_reset(stream);
    run(77, 0);
    EXPECT(is_same(0));
    edgeemo_stream_reset(stream);
    run(1000, 1);
    EXPECT(is_same(0));
    float bad = 2e6f;
    EXPECT(edgeemo_stream_push(stream, &bad, 1) == EDGEEMO_ERR_VALUE);

    /* Past the limits of the counters: the stem's, 32 bits of samples, those of estimates. */
    int32_t turn = stream->windows.turn;
    int64_t later = as_after(((int64_t)1 << 32) / turn / BLOCK + 1);
    run(160, 0);
    EXPECT(is_same(later));
    later = as_after(((int64_t)1 << 40) / turn);
    stream->turn = UINT32_MAX - 3;
    run(160, 0);
    EXPECT(is_same(later));
    later = as_after((((int64_t)1 << 29) - 100) / turn);
    run(160, 0);
    EXPECT(is_same(later));

    /* Without spreading, and with more frames at once: an estimate comes at its end. */
    settings.spread = 0;
    EXPECT(edgeemo_stream_init(&stream, memory, sizeof memory, &model, &settings) == EDGEEMO_OK);
    run(160, 0);
    EXPECT(is_same(0) && found[0].end == want[0].end);
    settings.block = 8;
    EXPECT(edgeemo_stream_size(&model, &settings) <= sizeof memory);
    EXPECT(edgeemo_stream_init(&stream, memory, sizeof memory, &model, &settings) == EDGEEMO_OK);
    run(3000, 1);
    EXPECT(is_same(0));

#ifndef __arm__
    settings = (edgeemo_stream_settings)EDGEEMO_STREAM_SETTINGS;
    settings.smoothing = 0; /* it remembers the hours before */
    settings.gate = 0;      /* and so does the floor */
    settings.stride = 38;   /* a whole number of them in a window */
    EXPECT(edgeemo_stream_init(&stream, memory, sizeof memory, &model, &settings) == EDGEEMO_OK);
    EXPECT(month());
#endif

    EXPECT(host_write("counts", counts, sizeof counts) == 0);
    EXPECT(host_write("ticks", ticks, sizeof ticks) == 0);
    return host_write("estimates", want, sizeof *want * counts[1]) ? 1 : 0;
}
