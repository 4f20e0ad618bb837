from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from edgeemo import cli
from edgeemo.evaluation.evaluate import Judged, figures, to_csv, to_svg
from edgeemo.evaluation.metrics import ccc
from edgeemo.types import Emotion

Capture = pytest.CaptureFixture[str]


def rows(n: int = 30) -> list[Judged]:
    rng = np.random.default_rng(5)
    made = []
    for i in range(n):
        adv = tuple(rng.random(3).tolist())
        said = [v + rng.normal(0, 0.1) for v in adv]
        truth = "anger" if i % 3 else "neutral"
        classes = {"anger": 0.9, "neutral": 0.1}
        made.append(Judged(f"{i}.wav", f"s{i % 4}", Emotion(*said, classes, 0.9), adv, truth))  # type: ignore[arg-type]
    return made


def test_figures_over_all_and_by_speaker() -> None:
    some = [*rows(32), Judged("x", "s9", Emotion(0.1, 0.2, 0.3), (0.1, 0.2, 0.3), None)]
    found = {(f.measure, f.of): f for f in figures(some)}
    assert set(found) == {
        ("ccc", "arousal"),
        ("ccc", "dominance"),
        ("ccc", "valence"),
        ("uar", "classes"),
    }
    valence = found["ccc", "valence"]
    assert valence.clips == 33
    assert valence.value == pytest.approx(
        ccc([r.estimate.valence for r in some], [r.adv[2] for r in some if r.adv])
    )
    assert valence.speakers == 4  # s9 has one clip
    each = [
        ccc([r.estimate.valence for r in part], [r.adv[2] for r in part if r.adv])
        for s in range(4)
        if (part := [r for r in some if r.speaker == f"s{s}"])
    ]
    assert (valence.mean, valence.spread, valence.worst) == pytest.approx(
        (np.mean(each), np.std(each), min(each))
    )
    assert found["uar", "classes"].value == 0.5  # always says anger; two classes occur
    assert found["uar", "classes"].clips == 32


def test_nothing_labelled_gives_no_figure() -> None:
    assert figures([Judged("x", "s", Emotion(0.1, 0.2, 0.3), None, None)] * 5) == []


def test_csv_and_svg_hold_every_clip() -> None:
    some = [*rows(5), Judged('a,"b".wav', "s", Emotion(None, None, 0.5), None, None)]
    table = list(csv.DictReader(to_csv(some).splitlines()))
    assert [row["path"] for row in table] == [r.id for r in some]
    assert float(table[0]["label_valence"]) == pytest.approx(some[0].adv[2], abs=1e-4)  # type: ignore[index]
    assert table[-1]["arousal"] == "" and table[-1]["valence"] == "0.5000"
    picture = ET.fromstring(to_svg(some))
    assert len(picture.findall("{http://www.w3.org/2000/svg}circle")) == 15


@pytest.fixture
def labelled(tmp_path: Path, speech_files: list[Path]) -> Path:
    """Shipped speech with made-up labels, and a broken clip."""
    folder = tmp_path / "data"
    folder.mkdir()
    lines = ["path,speaker,emotion,arousal,dominance,valence"]
    for i, path in enumerate(speech_files[:20]):
        (folder / f"{i}{path.suffix}").write_bytes(path.read_bytes())
        lines.append(
            f"{i}{path.suffix},s{i % 2},{'anger' if i % 3 else 'neutral'},"
            f"{i / 20},{(i * 7 % 20) / 20},{(i * 3 % 20) / 20}"
        )
    (folder / "broken.wav").write_bytes(b"RIFF")
    lines.append("broken.wav,s0,anger,0.5,0.5,0.5")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_the_command(labelled: Path, artifact: Path, tmp_path: Path, capsys: Capture) -> None:
    more = ["--csv", str(tmp_path / "o.csv"), "--plot", str(tmp_path / "o.svg")]
    arguments = ["evaluate", str(labelled), "--model", str(artifact)]
    assert cli.main([*arguments, "--json", *more]) == 1  # one clip is broken
    out, err = capsys.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [f["of"] for f in lines if f["measure"] == "seen"][:1] == ["model"]
    found = [f for f in lines if f["measure"] != "seen"]
    assert {f["measure"] for f in found[4:]} >= {"accuracy", "kl", "recall"}
    assert [(f["measure"], f["of"]) for f in found[:4]] == [
        ("ccc", "arousal"),
        ("ccc", "dominance"),
        ("ccc", "valence"),
        ("uar", "classes"),
    ]
    assert all(f["clips"] == 20 and f["speakers"] == 2 for f in found[:4])
    assert "1 of 21 clips were skipped" in err
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 21
    ET.parse(tmp_path / "o.svg")
    assert cli.main(arguments) == 1
    assert "CCC valence" in capsys.readouterr().out


def test_the_command_refuses(labelled: Path, artifact: Path, capsys: Capture) -> None:
    arguments = ["evaluate", str(labelled), "--model", str(artifact)]
    assert cli.main([*arguments, "--plot", "o.png"]) == 2
    assert "ends in .svg" in capsys.readouterr().err
    text = (labelled / "labels.csv").read_text().splitlines()
    (labelled / "labels.csv").write_text("path,speaker\n0.flac,s0\n")
    assert len(text) == 22
    assert cli.main(arguments) == 2
    assert "nothing to compare" in capsys.readouterr().err
