/* wav.c: a WAV file is a list of chunks; "fmt " tells the kind, "data" holds the samples. */
#include "wav.h"

#include <string.h>

static uint32_t word(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* PCM, one channel, 16 kHz, 16 bits. */
static int is_ours(const unsigned char *format)
{
    return word(format) == 0x10001 && word(format + 4) == 16000 && word(format + 12) >> 16 == 16;
}

static int find_samples(FILE *file)
{
    unsigned char head[16];
    int known = 0;
    if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) || memcmp(head + 8, "WAVE", 4))
        return 0;
    while (fread(head, 1, 8, file) == 8) {
        uint32_t bytes = word(head + 4);
        if (memcmp(head, "data", 4) == 0)
            return known;
        if (memcmp(head, "fmt ", 4) == 0) {
            if (bytes < 16 || fread(head, 1, 16, file) != 16 || !is_ours(head))
                return 0;
            known = 1;
            bytes -= 16;
        }
        /* Chunks begin at even places. */
        if (bytes > 1 << 24 || fseek(file, (long)(bytes + bytes % 2), SEEK_CUR))
            return 0;
    }
    return 0;
}

FILE *wav_open(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (file && !find_samples(file)) {
        fclose(file);
        file = NULL;
    }
    return file;
}

int32_t wav_read(FILE *file, int16_t *samples, int32_t n)
{
    return (int32_t)fread(samples, sizeof *samples, (size_t)n, file);
}
