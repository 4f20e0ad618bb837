"""How often does a speech gate miss speech, and how often does it find speech that is not there?

    python benchmarks/gate.py --data DATA

Speech: LibriSpeech utterances, as recorded and in noise, each after 2 s of the noise alone. The
truth is the clean recording's own level: a block within 30 dB of its loudest tenth is speech, one
under 45 dB is not, and between nothing is judged. Not speech: noises that begin at once, and the
sounds of the `vocal` corpus (laughs, coughs, sighs), which are voices without words.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from _data import add_data

from edgeemo.cli import exit_status
from edgeemo.compress.data.augment import colored_noise
from edgeemo.compress.data.labels import read_labels
from edgeemo.compress.data.sounds import BLOCK as STEP
from edgeemo.compress.data.sounds import spoken
from edgeemo.compress.evaluation.confidence import music
from edgeemo.io.files import write_text
from edgeemo.speech.vad import GATES, Gate, open_gate

RATE = 16000
LEAD = 2 * RATE  # noise alone before the speech, for the floor
SNRS = (None, 20.0, 10.0, 0.0)
Sound = np.ndarray[Any, Any]


def answers(gate: Gate, sound: Sound) -> Sound:
    """Of each 10 ms what the gate says."""
    gate.reset()
    said = gate.push(sound.astype(np.float32))
    at = np.minimum(np.arange(len(sound) // STEP) * STEP // gate.block, len(said) - 1)
    return said[at]


def on_speech(gate: Gate, clips: list[Sound], snr: float | None) -> dict[str, float]:
    """Share of speech missed, and of pauses taken for speech."""
    rng = np.random.default_rng(3)
    missed, false = [], []
    for clean in clips:
        speech, pause = spoken(clean)
        sound = np.concatenate([np.zeros(LEAD, np.float32), clean])
        if snr is not None:
            noise = colored_noise(len(sound), 1.0, rng)
            sound = sound + noise * (np.std(clean) / np.std(noise) * 10 ** (-snr / 20))
        said = answers(gate, sound)[LEAD // STEP :][: len(speech)]
        missed.append(~said[speech[: len(said)]])
        false.append(said[pause[: len(said)]])
    return {"missed": _share(missed), "false in pauses": _share(false)}


def off_speech(gate: Gate, sounds: list[Sound]) -> float:
    """Share of blocks taken for speech, after the first second."""
    return _share([answers(gate, sound)[100:] for sound in sounds])


def _share(parts: list[Sound]) -> float:
    return round(float(np.concatenate(parts).mean()), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, "speech/librispeech", "speech/vocal")
    parser.add_argument("--clips", type=int, default=60, help="of each corpus")
    parser.add_argument("--gates", nargs="+", default=list(GATES), choices=GATES)
    args = parser.parse_args()
    speech = clips(args.data / "speech" / "librispeech", args.clips)
    voices = clips(args.data / "speech" / "vocal", args.clips)
    rng = np.random.default_rng(4)
    makers: dict[str, Callable[[], Sound]] = {
        "white noise": lambda: colored_noise(6 * RATE, 0.0, rng),
        "pink noise": lambda: colored_noise(6 * RATE, 1.0, rng),
        "brown noise": lambda: colored_noise(6 * RATE, 2.0, rng),
        "music (made here)": lambda: music(6 * RATE, rng),
    }
    others = {name: [_at(-30, make()) for _ in range(4)] for name, make in makers.items()}
    path = Path(__file__).parent / "results" / "gate.json"
    result: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    for name in args.gates:
        gate = open_gate(name, RATE)
        assert gate is not None
        command = f"python benchmarks/gate.py --gates {name} --clips {args.clips}"
        found: dict[str, Any] = {"command": command} | {
            "as recorded" if snr is None else f"noise, {snr:g} dB": on_speech(gate, speech, snr)
            for snr in SNRS
        }
        found["heard as speech"] = {k: off_speech(gate, v) for k, v in others.items()}
        found["heard as speech"]["laughs, coughs, sighs (vocal)"] = off_speech(gate, voices)
        result[f"{name}, {len(speech)} clips"] = found
    write_text(path, json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def clips(folder: Path, count: int) -> list[Sound]:
    """Evenly over a corpus."""
    rows = list(read_labels(folder, folder.name))
    step = max(1, len(rows) // count)
    return [clip.samples() for clip in rows[::step][:count]]


def _at(level_db: float, sound: Sound) -> Sound:
    return sound * np.float32(10 ** (level_db / 20) / np.std(sound))


if __name__ == "__main__":
    sys.exit(exit_status(main))
