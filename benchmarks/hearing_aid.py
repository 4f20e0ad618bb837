"""Does the hearing aid say what Python says, in ten minutes of voice, silence, noise, laughter?

    python benchmarks/hearing_aid.py --laughter FOLDER [--minutes 10]

builds the program of examples/hearing_aid, runs it under QEMU on a Cortex-M4F, compares each line
with the Python stream on the same samples, prints how soon it reacts, and writes
benchmarks/results/hearing_aid.json and .svg, both outputs one above the other. FOLDER holds
laughter, for instance the takes of "amusement" of the EmoGator corpus (F. Buhl, arXiv 2301.00508,
Apache-2.0). Voices are shipped ones; silence is digital, noise white and soft.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import re
import subprocess
import tempfile
import wave
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import edgeemo
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.export.c_writer import write_folder
from edgeemo.types import SAMPLE_RATE, Emotion

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "hearing_aid.json"
SHIPPED = ROOT / "edgeemo" / "zoo" / "wav2small-stream.tflite"
LINE = re.compile(
    r"^(\S+) s  (?:(nobody speaks|not sure)|(\w+)  arousal (\S+)  dominance (\S+)  valence (\S+)"
    r"  confidence (\S+))$",
    re.M,
)
SECONDS = {"voice": 24.0, "silence": 6.0, "noise": 10.0, "laughter": 10.0}
"""Of each kind in turn, until the sound is long enough."""
WINDOW = 3.04
Samples = NDArray[np.float32]


def laughs(folder: Path) -> list[Path]:
    """Sounds of a folder; where a labels.csv names bursts, those of amusement."""
    table = folder / "labels.csv"
    if not table.is_file():
        return sorted(p for p in folder.rglob("*") if p.suffix in (".ogg", ".opus", ".wav"))
    with table.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["burst"] == "amusement"]
    return [folder / row["path"] for row in rows if (folder / row["path"]).is_file()]


def pieces(laughter: Path) -> Iterator[tuple[str, Samples]]:
    """Kinds of sound in turn, for ever, each of its length."""
    rng = np.random.default_rng(7)
    sources = {
        "voice": sorted(need("speech/emodb_full").rglob("*.flac")),
        "laughter": laughs(laughter),
    }
    at = dict.fromkeys(sources, 0)
    while True:
        for kind, seconds in SECONDS.items():
            n = round(seconds * SAMPLE_RATE)
            if kind in sources:
                parts: list[Samples] = []
                while sum(map(len, parts)) < n:
                    parts.append(read_audio(sources[kind][at[kind] % len(sources[kind])]))
                    at[kind] += 1
                yield kind, np.concatenate(parts)[:n]
            else:
                level = 0.004 if kind == "noise" else 0.0
                yield kind, (level * rng.standard_normal(n)).astype(np.float32)


def make_sound(laughter: Path, minutes: float) -> tuple[NDArray[np.int16], list[tuple[float, str]]]:
    """The sound, and when each kind begins, in seconds."""
    parts: list[Samples] = []
    begins: list[tuple[float, str]] = []
    seen = 0
    for kind, part in pieces(laughter):
        if seen >= minutes * 60 * SAMPLE_RATE:
            break
        begins.append((seen / SAMPLE_RATE, kind))
        parts.append(part)
        seen += len(part)
    whole = np.concatenate(parts)[: round(minutes * 60 * SAMPLE_RATE)]
    return np.rint(whole * 32768).clip(-32768, 32767).astype("<i2"), begins


def run_firmware(folder: Path, sound: NDArray[np.int16]) -> str:
    """What the program prints on a Cortex-M4F under QEMU."""
    student = folder / "student"
    write_folder(SHIPPED, student)
    with wave.open(str(folder / "clip.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(sound.tobytes())
    command = ["make", "-s", "-C", str(ROOT / "examples" / "hearing_aid"), f"STUDENT={student}"]
    command += [f"BUILD={folder}"]
    subprocess.run(command, check=True)
    told = subprocess.run([*command, "-n", "run"], check=True, capture_output=True, text=True)
    done = subprocess.run(
        ["sh", "-c", told.stdout], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def compare(text: str, want: Sequence[Emotion]) -> int:
    """Estimates that were compared, four digits of each number.

    Raises:
        AssertionError: one differs.
    """
    lines = LINE.findall(text)
    assert len(want) - len(lines) in (0, 1), f"{len(lines)} lines of {len(want)}"
    for (end, nothing, shown, *numbers), e in zip(lines, want, strict=False):
        assert abs(float(end) - e.end) < 0.01, (end, e)
        assert (e.arousal is None) == (nothing != ""), (end, nothing, e)
        if e.arousal is None:
            continue
        found = np.array(numbers, float)
        expected = np.array([e.arousal, e.dominance, e.valence, e.confidence], float)
        assert shown == e.expression and np.abs(found - expected).max() < 1e-4, (end, e)
    return len(lines)


def reactions(want: Sequence[Emotion], begins: Sequence[tuple[float, str]]) -> dict[str, float]:
    """The longest time from where a voice or silence begins to the estimate that says so, seconds.

    Noise after silence is louder than what was before: the gate takes it for speech until its floor
    has come up, by 2 dB a second.
    """
    found = {"voice": 0.0, "silence": 0.0}
    for (start, kind), (end, _) in itertools.pairwise(begins):
        if kind in found and start:
            speaks = kind == "voice"
            first = [e.end for e in want if start < e.end <= end and (e.speech is True) == speaks]
            found[kind] = max(found[kind], first[0] - start if first else float("inf"))
    return found


def draw(
    text: str, want: Sequence[Emotion], begins: Sequence[tuple[float, str]], seconds: float
) -> str:
    """Arousal and valence by the firmware, above those by Python, as an SVG."""
    width, height, left = 1200, 200, 90
    colors = {"voice": "#e8f0fa", "silence": "#f4f4f4", "noise": "#fdf3e0", "laughter": "#e6f5ea"}
    ours = [
        (float(end), None if nothing else (float(a), float(v)))
        for end, nothing, _, a, _, v, _ in LINE.findall(text)
    ]
    theirs = [
        (e.end, None if e.arousal is None or e.valence is None else (e.arousal, e.valence))
        for e in want
    ]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{2 * height + 70}" '
        'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
    ]

    def x(second: float) -> float:
        return left + second / seconds * (width - left - 20)

    for row, (name, points) in enumerate((("Cortex-M4F", ours), ("Python", theirs))):
        top = 30 + row * (height + 20)
        for i, (start, kind) in enumerate(begins):
            end = begins[i + 1][0] if i + 1 < len(begins) else seconds
            parts.append(
                f'<rect x="{x(start):.1f}" y="{top}" width="{x(end) - x(start):.1f}" '
                f'height="{height}" fill="{colors[kind]}"/>'
            )
        parts.append(f'<text x="4" y="{top + 14}" font-weight="bold">{name}</text>')
        for k, (label, color) in enumerate((("arousal", "#d55e00"), ("valence", "#0072b2"))):
            parts.append(f'<text x="4" y="{top + 34 + 16 * k}" fill="{color}">{label}</text>')
            run: list[str] = []
            for second, values in [*points, (seconds, None)]:
                if values is not None:
                    run.append(f"{x(second):.1f},{top + height * (1 - values[k]):.1f}")
                elif run:
                    parts.append(
                        f'<polyline points="{" ".join(run)}" fill="none" stroke="{color}"/>'
                    )
                    run = []
    for k, (kind, color) in enumerate(colors.items()):
        parts.append(f'<rect x="{left + 110 * k}" y="6" width="14" height="14" fill="{color}"/>')
        parts.append(f'<text x="{left + 18 + 110 * k}" y="18">{kind}</text>')
    for minute in range(int(seconds // 60) + 1):
        parts.append(
            f'<text x="{x(60.0 * minute):.1f}" y="{2 * height + 64}" text-anchor="middle">'
            f"{minute} min</text>"
        )
    return "\n".join(parts) + "\n</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--laughter", type=Path, required=True, help="folder of sounds of laughter")
    parser.add_argument("--minutes", type=float, default=10.0)
    arguments = parser.parse_args()
    sound, begins = make_sound(arguments.laughter, arguments.minutes)
    want = edgeemo.load(SHIPPED, "c").stream().push(sound)
    with tempfile.TemporaryDirectory(prefix="edgeemo-hearing-aid-") as name:
        text = run_firmware(Path(name), sound)
    compared = compare(text, want)
    reacts = reactions(want, begins)
    assert max(reacts.values()) <= WINDOW, reacts
    costs = {n: int(v) for n, v in re.findall(r"^([a-z][a-z0-9 ]+) (\d+)$", text, re.M)}
    result = {
        "command": f"python benchmarks/hearing_aid.py --laughter FOLDER "
        f"--minutes {arguments.minutes:g}",
        "estimates compared with Python's, four digits": compared,
        "of them without anybody who speaks": sum(e.speech is False for e in want[:compared]),
        "longest time until it says so, seconds": reacts,
        "Cortex-M4F": costs,
    }
    print(json.dumps(result, indent=1))
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    RESULT.with_suffix(".svg").write_text(draw(text, want, begins, len(sound) / SAMPLE_RATE))


if __name__ == "__main__":
    main()
