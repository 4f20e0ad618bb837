/* edgeemo_gate.c: speech by energy over an adaptive noise floor; see edgeemo_gate.h. */
#ifndef __arm__ /* there flash counts for more than a hundredth of the instructions */
#include "edgeemo_fast.h"
#endif

#include "edgeemo_arithmetic.h"

#include "edgeemo_fixed.h"
#include "edgeemo_gate_internal.h"

#include <string.h>

#include "edgeemo_pairs.h"

#define BLOCKS_A_SECOND 100
#define RISE 1.0046158f      /* 2 dB a second in steps of 10 ms */
#define LEAST_FLOOR 3e-7f    /* -65 dB: digital silence must not make the next rustle a voice */
#define TURN 628.3185f       /* 2 pi 100 Hz */
#define NOTHING 1e-15f       /* squares of smaller values are too slow on some processors */

int32_t edgeemo_gate_init(edgeemo_gate *gate, int32_t sample_rate)
{
    if (!gate)
        return EDGEEMO_ERR_ARG;
    if (sample_rate < 1000 || sample_rate > 768000)
        return EDGEEMO_ERR_SAMPLE_RATE;
    memset(gate, 0, sizeof *gate);
    gate->block = sample_rate / BLOCKS_A_SECOND;
    gate->leak = 1.0f - TURN / (float)sample_rate;
    return EDGEEMO_OK;
}

int32_t edgeemo_gate_blocks(const edgeemo_gate *gate, int32_t n)
{
    if (!gate || n < 0)
        return EDGEEMO_ERR_ARG;
    int32_t rest = n % gate->block;
    return n / gate->block + (gate->filled + rest >= gate->block);
}

/* A block is complete: the new energy and floor, and whether somebody speaks. */
static uint8_t judge(edgeemo_gate *gate, float sum)
{
    float square = sum / (float)gate->block;
    gate->sum = 0.0f;
    gate->filled = 0;
    if (!gate->begun) {
        gate->begun = 1;
        gate->energy = square;
        gate->floor = square; /* if this is speech, its first short gap shows the true floor */
    }
    gate->energy += 0.5f * (square - gate->energy);
    gate->floor *= RISE;
    if (gate->energy < gate->floor)
        gate->floor = gate->energy;
    if (gate->floor < LEAST_FLOOR)
        gate->floor = LEAST_FLOOR;
    float needed = gate->hang > 0 ? EDGEEMO_GATE_CLOSE : EDGEEMO_GATE_OPEN;
    if (gate->energy >= EDGEEMO_GATE_SILENCE && gate->energy >= needed * gate->floor)
        gate->hang = EDGEEMO_GATE_HANG;
    else if (gate->hang > 0)
        gate->hang--;
    return gate->hang > 0;
}

/* 0 for what is too small, which is nothing in sound: bits without the sign grow with the size. */
static inline float without_nothing(float x)
{
    union {
        float value;
        uint32_t bits;
    } size = {x}, nothing = {NOTHING};
#ifdef EDGEEMO_PAIRS
    /* GCC makes two paths of what one conditional move does. */
    __asm__("vmov %1, %0\n cmp %2, %1, lsl #1\n it cs\n vmovcs.f32 %0, %3"
            : "+t"(size.value), "=&r"(size.bits)
            : "r"(nothing.bits << 1), "t"(0.0f)
            : "cc");
    return size.value;
#else
    return size.bits << 1 <= nothing.bits << 1 ? 0.0f : x;
#endif
}

/* A sample; `high` waits for the one before. */
#define ADD_ONE(now, before)                            \
    high = without_nothing(now - before + leak * high); \
    sum += high * high

