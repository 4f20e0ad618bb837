/* edgeemo_pairs.h: two neighbouring values to and from the FPU's registers. */
#ifndef EDGEEMO_PAIRS_H
#define EDGEEMO_PAIRS_H

/* LOAD declares the two parts of *p, STORE writes them; LOAD_NEXT and STORE_NEXT go on to p + 1,
 * LOAD_FLOATS_BEFORE and STORE_BEFORE go back first.
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
#define LOAD_FLOATS_BEFORE(x, y, p, first, second) \
    register float x __asm__(first);               \
    register float y __asm__(second);              \
    __asm__("vldmdb %2!, {%0, %1}" : "=t"(x), "=t"(y), "+r"(p) : : "memory")
/* An address or a number that stays one: GCC would add up its parts again and again. */
#define AS_ADDRESS(p) __asm__("" : "+r"(p))
#define AS_NUMBER(n) __asm__("" : "+r"(n))
/* These two before what follows: GCC would mix both, and run out of registers. */
#define FIRST(x, y) __asm__ volatile("" : "+t"(x), "+t"(y) : : "memory")
/* Two samples of 16 bits as floats of -1..1: the FPU takes them from a register's low half. */
#define LOAD_SHORTS_NEXT(x, y, p)             \
    register float x __asm__("s0");           \
    register float y __asm__("s1");           \
    do {                                      \
        int32_t low, high;                    \
        __asm__("ldr %3, [%2], #4\n lsr %4, %3, #16\n vmov %0, %1, %3, %4\n" \
                "vcvt.f32.s16 %0, %0, #15\n vcvt.f32.s16 %1, %1, #15"         \
                : "=t"(x), "=t"(y), "+r"(p), "=&r"(low), "=&r"(high) : : "memory"); \
    } while (0)
#define STORE(x, y, p, first, second)         \
    do {                                      \
        register float x_ __asm__(first) = (x);  \
        register float y_ __asm__(second) = (y); \
        __asm__("vstmia %3, {%1, %2}" : "=m"(*(p)) : "t"(x_), "t"(y_), "r"(p)); \
    } while (0)
#define STORE_MOVING(code, x, y, p, first, second) \
    do {                                      \
        register float x_ __asm__(first) = (x);  \
        register float y_ __asm__(second) = (y); \
        __asm__ volatile(code " %0!, {%1, %2}" : "+r"(p) : "t"(x_), "t"(y_) : "memory"); \
    } while (0)
#define STORE_NEXT(x, y, p, first, second) STORE_MOVING("vstmia", x, y, p, first, second)
#define STORE_BEFORE(x, y, p, first, second) STORE_MOVING("vstmdb", x, y, p, first, second)
#else
#define AS_ADDRESS(p) (void)(p)
#define AS_NUMBER(n) (void)(n)
#define FIRST(x, y) (void)0
#define LOAD(x, y, p, first, second) real x = (p)->re, y = (p)->im
#define LOAD_NEXT(x, y, p, first, second) \
    real x = (p)->re, y = (p)->im;        \
    (p)++
#define LOAD_FLOATS_NEXT(x, y, p, first, second) \
    float x = (p)->re, y = (p)->im;              \
    (p)++
#define LOAD_FLOATS_BEFORE(x, y, p, first, second) \
    (p)--;                                         \
    float x = (p)->re, y = (p)->im
#define STORE(x, y, p, first, second) ((p)->re = (x), (p)->im = (y))
#define STORE_NEXT(x, y, p, first, second) ((p)->re = (x), (p)->im = (y), (p)++)
#define STORE_BEFORE(x, y, p, first, second) ((p)--, (p)->re = (x), (p)->im = (y))
#endif

#endif
