package org.edgeemo

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow

/**
 * Blocks of samples, 16 kHz, mono, -1..1, to estimates. The stream is closed when the flow ends. A block
 * belongs to the flow until the next one comes.
 */
fun Flow<FloatArray>.emotions(): Flow<Emotion> = flow {
    VoiceStream().use { stream ->
        collect { samples -> stream.push(samples, samples.size).forEach { emit(it) } }
    }
}
