/* terminal.c: numbers as text, without printf(), which would bring arithmetic in double along. */
#include "terminal.h"

/* At least `width` digits. */
static void digits(uint32_t number, int32_t width)
{
    char text[11], *at = text + sizeof text - 1;
    *at = 0;
    for (; number || width > 0; number /= 10, width--)
        *--at = (char)('0' + number % 10);
    terminal_text(at);
}

void terminal_number(uint32_t number)
{
    digits(number, 1);
}

void terminal_decimal(float number)
{
    if (number < 0) {
        terminal_text("-");
        number = -number;
    }
    uint32_t parts = (uint32_t)(number * 10000.0f + 0.5f);
    digits(parts / 10000, 1);
    terminal_text(".");
    digits(parts % 10000, 4);
}
