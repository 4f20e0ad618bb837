/* print_tables.c: what of a student depends on C: its memory, and its front end's tables.
 *
 *     print_tables SPEC BLOB float|fixed TABLES
 *
 * SPEC holds an edgeemo_feature_spec, BLOB a model, as they lie in memory; the word tells how the front
 * end computes. Prints C definitions and, of a front end in floats, writes to TABLES what a file has of
 * the tables (edgeemo_file.h).
 * Only `edgeemo export` runs this, on the machine that exports. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edgeemo_fixed.h"
#include "edgeemo_model_internal.h"
#include "edgeemo_speech.h"
#include "edgeemo_stream_internal.h"

enum { BLOCK = 1, MOST_BLOB = 1 << 24 };

/* Bytes of structs where pointers have 32 bits and integers of 64 bits lie on 8, as on Arm. A test
 * compares what comes of them with what a board says. */
enum { SMALL_STREAM = 1320, SMALL_ROWS = 16, SMALL_FRONTEND = 24, SMALL_SPEECH = 20, SMALL_MODEL = 52,
       SMALL_TABLES = 76, SMALL_FIXED_TABLES = 32 };

/* Bits of a float as a hexadecimal literal: no bit is lost. */
static void print_float(float x)
{
    printf("%af", (double)x);
}

static void print_floats(const char *name, const float *x, int32_t n)
{
    printf("static const float %s[%" PRId32 "] = {", name, n);
    for (int32_t i = 0; i < n; i++) {
        printf(i % 6 ? " " : "\n    ");
        print_float(x[i]);
        printf(",");
    }
    printf("\n};\n\n");
}

static void print_shorts(const char *name, const uint16_t *x, int32_t n)
{
    printf("static const uint16_t %s[%" PRId32 "] = {", name, n);
    for (int32_t i = 0; i < n; i++)
        printf(i % 16 ? " %u," : "\n    %u,", (unsigned)x[i]);
    printf("\n};\n\n");
}

static void print_complex(const void *x)
{
    const edgeemo_complex *value = x;
    printf("{");
    print_float(value->re);
    printf(", ");
    print_float(value->im);
    printf("}");
}

static void print_fixed_complex(const void *x)
{
    const edgeemo_fixed_complex *value = x;
    printf("{%d, %d}", value->re, value->im);
}

/* n structs of three complex numbers of `size` bytes. */
static void print_twiddles(const char *type, const void *x, size_t size, int32_t n,
                           void (*print)(const void *x))
{
    const char *at = x;
    printf("static const %s twiddles[%" PRId32 "] = {", type, n);
    for (int32_t i = 0; i < n; i++, at += 3 * size) {
        printf("\n    {");
        print(at);
        printf(", ");
        print(at + size);
        printf(", ");
        print(at + 2 * size);
        printf("},");
    }
    printf("\n};\n\n");
}

static int32_t twiddles_of(const edgeemo_tables *t)
{
    int32_t twiddles = 0;
    for (int32_t length = t->fft / 2; length >= 8; length /= 4)
        twiddles += length / 4;
    return twiddles;
}

static void print_float_tables(const edgeemo_tables *t)
{
    int32_t m = t->fft / 2;
    print_floats("window", t->window, edgeemo_window_values(t->win_length, t->fft));
    print_twiddles("edgeemo_twiddles", t->twiddles, sizeof(edgeemo_complex), m / 4, print_complex);
    print_floats("cosines", t->cosines, m / 2 + 1);
    print_floats("mel_weights", t->mel_weights, m + 1);
    print_floats("norm", t->norm, t->bands);
}

static void print_fixed_tables(const edgeemo_tables *t)
{
    const edgeemo_fixed_tables *f = t->fixed;
    int32_t m = t->fft / 2;
    print_shorts("window", f->window, t->win_length);
    print_twiddles("edgeemo_fixed_twiddles", f->twiddles, sizeof(edgeemo_fixed_complex), twiddles_of(t),
                   print_fixed_complex);
    printf("static const edgeemo_fixed_complex rfft_twiddles[%" PRId32 "] = {", m / 2);
    for (int32_t i = 0; i < m / 2; i++) {
        printf(i % 6 ? " " : "\n    ");
        print_fixed_complex(f->rfft_twiddles + i);
        printf(",");
    }
    printf("\n};\n\n");
    print_shorts("mel_weights", f->mel_weights, m);
    printf("static const int32_t norm[%" PRId32 "] = {", t->bands);
    for (int32_t i = 0; i < t->bands; i++)
        printf(i % 10 ? " %" PRId32 "," : "\n    %" PRId32 ",", f->norm[i]);
    printf("\n};\n\n");
    print_shorts("logs", f->logs, EDGEEMO_FIXED_LOGS + 1);
    printf("static const edgeemo_fixed_tables fixed = {\n"
           "    .window = window, .twiddles = twiddles, .rfft_twiddles = rfft_twiddles,\n"
           "    .mel_weights = mel_weights, .norm = norm, .logs = logs,\n"
           "    .floor = %" PRId32 ", .log_scale = %" PRId32 ",\n};\n\n",
           f->floor, f->log_scale);
}

