/* caller.c: uses the library as a wrapper does: found at run time, by name.
 *
 *     caller LIBRARY FILE           FILE holds float32 samples, 16 kHz, mono
 *     caller LIBRARY FILE stream    those of a stream: start, end, confidence, class, values
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "edgeemo_phone.h"

enum { MOST = 16 * 16000, BLOCK = 441, VALUES = 64 };

static float samples[MOST];

static void *library;

/* A function of the library by its name. */
#define FIND(name)                                   \
    __typeof__(&name) found_##name;                  \
    *(void **)&found_##name = dlsym(library, #name); \
    if (!found_##name) {                             \
        fprintf(stderr, "there is no %s\n", #name);  \
        return EXIT_FAILURE;                         \
    }

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int failed(int32_t status)
{
    FIND(edgeemo_phone_text)
    fprintf(stderr, "%s\n", found_edgeemo_phone_text(status));
    return EXIT_FAILURE;
}

static int clip(int32_t n)
{
    FIND(edgeemo_phone_new)
    FIND(edgeemo_phone_push)
    FIND(edgeemo_phone_estimate)
    FIND(edgeemo_phone_values)
    FIND(edgeemo_phone_name)
    FIND(edgeemo_phone_free)
    edgeemo_phone *phone = found_edgeemo_phone_new();
    if (!phone) {
        fprintf(stderr, "the self-test fails\n");
        return EXIT_FAILURE;
    }
    float values[VALUES];
    int32_t status = 0;
    for (int32_t at = 0; at < n && status == 0; at += BLOCK)
        status = found_edgeemo_phone_push(phone, samples + at, smaller(n - at, BLOCK));
    if (status == 0)
        status = found_edgeemo_phone_estimate(phone, values, VALUES);
    for (int32_t i = 0; status > 0 && i < found_edgeemo_phone_values(); i++)
        printf("%s %.9g\n", found_edgeemo_phone_name(i), (double)values[i]);
    found_edgeemo_phone_free(phone);
    return status < 0 ? failed(status) : EXIT_SUCCESS;
}

static int stream(int32_t n)
{
    FIND(edgeemo_phone_stream_new)
    FIND(edgeemo_phone_stream_push)
    FIND(edgeemo_phone_stream_estimate)
    FIND(edgeemo_phone_stream_free)
    FIND(edgeemo_phone_name)
    edgeemo_phone_stream *made = found_edgeemo_phone_stream_new();
    if (!made) {
        fprintf(stderr, "the self-test fails\n");
        return EXIT_FAILURE;
    }
    float values[VALUES];
    double told[5];
    int32_t status = 0;
    for (int32_t at = 0; at < n && status >= 0; at += BLOCK) {
        status = found_edgeemo_phone_stream_push(made, samples + at, smaller(n - at, BLOCK));
        if (status <= 0)
            continue;
        int32_t count = found_edgeemo_phone_stream_estimate(made, values, VALUES, told);
        printf("%g %g ", told[0], told[1]);
        if (told[2] == 0)
            printf("nobody");
        else
            printf("%.9g %s", told[4], found_edgeemo_phone_name((int32_t)told[3]));
        for (int32_t i = 0; told[2] != 0 && i < count; i++)
            printf(" %.9g", (double)values[i]);
        printf("\n");
    }
    found_edgeemo_phone_stream_free(made);
    return status < 0 ? failed(status) : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: %s LIBRARY FILE [stream]\n", argv[0]);
        return 2;
    }
    library = dlopen(argv[1], RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    FILE *file = fopen(argv[2], "rb");
    if (!file) {
        perror(argv[2]);
        return 2;
    }
    int32_t n = (int32_t)fread(samples, sizeof *samples, MOST, file);
    fclose(file);
    return argc == 4 ? stream(n) : clip(n);
}
