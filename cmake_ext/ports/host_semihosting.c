/* host_semihosting.c: host.h through Arm semihosting, as QEMU and debuggers serve it. */
#include <string.h>

#include "host.h"

enum { OPEN = 0x01, CLOSE = 0x02, WRITE = 0x05, READ = 0x06 };
enum { MODE_READ = 1, MODE_WRITE = 5 };

/* One breakpoint instruction: the operation in r0, a block of words in r1, the result in r0. */
static int32_t call(int32_t operation, const void *block)
{
    register int32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static int32_t open_file(const char *name, uint32_t mode)
{
    uint32_t block[3] = {(uint32_t)name, mode, strlen(name)};
    return call(OPEN, block);
}

/* Read and write return the bytes that were not moved. */
static int32_t move(int32_t operation, int32_t file, const void *at, size_t bytes)
{
    uint32_t block[3] = {(uint32_t)file, (uint32_t)at, bytes};
    int32_t left = call(operation, block);
    uint32_t handle[1] = {(uint32_t)file};
    call(CLOSE, handle);
    return left;
}

int32_t host_read(const char *name, void *to, size_t bytes)
{
    int32_t file = open_file(name, MODE_READ);
    return file < 0 ? -1 : (int32_t)bytes - move(READ, file, to, bytes);
}

int32_t host_write(const char *name, const void *from, size_t bytes)
{
    int32_t file = open_file(name, MODE_WRITE);
    return file < 0 || move(WRITE, file, from, bytes) != 0 ? -1 : 0;
}
