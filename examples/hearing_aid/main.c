/* main.c: a hearing aid that hears how the voice around it sounds.
 *
 * Every 10 ms a block of samples, every 250 ms an estimate of the last seconds, none where nobody
 * speaks. All memory is static; link.ld gives the program 256 KB of flash and 64 KB of RAM. Ticks of
 * SysTick tell what it costs; under QEMU's -icount they count instructions. */
#include "cortex_m.h"
#include "edgeemo_self_test.h"
#include "edgeemo_student.h"
#include "microphone.h"
#include "terminal.h"

static uint64_t memory[EDGEEMO_STUDENT_STREAM_MEMORY / 8];
static const edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
static edgeemo_stream *stream;
static int32_t status;
static uint32_t blocks, most;
static uint64_t ticks;

static void number(const char *name, float value)
{
    terminal_text(name);
    terminal_decimal(value);
}

static void report(const edgeemo_estimate *now)
{
    terminal_decimal((float)(int32_t)(now->end / (EDGEEMO_STUDENT_RATE / 100)) * 0.01f);
    terminal_text(" s");
    if (now->known) {
        terminal_text("  ");
        terminal_text(edgeemo_student_names[now->expression]);
        number("  arousal ", now->values[EDGEEMO_STUDENT_AROUSAL]);
        number("  dominance ", now->values[EDGEEMO_STUDENT_DOMINANCE]);
        number("  valence ", now->values[EDGEEMO_STUDENT_VALENCE]);
        number("  confidence ", now->confidence);
    } else {
        terminal_text(now->speech == 0 ? "  nobody speaks" : "  not sure");
    }
    terminal_text("\n");
}

/* One block through the stream; what it cost. */
static int32_t take(const int16_t *block)
{
    cortex_m_start();
    int32_t ready = edgeemo_stream_push_i16(stream, block, MICROPHONE_BLOCK);
    uint32_t spent = cortex_m_ticks();
    blocks++;
    ticks += spent;
    most = spent > most ? spent : most;
    return ready;
}

static void listen(void)
{
    edgeemo_estimate now;
    const int16_t *block;
    while (status >= 0 && (block = microphone_wait()) != NULL) {
        status = take(block);
        if (status > 0 && edgeemo_stream_estimate(stream, &now) == EDGEEMO_OK)
            report(&now);
    }
}

static int32_t fail(const char *what)
{
    terminal_text(what);
    terminal_text(status < 0 ? edgeemo_model_status_text(status) : "");
    terminal_text("\n");
    return 1;
}

static void tell(const char *name, uint32_t count)
{
    terminal_text(name);
    terminal_number(count);
    terminal_text("\n");
}

int main(void)
{
#ifndef EDGEEMO_NO_SELF_TEST
    status = edgeemo_self_test(memory, sizeof memory);
    if (status != EDGEEMO_OK)
        return fail("the self-test fails: ");
#endif
    status = edgeemo_stream_init(&stream, memory, sizeof memory, &edgeemo_student, &settings);
    if (status != EDGEEMO_OK)
        return fail("no stream: ");
    if (microphone_start("clip.wav"))
        return fail("clip.wav is not there, or not 16 kHz, one channel, 16 bits");
    uint32_t stack = cortex_m_stack(listen);
    if (status < 0)
        return fail("it stopped: ");
    /* TICKS: those of a thousand instructions. */
    tell("instructions a second ", (uint32_t)(ticks * 1000 / TICKS * 100 / blocks));
    tell("most in 10 ms ", (uint32_t)((uint64_t)most * 1000 / TICKS));
    tell("stack ", stack);
    tell("memory ", (uint32_t)edgeemo_stream_size(&edgeemo_student, &settings));
    return 0;
}
