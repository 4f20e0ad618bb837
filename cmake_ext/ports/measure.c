/* measure.c: what a frame costs on a board: instructions by stage, and stack.
 *
 * Reads `spec` (an edgeemo_feature_spec) and `clip` (float32) from the working folder, writes the
 * lines `name number` to `measured`: ticks of cortex_m.h for each region, bytes of state, tables
 * and stack. */
#include <string.h>

#include "cortex_m.h"
#include "edgeemo_internal.h"
#include "host.h"

enum { CLIP = 8000, HOPS = 10, MOST_TEXT = 1024 };
static float clip[CLIP], frames[2 * 128];
static int16_t shorts[CLIP];
static double block[2500];
static edgeemo_feature_spec spec;
static edgeemo_frontend *fe;
static char text[MOST_TEXT];
static size_t written;

static void tell(const char *name, uint32_t number)
{
    char digits[12];
    int32_t count = 0;
    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    size_t length = strlen(name);
    memcpy(text + written, name, length);
    written += length;
    text[written++] = ' ';
    while (count > 0)
        text[written++] = digits[--count];
    text[written++] = '\n';
}

/* Ticks of what stands between, from the return of one call to the entry of the next. */
#define COUNT(name, work)               \
    do {                                \
        cortex_m_start();               \
        work;                           \
        uint32_t ticks = cortex_m_ticks(); \
        tell(name, ticks);              \
    } while (0)

static void loop_of_2000(void)
{
    uint32_t n = 1000;
    __asm__ volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(n) : : "cc");
}

/* As edgeemo_frontend_push() and its like, on no stack: what the caller itself uses. */
static int32_t no_push(edgeemo_frontend *x, const float *samples, int32_t n, float *out,
                       int32_t room, int32_t *taken)
{
    (void)x, (void)samples, (void)n, (void)out, (void)room, (void)taken;
    return 0;
}

static int32_t no_push_i16(edgeemo_frontend *x, const int16_t *samples, int32_t n, float *out,
                           int32_t room, int32_t *taken)
{
    (void)x, (void)samples, (void)n, (void)out, (void)room, (void)taken;
    return 0;
}

static int32_t (*volatile push)(edgeemo_frontend *, const float *, int32_t, float *, int32_t,
                                int32_t *);
static int32_t (*volatile push_i16)(edgeemo_frontend *, const int16_t *, int32_t, float *,
                                    int32_t, int32_t *);

static void one_push(void)
{
    int32_t taken;
    push(fe, clip, spec.hop, frames, 1, &taken);
}

static void one_push_i16(void)
{
    int32_t taken;
    push_i16(fe, shorts, spec.hop, frames, 1, &taken);
}

static void pushes(void)
{
    int32_t taken;
    for (int32_t i = 0; i < HOPS; i++)
        edgeemo_frontend_push(fe, clip + i * spec.hop, spec.hop, frames, 1, &taken);
}

static void pushes_i16(void)
{
    int32_t taken;
    for (int32_t i = 0; i < HOPS; i++)
        edgeemo_frontend_push_i16(fe, shorts + i * spec.hop, spec.hop, frames, 1, &taken);
}

int main(void)
{
    int32_t taken;
    if (host_read("spec", &spec, sizeof spec) != (int32_t)sizeof spec
        || host_read("clip", clip, sizeof clip) <= 0
        || edgeemo_frontend_init(&fe, block, sizeof block, &spec) != EDGEEMO_OK)
        return 2;
    for (int32_t i = 0; i < CLIP; i++)
        shorts[i] = (int16_t)(clip[i] * 32768);
    COUNT("nothing", (void)0);
    COUNT("loop_of_2000", loop_of_2000());
    COUNT("begin", edgeemo_begin(fe->tables, clip, &fe->work));
    COUNT("fft", edgeemo_fft(fe->tables, &fe->work));
    COUNT("spectrum", edgeemo_spectrum(fe->tables, &fe->work));
    COUNT("mel", edgeemo_mel(fe->tables, &fe->work, frames));
    COUNT("log", edgeemo_log(fe->tables, frames));
    edgeemo_frontend_push(fe, clip, spec.window, frames, 1, &taken); /* then a hop is a frame */
    COUNT("pushes", pushes());
    COUNT("pushes_i16", pushes_i16());
    tell("state", (uint32_t)edgeemo_frontend_state_size(fe->tables));
    tell("tables", (uint32_t)edgeemo_tables_size(&spec));
    push = no_push;
    uint32_t caller = cortex_m_stack(one_push);
    push = edgeemo_frontend_push;
    tell("stack", cortex_m_stack(one_push) - caller);
    push_i16 = no_push_i16;
    caller = cortex_m_stack(one_push_i16);
    push_i16 = edgeemo_frontend_push_i16;
    tell("stack_i16", cortex_m_stack(one_push_i16) - caller);
    return host_write("measured", text, written) ? 3 : 0;
}
