/* edgeemo_batch_avx512.c: sixteen frames side by side, for x86 processors that have AVX-512.
 *
 * As edgeemo_batch_avx2.c: the target is set here, without FMA, so that nothing can be fused. */
#if defined __GNUC__ && defined __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,no-fma")
#endif
#define EDGEEMO_LANES 16
#define EDGEEMO_NAME(name) edgeemo_lanes16_##name
#include "edgeemo_lanes.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int edgeemo_nothing_here; /* ISO C wants a declaration in every file */
#endif
