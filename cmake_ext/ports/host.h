/* host.h: files of the machine that runs a program, be it this machine or the one that simulates
 * a board. host_stdio.c is for the first, host_semihosting.c for the second. */
#ifndef EDGEEMO_HOST_H
#define EDGEEMO_HOST_H

#include <stddef.h>
#include <stdint.h>

/* Read at most `bytes` bytes of a file, from its start. Returns the bytes read, or -1. */
int32_t host_read(const char *name, void *to, size_t bytes);

/* Write a file, replacing it. Returns 0, or -1 if not all was written. */
int32_t host_write(const char *name, const void *from, size_t bytes);

#endif