static void print_tables(const edgeemo_tables *t)
{
    int32_t m = t->fft / 2;
    if (t->fixed)
        print_fixed_tables(t);
    else
        print_float_tables(t);
    print_shorts("permutation", t->permutation, m / 4 + 1);
    print_shorts("edge", t->edge, t->bands + 2);
    printf("static const edgeemo_tables tables = {\n"
           "    .win_length = %" PRId32 ", .hop = %" PRId32 ", .fft = %" PRId32 ", .bands = %" PRId32
           ",\n    .spectrum = %" PRId32 ", .floor_mode = %" PRId32 ", .floor = ",
           t->win_length, t->hop, t->fft, t->bands, t->spectrum, t->floor_mode);
    print_float(t->floor);
    printf(", .log_scale = ");
    print_float(t->log_scale);
    printf(",\n    %s\n    .permutation = permutation, .edge = edge,\n"
           "    .quarters = {%u, %u, %u, %u},\n};\n",
           t->fixed ? ".arithmetic = &edgeemo_fixed_arithmetic, .fixed = &fixed,"
                    : ".window = window, .twiddles = twiddles, .cosines = cosines,\n"
                      "    .mel_weights = mel_weights, .norm = norm,\n"
                      "    .arithmetic = &edgeemo_float_arithmetic,",
           t->quarters[0], t->quarters[1], t->quarters[2], t->quarters[3]);
}

static size_t in_eights(size_t bytes)
{
    return (bytes + 7) / 8 * 8;
}

/* Memory of edgeemo_speech.h with a set of kernels. */
static size_t speech_with(const edgeemo_speech_model *model, const edgeemo_kernels *kernels)
{
    size_t others =
        edgeemo_speech_size(model) - edgeemo_model_size(model->blob, model->blob_bytes, BLOCK);
    return others + edgeemo_model_size_with(model->blob, model->blob_bytes, BLOCK, kernels);
}

