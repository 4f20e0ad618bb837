/* main.c: the self-test, as a program. Exit status 0 if it passes.
 *
 * On a board under QEMU's -icount it also counts instructions.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "edgeemo_self_test.h"
#include "edgeemo_student.h"
#include "terminal.h"

#ifdef EDGEEMO_NO_SELF_TEST
#error "edgeemo: this program is the self-test; leave it out with EDGEEMO_NO_SELF_TEST"
#endif

/* Of the processors for Arm's instructions, those of telephones and small computers run an operating
 * system. */
#if defined __arm__ && __ARM_ARCH_PROFILE == 'M'
#define CORTEX_M 1
#include "cortex_m.h"
#include "edgeemo_golden.h"
#endif

static uint64_t memory[EDGEEMO_STUDENT_STREAM_MEMORY / 8];
static int32_t status;

static void test(void)
{
    status = edgeemo_self_test(memory, sizeof memory);
}

#ifdef CORTEX_M
enum { BLOCK = EDGEEMO_STUDENT_RATE / 100, WINDOWS = 304, BLOCKS = 2 * WINDOWS };

static edgeemo_stream *stream;

static void push(int32_t block)
{
    int32_t at = block * BLOCK % (EDGEEMO_GOLDEN_SAMPLES / BLOCK * BLOCK);
    edgeemo_stream_push_i16(stream, edgeemo_golden_clip + at, BLOCK);
}

static void push_all(void)
{
    for (int32_t i = 0; i < WINDOWS; i++)
        push(i);
}

static void tell(const char *name, uint32_t number)
{
    terminal_text(name);
    terminal_number(number);
    terminal_text("\n");
}

/* The clip again and again, in blocks of 10 ms, through a cycle of windows and what comes before. */
static void measure(void)
{
    edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
    settings.sample_rate = EDGEEMO_STUDENT_RATE;
    uint32_t ticks = 0, most = 0;
    if (edgeemo_stream_init(&stream, memory, sizeof memory, &edgeemo_student, &settings) < 0)
        return;
    for (int32_t i = 0; i < BLOCKS; i++) {
        cortex_m_start();
        push(i);
        uint32_t spent = cortex_m_ticks();
        if (i < WINDOWS)
            continue; /* at first one window runs */
        ticks += spent;
        most = spent > most ? spent : most;
    }
    /* TICKS: those of a thousand instructions. */
    tell("second ", ticks / WINDOWS * 1000 / TICKS * 100);
    tell("block ", most * 1000 / TICKS);
    edgeemo_stream_reset(stream);
    tell("stack ", cortex_m_stack(push_all));
    tell("memory ", (uint32_t)edgeemo_stream_size(&edgeemo_student, &settings));
}
#endif

int main(void)
{
    test();
#ifdef CORTEX_M
    measure();
#endif
    if (status == EDGEEMO_OK) {
        terminal_text("self-test: ok\n");
        return 0;
    }
    terminal_text("self-test: failed: ");
#ifdef CORTEX_M
    /* All texts of statuses would take more flash than this program. */
    terminal_text("status -");
    terminal_number((uint32_t)-status);
#else
    terminal_text(edgeemo_model_status_text(status));
#endif
    terminal_text("\n");
    return 1;
}
