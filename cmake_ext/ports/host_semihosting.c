/* host_semihosting.c: host.h through semihosting, as QEMU and debuggers serve it. */
#include <string.h>

#include "host.h"
#include "semihosting.h"

enum { MODE_READ = 1, MODE_WRITE = 5 };

static int32_t open_file(const char *name, uint32_t mode)
{
    uint32_t block[3] = {(uint32_t)name, mode, strlen(name)};
    return semihosting(SEMIHOSTING_OPEN, block);
}

/* Read and write return the bytes that were not moved. */
static int32_t move(int32_t operation, int32_t file, const void *at, size_t bytes)
{
    uint32_t block[3] = {(uint32_t)file, (uint32_t)at, bytes};
    int32_t left = semihosting(operation, block);
    uint32_t handle[1] = {(uint32_t)file};
    semihosting(SEMIHOSTING_CLOSE, handle);
    return left;
}

int32_t host_read(const char *name, void *to, size_t bytes)
{
    int32_t file = open_file(name, MODE_READ);
    return file < 0 ? -1 : (int32_t)bytes - move(SEMIHOSTING_READ, file, to, bytes);
}

int32_t host_write(const char *name, const void *from, size_t bytes)
{
    int32_t file = open_file(name, MODE_WRITE);
    return file < 0 || move(SEMIHOSTING_WRITE, file, from, bytes) != 0 ? -1 : 0;
}
