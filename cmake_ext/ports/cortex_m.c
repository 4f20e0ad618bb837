/* cortex_m.c: SysTick, and a painted stack. */
#include "cortex_m.h"

enum { PAINTED = 1024, PAINT = 0x5a5a5a5a }; /* words */

static volatile uint32_t *const control = (volatile uint32_t *)0xE000E010;
static volatile uint32_t *const reload = (volatile uint32_t *)0xE000E014;
static volatile uint32_t *const value = (volatile uint32_t *)0xE000E018;

void cortex_m_start(void)
{
    *reload = 0xffffff;
    *control = 5; /* on, the board's clock, no interrupt */
    *value = 0;
}

uint32_t cortex_m_ticks(void)
{
    return 0xffffff - *value;
}

uint32_t cortex_m_stack(void (*work)(void))
{
    uint32_t *top;
    __asm__ volatile("mov %0, sp" : "=r"(top));
    volatile uint32_t *low = top - PAINTED;
    for (int32_t i = 0; i < PAINTED; i++)
        low[i] = PAINT;
    work();
    int32_t i = 0;
    while (i < PAINTED && low[i] == PAINT)
        i++;
    return (uint32_t)(PAINTED - i) * 4;
}
