/* edgeemo_stream.c: the samples of a stream through gate, front end and two windows of a network. */
#include "edgeemo_fixed.h"

#include <string.h>

#include "edgeemo_stream_internal.h"

#if defined __GNUC__
#define BARRIER() __sync_synchronize()
#else
#define BARRIER() (void)0
#endif

/* Samples of one of the two kinds; the other is NULL, and both are where zeros are meant. */
typedef struct sound {
    const float *floats;
    const int16_t *shorts;
} sound;

enum { ZEROS = 16 };
static const float zeros[ZEROS];

/* ---- estimates ---- */

static EDGEEMO_NOINLINE void publish(edgeemo_stream *s, const edgeemo_estimate *estimate)
{
    uint32_t turn = s->turn + 1 ? s->turn + 1 : 2; /* 0: there is none yet */
    s->slots[turn & 1] = *estimate;
    BARRIER();
    s->turn = turn;
    s->ready++;
}

static EDGEEMO_NOINLINE void publish_nothing(edgeemo_stream *s)
{
    const edgeemo_estimate e = {.start = s->start, .end = s->seen, .expression = -1};
    publish(s, &e);
}

static int32_t likeliest(const edgeemo_stream *s, const float *values)
{
    int32_t best = s->model.classes_at;
    for (int32_t i = best + 1; i < s->model.classes_at + s->model.classes; i++)
        best = values[i] > values[best] ? i : best;
    return s->model.classes ? best : -1;
}

static float mixed(float old, float value, float weight)
{
    return old + weight * (value - old);
}

/* The running mean, with hysteresis of the class that is shown. */
static void smooth(edgeemo_stream *s, edgeemo_estimate *e)
{
    edgeemo_estimate *mean = &s->mean;
    int64_t apart = e->end - mean->end;
    float elapsed = (float)(apart < INT32_MAX ? (int32_t)apart : INT32_MAX)
                    / (float)s->model.sample_rate;
    if (mean->known && !(elapsed > s->settings.forget_seconds)) {
        float weight = edgeemo_smoothing_weight(elapsed, s->settings.smoothing);
        for (int32_t i = 0; i < s->said; i++)
            e->values[i] = mixed(mean->values[i], e->values[i], weight);
        e->confidence = mixed(mean->confidence, e->confidence, weight);
        int32_t best = likeliest(s, e->values), shown = mean->expression;
        e->expression =
            best < 0 || e->values[best] > e->values[shown] + s->settings.margin ? best : shown;
    }
    *mean = *e;
}

/* The estimate that was marked, when the network is through. */
static EDGEEMO_NOINLINE void finish(edgeemo_stream *s)
{
    const edgeemo_speech_model *m = &s->model;
    edgeemo_estimate e = {.start = s->due_start, .end = s->due_end, .speech = s->due_speech};
    s->is_due = 0;
    edgeemo_model_outputs(&s->windows.state[s->due_state], e.values, EDGEEMO_MOST_VALUES);
    memcpy(s->described, e.values, (size_t)s->said * sizeof(float));
    for (int32_t i = 0; i < s->values; i++) {
        float value = e.values[i] < m->low ? m->low : e.values[i];
        e.values[i] = value > m->high ? m->high : value;
    }
    e.expression = likeliest(s, e.values);
    if (m->confidence)
        e.confidence = edgeemo_confidence_of(m->confidence, s->described);
    else
        e.confidence = e.expression < 0 ? 0 : e.values[e.expression];
    if (s->settings.gate == 2 && e.values[s->said] * EDGEEMO_SPEECH_SHARE < 1.0f) {
        e.speech = 0;
        e.confidence = 0;
    }
    e.known = e.speech != 0 && !(e.confidence < s->settings.abstain);
    if (e.known && s->settings.smoothing > 0)
        smooth(s, &e);
    if (!e.known) {
        memset(e.values, 0, (size_t)s->said * sizeof(float));
        e.expression = -1;
    }
    publish(s, &e);
}

static int32_t is_done(const edgeemo_stream *s)
{
    return edgeemo_windows_is_done(&s->windows, s->due_state);
}

static void finish_due(edgeemo_stream *s)
{
    if (s->is_due) {
        edgeemo_windows_finish(&s->windows);
        finish(s);
    }
}

