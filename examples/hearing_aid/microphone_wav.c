/* microphone_wav.c: a sound file in the place of a converter. */
#include <string.h>

#include "microphone.h"
#include "terminal.h"

static int16_t halves[2][MICROPHONE_BLOCK];
static int32_t filling;

static uint32_t word(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* PCM, one channel, 16 kHz, 16 bits. */
static int32_t is_ours(const uint8_t *format)
{
    return word(format) == 0x10001 && word(format + 4) == 16000 && word(format + 12) >> 16 == 16;
}

int32_t microphone_start(const char *name)
{
    uint8_t head[16];
    int32_t known = 0;
    if (terminal_open(name) || terminal_next(head, 12) != 12 || memcmp(head, "RIFF", 4)
        || memcmp(head + 8, "WAVE", 4))
        return -1;
    while (terminal_next(head, 8) == 8) {
        uint32_t bytes = word(head + 4);
        if (memcmp(head, "data", 4) == 0)
            return known ? 0 : -1;
        int32_t is_format = memcmp(head, "fmt ", 4) == 0;
        if (is_format && (bytes < 16 || terminal_next(head, 16) != 16 || !is_ours(head)))
            return -1;
        known |= is_format;
        /* Chunks begin at even places. */
        for (bytes += bytes % 2 - (is_format ? 16 : 0); bytes > 0; bytes--)
            if (terminal_next(head, 1) != 1)
                return -1;
    }
    return -1;
}

const int16_t *microphone_wait(void)
{
    int16_t *half = halves[filling];
    filling = !filling;
    return terminal_next(half, sizeof halves[0]) == (int32_t)sizeof halves[0] ? half : NULL;
}
