/* terminal_semihosting.c: terminal.h through semihosting, as QEMU and debuggers serve it. */
#include <string.h>

#include "semihosting.h"
#include "terminal.h"

static int32_t file = -1;

void terminal_text(const char *text)
{
    semihosting(SEMIHOSTING_WRITE0, text);
}

int32_t terminal_open(const char *name)
{
    uint32_t close[1] = {(uint32_t)file};
    if (file >= 0)
        semihosting(SEMIHOSTING_CLOSE, close);
    uint32_t open[3] = {(uint32_t)name, 1 /* rb */, strlen(name)};
    file = semihosting(SEMIHOSTING_OPEN, open);
    return file < 0 ? -1 : 0;
}

int32_t terminal_next(void *to, size_t bytes)
{
    uint32_t block[3] = {(uint32_t)file, (uint32_t)to, bytes};
    /* What comes back is the number of bytes that were not read. */
    return file < 0 ? 0 : (int32_t)bytes - semihosting(SEMIHOSTING_READ, block);
}
