#!/usr/bin/env bash
# soundfile: an MP3 read in blocks lacks sound that the same MP3 read at once has.
#
# Seen with soundfile 0.14.0 and the libsndfile 1.2.2 of its wheel (numpy 2.4.6). A tone of
# 20 ms, after two seconds of silence and 19 ms after a block began, in a file of variable bit rate:
#
#                                 frames  peak of the tone  largest error
#     at once                     128000             0.520       0.000000
#     in blocks                   128000             0.010       0.511246
#     in blocks, not seekable     128000             0.520       0.000000
#
# `read` of a file that can seek sets the position anew after each block, which restarts the MP3
# decoder; its first frames need bits that lie in frames before them (the bit reservoir), and come
# out silent. No error is raised; libmpg123 may write lines to stderr. Silence needs almost no bits
# and leaves the reservoir full, so it is the first sound after a pause that goes missing. A file
# that says that it cannot seek is read right.
# Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q --disable-pip-version-check soundfile==0.14.0 numpy==2.4.6
venv/bin/python - 2>libmpg123 <<'PYTHON'
import numpy as np
import soundfile

RATE, BLOCK = 16000, 1 << 16
START, STOP = BLOCK + 300, BLOCK + 620

seconds = np.arange(8 * RATE) / RATE
tone = 0.5 * np.sin(2 * np.pi * 440 * seconds)
sound = np.where(seconds < 2, tone, 0)
sound[START:STOP] = tone[START:STOP]
options = dict(format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="VARIABLE")
soundfile.write("sound.mp3", sound, RATE, **options)


class Forward(soundfile.SoundFile):
    """A file that says that it cannot seek."""

    def seekable(self):
        return False


def in_blocks(kind):
    """All of the file, by blocks until one comes back empty."""
    blocks = []
    with kind("sound.mp3") as file:
        while len(block := file.read(BLOCK)):
            blocks.append(block)
    return np.concatenate(blocks)


whole, _ = soundfile.read("sound.mp3")
print(f"soundfile {soundfile.__version__}, {soundfile.__libsndfile_version__}")
print(f"{'':<26}{'frames':>8}{'peak of the tone':>18}{'largest error':>15}")
peaks, errors = {}, {}
for name, read in (
    ("at once", whole),
    ("in blocks", in_blocks(soundfile.SoundFile)),
    ("in blocks, not seekable", in_blocks(Forward)),
):
    peaks[name] = np.abs(read[START:STOP]).max()
    errors[name] = np.abs(read - whole).max()
    print(f"{name:<26}{len(read):>8}{peaks[name]:>18.3f}{errors[name]:>15.6f}")
lost = peaks["in blocks"] < 0.1 < 0.4 < peaks["at once"]
right = errors["in blocks, not seekable"] < 1e-6
raise SystemExit(
    0 if lost and right else "changed: blocks and the whole agree, or neither way is right"
)
PYTHON
