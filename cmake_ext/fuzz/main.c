/* main.c: run a fuzz entry without libFuzzer.
 *
 *     program FILE...        each file once, for example a stored crash
 *     program RUNS SEED      RUNS inputs of random bytes, the same for the same SEED
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 16384 };
static uint8_t data[MOST];

/* Marsaglia's xorshift: good enough to shuffle bytes, the same on every machine. */
static uint32_t next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static int run_file(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (!file)
        return -1;
    size_t size = fread(data, 1, MOST, file);
    fclose(file);
    LLVMFuzzerTestOneInput(data, size);
    return 0;
}

int main(int count, char **arguments)
{
    char *end = NULL;
    long runs = count == 3 ? strtol(arguments[1], &end, 10) : 0;
    if (runs <= 0 || *end) {
        for (int i = 1; i < count; i++)
            if (run_file(arguments[i])) {
                fprintf(stderr, "%s: cannot be read\n", arguments[i]);
                return 2;
            }
        return count > 1 ? 0 : 2;
    }
    uint32_t state = (uint32_t)strtoul(arguments[2], NULL, 10) | 1u;
    for (long run = 0; run < runs; run++) {
        size_t size = next(&state) % MOST;
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)(next(&state) >> 11);
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%ld runs\n", runs);
    return 0;
}
