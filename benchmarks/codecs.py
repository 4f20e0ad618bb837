"""What does a codec do to estimates?

    python benchmarks/codecs.py

prints a table and writes benchmarks/results/codecs.json. Sixty clips of the shipped speech, 16 kHz,
go through ffmpeg's encoders and are read as edgeemo reads any file; the default model then judges
them. `worst` is the largest difference of a dimension from the clip as WAV, `mean` that of all, and
`dB` what the codec leaves between sound and noise, where the samples are at their places.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _usage import no_arguments

from edgeemo import load, read_audio
from edgeemo.artifacts.models import DEFAULT
from edgeemo.cli import exit_status
from edgeemo.compress.data import shipped_speech
from edgeemo.io.files import write_text

RESULT = Path(__file__).parent / "results" / "codecs.json"
COMMAND = "python benchmarks/codecs.py"
CLIPS = 60

FORMS = {
    "FLAC": ("flac", ""),
    "u-law": ("wav", "-c:a pcm_mulaw"),
    "Opus": ("opus", ""),
    "AAC": ("m4a", ""),
    "MP3, 64 kbit/s": ("mp3", "-b:a 64k"),
    "MP3, 24 kbit/s": ("mp3", "-b:a 24k"),
    "u-law at 8 kHz": ("wav", "-c:a pcm_mulaw -ar 8000"),
}
"""Ending and options of ffmpeg; 24 kbit/s is its own choice for MP3 of 16 kHz, mono."""


def through(samples: Any, ending: str, options: str) -> Any:
    """Float32 [n] at 16 kHz, written by ffmpeg and read by edgeemo."""
    raw = np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    given = "ffmpeg -v error -y -f s16le -ar 16000 -ac 1 -i -".split()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip.{ending}"
        subprocess.run([*given, *options.split(), str(path)], input=raw, check=True)
        return read_audio(path)


def ratio(sound: Any, as_wav: Any) -> float:
    """Of sound to noise in dB; NaN where there is no noise or the samples are at other places."""
    if len(sound) != len(as_wav) or np.array_equal(sound, as_wav):
        return float("nan")
    return float(10 * np.log10(np.square(as_wav).sum() / np.square(sound - as_wav).sum()))


def main() -> None:
    """Measure, print, write."""
    no_arguments(__doc__)
    session = load(DEFAULT)

    def judge(samples: Any) -> Any:
        said = session.predict(samples)
        return np.array([said.arousal, said.dominance, said.valence])

    speech = shipped_speech().clips
    clips = [c.samples() for c in speech[:: len(speech) // CLIPS][:CLIPS]]
    wavs = [through(x, "wav", "") for x in clips]
    said = np.array([judge(x) for x in wavs])
    rows: dict[str, dict[str, float | None]] = {}
    for form, how in FORMS.items():
        sounds = [through(x, *how) for x in clips]
        apart = np.abs(np.array([judge(x) for x in sounds]) - said)
        ratios = [r for r in map(ratio, sounds, wavs) if np.isfinite(r)]
        rows[form] = {
            "worst": round(float(apart.max()), 3),
            "mean": round(float(apart.mean()), 3),
            "dB": round(float(np.mean(ratios)), 1) if ratios else None,
        }
        print(f"{form:16}", rows[form], flush=True)
    found = {"command": COMMAND, "model": DEFAULT, "clips": len(clips), "rows": rows}
    write_text(RESULT, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(exit_status(main))
