/* must.h: what has to hold for any input; a fuzzer keeps an input that ends the program. */
#ifndef EDGEEMO_FUZZ_MUST_H
#define EDGEEMO_FUZZ_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define MUST(condition)                                                            \
    do {                                                                           \
        if (!(condition)) {                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                               \
        }                                                                          \
    } while (0)

#endif
