"""What a model costs on this machine, beside the runtimes and front ends that are installed.

Each peer runs in a process of its own with one thread,
`python -m edgeemo.evaluation.bench PEER FILE`, and peers take turns, so that a slow minute
of the machine hits all. Times are the processor's, which are the clock's on a machine that does
nothing else. `onnxruntime` and `LiteRT` have edgeemo's front
end; `librosa+onnxruntime` runs the same file on librosa's features, as one would without edgeemo.
Memory is the process's peak, with the interpreter and all that was imported.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.models import PACKAGES, resolve
from edgeemo.backends import BACKENDS
from edgeemo.errors import BadInput, EdgeemoError, require
from edgeemo.session import Session, load

SECONDS, RATE, CALLS, ROUNDS = 5, 16_000, 60, 5
PROTOCOL = (
    f"{SECONDS} s of speech or one face, 1 thread, {CALLS} calls in each of {ROUNDS} rounds in "
    "turn; medians of processor time"
)
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

Values = NDArray[Any]
Run = Callable[[Values], list[float]]  # gives what the model says, in the order of its card


@dataclass(frozen=True)
class Peer:
    """One way to run a model.

    Attributes:
        backend: what opens its file.
        packages: any one of them must be there.
        speech_only: whether it is for speech alone.
        start: makes the function that is timed.
    """

    backend: str
    packages: tuple[str, ...]
    speech_only: bool
    start: Callable[[Session], Run]

    @property
    def installed(self) -> bool:
        """Whether it can be run here."""
        return any(map(find_spec, self.packages))


@dataclass(frozen=True)
class Row:
    """What a peer took: medians over rounds.

    Attributes:
        peer: key of PEERS.
        file: the file that it ran.
        bytes: size of the file.
        ms: one call, from samples or a picture to the estimate.
        best_ms: the best round's.
        load_ms: from the start of Python until the file is open.
        peak_mb: memory of the process, in MB.
        ratio: its time as a multiple of the first peer's.
        apart: largest difference of an output from the first peer's.
    """

    peer: str
    file: str
    bytes: int
    ms: float
    best_ms: float
    load_ms: float
    peak_mb: float
    ratio: float
    apart: float


def _predict(session: Session) -> Run:
    def run(values: Values) -> list[float]:
        emotion = session.predict(values, gate=None)  # noise is no speech
        dimensions = (emotion.arousal, emotion.dominance, emotion.valence)
        return [v for v in dimensions if v is not None] + list(emotion.classes.values())

    return run


def _librosa(session: Session) -> Run:
    librosa = require("librosa", "dev")
    spec = session.card.features
    if (spec.prenorm, spec.log, spec.floor_mode) != ("none", "natural", "clamp"):
        raise BadInput(f"{session.card.name}: librosa does not make its features")
    # Centred in the FFT, librosa's window starts (fft - window) / 2 samples late.
    lead = (spec.fft - spec.window) // 2

    def run(clip: Values) -> list[float]:
        mel = librosa.feature.melspectrogram(
            y=np.pad(clip, (lead, spec.fft - spec.window - lead)),
            sr=spec.sample_rate,
            n_fft=spec.fft,
            hop_length=spec.hop,
            win_length=spec.window,
            center=False,
            n_mels=spec.bands,
            fmin=spec.low_hz,
            fmax=spec.high_hz,
            htk=False,
            norm="slaney",
        )
        features = np.log(np.maximum(mel.T, spec.floor)).astype(np.float32)[np.newaxis]
        found = session.backend.run(features)
        return [float(v) for output in session.card.outputs for v in found[output.name][0]]

    return run


PEERS: dict[str, Peer] = {
    "edgeemo": Peer("c", PACKAGES["c"], True, _predict),
    "onnxruntime": Peer("onnx", PACKAGES["onnx"], False, _predict),
    "LiteRT": Peer("tflite", PACKAGES["tflite"], False, _predict),
    "librosa+onnxruntime": Peer("onnx", ("librosa",), True, _librosa),
}


def measure(model: str | Path) -> list[Row]:
    """Time all peers that are installed and have a file of the model.

    Args:
        model: name of a shipped model, or a path.

    Raises:
        BadInput, BadArtifact, MissingExtra: the model cannot be loaded.
    """
    speech = load(model).card.task == "speech"
    files = {}
    for name, peer in PEERS.items():
        path = _file(model, peer.backend)
        if path is not None and peer.installed and (speech or not peer.speech_only):
            files[name] = path
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({name: _in_a_process(name, path) for name, path in files.items()})
    return [_row(name, path, rounds) for name, path in files.items()]


def _file(model: str | Path, backend: str) -> Path | None:
    """The model's file for a backend; None if it has none."""
    try:
        path = resolve(model, backend)
    except BadInput:
        return None
    return path if path.suffix == BACKENDS[backend] else None


def _row(name: str, path: Path, rounds: list[dict[str, dict[str, Any]]]) -> Row:
    mine, first = [r[name] for r in rounds], [next(iter(r.values())) for r in rounds]
    return Row(
        name,
        path.name,
        path.stat().st_size,
        ms=statistics.median(r["ms"] for r in mine),
        best_ms=min(r["ms"] for r in mine),
        load_ms=statistics.median(r["load_ms"] for r in mine),
        peak_mb=statistics.median(r["peak_mb"] for r in mine),
        ratio=statistics.median(a["ms"] / b["ms"] for a, b in zip(mine, first, strict=True)),
        apart=float(np.abs(np.subtract(mine[0]["values"], first[0]["values"])).max()),
    )


def _in_a_process(name: str, path: Path) -> dict[str, Any]:
    """Time one peer in a fresh process with one thread."""
    command = [sys.executable, "-m", "edgeemo.evaluation.bench", name, str(path.absolute())]
    environment = os.environ | dict.fromkeys(_THREADS, "1")
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        why = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise EdgeemoError(f"{name} cannot run {path}: {why[-1]}")
    return dict(json.loads(done.stdout))


def _values(session: Session) -> Values:
    """Noise: what is computed does not depend on what is heard or seen."""
    rng = np.random.default_rng(0)
    if session.card.task == "face":
        size = session.card.image.size
        return rng.integers(0, 256, (size, size, 3), np.uint8)
    return rng.normal(0, 0.1, SECONDS * RATE).astype(np.float32)


def main(name: str, path: str) -> None:
    """In the peer's own process: time it and print one JSON object.

    Args:
        name: key of PEERS.
        path: of the model.
    """
    peer = PEERS[name]
    session = load(Path(path), peer.backend)
    run, values = peer.start(session), _values(session)
    loaded = time.process_time()
    found = run(values)
    times = []
    for _ in range(CALLS):
        start = time.process_time()
        run(values)
        times.append(time.process_time() - start)
    # VmHWM begins anew with each program; ru_maxrss would remember the process that started it.
    status = Path("/proc/self/status").read_text()
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    print(
        json.dumps(
            {
                "ms": statistics.median(times) * 1e3,
                "load_ms": loaded * 1e3,
                "peak_mb": peak * 1024 / 1e6,
                "values": found,
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
