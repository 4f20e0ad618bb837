"""A finished run whose student was taught in closed form: real speech, real layers, no minutes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edgeemo.artifacts.card import Calibration, Metric
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.compress.data import shipped_speech
from edgeemo.compress.evaluation.parity_set import ParitySet
from edgeemo.compress.recipes import SCHEMA as RECIPE_SCHEMA
from edgeemo.compress.recipes import DistillConfig, Recipe, StudentConfig
from edgeemo.compress.run import Run
from edgeemo.compress.students import Student, make_student, save_student
from edgeemo.export import ExportResult, export
from edgeemo.export.c_writer import Folder, write_folder
from edgeemo.export.parity import Tolerances
from edgeemo.features import FeatureSpec, log_mel
from tests.compress.summaries import summary_of

ROUGH = Tolerances(ccc=0.06)
"""For layers that no training has settled; the shipped students keep to the usual limits."""

CLIPS = 30
TEMPERATURE = 1.5


@pytest.fixture(scope="session")
def sounds() -> list[np.ndarray]:
    """1.2 seconds of speech each, of many people."""
    clips = [c.samples() for c in shipped_speech().clips[:: len(shipped_speech()) // CLIPS]]
    return [np.ascontiguousarray(c[:19200]) for c in clips if len(c) >= 16000][:CLIPS]


@pytest.fixture(scope="session")
def taught(sounds: list[np.ndarray]) -> Callable[[str], Student]:
    """Makes a student: random layers, batch norm seen on speech, heads by ridge regression."""

    def make(name: str) -> Student:
        torch.manual_seed(11)
        student = make_student(name)
        features = [torch.from_numpy(log_mel(s, student.spec)) for s in sounds]
        frames = torch.cat(features)
        student.normalize_from(frames.mean(0), frames.std(0))
        _settle(student, features)
        targets = torch.stack(
            [torch.stack([f.mean(), f.std(), f[:, :8].mean() - f.mean()]) for f in features]
        )
        targets = 0.5 + 0.15 * (targets - targets.mean(0)) / targets.std(0)
        for head, wanted in _heads(student, targets):
            _ridge(head, _seen(student, head, features), wanted)
        return student.eval()

    return make


def _settle(student: Student, features: list[torch.Tensor]) -> None:
    """Batch norm's figures from speech, as training leaves them."""
    student.train()
    with torch.no_grad():
        for _ in range(2):
            for f in features:
                student(f[None], None)
    student.eval()


def _seen(student: Student, head: torch.nn.Linear, features: list[torch.Tensor]) -> torch.Tensor:
    """What a head gets to see, a row a clip."""
    rows: list[torch.Tensor] = []
    hook = head.register_forward_hook(lambda module, given, result: rows.append(given[0]))
    with torch.no_grad():
        for f in features:
            student(f[None], None)
    hook.remove()
    return torch.cat(rows)


def _heads(
    student: Student, dimensions: torch.Tensor
) -> list[tuple[torch.nn.Linear, torch.Tensor]]:
    linear = [m for m in student.modules() if isinstance(m, torch.nn.Linear)]
    logits = torch.cat([6 * (dimensions - 0.5), -6 * (dimensions - 0.5), dimensions[:, :2]], dim=1)
    return [
        (next(m for m in linear if m.out_features == len(wanted[0])), wanted)
        for wanted in (dimensions, logits)
    ]


def _ridge(head: torch.nn.Linear, x: torch.Tensor, y: torch.Tensor) -> None:
    mean, scale = x.mean(0), x.std(0) + 1e-6
    z = (x - mean) / scale
    # Strong: a head that leans on small differences of random features magnifies all rounding.
    weight = torch.linalg.solve(z.T @ z + 1000 * torch.eye(z.shape[1]), z.T @ (y - y.mean(0)))
    weight = weight * (y.std(0) / (z @ weight).std(0))
    with torch.no_grad():
        head.weight.copy_((weight / scale[:, None]).T)
        head.bias.copy_(y.mean(0) - (mean / scale) @ weight)


def outputs(student: Student, spec: FeatureSpec, sound: np.ndarray) -> tuple[np.ndarray, ...]:
    with torch.inference_mode():
        said = student(torch.from_numpy(log_mel(sound, spec))[None], None)
        probs = torch.softmax(said.logits / TEMPERATURE, -1)
    return said.dimensions[0].numpy(), probs[0].numpy()


@pytest.fixture(scope="session")
def make_run(
    taught: Callable[[str], Student], sounds: list[np.ndarray]
) -> Callable[[str, Path], Run]:
    """Writes a finished run with a student of that name into a folder."""

    def make(name: str, folder: Path) -> Run:
        student = taught(name)
        recipe = Recipe(
            schema=RECIPE_SCHEMA,
            seed=1,
            student=StudentConfig(name),
            distill=DistillConfig(epochs=1),
        )
        run = Run.begin(folder, recipe, {})
        save_student(student, folder / "student.pt")
        dimensions, probs = zip(*(outputs(student, student.spec, s) for s in sounds), strict=True)
        rng = np.random.default_rng(4)
        teacher = (np.stack(dimensions) + rng.normal(0, 0.05, (len(sounds), 3))).astype(np.float32)
        human = teacher + rng.normal(0, 0.1, teacher.shape).astype(np.float32)
        human[::4] = np.nan
        run.write_parity_set(
            ParitySet(
                tuple(map(str, range(len(sounds)))),
                tuple(sounds),
                tuple(log_mel(s, student.spec) for s in sounds),
                np.stack(dimensions),
                np.stack(probs),
                teacher,
                np.full((len(sounds), 8), np.nan, np.float32),
                human,
            )
        )
        metric = Metric("made up", "ccc against annotators", "valence", 0.5, baseline=0.05)
        calibration = Calibration(TEMPERATURE, "made up")
        more = {"metrics": (metric,), "ceiling": {"valence": 0.77}, "calibration": calibration}
        run.finish(summary_of(student, name=name, **more))
        return run

    return make


@pytest.fixture(scope="session")
def run(make_run: Callable[[str, Path], Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run("wav2small-17k", tmp_path_factory.mktemp("runs") / "run-001")


@pytest.fixture(scope="session")
def qemu() -> str:
    found = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if found is None:
        pytest.skip("no qemu-x86_64; install the system package qemu-user")
    return found


@pytest.fixture(scope="session")
def streams(
    make_run: Callable[[str, Path], Run], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ExportResult]:
    """The causal student in int8, whole clips and single hops, on both formats.

    Keys: "onnx", "tflite", "onnx-step", "tflite-step".
    """
    folder = tmp_path_factory.mktemp("streams")
    run = make_run("wav2small-stream", folder / "run")
    formats = ("onnx", "tflite")
    found = export(run.folder, formats, int8=True, limits=ROUGH)
    steps = export(run.folder, formats, int8=True, step=True, limits=ROUGH)
    return {r.format: r for r in found} | {f"{r.format}-step": r for r in steps}


@pytest.fixture(scope="session")
def c_folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The C folder of the shipped student; who changes it copies it."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    artifact = Path(os.environ.get("EDGEEMO_STUDENT", ZOO / f"{DEFAULT}.tflite"))
    return write_folder(artifact, tmp_path_factory.mktemp("c") / "student")
