package org.edgeemo;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * A listener for single clips: samples in, an estimate out; VoiceStream is for a microphone. For Java and Kotlin, on Android and elsewhere.
 *
 * <p>One thread at a time; two listeners share nothing. Close it to give its memory back.
 */
public final class Voice implements AutoCloseable {
    static {
        Library.load();
    }

    private long handle;

    /** @throws IllegalStateException there is no memory, or the self-test fails. */
    public Voice() {
        handle = create();
        if (handle == 0) {
            throw new IllegalStateException("no memory, or the self-test fails on this processor");
        }
    }

    /**
     * Take the first `count` samples: 16 kHz, mono, -1..1 (AudioRecord with ENCODING_PCM_FLOAT).
     *
     * @throws IllegalArgumentException the array is shorter.
     * @throws IllegalStateException a sample is not finite, or the listener is closed.
     */
    public void push(float[] samples, int count) {
        if (count < 0 || count > samples.length) {
            throw new IllegalArgumentException("count is " + count + "; expected 0 to " + samples.length);
        }
        check(push(handle, samples, count));
    }

    /**
     * The estimate for all samples since the last reset: "arousal" and the others by name.
     *
     * @throws IllegalStateException too little was heard, or the listener is closed.
     */
    public Map<String, Float> estimate() {
        float[] values = new float[values()];
        check(estimate(handle, values));
        Map<String, Float> named = new LinkedHashMap<>();
        for (int i = 0; i < values.length; i++) {
            named.put(name(i), values[i]);
        }
        return named;
    }

    /** Forget what was heard. */
    public void reset() {
        reset(handle);
    }

    @Override
    public void close() {
        free(handle);
        handle = 0;
    }

    static void check(int status) {
        if (status < 0) {
            throw new IllegalStateException(text(status));
        }
    }

    // One function of edgeemo_phone.h each; handle 0 is refused there.
    private static native long create();

    private static native void free(long handle);

    static native int values();

    static native String name(int value);

    private static native int push(long handle, float[] samples, int count);

    private static native int estimate(long handle, float[] values);

    private static native void reset(long handle);

    private static native String text(int status);
}