static size_t stream_with(const edgeemo_speech_model *model, const edgeemo_kernels *kernels,
                          int32_t *tables)
{
    edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
    settings.sample_rate = model->sample_rate;
    return edgeemo_stream_size_with(model, &settings, kernels, tables);
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What a struct takes more here than there. */
static size_t excess(size_t here, size_t there)
{
    return in_eights(here) - in_eights(there);
}

/* Bytes that the lists of a kernel's rows and taps take more. */
static size_t excess_of_taps(const edgeemo_speech_model *model)
{
    edgeemo_model m;
    size_t most = 0;
    edgeemo_model_view(&m, model->blob);
    for (int32_t i = 0; i < m.head->layers; i++) {
        const edgeemo_layer *l = m.layers + i;
        int32_t taps = l->kind == EDGEEMO_KIND_DEPTHWISE ? l->kernel_rows * l->kernel_columns : 0;
        if (edgeemo_has_window(l))
            most = larger(most, (size_t)(l->kernel_rows + taps));
    }
    return excess(most * sizeof(void *), most * 4);
}

static void print_sizes(const edgeemo_speech_model *model)
{
    /* Cortex-M's kernels take two positions and prepare nothing, those of WebAssembly take eight. */
    const edgeemo_kernels small = {.positions = 2}, wasm = {.positions = 8};
    const edgeemo_kernels plain = {.positions = EDGEEMO_MAX_POSITIONS};
    const edgeemo_kernels prepared = {.positions = EDGEEMO_MAX_POSITIONS, .weight_bytes = 2};
    size_t history = (size_t)(model->tables->win_length + model->tables->win_length % 2)
                     * model->tables->arithmetic->sample;
    size_t frontend = excess(sizeof(edgeemo_frontend) + history, SMALL_FRONTEND + history);
    int32_t rows = ((const edgeemo_blob *)model->blob)->tensors, tables;
    size_t speech = speech_with(model, &small) - frontend
                    - excess(sizeof(edgeemo_model), SMALL_MODEL)
                    - excess((size_t)rows * sizeof(edgeemo_rows), (size_t)rows * SMALL_ROWS)
                    - excess(3 * sizeof(void *) + 8, SMALL_SPEECH) - excess_of_taps(model);
    size_t stream = stream_with(model, &small, &tables) - frontend;
    stream -= excess(sizeof(edgeemo_stream), SMALL_STREAM)
              + excess((size_t)tables * sizeof(edgeemo_rows), (size_t)tables * SMALL_ROWS);
    printf("#define SMALL %lu\n#define SMALL_STREAM %lu\n", (unsigned long)speech,
           (unsigned long)stream);
    printf("#define WASM %lu\n#define WASM_STREAM %lu\n", (unsigned long)speech_with(model, &wasm),
           (unsigned long)stream_with(model, &wasm, &tables));
    printf("#define LARGE %lu\n#define LARGE_STREAM %lu\n",
           (unsigned long)larger(speech_with(model, &plain), speech_with(model, &prepared)),
           (unsigned long)larger(stream_with(model, &plain, &tables),
                                 stream_with(model, &prepared, &tables)));
}

static int32_t has_kind(const void *blob, int32_t first, int32_t last)
{
    edgeemo_model m;
    int32_t found = 0;
    edgeemo_model_view(&m, blob);
    for (int32_t i = 0; i < m.head->layers; i++)
        found |= m.layers[i].kind >= first && m.layers[i].kind <= last;
    return found;
}

/* What edgeemo_parts.h has to say. */
static void print_parts(const void *blob, const edgeemo_tables *t)
{
    printf("#define WITH_MULTIPLY %" PRId32 "\n",
           has_kind(blob, EDGEEMO_KIND_MULTIPLY, EDGEEMO_KIND_MULTIPLY));
    printf("#define WITH_TABLE %" PRId32 "\n", has_kind(blob, EDGEEMO_KIND_TABLE, EDGEEMO_KIND_TABLE));
    printf("#define WITH_POOLS %" PRId32 "\n",
           has_kind(blob, EDGEEMO_KIND_AVERAGE_POOL, EDGEEMO_KIND_MAX_POOL));
    printf("#define WITH_INT4 %d\n", ((const edgeemo_blob *)blob)->version == EDGEEMO_BLOB_VERSION_INT4);
    printf("#define WITH_MAGNITUDE %d\n", t->spectrum == EDGEEMO_SPECTRUM_MAGNITUDE);
    printf("#define WITH_INTEGERS %d\n", t->fixed != NULL);
    printf("#define WITH_OTHER_FFTS %" PRId32 "\n", edgeemo_is_other_fft(t->win_length, t->fft));
}

static size_t read_file(const char *name, void *to, size_t room)
{
    FILE *file = fopen(name, "rb");
    size_t bytes = file ? fread(to, 1, room, file) : 0;
    if (file)
        fclose(file);
    return bytes;
}

static void write_tables(FILE *file, const edgeemo_tables *t)
{
    edgeemo_tables_head head = {t->win_length, t->hop, t->fft, t->bands, t->spectrum,
                                t->floor_mode, t->floor, t->log_scale,
                                {t->quarters[0], t->quarters[1], t->quarters[2], t->quarters[3]}};
    const void *const arrays[EDGEEMO_ARRAYS] = {
        t->window, t->twiddles, t->cosines, t->mel_weights, t->norm, t->permutation, t->edge,
    };
    size_t bytes[EDGEEMO_ARRAYS];
    edgeemo_array_bytes(t, bytes);
    fwrite(&head, sizeof head, 1, file);
    for (int32_t i = 0; i < EDGEEMO_ARRAYS; i++) {
        fwrite(arrays[i], 1, bytes[i], file);
        fwrite("\0\0\0", 1, (4 - bytes[i] % 4) % 4, file);
    }
}

int main(int argc, char **argv)
{
    edgeemo_feature_spec spec;
    void *blob = malloc(MOST_BLOB);
    if (argc != 5 || !blob || read_file(argv[1], &spec, sizeof spec) != sizeof spec)
        return 2;
    size_t bytes = read_file(argv[2], blob, MOST_BLOB);
    void *memory = malloc(edgeemo_frontend_size(&spec));
    if (!memory || edgeemo_model_check(blob, bytes, NULL) != EDGEEMO_OK)
        return 2;
    edgeemo_tables *tables = edgeemo_make_tables(memory, &spec);
    size_t table_bytes = edgeemo_tables_size(&spec) - excess(sizeof *tables, SMALL_TABLES);
    if (strcmp(argv[3], "fixed") == 0) {
        size_t size = edgeemo_fixed_tables_size(tables);
        table_bytes = size - excess(sizeof *tables, SMALL_TABLES)
                      - excess(sizeof(edgeemo_fixed_tables), SMALL_FIXED_TABLES);
        void *fixed = malloc(size);
        tables = fixed ? edgeemo_make_fixed_tables(fixed, tables) : NULL;
        if (!tables)
            return 2;
    }
    /* Sizes do not depend on the rest. */
    const edgeemo_speech_model model = {.blob = blob, .blob_bytes = bytes, .tables = tables,
                                        .sample_rate = spec.sample_rate, .high = 1,
                                        .least = spec.sample_rate / 2};
    if (edgeemo_speech_size(&model) == 0)
        return 2;
    print_sizes(&model);
    print_parts(blob, tables);
    printf("#define TABLES %lu\n", (unsigned long)table_bytes);
    printf("#define TABLES_CRC %lu\n", (unsigned long)edgeemo_tables_crc(tables));
    print_tables(tables);
    FILE *file = fopen(argv[4], "wb");
    if (!file)
        return 2;
    if (!tables->fixed)
        write_tables(file, tables);
    if (fclose(file))
        return 2;
    free(memory);
    free(blob);
    return 0;
}