/* ---- frames ---- */

static void push_frames(edgeemo_stream *s)
{
    edgeemo_windows_push(&s->windows, s->frames, s->filled);
    s->filled = 0;
    if (s->is_due && is_done(s))
        finish(s);
}

/* What the confidence looks at, in the windows that have begun. */
static void describe_frame(edgeemo_stream *s, const float *frame)
{
    int32_t groups[EDGEEMO_GROUPS];
    if (s->frame == 0) {
        s->young = !s->young;
        edgeemo_statistics_reset(&s->statistics[s->young]);
    }
    s->frame = s->frame + 1 == s->windows.half ? 0 : s->frame + 1;
    edgeemo_group_means(frame, s->model.tables->bands, groups);
    for (int32_t k = 0; k < 2; k++)
        edgeemo_statistics_add(&s->statistics[k], groups, s->groups);
    memcpy(s->groups, groups, sizeof groups);
}

static void into_frames(edgeemo_stream *s, sound from, int32_t n)
{
    int32_t bands = s->model.tables->bands;
    for (int32_t taken; n > 0; n -= taken) {
        float *to = s->frames + s->filled * bands;
        int32_t room = s->settings.block - s->filled, made;
        if (from.shorts) {
            made = edgeemo_frontend_push_i16(s->frontend, from.shorts, n, to, room, &taken);
            from.shorts += taken;
        } else if (from.floats) {
            made = edgeemo_frontend_push(s->frontend, from.floats, n, to, room, &taken);
            from.floats += taken;
        } else {
            made = edgeemo_frontend_push(s->frontend, zeros, n < ZEROS ? n : ZEROS, to, room,
                                         &taken);
        }
        for (int32_t i = 0; s->model.confidence && i < made; i++)
            describe_frame(s, to + i * bands);
        s->filled += made;
        if (s->filled == s->settings.block)
            push_frames(s);
    }
}

/* ---- the gate ---- */

/* A block of 10 ms is over: it counts in the windows in which it began. */
static void count_block(edgeemo_stream *s, int32_t speech)
{
    while (s->block_start >= s->share_begin) {
        s->share_young = !s->share_young;
        memset(&s->share[s->share_young], 0, sizeof *s->share);
        s->share_begin += s->half;
    }
    for (int32_t k = 0; k < 2; k++) {
        s->share[k].blocks++;
        s->share[k].speech += speech;
    }
    s->block_start += s->gate.block;
}

/* As edgeemo_gate_add() on samples of any kind. */
static int32_t add_fixed(edgeemo_stream *s, sound from, int32_t n)
{
    if (from.shorts)
        return edgeemo_fixed_gate_add(&s->fixed_gate, &s->gate, from.shorts, n);
    int32_t answer = -1;
    for (int32_t i = 0; i < n; i++) {
        int16_t sample = from.floats ? edgeemo_short_of(from.floats[i]) : 0;
        answer = edgeemo_fixed_gate_add(&s->fixed_gate, &s->gate, &sample, 1);
    }
    return answer;
}

static void into_gate(edgeemo_stream *s, sound from, int32_t n)
{
    int32_t fixed = EDGEEMO_WITH_INTEGERS && s->model.tables->fixed;
    for (int32_t size; n > 0; n -= size) {
        int32_t left = s->gate.block - s->gate.filled, answer;
        size = n < left ? n : left;
        if (from.shorts) {
            answer = fixed ? add_fixed(s, from, size)
                           : edgeemo_gate_add_i16(&s->gate, from.shorts, size);
            from.shorts += size;
        } else {
            size = from.floats || size < ZEROS ? size : ZEROS;
            answer = fixed ? add_fixed(s, from, size)
                           : edgeemo_gate_add(&s->gate, from.floats ? from.floats : zeros, size);
            from.floats = from.floats ? from.floats + size : NULL;
        }
        if (answer >= 0)
            count_block(s, answer);
    }
}

/* Nobody speaks in blocks of which nothing is known; the gate does not see them. Those that are known
 * in part are filled with the sound that came last. */
