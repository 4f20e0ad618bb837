/* host_stdio.c: host.h on an operating system. */
#include <stdio.h>

#include "host.h"

int32_t host_read(const char *name, void *to, size_t bytes)
{
    FILE *file = fopen(name, "rb");
    if (!file)
        return -1;
    size_t count = fread(to, 1, bytes, file);
    fclose(file);
    return (int32_t)count;
}

int32_t host_write(const char *name, const void *from, size_t bytes)
{
    FILE *file = fopen(name, "wb");
    if (!file)
        return -1;
    size_t count = fwrite(from, 1, bytes, file);
    return fclose(file) == 0 && count == bytes ? 0 : -1;
}
