/* semihosting.h: one call to the debugger or emulator that a program runs under. */
#ifndef EDGEEMO_SEMIHOSTING_H
#define EDGEEMO_SEMIHOSTING_H

#include <stdint.h>

/* Operations; of READ the result is the number of bytes that were not read, of WRITE not written.
 * EXIT_EXTENDED carries a status. */
enum {
    SEMIHOSTING_OPEN = 0x01,
    SEMIHOSTING_CLOSE = 0x02,
    SEMIHOSTING_WRITE0 = 0x04,
    SEMIHOSTING_WRITE = 0x05,
    SEMIHOSTING_READ = 0x06,
    SEMIHOSTING_EXIT_EXTENDED = 0x20
};

/* argument: a block of words, or a text. */
static inline int32_t semihosting(int32_t operation, const void *argument)
{
#if defined __riscv
    register int32_t result __asm__("a0") = operation;
    register const void *block __asm__("a1") = argument;
    /* Three whole instructions that lie in one page mark the breakpoint as a call. */
    __asm__ volatile(".balign 16\n .option push\n .option norvc\n slli x0, x0, 0x1f\n ebreak\n"
                     "srai x0, x0, 7\n .option pop"
                     : "+r"(result)
                     : "r"(block)
                     : "memory");
#else
    register int32_t result __asm__("r0") = operation;
    register const void *block __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(result) : "r"(block) : "memory");
#endif
    return result;
}

#endif
