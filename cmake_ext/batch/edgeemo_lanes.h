/* edgeemo_lanes.h: the stages of the front end for EDGEEMO_LANES frames side by side.
 *
 * A file defines EDGEEMO_LANES, EDGEEMO_NAME(name) and includes this; it gets one function,
 * EDGEEMO_NAME(frames). Lanes never mix, so the bits are those of one frame at a time. */
#define edgeemo_begin EDGEEMO_NAME(begin)
#define edgeemo_fft EDGEEMO_NAME(fft)
#define edgeemo_spectrum EDGEEMO_NAME(spectrum)
#define edgeemo_mel EDGEEMO_NAME(mel)
#define edgeemo_log EDGEEMO_NAME(log)
#include <string.h>

#include "../src/edgeemo_fft.c"
#include "../src/edgeemo_mel.c"

enum { LANES = sizeof(real) / sizeof(float) };

#ifdef EDGEEMO_LANES
typedef float four __attribute__((vector_size(16)));
#ifdef __clang__
#define SHUFFLE(x, y, ...) __builtin_shufflevector(x, y, __VA_ARGS__)
#else
typedef int32_t four_lanes __attribute__((vector_size(16)));
#define SHUFFLE(x, y, ...) __builtin_shuffle(x, y, (four_lanes){__VA_ARGS__})
#endif

static inline four load_four(const float *from)
{
    four x;
    memcpy(&x, from, sizeof x);
    return x;
}

/* Values j to j + 3 of all lanes, by squares of four lanes that are transposed. Not by vectors of
 * all lanes: compilers put those together in memory, and wait for it. */
static void four_values(const float *const *from, int32_t j, real *frame)
{
    for (int32_t lane = 0; lane < LANES; lane += 4) {
        four a = load_four(from[lane] + j), b = load_four(from[lane + 1] + j);
        four c = load_four(from[lane + 2] + j), d = load_four(from[lane + 3] + j);
        four ab = SHUFFLE(a, b, 0, 4, 1, 5), cd = SHUFFLE(c, d, 0, 4, 1, 5);
        four ef = SHUFFLE(a, b, 2, 6, 3, 7), gh = SHUFFLE(c, d, 2, 6, 3, 7);
        four columns[4] = {SHUFFLE(ab, cd, 0, 1, 4, 5), SHUFFLE(ab, cd, 2, 3, 6, 7),
                           SHUFFLE(ef, gh, 0, 1, 4, 5), SHUFFLE(ef, gh, 2, 3, 6, 7)};
        for (int32_t i = 0; i < 4; i++)
            memcpy((float *)&frame[j + i] + lane, &columns[i], sizeof columns[i]);
    }
}
#endif

/* Value j of the frames from `first` on, a lane each; behind `last` the last one again. */
static void side_by_side(const edgeemo_tables *t, const float *samples, int32_t first,
                         int32_t last, real *frame)
{
    const float *from[LANES];
    for (int32_t lane = 0; lane < LANES; lane++) {
        int32_t k = first + lane < last ? first + lane : last;
        from[lane] = samples + (size_t)k * (size_t)t->hop;
    }
    int32_t j = 0;
#ifdef EDGEEMO_LANES
    for (; j + 4 <= t->win_length; j += 4)
        four_values(from, j, frame);
#endif
    for (; j < t->win_length; j++) {
        union {
            real value;
            float lane[LANES];
        } x;
        for (int32_t lane = 0; lane < LANES; lane++)
            x.lane[lane] = from[lane][j];
        frame[j] = x.value;
    }
}

static void apart(const real *values, int32_t bands, float *frames, int32_t count)
{
    for (int32_t b = 0; b < bands; b++) {
        union {
            real value;
            float lane[LANES];
        } x = {values[b]};
        for (int32_t lane = 0; lane < count; lane++)
            frames[lane * bands + b] = x.lane[lane];
    }
}

/* `count` frames of the samples, one after the other; work holds edgeemo_lanes_size() values. */
void EDGEEMO_NAME(frames)(const edgeemo_tables *t, const float *samples, int32_t count,
                          float *frames, void *memory)
{
    real *frame = memory, *z = frame + t->win_length + 1;
    edgeemo_work work = {(real_complex *)z, z + t->fft};
    real *bands = work.power + t->fft / 2 + 1;
    frame[t->win_length] = (real){0};
    for (int32_t k = 0; k < count; k += LANES) {
        side_by_side(t, samples, k, count - 1, frame);
        edgeemo_begin(t, frame, &work);
        edgeemo_fft(t, &work);
        edgeemo_spectrum(t, &work);
        edgeemo_mel(t, &work, bands);
        edgeemo_log(t, bands);
        apart(bands, t->bands, frames + (size_t)k * (size_t)t->bands,
              LANES < count - k ? LANES : count - k);
    }
}
