// SPDX-License-Identifier: Apache-2.0
//
// FirstEstimate.ino: a second of stored speech becomes an estimate; no microphone is needed.
//
// With one, push its blocks in the place of the stored ones: 16-bit samples, mono, EDGEEMO_STUDENT_RATE Hz.
#include <EdgeemoVoice.h>
#include <edgeemo_golden.h>

EdgeemoVoice voice;

void setup() {
  Serial.begin(115200);
  while (!Serial && millis() < 5000) {
  }
  Serial.println(voice.selfTest() == EDGEEMO_OK ? "self-test: ok" : "self-test: failed");
  voice.begin();
}

void loop() {
  const int32_t block = 160;
  for (int32_t at = 0; at + block <= EDGEEMO_GOLDEN_SAMPLES; at += block) {
    voice.push(edgeemo_golden_clip + at, block);
  }
  if (voice.estimate()) {
    for (int32_t i = 0; i < EDGEEMO_STUDENT_VALUES; i++) {
      Serial.print(edgeemo_student_names[i]);
      Serial.print(' ');
      Serial.println(voice.value(i), 3);
    }
  }
  voice.reset();
  delay(2000);
}
