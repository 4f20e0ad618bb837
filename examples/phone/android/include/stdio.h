/* jni.h includes this, and uses nothing of it but NULL. */
#ifndef EDGEEMO_ANDROID_STDIO_H
#define EDGEEMO_ANDROID_STDIO_H

#include <stddef.h>

#endif
