package org.edgeemo.sample

import android.Manifest.permission.RECORD_AUDIO
import android.annotation.SuppressLint
import android.app.Activity
import android.content.pm.PackageManager.PERMISSION_GRANTED
import android.media.AudioFormat
import android.media.AudioRecord
import android.media.MediaRecorder
import android.os.Bundle
import android.widget.TextView
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.MainScope
import kotlinx.coroutines.cancel
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.flow.flowOn
import kotlinx.coroutines.launch
import org.edgeemo.Emotion
import org.edgeemo.emotions

private const val RATE = 16_000
private const val BLOCK = 800 // 50 ms

/** A screen that shows what the microphone hears while it is in front. */
class MainActivity : Activity() {
    private val scope: CoroutineScope = MainScope()
    private lateinit var text: TextView
    private var listening: Job? = null

    override fun onCreate(state: Bundle?) {
        super.onCreate(state)
        text = TextView(this).apply { textSize = 24f }
        setContentView(text)
        if (checkSelfPermission(RECORD_AUDIO) != PERMISSION_GRANTED) requestPermissions(arrayOf(RECORD_AUDIO), 0)
    }

    override fun onResume() {
        super.onResume()
        if (checkSelfPermission(RECORD_AUDIO) != PERMISSION_GRANTED) {
            text.text = "The microphone is not allowed; allow it in the settings of this app."
            return
        }
        listening = scope.launch { microphone().emotions().flowOn(Dispatchers.Default).collect(::show) }
    }

    override fun onPause() {
        listening?.cancel() // closes the microphone, too
        super.onPause()
    }

    override fun onDestroy() {
        scope.cancel()
        super.onDestroy()
    }

    private fun show(e: Emotion) {
        text.text =
            if (e.speech) "arousal %.2f\nvalence %.2f\n%s".format(e.values["arousal"], e.values["valence"], e.expression)
            else "Nobody speaks."
    }

    @SuppressLint("MissingPermission") // onResume() asks
    private fun microphone(): Flow<FloatArray> = flow {
        val format = AudioFormat.ENCODING_PCM_FLOAT
        val channel = AudioFormat.CHANNEL_IN_MONO
        val bytes = maxOf(AudioRecord.getMinBufferSize(RATE, channel, format), 4 * BLOCK)
        val record = AudioRecord(MediaRecorder.AudioSource.UNPROCESSED, RATE, channel, format, 4 * bytes)
        try {
            record.startRecording()
            val samples = FloatArray(BLOCK)
            while (true) {
                val count = record.read(samples, 0, BLOCK, AudioRecord.READ_BLOCKING)
                check(count >= 0) { "the microphone does not answer: $count" }
                emit(samples.copyOf(count))
            }
        } finally {
            record.release()
        }
    }.flowOn(Dispatchers.IO)
}
