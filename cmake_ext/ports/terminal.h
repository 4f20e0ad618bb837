/* terminal.h: text out, and a file in, piece by piece, of the machine that runs a program or
 * simulates its board. terminal_stdio.c is for the first, terminal_semihosting.c for the second. */
#ifndef EDGEEMO_TERMINAL_H
#define EDGEEMO_TERMINAL_H

#include <stddef.h>
#include <stdint.h>

/* Print a text, as it is. */
void terminal_text(const char *text);

/* Print a number, 0 or more. */
void terminal_number(uint32_t number);

/* Print a number with four digits behind the point; -99999..99999. */
void terminal_decimal(float number);

/* Open a file to be read from its start, in place of the one before. Returns 0, or -1. */
int32_t terminal_open(const char *name);

/* The next bytes of the file. Returns how many came, fewer than `bytes` only at its end. */
int32_t terminal_next(void *to, size_t bytes);

#endif
