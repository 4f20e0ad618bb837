/* What the library takes of Android's C library; its own headers come with the NDK. */
#ifndef EDGEEMO_ANDROID_STDLIB_H
#define EDGEEMO_ANDROID_STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void free(void *memory);

#endif
