"""What does a second of sound cost on Cortex-M boards, from samples to an estimate?

    python benchmarks/bench_cortex_m_model.py [--model FILE.tflite]

prints a table and writes benchmarks/results/cortex_m_model.json: the int8 engine as counted here,
the front end as bench_cortex_m.py counts it, and their sum; and the stream that firmware runs
(tests/cmake_ext/stream.c): window, gate, confidence and smoothing over one whole cycle of windows,
whose estimates are compared with those of the Python stream. Counts are exact (SysTick under
QEMU's -icount) and belong to one compiler version; they are instructions, not cycles. The program
is tests/cmake_ext/model.c; its outputs on each board are compared with those of this machine to
the bit. tests/cmake_ext/test_model_boards.py compares the engine's figures with
cmake_ext/budget_model.toml.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import bench_cortex_m as front
import numpy as np
from _qemu import BOARDS, ROOT, C, compiler_and_flags, run_on_board
from numpy.typing import NDArray

import edgeemo
from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.teachers_package import need
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.artifacts.tflite_graph import read_graph
from edgeemo.audio import read_audio
from edgeemo.backends.c import CBackend
from edgeemo.backends.engine import Model
from edgeemo.errors import BadArtifact
from edgeemo.features import log_mel
from edgeemo.session import Session
from edgeemo.speech.chain import MOST_VALUES
from edgeemo.types import SAMPLE_RATE

RESULT = ROOT / "benchmarks" / "results" / "cortex_m_model.json"
COMMAND = "python benchmarks/bench_cortex_m_model.py"
PROTOCOL = (
    "instructions for a second of sound in the engine (frame by frame; by 8 frames), for an "
    "estimate, in the front end (int16); total: front end, engine frame by frame, 4 estimates. "
    "Bytes: memory, stack, code of the engine, blob; flash and ram with those of the front end, "
    "its tables in flash. By layer: of the engine, in the order of the graph. stream: instructions "
    "for a second of sound from samples to smoothed estimates with gate and confidence, for the "
    "most expensive block of 10 ms; bytes of memory and stack"
)
SHIPPED = ROOT / "edgeemo" / "zoo" / "wav2small-stream.tflite"


def blob_of(model: Path) -> bytes:
    """The engine's blob of a TFLite file, with or without a card."""
    try:
        data = read_tflite(model).model
    except BadArtifact:
        data = model.read_bytes()
    return compile_graph(read_graph(data)).data


def second_of_speech() -> NDArray[np.float32]:
    """100 frames of the shipped speech."""
    path = min(need("speech").rglob("*.flac"))
    return log_mel(read_audio(path))[:100]


def expected(blob: bytes) -> NDArray[np.int8]:
    """What model.c writes, by this machine's best kernels."""
    frames, model, found = second_of_speech(), Model(blob, 8), []
    for end in (51, 100):
        out = np.zeros(model.info()["values"], np.int8)
        model.reset()
        model.push(np.ascontiguousarray(frames[:end]))
        model.outputs(out)
        found.append(out)
    return np.tile(np.concatenate(found), 5)


def size_of(program: Path) -> int:
    """Bytes of the engine's code: its object files, linked with all that is used."""
    listing = subprocess.run(
        ["arm-none-eabi-nm", "-S", "--size-sort", "-l", program],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rows = [line.split() for line in listing.splitlines()]
    ours = ("edgeemo_model", "edgeemo_kernels")
    return sum(
        int(r[1], 16)
        for r in rows
        if len(r) > 4 and r[2] in "tTrR" and any(f"/{name}" in r[4] for name in ours)
    )


def engine_sources() -> list[Path]:
    """C files of the engine."""
    parts = ("edgeemo_model*.c", "edgeemo_kernels*.c", "edgeemo_spec.c")
    return [path for part in parts for path in sorted((C / "src").glob(part))]


def measure(board: str, blob: bytes) -> dict[str, int]:
    """Instructions for a second of sound and for an estimate; bytes; outputs are compared."""
    _, ticks, _ = BOARDS[board]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "blob").write_bytes(blob)
        (folder / "frames").write_bytes(second_of_speech().astype("<f4").tobytes())
        sources = [*engine_sources(), ROOT / "tests" / "cmake_ext" / "model.c"]
        program = run_on_board(board, sources, folder, "-g")
        counts = np.fromfile(folder / "counts", "<u4").tolist()
        outputs = np.fromfile(folder / "outputs", np.int8)
        code = size_of(program)
    assert np.array_equal(outputs, expected(blob)), f"{board} gives other bits than this machine"
    loop = counts[6] / ticks
    assert abs(loop - 2000) <= 5, f"a loop of 2000 instructions counts as {loop}: no -icount?"
    return {
        "second": round(counts[3] / ticks),
        "second_by_8": round(counts[4] / ticks),
        "estimate": round(counts[5] / ticks),
        "memory": counts[0],
        "memory_by_8": counts[1],
        "stack": counts[2],
        "code": code,
    }


