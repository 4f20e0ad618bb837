"""`edgeemo label`, `label --pack` and `distill --labels`: from a folder of sound to a student."""

import json
import shutil

import pytest
import torch

from edgeemo.cli import main
from edgeemo.compress.run import Run
from tests.compress import test_cli

folder, quiet_logger = test_cli.folder, test_cli.quiet_logger  # its fixtures

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")


@pytest.fixture(scope="module")
def packed(folder):
    """Labels of a folder with a broken file, by two jobs, packed."""
    teacher = ["--teacher", str(folder / "teacher.toml")]
    common = ["label", "--recipe", str(folder / "short.toml"), *teacher, "--out", str(folder / "L")]
    for part in ("1/2", "2/2"):
        status = main([*common, "--data", str(folder / "corpus"), "--part", part])
        assert status == (1 if part == "1/2" else 0)  # the first has the broken file
    assert main(["label", "--pack", str(folder / "L"), "--out", str(folder / "P")]) == 0
    return folder / "P"


def distill(folder, packed, out, *more):
    arguments = ["distill", "--labels", str(packed), "--recipe", str(folder / "short.toml")]
    return main([*arguments, "--teacher", str(folder / "teacher.toml"), "--out", str(out), *more])


def test_a_student_learns_from_packed_labels(folder, packed, capsys, quiet_logger):
    out = folder / "runs" / "streamed"
    assert distill(folder, packed, out, "--json") == 0
    said = capsys.readouterr()
    facts = json.loads(said.out)
    assert facts["skipped"] == 1 and facts["teachers"][0]["name"] == "loudness"
    assert {s["name"] for s in facts["data"]} == {"corpus"}
    assert "training" in said.err and "labelling" not in said.err
    run = Run(out)
    assert run.finished and len(run.history()) == 2
    clips = facts["clips"]
    assert (
        sum(clips.values()) == json.loads((packed / "index.json").read_text())["files"][0]["rows"]
    )
    # The sound of people who are held out was packed with their labels.
    held = run.parity_set()
    assert len(held.ids) == clips["valid"] + clips["test"] and all(len(x) for x in held.samples)


def test_the_card_knows_everybody_who_taught_it(folder, packed):
    """Not those of a sample alone, and no clip whose sound was not there."""
    from edgeemo.compress.data import open_dataset
    from edgeemo.compress.exposure import exposure_of
    from edgeemo.compress.labels.packed import Packed
    from edgeemo.compress.labels.packed_split import split_packed
    from edgeemo.compress.pipeline import planned_splits
    from edgeemo.compress.recipes import load_recipe

    recipe = load_recipe(folder / "short.toml")
    rows = split_packed(Packed(packed), recipe)
    train, valid, _ = planned_splits(recipe, open_dataset(folder / "corpus"))
    ours, theirs = rows.exposure, exposure_of([*train, *valid])
    assert ours.speakers == theirs.speakers and ours.corpora == theirs.corpora
    missing = theirs.clip_hashes.by.keys() - ours.clip_hashes.by.keys()
    assert len(missing) <= 1  # the broken file
    assert ours.clip_hashes.by.keys() <= theirs.clip_hashes.by.keys()
    run = Run(folder / "runs" / "streamed")
    assert run.facts().trained_on.speakers == ours.speakers
    assert "loudness" in run.facts().trained_on.unknown


def test_people_are_split_as_they_are_from_a_folder(folder, packed):
    from edgeemo.compress.data import open_dataset
    from edgeemo.compress.labels.packed import Packed
    from edgeemo.compress.labels.packed_split import split_packed
    from edgeemo.compress.pipeline import planned_splits
    from edgeemo.compress.recipes import load_recipe

    recipe = load_recipe(folder / "short.toml")
    rows = split_packed(Packed(packed), recipe)
    plain = planned_splits(recipe, open_dataset(folder / "corpus"))
    for name, clips in zip(("valid", "test"), plain[1:], strict=True):
        ids = {clip.id for clip in getattr(rows, name).clips}
        assert ids == {clip.id for clip in clips} - {"broken.wav"}


