/* edgeemo_internal.h: what the stages of the front end share. Not for users of the library. */
#ifndef EDGEEMO_INTERNAL_H
#define EDGEEMO_INTERNAL_H

#include "edgeemo_arithmetic.h"

#include "edgeemo.h"
#include "edgeemo_parts.h"

/* Arm's vector unit: some stages have a form for it. Not for the lanes, which have their own. */
#if defined __ARM_FEATURE_MVE && __ARM_FEATURE_MVE & 2 && !defined EDGEEMO_LANES
#define EDGEEMO_HELIUM 1
#else
#define EDGEEMO_HELIUM 0
#endif

/* A function that stays a function: one copy of its code, and its stack only while it runs. It also
 * keeps its arguments: GCC would pass a struct's fields one by one, and some on the stack. */
#if defined __GNUC__ && !defined __clang__
#define EDGEEMO_NOINLINE __attribute__((noinline, noclone))
#elif defined __GNUC__
#define EDGEEMO_NOINLINE __attribute__((noinline))
#else
#define EDGEEMO_NOINLINE
#endif

/* A function that is no function: its code is made for the constants that each caller gives. */
#if defined __GNUC__
#define EDGEEMO_INLINE inline __attribute__((always_inline))
#else
#define EDGEEMO_INLINE inline
#endif

/* The stages compute with `real`: a float, one frame at a time. batch/edgeemo_batch.c compiles
 * the same sources with EDGEEMO_LANES frames side by side; lanes never mix, so the bits are the
 * same. The compiler's own vectors know + - * and shifts; the rest is below. */
#ifdef EDGEEMO_LANES
typedef float real __attribute__((vector_size(4 * EDGEEMO_LANES)));
typedef int32_t real_ints __attribute__((vector_size(4 * EDGEEMO_LANES)));
typedef uint32_t real_bits __attribute__((vector_size(4 * EDGEEMO_LANES)));

static inline real real_of(real_ints x)
{
    return __builtin_convertvector(x, real);
}

static inline real real_max(real x, float least)
{
    real bound = x - x + least; /* x is finite */
    real_bits below = (real_bits)(x < bound);
    return (real)(((real_bits)bound & below) | ((real_bits)x & ~below));
}
#else
typedef float real;
typedef int32_t real_ints;
typedef uint32_t real_bits;

static inline real real_of(real_ints x)
{
    return (float)x;
}

/* Of numbers of 0 or more, whose bits are in the same order. */
static inline real real_max(real x, float least)
{
    union {
        real value;
        real_bits bits;
    } a = {x}, b = {least};
    return a.bits < b.bits ? least : x;
}
#endif

/* x / n for x of 0 or more: a division of signed numbers by a power of two is several instructions
 * longer. */
static inline int32_t udiv(int32_t x, uint32_t n)
{
    return (int32_t)((uint32_t)x / n);
}

typedef struct real_complex {
    real re, im;
} real_complex;

/* cos(2 pi k / n) and its negative sine: e^(-2 pi i k / n), a twiddle factor of an FFT. */
typedef struct edgeemo_complex {
    float re, im;
} edgeemo_complex;

/* The twiddles of one butterfly of four: those of its second, third and fourth result. */
typedef struct edgeemo_twiddles {
    edgeemo_complex by1, by2, by3;
} edgeemo_twiddles;

typedef struct edgeemo_arithmetic edgeemo_arithmetic;
typedef struct edgeemo_fixed_tables edgeemo_fixed_tables;

/* Values of a window that a table holds: those of the frame's first N/2 samples, as the others are the
 * first ones backwards; an even number. */
static inline int32_t edgeemo_window_values(int32_t win_length, int32_t fft)
{
    return win_length < fft / 2 ? win_length + win_length % 2 : fft / 2 + 2;
}

/* Value i of the window of tables in floats. */
static inline float edgeemo_window_at(const float *window, int32_t i, int32_t win_length, int32_t fft)
{
    return window[i < edgeemo_window_values(win_length, fft) ? i : win_length - i];
}

/* 1 if half the FFT's length, a power of two, is no power of four, or if the frame fills less than
 * three quarters of it. */
