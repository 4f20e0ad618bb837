/* microphone.h: samples as a DMA controller leaves them: two halves of a buffer, filled in turn.
 *
 * microphone_wav.c plays a sound file through semihosting. On a part of yours, write this file anew:
 * start the converter and its DMA, and let the half-complete and complete interrupts wake the main
 * loop. */
#ifndef MICROPHONE_H
#define MICROPHONE_H

#include <stdint.h>

enum { MICROPHONE_BLOCK = 160 }; /* samples of a half: 10 ms at 16 kHz */

/* Start. `name` is a WAV file, 16 kHz, one channel, 16 bits. Returns 0, or -1. */
int32_t microphone_start(const char *name);

/* Wait for the next half, MICROPHONE_BLOCK samples. It stays as it is while the other half fills.
 * NULL at the end of the sound. */
const int16_t *microphone_wait(void);

#endif
