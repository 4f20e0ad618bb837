package org.edgeemo;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Sound without an end, as from a microphone: from the first second on an estimate every quarter
 * second, of the last 1.5 to 3 seconds, smoothed over a second; it says where nobody speaks.
 *
 * <p>One thread at a time; two streams share nothing. Close it to give its memory back.
 */
public final class VoiceStream implements AutoCloseable {
    static {
        Library.load();
    }

    private long handle;

    /** @throws IllegalStateException there is no memory, or the self-test fails. */
    public VoiceStream() {
        handle = create();
        if (handle == 0) {
            throw new IllegalStateException("no memory, or the self-test fails on this processor");
        }
    }

    /**
     * Take the first `count` samples: 16 kHz, mono, -1..1 (AudioRecord with ENCODING_PCM_FLOAT).
     *
     * @return the estimates that they complete, often none.
     * @throws IllegalArgumentException the array is shorter.
     * @throws IllegalStateException a sample is not finite, or the stream is closed.
     */
    public List<Emotion> push(float[] samples, int count) {
        if (count < 0 || count > samples.length) {
            throw new IllegalArgumentException("count is " + count + "; expected 0 to " + samples.length);
        }
        List<Emotion> found = new ArrayList<>();
        int most = stride();
        for (int at = 0; at < count; at += most) {
            int ready = push(handle, samples, at, Math.min(most, count - at));
            Voice.check(ready);
            if (ready > 0) {
                found.add(newest());
            }
        }
        return found;
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

    private Emotion newest() {
        float[] values = new float[Voice.values()];
        double[] told = new double[5];
        Voice.check(estimate(handle, values, told));
        Map<String, Float> named = new LinkedHashMap<>();
        for (int i = 0; told[2] != 0 && i < values.length; i++) {
            named.put(Voice.name(i), values[i]);
        }
        String expression = told[3] < 0 ? null : Voice.name((int) told[3]);
        return new Emotion(told, Collections.unmodifiableMap(named), expression);
    }

    // One function of edgeemo_phone.h each; handle 0 is refused there.
    private static native long create();

    private static native void free(long handle);

    private static native int stride();

    private static native int push(long handle, float[] samples, int from, int count);

    private static native int estimate(long handle, float[] values, double[] told);

    private static native void reset(long handle);
}