static inline int32_t edgeemo_is_other_fft(int32_t win_length, int32_t fft)
{
    return (fft & 0x55555555) != 0 || win_length < fft / 4 * 3;
}

/* All that the stages read, made by edgeemo_make_tables() or, to lie in flash, by a generator.
 * N is the FFT's length, M = N/2 that of the complex FFT which does its work. */
struct edgeemo_tables {
    int32_t win_length, hop, fft, bands, spectrum, floor_mode;
    float floor, log_scale;
    const float *window; /* [edgeemo_window_values()] value i is also value win_length - i */
    const edgeemo_twiddles *twiddles;     /* [M/4] of blocks of M; shorter ones have every 4th, .. */
    const float *cosines;        /* [M/2+1] cos(2 pi k / N), backwards the sines: complex to real */
    const float *mel_weights;    /* [M+1] weight of bin k in the triangle that rises over it */
    const float *norm;           /* [bands] factor of each band, for four times the power */
    const uint16_t *permutation; /* [M/4+1] where the FFT leaves bin k: bytes behind z, of one lane */
    const uint16_t *edge;        /* [bands+2] first bin at or above each corner of the triangles */
    uint16_t quarters[4];        /* bin k + i M/4 lies at permutation[k] + quarters[i] */
    const edgeemo_arithmetic *arithmetic;
    const edgeemo_fixed_tables *fixed; /* what stands for the floats above in a front end of integers;
                                          they are NULL there, and this is elsewhere */
};

/* What a file has of tables (edgeemo_file.h), before their arrays. */
typedef struct edgeemo_tables_head {
    int32_t win_length, hop, fft, bands, spectrum, floor_mode;
    float floor, log_scale;
    uint16_t quarters[4];
} edgeemo_tables_head;

enum { EDGEEMO_ARRAYS = 7, EDGEEMO_FLOAT_ARRAYS = 5 };

/* Bytes of the arrays of tables: window, twiddles, cosines, mel_weights, norm, permutation, edge. */
static inline void edgeemo_array_bytes(const edgeemo_tables *t, size_t bytes[EDGEEMO_ARRAYS])
{
    size_t m = (size_t)t->fft / 2, bands = (size_t)t->bands;
    bytes[0] = (size_t)edgeemo_window_values(t->win_length, t->fft) * sizeof *t->window;
    bytes[1] = m / 4 * sizeof *t->twiddles;
    bytes[2] = (m / 2 + 1) * sizeof *t->cosines;
    bytes[3] = (m + 1) * sizeof *t->mel_weights;
    bytes[4] = bands * sizeof *t->norm;
    bytes[5] = (m / 4 + 1) * sizeof *t->permutation;
    bytes[6] = (bands + 2) * sizeof *t->edge;
}

/* Work of one frame. */
typedef struct edgeemo_work {
    real_complex *z; /* [M] */
    real *power;     /* [M+1] */
} edgeemo_work;

struct edgeemo_frontend {
    const edgeemo_tables *tables;
    edgeemo_work work;
    int32_t filled; /* samples in history, less than win_length between calls */
    int32_t skip;   /* samples to drop before the next frame begins; 0 unless hop > win_length */
    void *history; /* [win_length, one more if that is odd] the frame that is being collected: floats
                      or, in a front end of integers, 16-bit samples */
};

/* How a front end computes. By pointers, so that firmware links the one that its tables name.
 * take, take_i16  n samples into the history, from fe->filled on.
 * finish          after a piece of n samples, which the history has unless fe->skip > 0: if the
 *                 history is full, the frame. Returns the frames written, 0 or 1. */
struct edgeemo_arithmetic {
    size_t sample; /* bytes of one in the history */
    size_t (*work_size)(const edgeemo_tables *tables);
    void (*take)(edgeemo_frontend *fe, const float *samples, int32_t n);
    void (*take_i16)(edgeemo_frontend *fe, const int16_t *samples, int32_t n);
    int32_t (*finish)(edgeemo_frontend *fe, int32_t n, float *out);
};
extern const edgeemo_arithmetic edgeemo_float_arithmetic, edgeemo_fixed_arithmetic;

