"""Does the student tell who speaks, laughs or plays music, on people and pieces it has not heard?

    python benchmarks/sounds.py --data DATA --music MUSIC

Five folds by person (a piece of music is one): the layers of `[sounds]` learn from four, in the
student whose other layers stay as they are, and its int8 ONNX file is judged on the fifth. The
first fold is for choices and is in no figure. The student's own training heard the people of
DATA/speech, but nobody told it what was a laugh.

Speech: LibriSpeech utterances, as recorded and mixed at 10 dB, with 2 s before and 1 s behind in
which nobody speaks. Judged are the 10 ms of words as in gate.py; pauses inside of the utterance,
which are short; and, from the second second on, those around it. Of music and sounds the share that
is taken for speech after the first second. Sounds: the likeliest of seven in a clip, by the word of
its label. MUSIC is a folder of tools/music_clips.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _data import add_data
from _sound_files import SoundFile, int8_of, load_any
from gate import LEAD, STEP, answers
from numpy.typing import NDArray

from edgeemo.cli import exit_status
from edgeemo.compress.data import Clip, open_dataset
from edgeemo.compress.data.augment import colored_noise
from edgeemo.compress.data.sounds import behind, sound_of, spoken, word_of
from edgeemo.compress.recipes import SoundsConfig
from edgeemo.compress.stages.sounds import Tokens, some, tokens_of, with_sounds
from edgeemo.compress.students.cost import macs_per_second
from edgeemo.io.files import write_text
from edgeemo.speech.vad import Gate, open_gate
from edgeemo.types import SAMPLE_RATE, SOUNDS

RESULT = Path(__file__).parent / "results" / "sounds.json"
FOLDS, SNR, SEED = 5, 10.0, 1
JUDGED = "librispeech"
RATE, TAIL = SAMPLE_RATE, SAMPLE_RATE

Sound = NDArray[np.float32]
Gates = Mapping[str, Gate]


def fold_of(clip: Clip) -> int:
    """By the person, or the piece of music."""
    return zlib.crc32(clip.group.encode()) % FOLDS


def joined(parts: Sequence[Tokens]) -> Tokens:
    """Tokens of several folds."""
    return Tokens(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class Judged:
    """Counts of what gates say: of speech, of pauses, of sounds that are no speech."""

    def __init__(self) -> None:
        self._said: dict[str, list[NDArray[np.bool_]]] = {}

    def speech(self, gate: Gate, name: str, clean: Sound, mixed: Sound) -> None:
        """A mixture with LEAD samples before the speech and TAIL behind it."""
        speech, pause = spoken(clean)
        said = answers(gate, mixed)
        inside = said[LEAD // STEP :][: len(speech)]
        around = [said[RATE // STEP : LEAD // STEP], said[LEAD // STEP + len(speech) :]]
        self._add(f"{name}: missed", ~inside[speech[: len(inside)]])
        self._add(f"{name}: false in pauses around", np.concatenate(around))
        self._add(f"{name}: false in pauses inside", inside[pause[: len(inside)]])

    def other(self, gate: Gate, name: str, sound: Sound) -> None:
        """A sound that is no speech."""
        self._add(f"{name} as speech", answers(gate, sound)[100:])

    def _add(self, name: str, said: NDArray[np.bool_]) -> None:
        self._said.setdefault(name, []).append(said)

    def shares(self) -> dict[str, float]:
        """By name."""
        return {name: round(float(np.concatenate(p).mean()), 4) for name, p in self._said.items()}


def mixtures(clips: Sequence[Clip], number: int) -> Iterator[tuple[str, Sound, Sound]]:
    """Condition, clean and mixed sound of a clip of speech."""
    clean = clips[number].samples()
    rng = np.random.default_rng([SEED, number])
    voice = np.concatenate([np.zeros(LEAD, np.float32), clean, np.zeros(TAIL, np.float32)])
    yield "as recorded", clean, voice
    yield "pink noise", clean, behind(voice, colored_noise(len(voice), 1.0, rng), SNR)
    music = [clip for clip in clips if sound_of(clip) == "music"]
    piece = music[int(rng.integers(len(music)))].samples()
    yield "music behind", clean, behind(voice, piece, SNR)


def judge_gates(gates: Gates, clips: Sequence[Clip], into: Mapping[str, Judged]) -> None:
    """All gates on the clips of a fold."""
    for number, clip in enumerate(clips):
        if clip.corpus == JUDGED:
            for name, clean, mixed in mixtures(clips, number):
                for gate in gates:
                    into[gate].speech(gates[gate], name, clean, mixed)
        elif sound := sound_of(clip):
            burst = "burst" in clip.tags and sound == "other"
            samples = clip.samples()
            for gate in gates:
                into[gate].other(gates[gate], "bursts" if burst else sound, samples)
    rng = np.random.default_rng(SEED)
    for slope, name in ((0.0, "white noise"), (1.0, "pink noise"), (2.0, "brown noise")):
        noise = np.float32(0.03) * colored_noise(6 * SAMPLE_RATE, slope, rng)
        for gate in gates:
            into[gate].other(gates[gate], name, noise)


def judge_sounds(file: SoundFile, clips: Sequence[Clip], found: dict[str, list[str]]) -> None:
    """The likeliest sound of each clip, by the word of its label."""
    for clip in clips:
        if sound_of(clip):
            of = file.told(clip.samples())
            where = "burst" if "burst" in clip.tags else clip.corpus
            found.setdefault(f"{where}: {word_of(clip)}", []).append(SOUNDS[int(of[1:].argmax())])


def sound_table(found: Mapping[str, list[str]]) -> dict[str, Any]:
    """Share of each answer, by word, the likeliest first."""
    table: dict[str, Any] = {}
    for word, said in sorted(found.items()):
        shares = {name: round(said.count(name) / len(said), 3) for name in set(said)}
        table[word] = {"clips": len(said)} | dict(sorted(shares.items(), key=lambda s: -s[1]))
    return table


def laughs(found: Mapping[str, list[str]]) -> float:
    """Share of the laughs, and of bursts of amusement, that are told as laughter."""
    words = [word for word in found if word.split(": ")[1] in ("laughing", "amusement")]
    said = [sound for word in words for sound in found[word]]
    return round(said.count("laughter") / len(said), 4)


def main() -> None:
    """Train, judge, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_data(parser, "speech", "voices/emogator")
    parser.add_argument("--music", type=Path, required=True, help="made by tools/music_clips.py")
    parser.add_argument("--student", default="wav2small-stream", help="shipped name or student.pt")
    parser.add_argument(
        "--gates",
        nargs="*",
        default=["energy", "silero"],
        help="judged beside the student; others keep what the last run said",
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    gates = {name: open_gate(name, SAMPLE_RATE) for name in args.gates}
    student, card = load_any(args.student)
    sets = (args.data / "speech", args.data / "voices" / "emogator", args.music)
    clips = some([clip for place in sets for clip in open_dataset(place).clips], SEED)
    parts = [[clip for clip in clips if fold_of(clip) == fold] for fold in range(FOLDS)]
    rows = [tokens_of(student, part, SEED) for part in parts]
    config = SoundsConfig()
    judged = {name: Judged() for name in (*gates, "student")}
    found: dict[str, list[str]] = {}
    last = json.loads(RESULT.read_text(encoding="utf-8"))["gates"] if RESULT.exists() else {}
    for fold, part in enumerate(parts):
        if fold == 0:
            continue
        others = joined([r for i, r in enumerate(rows) if i != fold])
        made = with_sounds(student, others, config, SEED + fold)
        data = int8_of(made, card, parts[fold - 1])
        file = SoundFile(data)
        judge_gates({**gates, "student": file}, part, judged)
        judge_sounds(file, part, found)
        before, after = macs_per_second(student), macs_per_second(made)
        result = {
            "command": "python benchmarks/sounds.py --data DATA --music MUSIC"
            + (f" --student {args.student}" if args.student != "wav2small-stream" else ""),
            "folds": fold,
            "clips": len(clips),
            "gates": last | {name: of.shares() for name, of in judged.items()},
            "laughs told as laughter": laughs(found),
            "sounds": sound_table(found),
            "more MAC": round(after / before - 1, 4),
            "bytes": len(data),
        }
        write_text(RESULT, json.dumps(result, indent=1) + "\n")
        print(json.dumps(result["gates"]["student"]), result["laughs told as laughter"], flush=True)


if __name__ == "__main__":
    sys.exit(exit_status(main))
