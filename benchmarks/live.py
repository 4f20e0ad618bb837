"""How soon, how late and how costly is `edgeemo live`?

    python benchmarks/live.py [--seconds 20] [--face-model M]

prints a table and writes benchmarks/results/live.json. First the start: from the start of the
process to the first line with an estimate of speech, best and median of five, for `edgeemo live`
at real speed and with --fast, and for `edgeemo predict`. At real speed the first window takes a
second of sound, which no program can hear sooner: `sound_s` of the clock's time. Then the command
runs as a process of its own on one core, on shipped speech at real speed, with JSON lines; then on
a still face as video (tests/data) of 30 pictures a second, of which it takes every second one.
Times on the clock depend on what else the machine does; processor time less.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile

from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "live.json"
SPEECH = need("speech/cremad")
WINDOW = 1.0  # seconds of sound that the first estimate looks at
FACE = ROOT / "tests" / "data" / "faces" / "london" / "001_happiness.jpg"
ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")
# As users have it: what was imported once is not compiled again.
ENVIRONMENT = os.environ | ONE_THREAD | {"PYTHONDONTWRITEBYTECODE": ""}


def speech(path: Path, seconds: float) -> None:
    clips = [read_audio(p) for p in sorted(SPEECH.glob("*.flac"))]
    whole = np.concatenate(clips * (1 + int(seconds / 20)))
    soundfile.write(path, whole[: round(seconds * 16_000)], 16_000)


def video(path: Path, seconds: float) -> None:
    face = cv2.resize(cv2.imread(str(FACE)), (480, 480))
    frame = cv2.copyMakeBorder(face, 0, 0, 80, 80, cv2.BORDER_REPLICATE)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (640, 480))
    for _ in range(round(30 * seconds)):
        writer.write(frame)
    writer.release()


def measure(*arguments: str | Path) -> dict[str, Any]:
    """Run the command; first line, summary, memory."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "edgeemo", "live", "--json", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.readline()
    first = time.perf_counter() - begun
    process.stdout.read()
    summary = process.stderr.read()
    _, _, used = os.wait4(process.pid, 0)
    found: dict[str, Any] = {"first_estimate_s": round(first, 2)}
    for name, pattern in (
        ("one_core_percent", r"; ([\d.]+) % of one core"),
        ("latency_median_ms", r"median ([\d.]+) ms"),
        ("latency_worst_ms", r"worst ([\d.]+) ms"),
        ("pictures", r"(\d+) pictures"),
    ):
        match = re.search(pattern, summary)
        if match:
            found[name] = float(match[1])
    found["peak_memory_mb"] = round(used.ru_maxrss / 1024)
    return found


def start(*arguments: str | Path) -> dict[str, float]:
    """Seconds until the first estimate; processor seconds of the whole process.

    The sound is of one window: there is nothing to do behind the first estimate.
    """
    clock, cpu = [], []
    for _ in range(5):
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "edgeemo", *map(str, arguments), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=ENVIRONMENT,
        )
        assert process.stdout is not None
        row = json.loads(process.stdout.readline())
        clock.append(time.perf_counter() - begun)
        assert row["arousal"] is not None and row["end"] == WINDOW, row
        _, _, used = os.wait4(process.pid, 0)
        cpu.append(used.ru_utime + used.ru_stime)
    return {
        "best_s": round(min(clock), 2),
        "median_s": round(statistics.median(clock), 2),
        "cpu_s": round(min(cpu), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--face-model", help="instead of the shipped one")
    args = parser.parse_args()
    model = ("--face-model", args.face_model) if args.face_model else ()
    with tempfile.TemporaryDirectory() as folder:
        wav, avi = Path(folder) / "speech.wav", Path(folder) / "face.avi"
        window = Path(folder) / "window.wav"
        speech(window, WINDOW)
        starts = {
            "live": start("live", "--wav", window) | {"sound_s": WINDOW},
            "live --fast": start("live", "--fast", "--wav", window),
            "predict": start("predict", window),
        }
        speech(wav, args.seconds)
        video(avi, args.seconds)
        rows = {
            "voice": measure("--wav", wav),
            "face": measure("--video", avi, "--microphone", "none", *model),
        }
    rows["face"]["pictures_a_second"] = round(rows["face"].get("pictures", 0) / args.seconds, 1)
    result = {
        "command": "python benchmarks/live.py",
        "seconds": args.seconds,
        "start": starts,
        "machine": platform.machine(),
        "load": round(os.getloadavg()[0], 1),
        **rows,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(f"load of the machine {result['load']}")
    for name, row in ({f"start of {k}": v for k, v in starts.items()} | rows).items():
        print(name, ", ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