/* The frame of a piece, as above; `frame` writes it, `move_down` brings the newest samples of the
 * history to its start. */
static inline int32_t edgeemo_finish(edgeemo_frontend *fe, int32_t n, float *out,
                                     void (*frame)(edgeemo_frontend *fe, float *out),
                                     void (*move_down)(edgeemo_frontend *fe, int32_t from, int32_t count))
{
    const edgeemo_tables *t = fe->tables;
    if (fe->skip > 0) {
        fe->skip -= n;
        return 0;
    }
    fe->filled += n;
    if (fe->filled < t->win_length)
        return 0;
    frame(fe, out);
    int32_t kept = t->win_length - t->hop;
    if (kept > 0)
        move_down(fe, t->hop, kept);
    fe->filled = kept > 0 ? kept : 0;
    fe->skip = fe->filled - kept;
    return 1;
}

/* Whether the parts that tables need have been compiled. */
static inline int32_t edgeemo_has_parts_for(const edgeemo_tables *t)
{
    return (EDGEEMO_WITH_INTEGERS || !t->fixed)
           && (EDGEEMO_WITH_MAGNITUDE || t->spectrum != EDGEEMO_SPECTRUM_MAGNITUDE)
           && (EDGEEMO_WITH_OTHER_FFTS || !edgeemo_is_other_fft(t->win_length, t->fft));
}

/* A front end of two parts: what it keeps between frames, and what it works in meanwhile, which may
 * serve others between two calls; each a multiple of 8 bytes and aligned on 8. */
size_t edgeemo_frontend_kept_size(const edgeemo_tables *tables);
size_t edgeemo_frontend_work_size(const edgeemo_tables *tables);
edgeemo_frontend *edgeemo_frontend_place(void *kept, void *work, const edgeemo_tables *tables);

/* Bytes of the tables of a valid spec, a multiple of 8. */
size_t edgeemo_tables_size(const edgeemo_feature_spec *spec);

/* Where the next part of tables begins; `end` moves behind it, to a multiple of 8 bytes. */
static inline size_t edgeemo_append(size_t *end, int32_t count, size_t size)
{
    size_t at = *end;
    *end = (at + (size_t)count * size + 7) / 8 * 8;
    return at;
}

/* Make them in `memory`, aligned on 8 bytes; they begin with the struct. */
edgeemo_tables *edgeemo_make_tables(void *memory, const edgeemo_feature_spec *spec);

/* The stages, in order. Each reads the tables and the result of the one before.
 * begin     frame[win_length] times the window, even samples as real and odd ones as imaginary
 *           parts, zeros behind, and the first butterflies. If win_length is odd,
 *           frame[win_length] must be finite; it counts for nothing.
 * fft       the other butterflies, in place; bin k comes to lie at permutation[k].
 * spectrum  four times the power (or twice the magnitude) of the N/2 + 1 bins of the signal.
 * mel       sums of the bins under each triangle, out[bands]; may use work->z.
 * log       in place. */
void edgeemo_begin(const edgeemo_tables *tables, const real *frame, edgeemo_work *work);
void edgeemo_fft(const edgeemo_tables *tables, edgeemo_work *work);
void edgeemo_spectrum(const edgeemo_tables *tables, edgeemo_work *work);
void edgeemo_mel(const edgeemo_tables *tables, edgeemo_work *work, real *out);
void edgeemo_log(const edgeemo_tables *tables, real *values);

/* The bytes of arrays that tables point to, as edgeemo_crc32() sees them. */
uint32_t edgeemo_tables_crc(const edgeemo_tables *tables);

/* Functions for tables, in double, from + - * / only, so that no libm decides a bit.
 * Errors are below 1e-15 of the result. */
double edgeemo_ln(double x);   /* x > 0, normal */
double edgeemo_exp(double x);  /* |x| < 700 */
double edgeemo_sqrt(double x); /* x > 0, normal */
/* e^(2 pi i k / n): cosine and sine of k/n of a full turn; 0 <= k < n <= 2^20. */
void edgeemo_sincos(int32_t k, int32_t n, double *cosine, double *sine);

#endif
