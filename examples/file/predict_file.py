"""One sound file in, one estimate out."""

import sys

import edgeemo
from edgeemo.audio import read_audio

session = edgeemo.load("wav2small-stream")
found = session.predict(read_audio(sys.argv[1]))
print(f"arousal {found.arousal:.2f}, dominance {found.dominance:.2f}, valence {found.valence:.2f}")
