"""`edgeemo evaluate`: clips in which nobody speaks are no evidence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgeemo.artifacts.teachers_package import need
from edgeemo.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four clips of speech, and silence that is labelled neutral."""
    lines = ["path,emotion,speaker"]
    files = sorted(need("speech/emodb_full").glob("*.flac"))[:4]
    for i, file in enumerate(files):
        samples, rate = soundfile.read(file)
        soundfile.write(tmp_path / f"{i}.wav", samples, rate)
        lines.append(f"{i}.wav,{'anger' if i % 2 else 'neutral'},s{i}")
    soundfile.write(tmp_path / "silent.wav", np.zeros(32000), 16000)
    (tmp_path / "labels.csv").write_text("\n".join([*lines, "silent.wav,neutral,s9"]) + "\n")
    return tmp_path


def rows(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict], str]:
    status = main(["evaluate", "--json", *map(str, arguments)])
    out, err = capsys.readouterr()
    return status, [json.loads(line) for line in out.splitlines()], err


def test_silence_is_skipped_and_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = rows(capsys, folder)
    assert status == 1
    assert "skipped silent.wav: nobody speaks in it; --gate none takes it as it is" in err
    assert "1 of 5 clips were skipped" in err


def test_it_counts_on_request(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = rows(capsys, folder, "--gate", "none")
    assert status == 0 and "skipped" not in err


def test_silence_alone_is_no_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Six silent files that were labelled neutral had an UAR of 1."""
    for i in range(6):
        soundfile.write(tmp_path / f"{i}.wav", np.zeros(32000), 16000)
    table = ["path,emotion,speaker", *(f"{i}.wav,neutral,s{i}" for i in range(6))]
    (tmp_path / "labels.csv").write_text("\n".join(table) + "\n")
    status, found, err = rows(capsys, tmp_path)
    assert (status, found) == (2, []) and "nothing to compare with" in err


@pytest.fixture
def two_copies(folder: Path) -> Path:
    """The four clips of speech as they are shipped, and the same as somebody else's recordings."""
    files = sorted(need("speech/emodb_full").glob("*.flac"))[:4]
    corpus = folder / "emodb_full"
    corpus.mkdir()
    lines = ["path,emotion,speaker"]
    for i, file in enumerate(files):
        shutil.copy(file, corpus)
        lines.append(f"{file.name},{'anger' if i % 2 else 'neutral'},{file.name[:2]}")
    (corpus / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "labels.csv").rename(folder / "mine.csv")
    own = folder / "mine"
    own.mkdir()
    (folder / "mine.csv").rename(own / "labels.csv")
    for file in folder.glob("*.wav"):
        file.rename(own / file.name)
    return folder


def test_figures_of_unseen_people_stand_apart(
    two_copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found, _ = rows(capsys, two_copies)
    seen = {r["of"]: r for r in found if r["measure"] == "seen"}
    assert (seen["teacher"]["clips"], seen["teacher"]["corpora"]) == (4, ["emodb_full"])
    assert seen["teacher"]["value"] == pytest.approx(4 / 9)
    clips = {r["people"]: r["clips"] for r in found if r["measure"] == "uar"}
    assert clips == {"all": 8, "unseen": 4}


def test_only_unseen_leaves_the_others_out(
    two_copies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, found, _ = rows(capsys, two_copies, "--only-unseen")
    assert {r["people"]: r["clips"] for r in found if r["measure"] == "uar"} == {"unseen": 4}
    status, found, err = rows(capsys, two_copies / "emodb_full", "--only-unseen")
    assert (status, found) == (2, []) and "nobody is left with --only-unseen" in err
