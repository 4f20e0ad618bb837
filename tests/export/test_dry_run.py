"""What is told before training is what comes out of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeemo import cli
from edgeemo.artifacts import onnx, tflite
from edgeemo.compress.recipes import HeadsConfig, PruneConfig, Recipe, load_recipe
from edgeemo.compress.run import Run
from edgeemo.export import c_writer, export
from edgeemo.export.dry_run import dry_run, untrained
from edgeemo.export.onnx_writer import card_behind
from edgeemo.export.parity import Tolerances

MESSAGE = 64  # bytes that numbers of other values take more or fewer in a file's own fields


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards take their time; test_c_writer.py has one."""
    monkeypatch.setattr(c_writer, "measure", lambda *unused: {})


@pytest.mark.slow
def test_it_tells_what_a_trained_student_takes(
    make_run: Callable[[str, Path], Run], tmp_path: Path
) -> None:
    run = make_run("wav2small-stream", tmp_path / "run")
    found = dry_run(run.recipe)
    limits = Tolerances(ccc=0.2)  # for layers that no training has settled
    (whole,) = export(run.folder, ("onnx",), limits=limits)
    (small,) = export(run.folder, ("tflite",), int8=True, limits=limits)
    data = whole.path.read_bytes()
    size = len(data) - len(card_behind(b"", onnx.check(data).card))
    assert abs(found["onnx"]["float"] - size) <= MESSAGE
    model = tflite.check(small.path.read_bytes()).model
    assert abs(found["tflite"]["int8"] - len(model)) <= MESSAGE
    assert found["parameters"] == small.card.parameters
    assert found["macs_per_second"] == small.card.macs_per_second
    folder = c_writer.write_folder(small.path, tmp_path / "c")
    # The run has no confidence, which a folder has beside the network.
    assert found["c"] == {"network_and_tables": folder.flash, "memory": folder.memory}


def test_stages_that_change_layers_count() -> None:
    recipe = load_recipe("wav2small-stream")
    plain = dataclasses.replace(recipe, heads=None, prune=None)
    narrow = dataclasses.replace(plain, heads=HeadsConfig(embedding=24, hidden=16))
    pruned = dataclasses.replace(plain, prune=PruneConfig(share=0.5))
    weights = dataclasses.replace(plain, prune=PruneConfig(kind="weights", share=0.5))

    def parameters(recipe: Recipe) -> int:
        return sum(p.numel() for p in untrained(recipe).parameters())

    whole = parameters(plain)
    assert parameters(narrow) < whole and parameters(pruned) < 0.5 * whole
    assert parameters(weights) == whole


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["export", "--dry-run", "--recipe", "wav2small-17k"]
    assert cli.main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["onnx"]["int8"] < 0.45 * found["onnx"]["float"]
    assert found["c"].keys() == {"why_not"} and found["each"] == "second"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dry-run"], "go together"),
        (["--recipe", "wav2small-stream"], "go together"),
        (["--dry-run", "--recipe", "wav2small-stream", "runs/a"], "writes nothing"),
        (["--dry-run", "--recipe", "wav2small-strem"], "did you mean"),
    ],
)
def test_what_is_asked_for_wrongly_is_told(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
