/* model.c: a model on a clip of frames, streamed and in blocks, for the host and for boards.
 *
 * Reads `blob` and `frames` (float32, as the model's input has them) from the working folder.
 * Writes `outputs`: for blocks of 1, 2, 4 and 50 rows, int8 outputs after half of the frames and
 * after all; then again after a reset. Writes `counts`, uint32: bytes of memory for blocks of 1 and
 * 8, bytes of stack of a push, ticks of a push of all frames for blocks of 1 and 8, of an estimate,
 * and of a loop of 2000 instructions. */
#include "edgeemo_model.h"
#include "edgeemo_model_internal.h"
#include "host.h"

#if defined __arm__ && __ARM_ARCH_PROFILE == 'M'
#include "cortex_m.h"
#else
static void cortex_m_start(void) {}
static uint32_t cortex_m_ticks(void) { return 0; }
static uint32_t cortex_m_stack(void (*work)(void))
{
    work();
    return 0;
}
#endif

/* Kernels of x86-64 lay out weights of their own, those of AVX2 as int16. */
#if defined __x86_64__
enum { MEMORY = 400000 };
#else
enum { MEMORY = 160000 };
#endif
enum { BLOB = 131072, FRAMES = 100 * 40, VALUES = 200, PIECE = 10 };
static int8_t blob[BLOB] __attribute__((aligned(16)));
static float frames[FRAMES];
static double memory[MEMORY / 8]; /* double: aligned on 8 bytes */
static int8_t outputs[16 * VALUES];
static uint32_t counts[8];

static edgeemo_model *model;
static int32_t blob_bytes, row, count, written;

static void note(int32_t values)
{
    if (values > 0)
        written += values;
}

static int32_t make(int32_t block, const edgeemo_kernels *kernels)
{
    return edgeemo_model_init_with(&model, memory, sizeof memory, blob, (size_t)blob_bytes, block,
                                   kernels);
}

static void push_one(void)
{
    edgeemo_model_push(model, frames, 4);
}

static void nothing(void) {}

/* SysTick holds some eight million instructions: in pieces. */
static uint32_t ticks_of_all(void)
{
    uint32_t sum = 0;
    for (int32_t at = 0; at < count; at += PIECE) {
        int32_t n = count - at < PIECE ? count - at : PIECE;
        cortex_m_start();
        edgeemo_model_push(model, frames + at * row, n);
        sum += cortex_m_ticks();
    }
    return sum;
}

static void loop_of_2000(void)
{
#if defined __arm__ && __ARM_ARCH_PROFILE == 'M'
    uint32_t n = 1000;
    __asm__ volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(n) : : "cc");
#endif
}

static void run(int32_t half)
{
    edgeemo_model_push(model, frames, half);
    note(edgeemo_model_outputs_i8(model, outputs + written, VALUES));
    edgeemo_model_push(model, frames + half * row, count - half);
    note(edgeemo_model_outputs_i8(model, outputs + written, VALUES));
}

int main(void)
{
    static const int32_t blocks[4] = {1, 2, 4, 50};
    edgeemo_model_info info;
    blob_bytes = host_read("blob", blob, sizeof blob);
    if (blob_bytes < 0 || edgeemo_model_check(blob, (size_t)blob_bytes, &info) != EDGEEMO_OK)
        return 2;
    row = info.columns * info.channels;
    count = host_read("frames", frames, sizeof frames) / (int32_t)sizeof(float) / row;
    for (int32_t i = 0; i < 4; i++) {
        /* The portable kernels once, then the best. */
        if (make(blocks[i], i == 1 ? edgeemo_kernels_at(0) : NULL) != EDGEEMO_OK)
            return 3;
        run(count / 2 + 1);
    }
    edgeemo_model_reset(model);
    run(count / 2 + 1);
    for (int32_t i = 0; i < 2; i++) {
        int32_t block = i ? 8 : 1;
        counts[i] = (uint32_t)edgeemo_model_size(blob, (size_t)blob_bytes, block);
        if (make(block, NULL) != EDGEEMO_OK)
            return 4;
        counts[3 + i] = ticks_of_all();
    }
    counts[2] = cortex_m_stack(push_one) - cortex_m_stack(nothing);
    cortex_m_start();
    edgeemo_model_outputs_i8(model, outputs + written, VALUES);
    counts[5] = cortex_m_ticks();
    cortex_m_start();
    loop_of_2000();
    counts[6] = cortex_m_ticks();
    if (host_write("counts", counts, sizeof counts) != 0)
        return 5;
    return host_write("outputs", outputs, (size_t)written) ? 6 : 0;
}
