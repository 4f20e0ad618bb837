/* edgeemo.h: log-mel features of speech, on anything from a Cortex-M4 to a server.
 *
 * Use, in this order; the memory may come from anywhere, 8-byte aligned:
 *
 *     static double memory[1500];
 *     static const edgeemo_feature_spec spec = EDGEEMO_LOGMEL40;
 *     edgeemo_frontend *fe;
 *     float frame[40];
 *     int32_t taken, frames = 0;
 *     if (edgeemo_frontend_size(&spec) > sizeof memory
 *         || edgeemo_frontend_init(&fe, memory, sizeof memory, &spec) != EDGEEMO_OK)
 *         return -1;
 *     for (int32_t at = 0; at < n; at += taken) {
 *         int32_t made = edgeemo_frontend_push(fe, samples + at, n - at, frame, 1, &taken);
 *         if (made < 0)
 *             return made;
 *         frames += made;              // and frame[0..39] is one, if made is 1
 *     }
 *     edgeemo_frontend_reset(fe);      // before another clip
 *     return frames;
 *
 * Ownership: the caller owns all memory. An edgeemo_frontend lives inside the block given to
 * edgeemo_frontend_init(), holds pointers into it (so the block may not move), and ends when the
 * caller takes the block away: there is nothing to free. Arguments are borrowed for the call.
 *
 * Nothing here allocates, locks, prints, or calls the operating system or libm.
 *
 * Bits: the features of the same samples are the same bits on every IEEE 754 target. With GCC and
 * clang no flag is needed for that (but clang's -ffp-contract=fast undoes it); with another compiler
 * turn floating-point contraction off.
 */
#ifndef EDGEEMO_H
#define EDGEEMO_H

#include <stddef.h>
#include <stdint.h>

#if defined __BYTE_ORDER__ && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "edgeemo: models are little-endian, and so must be the machine"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* One list gives the enum and edgeemo_status_text(), so the two cannot drift apart. */
#define EDGEEMO_STATUSES(X)                                                                    \
    X(EDGEEMO_OK, 0, "ok")                                                                     \
    X(EDGEEMO_ERR_ARG, -1, "null pointer or negative count")                                   \
    X(EDGEEMO_ERR_VALUE, -2, "sample is not finite, or beyond 1e6 in size")                    \
    X(EDGEEMO_ERR_MEMORY, -3, "memory block is too small or not 8-byte aligned")               \
    X(EDGEEMO_ERR_SAMPLE_RATE, -4, "sample_rate is not in 1000..768000")                       \
    X(EDGEEMO_ERR_FFT, -5, "fft is not a power of two in 64..1024")                            \
    X(EDGEEMO_ERR_WINDOW, -6, "window is not in 2..fft")                                       \
    X(EDGEEMO_ERR_HOP, -7, "hop is not in 1..65536")                                           \
    X(EDGEEMO_ERR_BANDS, -8, "bands is not in 1..fft/2")                                       \
    X(EDGEEMO_ERR_EDGES, -9, "edges are not 0 <= low_hz < high_hz <= sample_rate/2, a hertz apart") \
    X(EDGEEMO_ERR_FLOOR, -10, "floor is not in 1e-30..1")                                      \
    X(EDGEEMO_ERR_CHOICE, -11, "window_shape, spectrum, mel_scale, triangles, area_norm, log or " \
                               "floor_mode is not one of its values")                          \
    X(EDGEEMO_ERR_CRC, -12, "bytes of a model have changed: damaged flash, or a damaged file")  \
    X(EDGEEMO_ERR_BITS, -13, "other features, or another estimate, than where it was exported") \
    X(EDGEEMO_ERR_RATE, -14, "the sound has another sample rate than the model takes: resample it")

enum {
#define EDGEEMO_X(name, code, text) name = code,
    EDGEEMO_STATUSES(EDGEEMO_X)
#undef EDGEEMO_X
};

/* The values of the choices in a spec, with the words that name them in files and in Python. */
#define EDGEEMO_WINDOW_SHAPES(X) X(EDGEEMO_WINDOW_HANN, 0, "hann")
#define EDGEEMO_SPECTRA(X)               \
    X(EDGEEMO_SPECTRUM_POWER, 0, "power") \
    X(EDGEEMO_SPECTRUM_MAGNITUDE, 1, "magnitude")
#define EDGEEMO_MEL_SCALES(X)       \
    X(EDGEEMO_MEL_SLANEY, 0, "slaney") \
    X(EDGEEMO_MEL_HTK, 1, "htk")
