/* edgeemo_gate.h: is somebody speaking? By energy over an adaptive noise floor.
 *
 * Use:
 *
 *     edgeemo_gate gate;                                  (40 bytes, anywhere)
 *     edgeemo_gate_init(&gate, 16000);
 *     edgeemo_gate_push(&gate, samples, n, speech, room); (again and again)
 *     edgeemo_gate_reset(&gate);                          (before another sound)
 *
 * It hears what is louder than what was there before: a voice, and also a door. It learns steady
 * noise; it does not tell speech from music. What it costs is six operations a sample.
 *
 * How. Differences between samples with a slow leak (a high-pass at 100 Hz) remove hum and
 * offset. The mean square of each 10 ms block is smoothed a little. The floor follows it down at
 * once and up by 2 dB a second. A block is speech from EDGEEMO_GATE_OPEN times the floor on and
 * stays speech down to EDGEEMO_GATE_CLOSE times the floor, and EDGEEMO_GATE_HANG blocks longer;
 * nothing under EDGEEMO_GATE_SILENCE is speech.
 *
 * Bits: the same samples give the same answers on every IEEE 754 target, however they are cut, with
 * the compilers that edgeemo.h names. Nothing here allocates or calls anything but memset.
 */
#ifndef EDGEEMO_GATE_H
#define EDGEEMO_GATE_H

#include "edgeemo.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEEMO_GATE_OPEN 10.0f    /* times the floor, in power: 10 dB */
#define EDGEEMO_GATE_CLOSE 4.0f    /* 6 dB */
#define EDGEEMO_GATE_SILENCE 1e-6f /* mean square: -60 dB of full scale */
#define EDGEEMO_GATE_HANG 20       /* blocks of 10 ms: gaps between syllables are no silence */

/* State of one sound. The fields are the gate's own. */
typedef struct edgeemo_gate {
    int32_t block;  /* samples in 10 ms */
    int32_t filled; /* samples of the block that is under way */
    int32_t hang;   /* blocks until the gate shuts; 0 when it is shut */
    int32_t begun;  /* whether there is a floor */
    float leak;     /* of the high-pass */
    float last;     /* sample before */
    float high;     /* high-passed sample before */
    float sum;      /* of squares in this block */
    float energy;   /* smoothed mean square */
    float floor;    /* mean square of the noise */
} edgeemo_gate;

/* Make a gate for sound of sample_rate Hz, 1000..768000.
 * Returns EDGEEMO_OK, EDGEEMO_ERR_ARG (NULL) or EDGEEMO_ERR_SAMPLE_RATE; then gate is as before. */
int32_t edgeemo_gate_init(edgeemo_gate *gate, int32_t sample_rate);

/* Blocks that a push of n more samples would complete, 0 or more; EDGEEMO_ERR_ARG if gate is NULL
 * or n negative. */
int32_t edgeemo_gate_blocks(const edgeemo_gate *gate, int32_t n);

/* Take samples, tell of each 10 ms block that they complete whether somebody speaks in it.
 *
 * samples  n values, mono, -1..1; borrowed for the call; may be NULL if n is 0.
 * speech   room for `room` answers, 0 or 1 each; may be NULL if room is 0.
 *
 * Returns the answers written, or EDGEEMO_ERR_ARG (room is less than edgeemo_gate_blocks(gate, n))
 * or EDGEEMO_ERR_VALUE (a sample that edgeemo_first_bad_sample() names); then nothing has changed.
 * One gate belongs to one thread at a time.
 */
int32_t edgeemo_gate_push(edgeemo_gate *gate, const float *samples, int32_t n, uint8_t *speech,
                          int32_t room);

/* Forget all samples and the floor: as after init. NULL does nothing. */
void edgeemo_gate_reset(edgeemo_gate *gate);

#ifdef __cplusplus
}
#endif

#endif
