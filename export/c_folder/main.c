/* main.c: the self-test, as a program. Exit status 0 if it passes. */
#include "edgeemo_self_test.h"
#include "edgeemo_student.h"
#include "terminal.h"

/* Of the processors for Arm's instructions, those of telephones and small computers run an operating
 * system. */
#if defined __arm__ && __ARM_ARCH_PROFILE == 'M'
#define CORTEX_M 1
#include "cortex_m.h"
#endif

static uint64_t memory[EDGEEMO_STUDENT_MEMORY / 8];
static int32_t status;

static void test(void)
{
    status = edgeemo_self_test(memory, sizeof memory);
}

#ifdef CORTEX_M
#include "edgeemo_golden.h"

enum { HOP = 160 };

/* One second of sound in blocks of 10 ms. Under QEMU with -icount the ticks count instructions. */
static void measure(void)
{
    edgeemo_speech *speech;
    float values[EDGEEMO_STUDENT_VALUES];
    uint32_t ticks = 0, most = 0;
    if (edgeemo_speech_init(&speech, memory, sizeof memory, &edgeemo_student) != EDGEEMO_OK)
        return;
    for (int32_t at = 0; at + HOP <= EDGEEMO_GOLDEN_SAMPLES; at += HOP) {
        cortex_m_start();
        edgeemo_speech_push_i16(speech, edgeemo_golden_clip + at, HOP);
        uint32_t spent = cortex_m_ticks();
        ticks += spent;
        most = spent > most ? spent : most;
    }
    cortex_m_start();
    edgeemo_speech_estimate(speech, values, EDGEEMO_STUDENT_VALUES);
    uint32_t estimate = cortex_m_ticks();
    terminal_text("ticks ");
    terminal_number(ticks);
    terminal_text("\nblock ");
    terminal_number(most);
    terminal_text("\nestimate ");
    terminal_number(estimate);
    terminal_text("\n");
}
#endif

int main(void)
{
#ifdef CORTEX_M
    uint32_t stack = cortex_m_stack(test);
    measure();
    terminal_text("stack ");
    terminal_number(stack);
    terminal_text("\nmemory ");
    terminal_number((uint32_t)edgeemo_speech_size(&edgeemo_student));
    terminal_text("\n");
#else
    test();
#endif
    terminal_text(status == EDGEEMO_OK ? "self-test: ok\n" : "self-test: failed: ");
    if (status != EDGEEMO_OK) {
        terminal_text(status == EDGEEMO_ERR_VALUE ? "other features, or another estimate"
                                                  : edgeemo_model_status_text(status));
        terminal_text("\n");
    }
    return status != EDGEEMO_OK;
}
