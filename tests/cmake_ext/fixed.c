/* fixed.c: the self-test of a C folder with a front end of integers on RISC-V, and what its stream
 * costs. Writes `counts`, uint32: instructions for a second of sound, as main.c of the folder counts
 * them, and of a loop of 2000. The status is that of the self-test, without its sign. */
#include "edgeemo_golden.h"
#include "edgeemo_self_test.h"
#include "edgeemo_student.h"
#include "host.h"

enum { BLOCK = EDGEEMO_STUDENT_RATE / 100, WINDOWS = 304, BLOCKS = 2 * WINDOWS };
static uint64_t memory[EDGEEMO_STUDENT_STREAM_MEMORY / 8];
static edgeemo_stream *stream;

static uint32_t instructions(void)
{
    uint32_t count;
    __asm__ volatile(".insn i 0x73, 2, %0, x0, -1278" : "=r"(count)); /* csrr minstret */
    return count;
}

int main(void)
{
    const edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
    uint32_t counts[2], n = 1000, begin = 0;
    int32_t status = edgeemo_self_test(memory, sizeof memory);
    if (status == EDGEEMO_OK)
        status = edgeemo_stream_init(&stream, memory, sizeof memory, &edgeemo_student, &settings);
    for (int32_t i = 0; status >= 0 && i < BLOCKS; i++) {
        int32_t at = i * BLOCK % (EDGEEMO_GOLDEN_SAMPLES / BLOCK * BLOCK);
        if (i == WINDOWS) /* at first one window runs */
            begin = instructions();
        status = edgeemo_stream_push_i16(stream, edgeemo_golden_clip + at, BLOCK);
    }
    counts[0] = (instructions() - begin) / WINDOWS * 100;
    begin = instructions();
    __asm__ volatile("1: addi %0, %0, -1\n bnez %0, 1b" : "+r"(n));
    counts[1] = instructions() - begin;
    if (status < 0)
        return -status;
    return host_write("counts", counts, sizeof counts) ? 1 : 0;
}
