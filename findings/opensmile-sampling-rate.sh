#!/usr/bin/env bash
# eGeMAPS: the same sound is almost twice as loud at 48 kHz as at 16 kHz.
#
# Seen with opensmile 2.6.0 (numpy 2.4.6). The sound is a sum of partials below 4 kHz, computed at
# each rate, so that all rates carry the same sound, and its level is the same to 0.001 dB. Features
# that speech emotion leans on follow the rate all the same, loudness by a factor of 1.8, and the
# third formant jumps back and forth:
#
#         Hz    equivalentSoundLevel_dBp    loudness    spectralFlux    F3frequency   (means)
#      16000                     -30.938       0.392           0.047           2662
#      24000                     -30.938       0.448           0.070           2392
#      32000                     -30.938       0.618           0.094           2659
#      44100                     -30.938       0.687           0.130           2367
#      48000                     -30.938       0.707           0.141           2384
#
# Nothing warns. `Smile(..., sampling_rate=16000, resample=True)` makes loudness the same.
# Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q --disable-pip-version-check opensmile==2.6.0 numpy==2.4.6
venv/bin/python - <<'PYTHON'
import numpy as np
import opensmile

NAMES = (
    "equivalentSoundLevel_dBp",
    "loudness_sma3_amean",
    "spectralFlux_sma3_amean",
    "F3frequency_sma3nz_amean",
)


def voice(rate):
    """3 s, 140 Hz with a slow glide, 20 partials, the highest below 3.5 kHz."""
    seconds = np.arange(3 * rate) / rate
    phase = 2 * np.pi * (140 * seconds - 30 / (2 * np.pi * 0.7) * np.cos(2 * np.pi * 0.7 * seconds))
    sound = sum(np.sin(k * phase + k) / k for k in range(1, 21))
    return (0.05 * sound * (0.55 + 0.45 * np.sin(2 * np.pi * 3 * seconds))).astype(np.float32)


smile = opensmile.Smile(
    feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
)
print(f"{'Hz':>6}" + "".join(f"{name:>28}" for name in NAMES))
rows = {}
for rate in (16000, 24000, 32000, 44100, 48000):
    rows[rate] = smile.process_signal(voice(rate), rate).iloc[0]
    print(f"{rate:>6}" + "".join(f"{rows[rate][name]:>28.3f}" for name in NAMES))
level, loudness = (rows[48000][n] / rows[16000][n] for n in NAMES[:2])
same = abs(level - 1) < 1e-3 and loudness > 1.5
raise SystemExit(0 if same else "changed: loudness no longer follows the sampling rate")
PYTHON
