#!/usr/bin/env bash
# openSMILE for Python turns samples of exactly +1.0 into -1.0.
#
# Seen with opensmile 2.6.0 (numpy 2.4.6, x86-64 Linux). `Smile.process_signal` takes float samples;
# +1.0 becomes 32768, which 16 bits do not hold, and arrives at the extractor as -32768. Sound that
# was normalized to its peak has one such sample, sound that a limiter or `clip(-1, 1)` has been at
# has many. A gain of 32767/32768 (0.0003 dB), which no feature should notice, brings them all back:
#
#     eGeMAPSv02 of one clipped, voice-like sound      peak 1.0      peak 32767/32768
#     loudness_sma3_amean                                3.102              2.473
#     HNRdBACF_sma3nz_amean                              8.343              9.737
#     spectralFlux_sma3_amean                            1.271              0.733
#     mfcc1_sma3_amean                                  34.147             47.248
#
# 1263 of its 48000 samples are +1.0. Samples of -1.0 arrive as they are.
#
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

RATE = 16000
NAMES = (
    "loudness_sma3_amean",
    "HNRdBACF_sma3nz_amean",
    "spectralFlux_sma3_amean",
    "mfcc1_sma3_amean",
)

seconds = np.arange(3 * RATE) / RATE
phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(2 * np.pi * 0.7 * seconds)) / RATE
voice = sum(np.sin(k * phase + k) / k for k in range(1, 20))
voice *= 0.55 + 0.45 * np.sin(2 * np.pi * 3 * seconds)
sound = np.clip(1.5 * voice / np.abs(voice).max(), -1, 1).astype(np.float32)

smile = opensmile.Smile(
    feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
)
full = smile.process_signal(sound, RATE).iloc[0]
below = smile.process_signal(sound * np.float32(32767 / 32768), RATE).iloc[0]
print(f"{(sound == 1).sum()} of {len(sound)} samples are +1.0")
for name in NAMES:
    print(f"{name:<28}{full[name]:>10.3f}{below[name]:>12.3f}")
apart = abs(full[NAMES[1]] - below[NAMES[1]])
raise SystemExit(0 if apart > 0.5 else "changed: full scale is no longer special")
PYTHON
