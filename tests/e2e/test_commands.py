"""The commands as a user runs them: from sound to a file that listens, and what they refuse."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

import edgeemo
from edgeemo.artifacts.onnx import CARD_KEY, find_card
from edgeemo.audio import read_audio
from edgeemo.cli import main
from tests.e2e.conftest import RECIPE, Command, Made

pytestmark = pytest.mark.slow


def test_distill_leaves_a_run_that_people_can_read(made: Made) -> None:
    names = {path.name for path in made.run.iterdir()}
    assert {"recipe.toml", "metrics.jsonl", "report.html", "run.json", "student.pt"} <= names
    shown = re.search(r"^Report: (.+)$", made.distill.stdout, re.MULTILINE)
    assert shown and (made.folder / shown[1]).samefile(made.run / "report.html")
    epochs = [json.loads(line) for line in (made.run / "metrics.jsonl").read_text().splitlines()]
    assert len(epochs) == 15


def test_the_built_in_teacher_teaches_on_the_speech_that_comes_with_it(
    tmp_path: Path, command: Command
) -> None:
    short = RECIPE.replace("epochs = 15", "epochs = 2")
    (tmp_path / "short.toml").write_text(short)
    run = command(tmp_path, "distill", "--recipe", "short.toml", "--teacher", "builtin")
    assert run.returncode == 0, run.stderr
    assert "ccc against the teacher" in run.stdout
    # A student of it has its licence.
    assert "Licence of the weights: research use only (builtin: " in run.stdout


def test_a_broken_clip_is_told_and_the_run_goes_on(made: Made) -> None:
    assert "broken.flac" in made.distill.stderr
    assert json.loads((made.run / "run.json").read_text())["skipped"] == 1


def test_no_person_is_in_two_parts(made: Made) -> None:
    split = json.loads((made.run / "split.json").read_text())
    parts = [set(split[name]) for name in ("train", "valid", "test")]
    assert all(parts)
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_the_file_is_small_and_tells_what_it_is(made: Made) -> None:
    assert made.model.stat().st_size <= 120_000
    session = edgeemo.load(made.model)
    assert session.card.quantization.kind == "int8"
    assert session.card.teachers and session.card.data
    assert "judging people" in session.card.misuse
    assert str(made.model.stat().st_size) in made.export.stdout.replace(",", "").replace(" ", "")


def test_the_same_run_gives_the_same_bytes(made: Made, command: Command, tmp_path: Path) -> None:
    again = command(made.folder, "export", made.run, "--int8", "-o", tmp_path / "again")
    assert again.returncode == 0, again.stderr
    # The converter's libraries have much to say, from C++ too.
    assert all(line.startswith("edgeemo: ") for line in again.stderr.splitlines()), again.stderr
    (model,) = (tmp_path / "again").glob("*.onnx")
    assert model.read_bytes() == made.model.read_bytes()


def test_predict_gives_what_the_library_gives(made: Made, command: Command) -> None:
    run = command(made.folder, "predict", "--json", "--model", made.model, "clips")
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    good = [row for row in rows if "error" not in row]
    assert run.returncode == 1, "one of the files is broken"
    assert [Path(row["path"]).name for row in rows if "error" in row] == ["broken.flac"]
    assert len(good) == 32
    session = edgeemo.load(made.model)
    for row in good[:3]:
        expected = session.predict(read_audio(made.folder / row["path"]))
        for name in ("arousal", "dominance", "valence"):
            assert 0 <= row[name] <= 1
            assert row[name] == pytest.approx(getattr(expected, name), abs=1e-4)
        assert sum(row["classes"].values()) == pytest.approx(1, abs=1e-3)


def test_a_finished_run_is_not_resumed(made: Made, command: Command) -> None:
    run = command(made.folder, "distill", "--resume", made.run)
    assert run.returncode == 2
    assert "is finished" in run.stderr


def one_line(status: int, out: str, err: str, *words: str) -> None:
    """A refusal: status 2 and one line on stderr that holds the words."""
    assert status == 2, err
    assert out == ""
    assert "Traceback" not in err
    last = err.splitlines()[-1]
    assert last.startswith("edgeemo: ")
    for word in words:
        assert word in last, last


def refused(run: subprocess.CompletedProcess[str], *words: str) -> None:
    """A process that refused."""
    one_line(run.returncode, run.stdout, run.stderr, *words)


Refuse = Callable[..., None]


@pytest.fixture
def distill_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Refuse:
    """Run `edgeemo distill` in this process (torch takes seconds to load) in an empty folder."""

    def check(arguments: list[str], *words: str) -> None:
        monkeypatch.chdir(tmp_path)
        capsys.readouterr()
        status = main(["distill", *arguments])
        one_line(status, *capsys.readouterr(), *words)
        assert not (tmp_path / "runs").exists(), "what is refused must leave no run"

    return check


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("epochs = 15", "epochs = 15\nepoch = 15", ["tiny.toml", "$.distill.epoch", "epochs"]),
        ("epochs = 15", 'epochs = "15"', ["$.distill.epochs", "expected int"]),
        ("epochs = 15", "epochs = true", ["$.distill.epochs", "bool"]),
        ("epochs = 15", "epochs = 0", ["$.distill.epochs", "0"]),
        ("wav2small-stream", "wav2small-steam", ["wav2small-steam", "wav2small-stream"]),
        ("[augment]", "[augmentation]", ["$.augmentation", "augment"]),
        (
            "batch = 8",
            "batch = 8\n[early_stopping]\nmetric = 'test.ccc.mean'",
            ["test.ccc.mean", "valid"],
        ),
        ("schema = 2", "schema = 9", ["$.schema", "9"]),
        ("schema = 2", "schema == 2", ["not TOML"]),
    ],
)
def test_recipes_that_are_refused(
    old: str, new: str, words: list[str], tmp_path: Path, distill_refuses: Refuse
) -> None:
    assert old in RECIPE
    (tmp_path / "tiny.toml").write_text(RECIPE.replace(old, new, 1))
    distill_refuses(["--recipe", "tiny.toml"], *words)


EMOTIONS = "path,speaker,emotion"
RATINGS = "path,speaker,arousal,dominance,valence"


@pytest.mark.parametrize(
    ("head", "line", "words"),
    [
        (EMOTIONS, "a.wav,s,joyous", ["labels.csv:2", "joyous"]),
        (EMOTIONS, "../secret.wav,s,anger", ["labels.csv:2", "../secret.wav"]),
        (EMOTIONS, "/etc/passwd,s,anger", ["labels.csv:2", "/etc/passwd"]),
        (EMOTIONS, "a.wav,s", ["labels.csv:2"]),
        (RATINGS, "a.wav,s,1.5,0.5,0.5", ["labels.csv:2", "1.5"]),
        (RATINGS, "a.wav,s,nan,0.5,0.5", ["labels.csv:2", "nan"]),
        (RATINGS, "a.wav,s,x,0.5,0.5", ["labels.csv:2", "x"]),
        ("file,speaker,emotion", "a.wav,s,anger", ["labels.csv", "path"]),
        (EMOTIONS, "", ["labels.csv", "no clip"]),
    ],
)
def test_label_files_that_are_refused(
    head: str, line: str, words: list[str], tmp_path: Path, distill_refuses: Refuse
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    soundfile.write(data / "a.wav", np.zeros(16000, np.float32), 16000)
    (data / "labels.csv").write_text(f"{head}\n{line}\n")
    distill_refuses(["--data", "data"], *words)


def test_a_folder_without_sound_is_refused(tmp_path: Path, distill_refuses: Refuse) -> None:
    (tmp_path / "empty").mkdir()
    distill_refuses(["--data", "empty"], "empty")


def test_a_refusal_of_a_process(tmp_path: Path, command: Command) -> None:
    refused(command(tmp_path, "distill", "--recipe", "gone.toml"), "gone.toml")


def test_export_without_a_run_tells_what_to_do(tmp_path: Path, command: Command) -> None:
    refused(command(tmp_path, "export", "--int8"), "edgeemo distill")


def test_a_damaged_run_is_refused(made: Made, tmp_path: Path, command: Command) -> None:
    run = tmp_path / "run"
    shutil.copytree(made.run, run)
    weights = run / "student.pt"
    weights.write_bytes(weights.read_bytes()[:-500])
    refused(command(tmp_path, "export", run, "--int8"), "student.pt")


@pytest.mark.parametrize("damage", ["truncated", "text", "empty", "foreign", "edited"])
def test_model_files_that_are_refused(
    damage: str, made: Made, tmp_path: Path, command: Command
) -> None:
    model = tmp_path / "model.onnx"
    data = made.model.read_bytes()
    if damage == "truncated":
        model.write_bytes(data[: len(data) // 2])
    elif damage == "text":
        model.write_text("this is no model\n" * 100)
    elif damage == "empty":
        model.write_bytes(b"")
    else:
        plain = onnx.load_from_string(data)
        plain.DiscardUnknownFields()  # the card is in one of them
        model.write_bytes(plain.SerializeToString())  # an ONNX file of somebody else
        if damage == "edited":  # one key more in the card
            told = json.loads(find_card(data)) | {"hidden": 1}
            plain.metadata_props.add(key=CARD_KEY, value=json.dumps(told))
            model.write_bytes(plain.SerializeToString())
    refused(command(made.folder, "predict", "--model", model, "clips"), "model.onnx")


@pytest.mark.parametrize(
    ("samples", "rate", "word"),
    [
        (np.full(16000, np.nan, np.float32), 16000, "nan"),
        (np.zeros((16000, 2), np.float32), 16000, "(16000, 2)"),
        (np.zeros(16000, np.int64), 16000, "int64"),
        (np.zeros(16000, np.complex64), 16000, "complex64"),
        (np.zeros(16000, np.float32), 0, "0"),
        (np.zeros(0, np.float32), 16000, "0"),
        (np.full(16000, 30000, np.float32), 16000, "30000"),
    ],
)
def test_samples_that_are_refused(samples: np.ndarray, rate: int, word: str, made: Made) -> None:
    with pytest.raises(edgeemo.errors.BadInput) as caught:
        edgeemo.load(made.model).predict(samples, rate)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_evaluate_speaks_of_speakers(made: Made, command: Command, tmp_path: Path) -> None:
    """Against labels that a person could have given: here the emotions of the actors."""
    run = command(made.folder, "evaluate", "--model", made.model, "clips")
    assert run.returncode in (0, 1), run.stderr
    assert "speaker" in run.stdout.lower()


def test_results_and_progress_do_not_mix(made: Made) -> None:
    assert "epoch" not in made.distill.stdout.lower()
    assert "broken.flac" not in made.distill.stdout


def test_the_clips_were_left_alone(made: Made) -> None:
    with (made.clips / "labels.csv").open(newline="") as file:
        listed = {row["path"] for row in csv.DictReader(file)}
    assert {path.name for path in made.clips.iterdir()} == listed | {"labels.csv"}
