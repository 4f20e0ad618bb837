/* main.c: a hearing aid that hears how the voice around it sounds.
 *
 * Every 10 ms a block of samples, every 250 ms an estimate of all that was heard. All memory is
 * static; link.ld gives the program 256 KB of flash and 64 KB of RAM. Ticks of SysTick tell what
 * it costs; under QEMU's -icount they count instructions. */
#include "cortex_m.h"
#include "edgeemo_self_test.h"
#include "edgeemo_student.h"
#include "microphone.h"
#include "terminal.h"

enum { BLOCKS_PER_ESTIMATE = 25 };

static uint64_t memory[EDGEEMO_STUDENT_MEMORY / 8];
static edgeemo_speech *speech;
static int32_t status;
static uint32_t blocks, ticks, most;

static void report(const float *values)
{
    terminal_decimal((float)blocks * 0.01f);
    terminal_text(" s  arousal ");
    terminal_decimal(values[EDGEEMO_STUDENT_AROUSAL]);
    terminal_text("  dominance ");
    terminal_decimal(values[EDGEEMO_STUDENT_DOMINANCE]);
    terminal_text("  valence ");
    terminal_decimal(values[EDGEEMO_STUDENT_VALENCE]);
    terminal_text("\n");
}

/* One block through the chain; every 25th also asks for the estimate. */
static int32_t take(const int16_t *block, float *values)
{
    int32_t written = 0;
    cortex_m_start();
    status = edgeemo_speech_push_i16(speech, block, MICROPHONE_BLOCK);
    blocks++;
    if (status == EDGEEMO_OK && blocks % BLOCKS_PER_ESTIMATE == 0)
        written = edgeemo_speech_estimate(speech, values, EDGEEMO_STUDENT_VALUES);
    uint32_t spent = cortex_m_ticks();
    ticks += spent;
    most = spent > most ? spent : most;
    return written > 0;
}

static void listen(void)
{
    float values[EDGEEMO_STUDENT_VALUES];
    const int16_t *block;
    while (status == EDGEEMO_OK && (block = microphone_wait()) != NULL)
        if (take(block, values))
            report(values);
}

static int32_t fail(const char *what)
{
    terminal_text(what);
    terminal_text(status < 0 ? edgeemo_model_status_text(status) : "");
    terminal_text("\n");
    return 1;
}

static void tell(const char *name, uint32_t number)
{
    terminal_text(name);
    terminal_number(number);
    terminal_text("\n");
}

int main(void)
{
    status = edgeemo_self_test(memory, sizeof memory);
    if (status != EDGEEMO_OK)
        return fail("the self-test fails: ");
    status = edgeemo_speech_init(&speech, memory, sizeof memory, &edgeemo_student);
    if (status != EDGEEMO_OK)
        return fail("no chain: ");
    if (microphone_start("clip.wav"))
        return fail("clip.wav is not there, or not 16 kHz, one channel, 16 bits");
    uint32_t stack = cortex_m_stack(listen);
    if (status != EDGEEMO_OK)
        return fail("it stopped: ");
    tell("blocks ", blocks);
    tell("ticks ", ticks);
    tell("most ", most);
    tell("stack ", stack);
    tell("memory ", (uint32_t)edgeemo_speech_size(&edgeemo_student));
    return 0;
}
