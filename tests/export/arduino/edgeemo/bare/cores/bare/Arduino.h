#pragma once
#include <stdint.h>

unsigned long millis();
void delay(unsigned long ms);
void setup();
void loop();

struct Port {
    void begin(long) {}
    explicit operator bool() const { return true; }
    void print(const char *) {}
    void print(char) {}
    void println(const char *) {}
    void println(double, int) {}
};
extern Port Serial;
