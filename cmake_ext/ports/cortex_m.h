/* cortex_m.h: counting instructions and stack on a board under QEMU.
 *
 * With `-icount shift=6` an instruction takes 64 ns of the board's time, so SysTick, which runs on
 * the board's clock, counts instructions: ticks / (64 ns * clock). One region may last at most
 * 2^24 ticks, some 8 million instructions. The counts say nothing about cycles. */
#ifndef EDGEEMO_CORTEX_M_H
#define EDGEEMO_CORTEX_M_H

#include <stdint.h>

/* Start counting anew. */
void cortex_m_start(void);

/* Ticks since cortex_m_start(). */
uint32_t cortex_m_ticks(void);

/* Run `work` on a stack that was painted before; returns the bytes that it used, 4096 if all. */
uint32_t cortex_m_stack(void (*work)(void));

#endif
