/* edgeemo_arithmetic.h: the same bits whatever flags a build system gives.
 *
 * Every file that computes with floats includes this before anything else of the library. Compilers
 * fuse x * y + z into one instruction with one rounding where the processor has it, GCC in any mode
 * but -std=c99 and the like. Arduino, PlatformIO, ESP-IDF and Zephyr let them. */
#ifndef EDGEEMO_ARITHMETIC_H
#define EDGEEMO_ARITHMETIC_H

#include <float.h>

#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__
#pragma GCC optimize("fp-contract=off")
#endif

/* What no pragma gives back. */
#if defined __FAST_MATH__
#error "edgeemo: compile without -ffast-math and -Ofast; with them features and estimates differ"
#endif
#if FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2 || FLT_EVAL_METHOD == -1
#error "edgeemo: floats have more digits here than they hold; for x86 compile with -msse2 -mfpmath=sse"
#endif

#endif
