/* features.c: the log-mel frames of raw 16-bit sound, one line of 40 numbers a frame.
 *
 *     features < sound.raw > frames.txt
 *
 * The sound is mono, 16 kHz, little-endian, without a header. It is read in blocks of 10 ms, as a
 * microphone would give it, and each frame is printed as soon as it is complete. */
#include <stdio.h>

#include "edgeemo.h"

enum { BLOCK = 160, BANDS = 40, MOST_BYTES = 12000 };

static double memory[MOST_BYTES / sizeof(double)]; /* double, so that it lies on 8 bytes */

static void print_frame(const float *frame)
{
    for (int32_t band = 0; band < BANDS; band++)
        printf("%.9g%c", (double)frame[band], band + 1 < BANDS ? ' ' : '\n');
}

int main(void)
{
    const edgeemo_feature_spec spec = EDGEEMO_LOGMEL40;
    edgeemo_frontend *fe;
    int32_t status = edgeemo_frontend_init(&fe, memory, sizeof memory, &spec);
    if (status != EDGEEMO_OK) {
        fprintf(stderr, "%s\n", edgeemo_status_text(status));
        return 1;
    }
    int16_t block[BLOCK];
    for (size_t n; (n = fread(block, sizeof *block, BLOCK, stdin)) > 0;) {
        float frame[BANDS];
        int32_t taken; /* all n: a block of a hop never completes more than one frame */
        if (edgeemo_frontend_push_i16(fe, block, (int32_t)n, frame, 1, &taken) == 1)
            print_frame(frame);
    }
    return 0;
}
