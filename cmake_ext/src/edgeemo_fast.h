/* edgeemo_fast.h: included before anything else by files whose loops take the time.
 *
 * Most build systems for small parts say -Os, and all but these files should have it: they hold a
 * quarter of the code and nearly all of the instructions. */
#ifndef EDGEEMO_FAST_H
#define EDGEEMO_FAST_H

#if defined __OPTIMIZE_SIZE__ && defined __GNUC__ && !defined __clang__
#pragma GCC optimize("O2")
#endif

#endif
