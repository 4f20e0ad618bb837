package org.edgeemo;

import java.util.Map;

/** An estimate of a stream: how listeners would rate what was said, not what a person feels. */
public final class Emotion {
    /** Begin of the sound that it looks at, in seconds since the reset. */
    public final double start;

    /** End of that sound. */
    public final double end;

    /** Whether somebody speaks; if not, there are no values. */
    public final boolean speech;

    /** "arousal" and the others by name, 0..1. */
    public final Map<String, Float> values;

    /** The class to show, or null. */
    public final String expression;

    /** Probability that the estimate is right, 0..1. */
    public final float confidence;

    Emotion(double[] told, Map<String, Float> values, String expression) {
        start = told[0];
        end = told[1];
        speech = told[2] != 0;
        confidence = (float) told[4];
        this.values = values;
        this.expression = expression;
    }
}
