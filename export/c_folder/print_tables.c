/* print_tables.c: what of a student depends on C: its memory, and its front end's tables.
 *
 *     print_tables SPEC BLOB
 *
 * SPEC holds an edgeemo_feature_spec, BLOB a model, as they lie in memory. Prints C definitions.
 * Only `edgeemo export` runs this, on the machine that exports. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "edgeemo_internal.h"
#include "edgeemo_model_internal.h"
#include "edgeemo_speech.h"

enum { BLOCK = 1, MOST_BLOB = 1 << 24 };

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

static void print_complex(edgeemo_complex x)
{
    printf("{");
    print_float(x.re);
    printf(", ");
    print_float(x.im);
    printf("}");
}

static void print_twiddles(const edgeemo_twiddles *x, int32_t n)
{
    printf("static const edgeemo_twiddles twiddles[%" PRId32 "] = {", n);
    for (int32_t i = 0; i < n; i++) {
        printf("\n    {");
        print_complex(x[i].by1);
        printf(", ");
        print_complex(x[i].by2);
        printf(", ");
        print_complex(x[i].by3);
        printf("},");
    }
    printf("\n};\n\n");
}

static void print_rfft_twiddles(const edgeemo_complex *x, int32_t n)
{
    printf("static const edgeemo_complex rfft_twiddles[%" PRId32 "] = {", n);
    for (int32_t i = 0; i < n; i++) {
        printf(i % 2 ? " " : "\n    ");
        print_complex(x[i]);
        printf(",");
    }
    printf("\n};\n\n");
}

static void print_tables(const edgeemo_tables *t)
{
    int32_t m = t->fft / 2, twiddles = 0;
    for (int32_t length = m; length >= 8; length /= 4)
        twiddles += length / 4;
    print_floats("window", t->window, t->win_length + t->win_length % 2);
    print_twiddles(t->twiddles, twiddles);
    print_rfft_twiddles(t->rfft_twiddles, m / 2);
    print_floats("mel_weights", t->mel_weights, m + 1);
    print_floats("norm", t->norm, t->bands);
    print_shorts("permutation", t->permutation, m / 4 + 1);
    print_shorts("edge", t->edge, t->bands + 2);
    printf("static const edgeemo_tables tables = {\n"
           "    .win_length = %" PRId32 ", .hop = %" PRId32 ", .fft = %" PRId32 ", .bands = %" PRId32
           ",\n    .spectrum = %" PRId32 ", .floor_mode = %" PRId32 ", .floor = ",
           t->win_length, t->hop, t->fft, t->bands, t->spectrum, t->floor_mode);
    print_float(t->floor);
    printf(", .log_scale = ");
    print_float(t->log_scale);
    printf(",\n    .window = window, .twiddles = twiddles, .rfft_twiddles = rfft_twiddles,\n"
           "    .mel_weights = mel_weights, .norm = norm, .permutation = permutation, .edge = edge,\n"
           "    .quarters = {%u, %u, %u, %u},\n};\n",
           t->quarters[0], t->quarters[1], t->quarters[2], t->quarters[3]);
}

/* Memory of the whole chain with a set of kernels that takes so many positions at once and prepares
 * weights of so many bytes, or none. */
static size_t memory_with(const edgeemo_speech_model *model, int32_t positions,
                          int32_t weight_bytes)
{
    const edgeemo_kernels kernels = {.positions = positions, .weight_bytes = weight_bytes};
    size_t others =
        edgeemo_speech_size(model) - edgeemo_model_size(model->blob, model->blob_bytes, BLOCK);
    return others + edgeemo_model_size_with(model->blob, model->blob_bytes, BLOCK, &kernels);
}

static size_t read_file(const char *name, void *to, size_t room)
{
    FILE *file = fopen(name, "rb");
    size_t bytes = file ? fread(to, 1, room, file) : 0;
    if (file)
        fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    edgeemo_feature_spec spec;
    void *blob = malloc(MOST_BLOB);
    if (argc != 3 || !blob || read_file(argv[1], &spec, sizeof spec) != sizeof spec)
        return 2;
    size_t bytes = read_file(argv[2], blob, MOST_BLOB);
    void *memory = malloc(edgeemo_frontend_size(&spec));
    if (!memory || edgeemo_model_check(blob, bytes, NULL) != EDGEEMO_OK)
        return 2;
    edgeemo_tables *tables = edgeemo_make_tables(memory, &spec);
    const edgeemo_speech_model model = {blob, bytes, tables};
    if (edgeemo_speech_size(&model) == 0)
        return 2;
    /* Cortex-M's kernels take two positions, those of WebAssembly eight. */
    printf("#define SMALL %lu\n", (unsigned long)memory_with(&model, 2, 0));
    printf("#define WASM %lu\n", (unsigned long)memory_with(&model, 8, 0));
    size_t plain = memory_with(&model, EDGEEMO_MAX_POSITIONS, 0);
    size_t prepared = memory_with(&model, EDGEEMO_MAX_POSITIONS, 2);
    printf("#define LARGE %lu\n", (unsigned long)(plain > prepared ? plain : prepared));
    printf("#define TABLES %lu\n", (unsigned long)edgeemo_tables_size(&spec));
    print_tables(tables);
    free(memory);
    free(blob);
    return 0;
}