def layers(board: str, blob: bytes) -> list[int]:
    """Instructions of each layer for a second of sound, frame by frame, and one estimate."""
    _, ticks, _ = BOARDS[board]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "blob").write_bytes(blob)
        (folder / "frames").write_bytes(second_of_speech().astype("<f4").tobytes())
        sources = [*engine_sources(), ROOT / "tests" / "cmake_ext" / "layers.c"]
        run_on_board(board, sources, folder, "-Wl,--wrap=edgeemo_layer_run")
        counts = np.fromfile(folder / "layers", "<u4")
    return [round(count / ticks) for count in counts.tolist()]


ESTIMATE = np.dtype(
    [
        *((name, "<i8") for name in ("start", "end")),
        *((name, "<i4") for name in ("speech", "known", "expression")),
        ("confidence", "<f4"),
        ("values", "<f4", MOST_VALUES),
    ]
)
"""An edgeemo_estimate in memory."""


def stream_sound() -> NDArray[np.int16]:
    """7 s: shipped speech, soft noise, speech; 16 bits."""
    clips = [read_audio(path) for path in sorted(need("speech").rglob("*.flac"))[:16:8]]
    noise = np.random.default_rng(1).normal(0, 0.002, 4 * SAMPLE_RATE).astype(np.float32)
    sound = np.concatenate([clips[0], noise, *clips])[: 7 * SAMPLE_RATE]
    assert len(sound) == 7 * SAMPLE_RATE
    return np.rint(sound * 32768).clip(-32768, 32767).astype("<i2")


def write_stream(folder: Path, session: Session) -> None:
    """What stream.c reads."""
    fitted = session.card.calibration.confidence
    assert isinstance(session.backend, CBackend) and fitted is not None
    regression = np.append(fitted.regression, np.float32(fitted.bias))
    (folder / "blob").write_bytes(session.backend.blob)
    (folder / "clip").write_bytes(stream_sound().tobytes())
    (folder / "regression").write_bytes(regression.astype("<f4").tobytes())


def compare_stream(folder: Path, session: Session) -> None:
    """The estimates of stream.c with those of the Python stream, every number.

    Raises:
        AssertionError: one differs.
    """
    found = np.fromfile(folder / "estimates", ESTIMATE)
    labels = [label for output in session.card.outputs for label in output.labels]
    want = session.stream().push(stream_sound())
    assert len(want) - len(found) in (0, 1)  # spread work: the last one may be on its way
    for ours, e in zip(found, want, strict=False):
        times = (ours["start"] / SAMPLE_RATE, ours["end"] / SAMPLE_RATE, bool(ours["speech"]))
        assert times == (e.start, e.end, e.speech)
        assert bool(ours["known"]) == (e.arousal is not None)
        if e.arousal is None:
            continue
        numbers = [e.arousal, e.dominance, e.valence, *e.classes.values()]
        assert ours["values"][: len(labels)].tolist() == numbers
        assert float(ours["confidence"]) == e.confidence
        assert labels[ours["expression"]] == e.expression
    assert {e.speech for e in want} == {True, False}


def measure_stream(board: str, session: Session) -> dict[str, int]:
    """What the stream costs; its estimates are compared."""
    _, ticks, _ = BOARDS[board]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_stream(folder, session)
        sources = [*sorted((C / "src").glob("*.c")), ROOT / "tests" / "cmake_ext" / "stream.c"]
        run_on_board(board, sources, folder)
        memory, _, stack, spent, most, blocks, loop = np.fromfile(folder / "counts", "<u4").tolist()
        compare_stream(folder, session)
    assert abs(loop / ticks - 2000) <= 5, "2000 instructions count otherwise: no -icount?"
    return {
        "stream": round(spent / ticks / blocks * 100),
        "stream_block": round(most / ticks),
        "stream_memory": memory,
        "stream_stack": stack,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=SHIPPED, help="int8 TFLite file")
    arguments = parser.parse_args()
    blob, session = blob_of(arguments.model), edgeemo.load(arguments.model, "c")
    results = {}
    for board in BOARDS:
        ours, theirs = measure(board, blob), front.measure(board)
        flash = len(blob) + ours["code"] + theirs["code"] + theirs["tables"]
        results[board] = {
            **ours,
            "blob": len(blob),
            "frontend": 100 * theirs["push_i16"],
            "total": ours["second"] + 4 * ours["estimate"] + 100 * theirs["push_i16"],
            "flash": flash,
            "ram": ours["memory"] + theirs["state"] + max(ours["stack"], theirs["stack"]),
            **measure_stream(board, session),
        }
    print(f"{'':12}" + "".join(f"{board:>12}" for board in results))
    for key in next(iter(results.values())):
        print(f"{key:12}" + "".join(f"{row[key]:12}" for row in results.values()))
    by_layer = layers("Cortex-M4F", blob)
    print(f"by layer, Cortex-M4F: {by_layer}")
    RESULT.write_text(
        json.dumps(
            {
                "protocol": PROTOCOL,
                "compiler": compiler_and_flags(),
                "command": f"{COMMAND} --model {arguments.model.name}",
                "boards": results,
                "by layer, Cortex-M4F": by_layer,
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
