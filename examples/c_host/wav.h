/* wav.h: the samples of a WAV file, 16 kHz, one channel, 16 bits. */
#ifndef WAV_H
#define WAV_H

#include <stdint.h>
#include <stdio.h>

/* Open a file at its first sample. NULL if it is not there or not of this kind. */
FILE *wav_open(const char *name);

/* Read at most n samples. Returns how many, 0 at the end. */
int32_t wav_read(FILE *file, int16_t *samples, int32_t n);

#endif
