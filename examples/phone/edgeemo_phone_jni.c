/* edgeemo_phone_jni.c: the native methods of Voice.java and VoiceStream.java, each one function of edgeemo_phone.h. */
#include <jni.h>

#include "edgeemo_phone.h"

#define METHOD(type, name) JNIEXPORT type JNICALL Java_org_edgeemo_Voice_##name
#define STREAM_METHOD(type, name) JNIEXPORT type JNICALL Java_org_edgeemo_VoiceStream_##name

static edgeemo_phone *phone_of(jlong handle)
{
    return (edgeemo_phone *)(intptr_t)handle;
}

METHOD(jlong, create)(JNIEnv *env, jclass voice)
{
    (void)env, (void)voice;
    return (jlong)(intptr_t)edgeemo_phone_new();
}

METHOD(void, free)(JNIEnv *env, jclass voice, jlong handle)
{
    (void)env, (void)voice;
    edgeemo_phone_free(phone_of(handle));
}

METHOD(jint, values)(JNIEnv *env, jclass voice)
{
    (void)env, (void)voice;
    return edgeemo_phone_values();
}

METHOD(jstring, name)(JNIEnv *env, jclass voice, jint value)
{
    (void)voice;
    return (*env)->NewStringUTF(env, edgeemo_phone_name(value));
}

METHOD(jint, push)(JNIEnv *env, jclass voice, jlong handle, jfloatArray samples, jint count)
{
    (void)voice;
    jfloat *at = (*env)->GetFloatArrayElements(env, samples, NULL);
    if (!at)
        return 0; /* Java throws its OutOfMemoryError on return */
    jint status = edgeemo_phone_push(phone_of(handle), at, count);
    (*env)->ReleaseFloatArrayElements(env, samples, at, JNI_ABORT); /* nothing to copy back */
    return status;
}

METHOD(jint, estimate)(JNIEnv *env, jclass voice, jlong handle, jfloatArray values)
{
    (void)voice;
    jfloat *at = (*env)->GetFloatArrayElements(env, values, NULL);
    if (!at)
        return 0;
    jint status = edgeemo_phone_estimate(phone_of(handle), at, (*env)->GetArrayLength(env, values));
    (*env)->ReleaseFloatArrayElements(env, values, at, 0);
    return status;
}

METHOD(void, reset)(JNIEnv *env, jclass voice, jlong handle)
{
    (void)env, (void)voice;
    edgeemo_phone_reset(phone_of(handle));
}

METHOD(jstring, text)(JNIEnv *env, jclass voice, jint status)
{
    (void)voice;
    return (*env)->NewStringUTF(env, edgeemo_phone_text(status));
}

static edgeemo_phone_stream *stream_of(jlong handle)
{
    return (edgeemo_phone_stream *)(intptr_t)handle;
}

STREAM_METHOD(jlong, create)(JNIEnv *env, jclass stream)
{
    (void)env, (void)stream;
    return (jlong)(intptr_t)edgeemo_phone_stream_new();
}

STREAM_METHOD(void, free)(JNIEnv *env, jclass stream, jlong handle)
{
    (void)env, (void)stream;
    edgeemo_phone_stream_free(stream_of(handle));
}

STREAM_METHOD(jint, stride)(JNIEnv *env, jclass stream)
{
    (void)env, (void)stream;
    return edgeemo_phone_stream_stride();
}

STREAM_METHOD(jint, push)(JNIEnv *env, jclass stream, jlong handle, jfloatArray samples, jint from,
                          jint count)
{
    (void)stream;
    jfloat *at = (*env)->GetFloatArrayElements(env, samples, NULL);
    if (!at)
        return 0; /* Java throws its OutOfMemoryError on return */
    jint ready = edgeemo_phone_stream_push(stream_of(handle), at + from, count);
    (*env)->ReleaseFloatArrayElements(env, samples, at, JNI_ABORT); /* nothing to copy back */
    return ready;
}

STREAM_METHOD(jint, estimate)(JNIEnv *env, jclass stream, jlong handle, jfloatArray values,
                              jdoubleArray told)
{
    (void)stream;
    jdouble five[5];
    jfloat *at = (*env)->GetFloatArrayElements(env, values, NULL);
    if (!at)
        return 0;
    jint room = (*env)->GetArrayLength(env, values);
    jint status = edgeemo_phone_stream_estimate(stream_of(handle), at, room, five);
    (*env)->ReleaseFloatArrayElements(env, values, at, 0);
    if (status > 0)
        (*env)->SetDoubleArrayRegion(env, told, 0, 5, five);
    return status;
}

STREAM_METHOD(void, reset)(JNIEnv *env, jclass stream, jlong handle)
{
    (void)env, (void)stream;
    edgeemo_phone_stream_reset(stream_of(handle));
}