#define EDGEEMO_TRIANGLES(X)        \
    X(EDGEEMO_TRIANGLES_HZ, 0, "hz") \
    X(EDGEEMO_TRIANGLES_MEL, 1, "mel")
#define EDGEEMO_AREA_NORMS(X)        \
    X(EDGEEMO_AREA_SLANEY, 0, "slaney") \
    X(EDGEEMO_AREA_NONE, 1, "none")
#define EDGEEMO_LOGS(X)                   \
    X(EDGEEMO_LOG_NATURAL, 0, "natural") \
    X(EDGEEMO_LOG_DB, 1, "db")
#define EDGEEMO_FLOOR_MODES(X)           \
    X(EDGEEMO_FLOOR_CLAMP, 0, "clamp") \
    X(EDGEEMO_FLOOR_ADD, 1, "add")

enum {
#define EDGEEMO_X(name, value, text) name = value,
    EDGEEMO_WINDOW_SHAPES(EDGEEMO_X)
    EDGEEMO_SPECTRA(EDGEEMO_X)
    EDGEEMO_MEL_SCALES(EDGEEMO_X)
    EDGEEMO_TRIANGLES(EDGEEMO_X)
    EDGEEMO_AREA_NORMS(EDGEEMO_X)
    EDGEEMO_LOGS(EDGEEMO_X)
    EDGEEMO_FLOOR_MODES(EDGEEMO_X)
#undef EDGEEMO_X
};

/* All that defines a log-mel. Choices are int32_t, not enums: the size of an enum differs
 * between compilers for small parts.
 *
 * Frame k covers the samples [k*hop, k*hop + window): no padding, no dither, no pre-emphasis.
 * A band narrower than the spacing of the FFT's bins may hold no bin; it then gives log(floor)
 * always. That is allowed, because published front ends have such bands.
 */
typedef struct edgeemo_feature_spec {
    int32_t sample_rate;  /* Hz, 1000..768000 */
    int32_t window;       /* samples, 2..fft; the rest of the FFT is zeros */
    int32_t hop;          /* samples, 1..65536; may exceed window */
    int32_t fft;          /* samples, a power of two in 64..1024 */
    int32_t window_shape; /* EDGEEMO_WINDOW_HANN: periodic, 0.5 - 0.5 cos(2 pi j / window) */
    int32_t spectrum;     /* EDGEEMO_SPECTRUM_POWER: re^2 + im^2; _MAGNITUDE: its root */
    int32_t bands;        /* triangles, 1..fft/2 */
    int32_t mel_scale;    /* EDGEEMO_MEL_SLANEY or EDGEEMO_MEL_HTK */
    int32_t triangles;    /* sides straight over EDGEEMO_TRIANGLES_HZ or over EDGEEMO_TRIANGLES_MEL */
    int32_t area_norm;    /* EDGEEMO_AREA_SLANEY: times 2 / (width in Hz); EDGEEMO_AREA_NONE: peak 1 */
    int32_t log;          /* EDGEEMO_LOG_NATURAL: ln(x); EDGEEMO_LOG_DB: 10 log10(x) */
    int32_t floor_mode;   /* EDGEEMO_FLOOR_CLAMP: log(max(x, floor)); _ADD: log(x + floor) */
    double low_hz;        /* where the first triangle begins, 0 or more */
    double high_hz;       /* where the last one ends, at most sample_rate / 2 */
    double floor;         /* 1e-30..1 */
} edgeemo_feature_spec;

/* 16 kHz, 25 ms windows every 10 ms, 40 bands: what edgeemo's own models take. */
#define EDGEEMO_LOGMEL40                                                                 \
    {                                                                                    \
        16000, 400, 160, 512, EDGEEMO_WINDOW_HANN, EDGEEMO_SPECTRUM_POWER, 40,           \
            EDGEEMO_MEL_SLANEY, EDGEEMO_TRIANGLES_HZ, EDGEEMO_AREA_SLANEY,               \
            EDGEEMO_LOG_NATURAL, EDGEEMO_FLOOR_CLAMP, 60.0, 7600.0, 1e-6                 \
    }

/* Largest size of a float sample. Speech is -1..1; beyond 1e6 the power would overflow. */
#define EDGEEMO_SAMPLE_LIMIT 1e6f

typedef struct edgeemo_frontend edgeemo_frontend;

