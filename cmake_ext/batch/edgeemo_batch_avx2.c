/* edgeemo_batch_avx2.c: eight frames side by side, for x86 processors that have AVX2.
 *
 * The file sets the target itself, so that it needs no compiler flag, and AVX2 without FMA, so
 * that nothing can be fused. edgeemo_batch.c asks the processor before it calls. */
#if defined __GNUC__ && defined __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2,no-fma")
#endif
#define EDGEEMO_LANES 8
#define EDGEEMO_NAME(name) edgeemo_lanes8_##name
#include "edgeemo_lanes.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int edgeemo_nothing_here; /* ISO C wants a declaration in every file */
#endif
