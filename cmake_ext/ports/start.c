/* start.c: from reset to main() on a Cortex-M4, M7, M33 or M55 under QEMU, and out again.
 * The status of main() becomes that of QEMU; a fault gives 99. */
#include "semihosting.h"

extern uint32_t port_stack_top, port_data_load, port_data, port_data_end, port_bss, port_bss_end;

int main(void);
void port_reset(void);

static void leave(int32_t status)
{
    /* 0x20026 says that the program itself ended. */
    volatile uint32_t block[2] = {0x20026, (uint32_t)status};
    semihosting(SEMIHOSTING_EXIT_EXTENDED, (const void *)block);
    for (;;) {
    }
}

static void fault(void)
{
    leave(99);
}

void port_reset(void)
{
    /* Before any float instruction: CPACR, full access to the FPU (and to Helium). */
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb\n isb");
    const uint32_t *from = &port_data_load;
    for (uint32_t *to = &port_data; to < &port_data_end;)
        *to++ = *from++;
    for (uint32_t *to = &port_bss; to < &port_bss_end;)
        *to++ = 0;
    leave(main());
}

/* Word 0 is the top of the stack, the rest are addresses of code. */
struct vectors {
    uint32_t *stack;
    void (*handlers[7])(void);
};

__attribute__((section(".vectors"), used)) static const struct vectors vectors = {
    &port_stack_top, {port_reset, fault, fault, fault, fault, fault, fault},
};
