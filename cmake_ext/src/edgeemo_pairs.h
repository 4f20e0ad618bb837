/* edgeemo_pairs.h: two neighbouring values to and from the FPU's registers. */
#ifndef EDGEEMO_PAIRS_H
#define EDGEEMO_PAIRS_H

/* LOAD declares the two parts of *p, STORE writes them; LOAD_NEXT and STORE_NEXT go on to p + 1.
 * Arm's FPU moves both parts by one instruction, given neighbouring registers, which compilers do
 * not find by themselves. LOAD_FLOATS is for tables, which have one value for all lanes. */
#if defined __ARM_FP && defined __thumb2__ && !defined EDGEEMO_LANES
#define EDGEEMO_PAIRS
#define LOAD(x, y, p, first, second)          \
    register float x __asm__(first);          \
    register float y __asm__(second);         \
    __asm__("vldmia %2, {%0, %1}" : "=t"(x), "=t"(y) : "r"(p), "m"(*(p)))
#define LOAD_NEXT(x, y, p, first, second)     \
    register float x __asm__(first);          \
    register float y __asm__(second);         \
    __asm__("vldmia %2!, {%0, %1}" : "=t"(x), "=t"(y), "+r"(p) : : "memory")
#define LOAD_FLOATS_NEXT LOAD_NEXT
#define STORE(x, y, p, first, second)         \
    do {                                      \
        register float x_ __asm__(first) = (x);  \
        register float y_ __asm__(second) = (y); \
        __asm__("vstmia %3, {%1, %2}" : "=m"(*(p)) : "t"(x_), "t"(y_), "r"(p)); \
    } while (0)
#define STORE_NEXT(x, y, p, first, second)    \
    do {                                      \
        register float x_ __asm__(first) = (x);  \
        register float y_ __asm__(second) = (y); \
        __asm__ volatile("vstmia %0!, {%1, %2}" : "+r"(p) : "t"(x_), "t"(y_) : "memory"); \
    } while (0)
#else
#define LOAD(x, y, p, first, second) real x = (p)->re, y = (p)->im
#define LOAD_NEXT(x, y, p, first, second) \
    real x = (p)->re, y = (p)->im;        \
    (p)++
#define LOAD_FLOATS_NEXT(x, y, p, first, second) \
    float x = (p)->re, y = (p)->im;              \
    (p)++
#define STORE(x, y, p, first, second) ((p)->re = (x), (p)->im = (y))
#define STORE_NEXT(x, y, p, first, second) ((p)->re = (x), (p)->im = (y), (p)++)
#endif

#endif