def test_an_interrupted_run_goes_on(folder, packed, monkeypatch, quiet_logger):
    import edgeemo.cli.distill as command

    out, whole = folder / "runs" / "again", folder / "runs" / "whole"
    assert distill(folder, packed, whole) == 0
    monkeypatch.setattr(command._Every, "__call__", lambda self: True)
    seen = []

    def show(self, what, done, total):
        seen.append(done)
        if done * 4 >= total * 3:  # the last step but one
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgeemo.cli._progress._Lines.__call__", show)
        assert distill(folder, packed, out) == 130
    assert main(["distill", "--resume", str(out)]) == 0
    one, two = (Run(f).student().state_dict().values() for f in (whole, out))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert Run(out).history() == Run(whole).history() and len(seen) > 1


def damaged(packed, tmp_path, change):
    copy = tmp_path / "packed"
    shutil.copytree(packed, copy)
    change(copy)
    return copy


def shorten(copy):
    file = copy / "part-00000.parquet"
    file.write_bytes(file.read_bytes()[:-1])


def scramble(copy):
    """The same size, other bytes."""
    file = copy / "part-00000.parquet"
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))


def leave(copy):
    index = json.loads((copy / "index.json").read_text())
    index["files"][0]["name"] = "../P/part-00000.parquet"
    (copy / "index.json").write_text(json.dumps(index))


def exchange(copy):
    index = json.loads((copy / "index.json").read_text())
    index["groups"] += 1
    (copy / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda copy: (copy / "index.json").unlink(), "holds no index.json"),
        (lambda copy: (copy / "index.json").write_text("[]"), "expected a table"),
        (lambda copy: (copy / "part-00000.parquet").unlink(), "is missing; index.json says"),
        (lambda copy: (copy / "groups.parquet").unlink(), "groups.parquet: damaged"),
        (shorten, "bytes; index.json says"),
        (scramble, "part-00000.parquet: damaged"),
        (leave, "expected the name of a file"),
        (exchange, "groups.parquet: damaged"),
    ],
)
def test_packed_labels_that_are_not_whole_are_named(
    folder, packed, tmp_path, capsys, quiet_logger, change, message
):
    copy = damaged(packed, tmp_path, change)
    assert distill(folder, copy, tmp_path / "run") == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in said and "should not happen" not in said
    # Rows are read in training alone; whatever else is wrong is found before a run begins.
    assert (tmp_path / "run").exists() == (change is scramble)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distill", "--teacher", "builtin"], "$.teacher: the labels in"),
        (["distill", "--data", "x"], "give one of the two"),
        (["distill", "--checkpoint-minutes", "0"], "expected more than 0"),
        (["label", "--part", "2"], "expected K/N"),
        (["label", "--part", "3/2"], "expected K/N with K of 1 to N"),
        (["label", "--decoders", "-1"], "expected 0 to 1024"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(
    folder, packed, tmp_path, capsys, quiet_logger, arguments, message
):
    command, *rest = arguments
    common = ["--recipe", str(folder / "short.toml"), "--out", str(tmp_path / "out")]
    what = ["--labels", str(packed)] if command == "distill" else ["--data", str(folder / "corpus")]
    assert main([command, *common, *what, *rest]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line and not (tmp_path / "out").exists()


def test_labels_of_another_recipe_are_refused(folder, packed, tmp_path, capsys, quiet_logger):
    other = tmp_path / "other.toml"
    text = (folder / "short.toml").read_text()
    other.write_text(text.replace("clip_seconds = 1.0", "clip_seconds = 2.0"))
    arguments = ["--recipe", str(other), "--teacher", str(folder / "teacher.toml")]
    assert main(["distill", "--labels", str(packed), *arguments, "--out", str(tmp_path / "o")]) == 2
    assert "$.data.clip_seconds: the labels in" in capsys.readouterr().err
