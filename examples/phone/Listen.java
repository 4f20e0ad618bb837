import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.edgeemo.Emotion;
import org.edgeemo.Voice;
import org.edgeemo.VoiceStream;

/**
 * Listen FILE: the estimate for a file of float32 samples, 16 kHz, mono. Listen FILE stream: those of
 * a stream, a line each: start, end, confidence, class and values, or that nobody speaks.
 */
final class Listen {
    private static final int BLOCK = 441;

    public static void main(String[] args) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(Path.of(args[0])));
        float[] samples = new float[bytes.remaining() / Float.BYTES];
        bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(samples);
        if (args.length > 1) {
            stream(samples);
            return;
        }
        try (Voice voice = new Voice()) {
            for (int at = 0; at < samples.length; at += BLOCK) {
                float[] block = Arrays.copyOfRange(samples, at, Math.min(at + BLOCK, samples.length));
                voice.push(block, block.length);
            }
            for (Map.Entry<String, Float> value : voice.estimate().entrySet()) {
                System.out.println(value.getKey() + " " + value.getValue());
            }
        }
    }

    private static void stream(float[] samples) {
        try (VoiceStream stream = new VoiceStream()) {
            for (int at = 0; at < samples.length; at += BLOCK) {
                float[] block = Arrays.copyOfRange(samples, at, Math.min(at + BLOCK, samples.length));
                for (Emotion e : stream.push(block, block.length)) {
                    String told = e.start + " " + e.end + " ";
                    told += e.speech ? e.confidence + " " + e.expression : "nobody";
                    for (float value : e.values.values()) {
                        told += " " + value;
                    }
                    System.out.println(told);
                }
            }
        }
    }
}