/* The text of a status; "unknown status" for a number that is none. Static, never NULL. */
const char *edgeemo_status_text(int32_t status);

/* EDGEEMO_OK, or the status of the first field of the spec that cannot be used.
 * EDGEEMO_ERR_ARG if spec is NULL. */
int32_t edgeemo_feature_spec_check(const edgeemo_feature_spec *spec);

/* Bytes that edgeemo_frontend_init() needs, a multiple of 8; 0 if the spec is not valid. */
size_t edgeemo_frontend_size(const edgeemo_feature_spec *spec);

/* Make a front end in `memory` and compute its tables (in double: slow without a double FPU).
 *
 * fe      receives the front end; it lies inside memory.
 * memory  `bytes` bytes, 8-byte aligned, at least edgeemo_frontend_size(spec); may hold anything.
 * spec    copied as far as needed; may go away afterwards.
 *
 * Returns EDGEEMO_OK, EDGEEMO_ERR_ARG, EDGEEMO_ERR_MEMORY or what edgeemo_feature_spec_check()
 * says; on an error *fe and memory are as before.
 */
int32_t edgeemo_frontend_init(edgeemo_frontend **fe, void *memory, size_t bytes,
                              const edgeemo_feature_spec *spec);

/* Tables made beforehand, for instance in flash: the C folder that `edgeemo export` writes for a
 * student holds them. Then memory is for the state alone, and no double arithmetic is linked.
 *
 * edgeemo_frontend_state_size() gives the bytes, a multiple of 8; 0 if tables is NULL.
 * edgeemo_frontend_init_tables() is edgeemo_frontend_init() with these tables; they are trusted,
 * not copied, and have to stay. Several front ends may share them. */
typedef struct edgeemo_tables edgeemo_tables;
size_t edgeemo_frontend_state_size(const edgeemo_tables *tables);
int32_t edgeemo_frontend_init_tables(edgeemo_frontend **fe, void *memory, size_t bytes,
                                     const edgeemo_tables *tables);

/* Frames that a push of n more samples would complete, 0 or more; EDGEEMO_ERR_ARG if fe is NULL
 * or n negative. */
int32_t edgeemo_frontend_frames(const edgeemo_frontend *fe, int32_t n);

/* Take samples, write the frames which they complete.
 *
 * samples  n values, mono, spec.sample_rate Hz, -1..1; borrowed for the call; may be NULL if n is 0.
 * frames   room for `room` frames of spec.bands values, row by row; may be NULL if room is 0;
 *          may not overlap samples.
 * taken    receives the samples consumed: n, or fewer if room ran out (call again with the rest).
 *
 * Returns the frames written, 0..room, or EDGEEMO_ERR_ARG or EDGEEMO_ERR_VALUE; on an error
 * fe, frames and *taken are as before. At most `room` FFTs.
 * One fe belongs to one thread at a time; two fe share nothing that is written.
 */
int32_t edgeemo_frontend_push(edgeemo_frontend *fe, const float *samples, int32_t n,
                              float *frames, int32_t room, int32_t *taken);

/* As edgeemo_frontend_push(), for 16-bit samples: the same bits as for sample / 32768.0f. */
int32_t edgeemo_frontend_push_i16(edgeemo_frontend *fe, const int16_t *samples, int32_t n,
                                  float *frames, int32_t room, int32_t *taken);

/* Forget all samples: what follows is bit-identical to a new front end. NULL does nothing. */
void edgeemo_frontend_reset(edgeemo_frontend *fe);

/* Index of the first sample that a push refuses (not finite, or beyond EDGEEMO_SAMPLE_LIMIT),
 * or -1 if there is none. `samples` may be NULL if n is 0 or less. */
int32_t edgeemo_first_bad_sample(const float *samples, int32_t n);

/* The prenorm "utterance": out = (samples - mean) / sqrt(variance + 1e-7) over the whole clip.
 *
 * samples  n values, read twice; out may be the same array, else may not overlap it.
 *
 * Sums are in double, in the order of the samples. Returns EDGEEMO_OK, EDGEEMO_ERR_ARG or
 * EDGEEMO_ERR_VALUE (a sample that a push refuses); on an error out is as before.
 */
int32_t edgeemo_normalize_utterance(const float *samples, int32_t n, float *out);

/* CRC-32 (that of ZIP and PNG) of bytes that come behind others, whose CRC is `crc`; 0 if there are
 * none. */
uint32_t edgeemo_crc32(uint32_t crc, const void *data, size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
