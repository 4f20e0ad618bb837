/* chain.c: from samples to an estimate, for processors of all kinds and flags of all build systems.
 *
 * Reads `blob` and `clip` (16-bit samples) from the working folder. Writes `frames`, the features of
 * `logmel40`; `estimate`; and on RISC-V `counts`, uint32: instructions of the front end alone, of the
 * chain, and of a loop of 2000. The status is the line of the first fault, cut to 8 bits. */
#include "edgeemo_internal.h"
#include "edgeemo_speech.h"
#include "host.h"

#define EXPECT(truth)                   \
    do {                                \
        if (!(truth))                   \
            return __LINE__ % 255 + 1;  \
    } while (0)

enum { SAMPLES = 16000, HOP = 160, BANDS = 40, VALUES = 11, MOST = 1 << 18 };
static uint64_t blob[MOST / 8], memory[MOST / 8], table_memory[2000];
static int16_t clip[SAMPLES];
static float frames[SAMPLES / HOP * BANDS], values[VALUES];
static uint32_t counts[3];

static uint32_t instructions(void)
{
    uint32_t count = 0;
#ifdef __riscv
    __asm__ volatile(".insn i 0x73, 2, %0, x0, -1278" : "=r"(count)); /* csrr minstret */
#endif
    return count;
}

static void loop_of_2000(void)
{
#ifdef __riscv
    uint32_t n = 1000;
    __asm__ volatile("1: addi %0, %0, -1\n bnez %0, 1b" : "+r"(n));
#endif
}

int main(void)
{
    static const edgeemo_feature_spec spec = EDGEEMO_LOGMEL40;
    edgeemo_frontend *fe;
    edgeemo_speech *speech;
    int32_t taken, made = 0, bytes = host_read("blob", blob, sizeof blob);
    EXPECT(bytes > 0 && host_read("clip", clip, sizeof clip) == (int32_t)sizeof clip);
    const edgeemo_tables *tables = edgeemo_make_tables(table_memory, &spec);

    EXPECT(edgeemo_frontend_init_tables(&fe, memory, sizeof memory, tables) == EDGEEMO_OK);
    uint32_t begin = instructions();
    for (int32_t at = 0; at < SAMPLES; at += HOP)
        made += edgeemo_frontend_push_i16(fe, clip + at, HOP, frames + made * BANDS, 1, &taken);
    counts[0] = instructions() - begin;

    edgeemo_speech_model model = {.blob = blob, .blob_bytes = (size_t)bytes, .tables = tables};
    EXPECT(edgeemo_speech_init(&speech, memory, sizeof memory, &model) == EDGEEMO_OK);
    begin = instructions();
    for (int32_t at = 0; at < SAMPLES; at += HOP)
        EXPECT(edgeemo_speech_push_i16(speech, clip + at, HOP) == EDGEEMO_OK);
    EXPECT(edgeemo_speech_estimate(speech, values, VALUES) == VALUES);
    counts[1] = instructions() - begin;

    begin = instructions();
    loop_of_2000();
    counts[2] = instructions() - begin;
    EXPECT(host_write("frames", frames, (size_t)made * BANDS * sizeof *frames) == 0);
    EXPECT(host_write("counts", counts, sizeof counts) == 0);
    return host_write("estimate", values, sizeof values) ? 1 : 0;
}
