/* caller.c: uses the library as a wrapper does: found at run time, by name.
 *
 *     caller LIBRARY FILE        FILE holds float32 samples, 16 kHz, mono
 */
#include <dlfcn.h>
#include <stdio.h>

#include "edgeemo_phone.h"

enum { MOST = 16 * 16000, BLOCK = 441, VALUES = 64 };

static float samples[MOST];

#define FIND(name)                                                  \
    __typeof__(&name) found_##name;                                 \
    *(void **)&found_##name = dlsym(library, #name);                \
    if (!found_##name) {                                            \
        fprintf(stderr, "%s lacks %s\n", argv[1], #name);           \
        return 1;                                                   \
    }

int main(int argc, char **argv)
{
    void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (!library || !file) {
        fprintf(stderr, "usage: %s LIBRARY FILE\n", argv[0]);
        return 2;
    }
    FIND(edgeemo_phone_new)
    FIND(edgeemo_phone_push)
    FIND(edgeemo_phone_estimate)
    FIND(edgeemo_phone_values)
    FIND(edgeemo_phone_name)
    FIND(edgeemo_phone_text)
    FIND(edgeemo_phone_free)
    int32_t n = (int32_t)fread(samples, sizeof *samples, MOST, file), status = 0;
    fclose(file);
    edgeemo_phone *phone = found_edgeemo_phone_new();
    if (!phone) {
        fprintf(stderr, "the self-test fails\n");
        return 1;
    }
    for (int32_t at = 0; at < n && status == 0; at += BLOCK)
        status = found_edgeemo_phone_push(phone, samples + at, n - at < BLOCK ? n - at : BLOCK);
    float values[VALUES];
    if (status == 0)
        status = found_edgeemo_phone_estimate(phone, values, VALUES);
    if (status < 0)
        fprintf(stderr, "%s\n", found_edgeemo_phone_text(status));
    for (int32_t i = 0; status > 0 && i < found_edgeemo_phone_values(); i++)
        printf("%s %.9g\n", found_edgeemo_phone_name(i), (double)values[i]);
    found_edgeemo_phone_free(phone);
    return status < 0;
}