/* Samples of one block, of one of the two kinds; in locals, and two by two, so that none is copied. */
#define ADD(gate, n, two, one)                                   \
    float high = gate->high, last = gate->last, sum = gate->sum; \
    const float leak = gate->leak;                               \
    for (int32_t pairs = n / 2; pairs > 0; pairs--) {            \
        two(now, next);                                          \
        ADD_ONE(now, last);                                      \
        ADD_ONE(next, now);                                      \
        last = next;                                             \
    }                                                            \
    if (n % 2) {                                                 \
        float now = one(samples);                                \
        ADD_ONE(now, last);                                      \
        last = now;                                              \
    }                                                            \
    gate->high = high;                                           \
    gate->last = last;                                           \
    gate->sum = sum;                                             \
    gate->filled += n

#define FLOAT(at) *(at)
#define TWO_FLOATS(x, y) float x = samples[0], y = samples[1]; samples += 2
#define SHORT(at) ((float)*(at) * (1.0f / 32768.0f))
#ifdef EDGEEMO_PAIRS
#define TWO_SHORTS(x, y) LOAD_SHORTS_NEXT(x, y, samples)
#else
#define TWO_SHORTS(x, y) float x = SHORT(samples), y = SHORT(samples + 1); samples += 2
#endif

int32_t edgeemo_gate_add(edgeemo_gate *gate, const float *samples, int32_t n)
{
    ADD(gate, n, TWO_FLOATS, FLOAT);
    return gate->filled == gate->block ? judge(gate, gate->sum) : -1;
}

int32_t edgeemo_gate_add_i16(edgeemo_gate *gate, const int16_t *samples, int32_t n)
{
    ADD(gate, n, TWO_SHORTS, SHORT);
    return gate->filled == gate->block ? judge(gate, gate->sum) : -1;
}

void edgeemo_fixed_gate_init(edgeemo_fixed_gate *fixed, const edgeemo_gate *gate)
{
    *fixed = (edgeemo_fixed_gate){.drop = (int32_t)((1.0f - gate->leak) * 32768.0f + 0.5f)};
}

int32_t edgeemo_fixed_gate_add(edgeemo_fixed_gate *fixed, edgeemo_gate *gate, const int16_t *samples,
                               int32_t n)
{
    int32_t last = fixed->last, high = fixed->high, drop = fixed->drop;
    uint64_t sum = fixed->sum;
    for (int32_t i = 0; i < n; i++) {
        high += (samples[i] - last) * 4096 - edgeemo_fixed_times(2 * high, drop);
        last = samples[i];
        int32_t half = (high + 4096) >> 13; /* 32768 at most */
        sum += (uint32_t)(half * half);
    }
    *fixed = (edgeemo_fixed_gate){sum, last, high, drop};
    gate->filled += n;
    if (gate->filled < gate->block)
        return -1;
    fixed->sum = 0;
    /* In halves: the conversion of 64 bits takes doubles where there is no FPU. */
    float whole = (float)(uint32_t)(sum >> 32) * 4294967296.0f + (float)(uint32_t)sum;
    return judge(gate, whole * (1.0f / (1 << 28)));
}

int32_t edgeemo_gate_push(edgeemo_gate *gate, const float *samples, int32_t n, uint8_t *speech,
                          int32_t room)
{
    int32_t blocks = edgeemo_gate_blocks(gate, n);
    if (blocks < 0 || blocks > room || (n > 0 && !samples) || (blocks > 0 && !speech))
        return EDGEEMO_ERR_ARG;
    if (edgeemo_first_bad_sample(samples, n) >= 0)
        return EDGEEMO_ERR_VALUE;
    int32_t told = 0;
    for (const float *end = samples + n; samples < end;) {
        int32_t left = gate->block - gate->filled;
        int32_t size = left < end - samples ? left : (int32_t)(end - samples);
        int32_t answer = edgeemo_gate_add(gate, samples, size);
        samples += size;
        if (answer >= 0)
            speech[told++] = (uint8_t)answer;
    }
    return told;
}

void edgeemo_gate_reset(edgeemo_gate *gate)
{
    if (!gate)
        return;
    edgeemo_gate fresh;
    memset(&fresh, 0, sizeof fresh);
    fresh.block = gate->block;
    fresh.leak = gate->leak;
    *gate = fresh;
}
