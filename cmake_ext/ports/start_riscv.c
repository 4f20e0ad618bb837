/* start_riscv.c: from reset to main() on QEMU's 32-bit RISC-V machine `virt`, and out again.
 * The status of main() becomes that of QEMU; a trap gives 99. */
#include "semihosting.h"

extern uint32_t port_bss, port_bss_end;

int main(void);
void port_leave(int32_t status) __attribute__((noreturn));
void port_run(void);

void port_leave(int32_t status)
{
    /* 0x20026 says that the program itself ended. */
    volatile uint32_t block[2] = {0x20026, (uint32_t)status};
    semihosting(SEMIHOSTING_EXIT_EXTENDED, (const void *)block);
    for (;;) {
    }
}

void port_run(void)
{
    for (uint32_t *to = &port_bss; to < &port_bss_end;)
        *to++ = 0;
    port_leave(main());
}

/* Traps go to the second half; bits 13 and 14 of mstatus turn the FPU on, where there is one. The
 * CSRs have their numbers, because their names need -march=..._zicsr, with which GCC 12 links the
 * libgcc of another width. */
__asm__(".section .text.start, \"ax\"\n"
        ".globl port_reset\n"
        "port_reset:\n"
        "  la sp, port_stack_top\n"
        "  la t0, 1f\n"
        "  .insn i 0x73, 1, x0, t0, 0x305\n" /* csrw mtvec, t0 */
        "  li t0, 0x6000\n"
        "  .insn i 0x73, 2, x0, t0, 0x300\n" /* csrs mstatus, t0 */
        "  j port_run\n"
        "  .balign 4\n"
        "1: li a0, 99\n"
        "  j port_leave\n"
        ".text\n");