static void skip_gate(edgeemo_stream *s, const float *last, int32_t n)
{
    int32_t rest = s->gate.filled ? s->gate.block - s->gate.filled : 0;
    rest = n < rest ? n : rest;
    into_gate(s, (sound){last, NULL}, rest);
    for (n -= rest; n >= s->gate.block; n -= s->gate.block)
        count_block(s, 0);
    into_gate(s, (sound){last, NULL}, n);
}

/* ---- samples ---- */

/* An estimate ends with the newest sample. */
static void mark(edgeemo_stream *s)
{
    finish_due(s);
    for (; s->seen > s->start + 2 * (int64_t)s->half; s->start += s->half)
        s->older = !s->older;
    s->last_end = s->seen;
    s->until = s->stride;
    const edgeemo_share *share = &s->share[s->older];
    s->due_speech = -1;
    if (s->settings.gate)
        s->due_speech = share->blocks > 0 && share->speech * EDGEEMO_SPEECH_SHARE >= share->blocks;
    if (s->due_speech == 0) {
        publish_nothing(s);
        return;
    }
    if (s->filled)
        push_frames(s);
    if (s->model.confidence)
        edgeemo_describe(&s->statistics[s->older], s->described + s->said);
    s->due_start = s->start;
    s->due_end = s->seen;
    s->due_state = s->older;
    s->is_due = 1;
    if (is_done(s))
        finish(s);
}

/* `lost`: they stand for sound that did not come, after `last`. */
static int32_t push(edgeemo_stream *s, sound from, int32_t n, int32_t lost, const float *last)
{
    s->ready = 0;
    for (int32_t size; n > 0; n -= size) {
        size = n < s->until ? n : s->until;
        if (s->settings.gate && lost)
            skip_gate(s, last, size);
        else if (s->settings.gate)
            into_gate(s, from, size);
        into_frames(s, from, size);
        if (from.shorts)
            from.shorts += size;
        else if (from.floats)
            from.floats += size;
        s->seen += size;
        s->until -= size;
        if (s->until == 0)
            mark(s);
    }
    return s->ready;
}

int32_t edgeemo_stream_push(edgeemo_stream *s, const float *samples, int32_t n)
{
    if (!s || n < 0 || (n > 0 && !samples))
        return EDGEEMO_ERR_ARG;
    if (edgeemo_first_bad_sample(samples, n) >= 0)
        return EDGEEMO_ERR_VALUE;
    return push(s, (sound){samples, NULL}, n, 0, NULL);
}

int32_t edgeemo_stream_push_i16(edgeemo_stream *s, const int16_t *samples, int32_t n)
{
    if (!s || n < 0 || (n > 0 && !samples))
        return EDGEEMO_ERR_ARG;
    return push(s, (sound){NULL, samples}, n, 0, NULL);
}

int32_t edgeemo_stream_gap(edgeemo_stream *s, const float *filler, int32_t n, const float *last)
{
    if (!s || n < 0)
        return EDGEEMO_ERR_ARG;
    if ((filler && edgeemo_first_bad_sample(filler, n) >= 0)
        || (last && edgeemo_first_bad_sample(last, s->gate.block) >= 0))
        return EDGEEMO_ERR_VALUE;
    return push(s, (sound){filler, NULL}, n, 1, last);
}

int32_t edgeemo_stream_estimate(const edgeemo_stream *s, edgeemo_estimate *estimate)
{
    uint32_t turn;
    if (!s || !estimate)
        return EDGEEMO_ERR_ARG;
    do { /* again, if newer ones came while this one was copied */
        turn = s->turn;
        if (turn == 0)
            return EDGEEMO_ERR_NOT_ENOUGH_FRAMES;
        BARRIER();
        *estimate = s->slots[turn & 1];
        BARRIER();
    } while (s->turn != turn);
    return EDGEEMO_OK;
}

int32_t edgeemo_stream_flush(edgeemo_stream *s, edgeemo_estimate *estimate)
{
    if (!s || !estimate)
        return EDGEEMO_ERR_ARG;
    int32_t status = EDGEEMO_ERR_NOT_ENOUGH_FRAMES;
    finish_due(s);
    if (s->seen > s->last_end && s->seen >= s->model.least) {
        mark(s);
        finish_due(s);
        status = edgeemo_stream_estimate(s, estimate);
    }
    edgeemo_stream_reset(s);
    return status;
}
