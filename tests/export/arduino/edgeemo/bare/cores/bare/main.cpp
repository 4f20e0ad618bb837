#include "Arduino.h"

Port Serial;

unsigned long millis()
{
    return 0;
}

void delay(unsigned long) {}

int main()
{
    setup();
    loop();
}
