"""How soon, how late and how costly is `edgeemo live`?

    python benchmarks/live.py [--seconds 20] [--face-model M]

prints a table and writes benchmarks/results/live.json. The command runs as a process of its own
on one core, on shipped speech at real speed, with JSON lines; then on a still face as video
(tests/data) of 30 pictures a second, of which it takes every second one. Times on the clock depend
on what else the machine does; processor time hardly. The first estimate needs a second of sound.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import soundfile

from edgeemo._teachers import need
from edgeemo.audio import read_audio

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "live.json"
SPEECH = need("speech/cremad")
FACE = ROOT / "tests" / "data" / "faces" / "london" / "001_happiness.jpg"
ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")


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
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | ONE_THREAD,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    )  # fmt: skip
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


def start_up(wav: Path) -> float:
    """Processor seconds of a run on one second of sound that is not waited for."""
    command = [sys.executable, "-m", "edgeemo", "live", "--json", "--fast", "--wav", str(wav)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, env=os.environ | ONE_THREAD)
    _, _, used = os.wait4(process.pid, 0)
    return round(used.ru_utime + used.ru_stime, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--face-model", help="instead of the shipped one")
    args = parser.parse_args()
    model = ("--face-model", args.face_model) if args.face_model else ()
    with tempfile.TemporaryDirectory() as folder:
        wav, avi = Path(folder) / "speech.wav", Path(folder) / "face.avi"
        speech(Path(folder) / "second.wav", 1.0)
        start = start_up(Path(folder) / "second.wav")
        speech(wav, args.seconds)
        video(avi, args.seconds)
        rows = {
            "voice": measure("--wav", wav),
            "face": measure("--video", avi, "--microphone", "none", *model),
        }
    rows["face"]["pictures_a_second"] = round(rows["face"].get("pictures", 0) / args.seconds, 1)
    result = {
        "command": "python benchmarks/live.py", "seconds": args.seconds,
        "start_up_cpu_s": start, "machine": platform.machine(),
        "load": round(os.getloadavg()[0], 1), **rows,
    }  # fmt: skip
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(f"start-up {start} s of processor time; load of the machine {result['load']}")
    for name, row in rows.items():
        print(name, ", ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
