/* main.c: a sound file to arousal, dominance and valence, in C.
 *
 *     wav2adv FILE.wav       16 kHz, one channel, 16 bits
 */
#include <stdio.h>

#include "edgeemo_student.h"
#include "wav.h"

enum { BLOCK = 1600 }; /* samples; any number gives the same bits */

static uint64_t memory[EDGEEMO_STUDENT_MEMORY / 8];

static int32_t hear(FILE *file, edgeemo_speech *speech)
{
    int16_t block[BLOCK];
    int32_t status = EDGEEMO_OK;
    for (int32_t n; status == EDGEEMO_OK && (n = wav_read(file, block, BLOCK)) > 0;)
        status = edgeemo_speech_push_i16(speech, block, n);
    return status;
}

int main(int argc, char **argv)
{
    edgeemo_speech *speech;
    float values[EDGEEMO_STUDENT_VALUES];
    FILE *file = argc == 2 ? wav_open(argv[1]) : NULL;
    if (!file) {
        fprintf(stderr, "usage: %s FILE.wav (16 kHz, one channel, 16 bits)\n", argv[0]);
        return 2;
    }
    int32_t status = edgeemo_speech_init(&speech, memory, sizeof memory, &edgeemo_student);
    if (status == EDGEEMO_OK)
        status = hear(file, speech);
    if (status == EDGEEMO_OK)
        status = edgeemo_speech_estimate(speech, values, EDGEEMO_STUDENT_VALUES);
    fclose(file);
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", argv[1], edgeemo_model_status_text(status));
        return 1;
    }
    /* Nine digits say every bit of a float. */
    printf("arousal %.9g, dominance %.9g, valence %.9g\n", (double)values[EDGEEMO_STUDENT_AROUSAL],
           (double)values[EDGEEMO_STUDENT_DOMINANCE], (double)values[EDGEEMO_STUDENT_VALENCE]);
    return 0;
}
