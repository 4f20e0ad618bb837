import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.edgeemo.Voice;

/** Listen FILE: the estimate for a file of float32 samples, 16 kHz, mono. */
final class Listen {
    private static final int BLOCK = 441;

    public static void main(String[] args) throws IOException {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(Path.of(args[0])));
        float[] samples = new float[bytes.remaining() / Float.BYTES];
        bytes.order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer().get(samples);
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
}
