/* EdgeemoVoice.h: the student as a class, for sketches and other C++11. In C, see edgeemo_speech.h. */
#ifndef EDGEEMO_VOICE_H
#define EDGEEMO_VOICE_H

#include "edgeemo_self_test.h"
#include "edgeemo_student.h"

#ifdef __cplusplus

/* It holds all memory that the student takes: make it global or static, not on a small stack. */
class EdgeemoVoice {
public:
    EdgeemoVoice() = default;
    /* A copy would go on in the memory of the first. */
    EdgeemoVoice(const EdgeemoVoice &) = delete;
    EdgeemoVoice &operator=(const EdgeemoVoice &) = delete;

    /* Before all else. Returns EDGEEMO_OK, or a status below 0 (the folder's student is damaged). */
    int32_t begin()
    {
        return edgeemo_speech_init(&speech_, memory_, sizeof memory_, &edgeemo_student);
    }

#ifndef EDGEEMO_NO_SELF_TEST
    /* Does this board compute what the exporter computed? Returns EDGEEMO_OK if so. Call begin()
     * behind it, because it uses the same memory. */
    int32_t selfTest()
    {
        speech_ = nullptr;
        return edgeemo_self_test(memory_, sizeof memory_);
    }
#endif

    /* Take n samples, mono, EDGEEMO_STUDENT_RATE Hz. Returns EDGEEMO_OK or a status below 0. */
    int32_t push(const int16_t *samples, int32_t n)
    {
        return edgeemo_speech_push_i16(speech_, samples, n);
    }

    /* The estimate for all samples since the reset; false while there were too few. */
    bool estimate()
    {
        return edgeemo_speech_estimate(speech_, values_, EDGEEMO_STUDENT_VALUES) > 0;
    }

    /* A value of the last estimate, 0..EDGEEMO_STUDENT_VALUES - 1, as edgeemo_student.h names them. */
    float value(int32_t which) const
    {
        return values_[which];
    }

    /* Forget all samples. */
    void reset()
    {
        edgeemo_speech_reset(speech_);
    }

private:
    // The self-test runs a stream, which needs more than a clip.
    alignas(8) unsigned char memory_[EDGEEMO_STUDENT_STREAM_MEMORY] = {};
    float values_[EDGEEMO_STUDENT_VALUES] = {};
    edgeemo_speech *speech_ = nullptr;
};

#endif

#endif
