/* terminal_stdio.c: terminal.h on an operating system. */
#include <stdio.h>

#include "terminal.h"

static FILE *file;

void terminal_text(const char *text)
{
    fputs(text, stdout);
}

int32_t terminal_open(const char *name)
{
    if (file)
        fclose(file);
    file = fopen(name, "rb");
    return file ? 0 : -1;
}

int32_t terminal_next(void *to, size_t bytes)
{
    return file ? (int32_t)fread(to, 1, bytes, file) : 0;
}
