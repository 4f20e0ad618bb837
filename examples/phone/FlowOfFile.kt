import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlinx.coroutines.flow.asFlow
import kotlinx.coroutines.runBlocking
import org.edgeemo.emotions

/** FlowOfFile FILE: as `Listen FILE stream`, through a Flow. */
fun main(args: Array<String>) {
    val bytes = ByteBuffer.wrap(File(args[0]).readBytes()).order(ByteOrder.LITTLE_ENDIAN).asFloatBuffer()
    val samples = FloatArray(bytes.remaining()).also { bytes.get(it) }
    val blocks = (samples.indices step 441).map { samples.copyOfRange(it, minOf(it + 441, samples.size)) }
    runBlocking {
        blocks.asFlow().emotions().collect { e ->
            val told = if (e.speech) "${e.confidence} ${e.expression}" else "nobody"
            println((listOf(e.start, e.end, told) + e.values.values).joinToString(" "))
        }
    }
}
