"""IEMOCAP in a miniature."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeemo.compress.data import open_dataset
from edgeemo.errors import BadData

IEMOCAP = """\
% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 4.0000]
C-E2:\tNeutral;\t()
C-E3:\tFrustration; Anger;\t()
C-E4:\tExcited;\t(amused)
C-F1:\tSadness;\t(curious)
A-E3:\tval 3; act 2; dom  4;\t()
A-E4:\tval 2; act 2; dom  4;\t(mildly aggravated but staying polite, attitude)
A-F1:\tval 3; act 2; dom  1;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M001\txxx\t[5.5000, 1.0000, 5.0000]
C-E2:\tNeutral state;\t()
A-E3:\tval ; act 1; dom  ;\t()

"""
from tests.compress.data.facts import facts


def iemocap(folder: Path, text: str) -> Path:
    path = folder / "Session1" / "dialog" / "EmoEvaluation" / "Ses01F_impro01.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("latin-1"))
    (path.parent / "._Ses01F_impro01.txt").write_bytes(b"\x00\x05\x16\x07[")
    (path.parent / "Categorical").mkdir()
    return folder


def test_iemocap(tmp_path: Path, place) -> None:
    place("Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav")
    first, second = open_dataset(iemocap(tmp_path, IEMOCAP.replace("amused", "amus\xe9")))
    assert first.id == "Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_F000.wav"
    assert len(first.samples()) > 0
    assert facts(first) == ("iemocap/Ses01F", "F", "en", None, "neutral")
    # The file's order is valence 2.5, activation 2, dominance 4; ours arousal, dominance, valence.
    assert first.dimensions == pytest.approx((0.25, 0.75, 0.375))
    assert first.dimensions_sd == pytest.approx((0, 0, 0.125))
    # Three evaluators; one of them parted his vote between anger and a word without a class.
    assert first.votes == pytest.approx({"neutral": 0.4, "happiness": 0.4, "anger": 0.2})
    assert first.other == pytest.approx(1 / 6)
    assert first.seconds == pytest.approx(1.9456)
    assert facts(second) == ("iemocap/Ses01M", "M", "en", None, "no agreement")
    assert second.dimensions == (0.0, 1.0, 1.0) and second.dimensions_sd is None
    assert first.group == second.group == "iemocap/Ses01"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("\tneu\t", "\tabc\t", r"Ses01F_impro01.txt:3: emotion is 'abc'"),
        ("2.0000, 4.0000", "2.0000", r":3: 2 attributes"),
        ("2.0000, 4.0000", "2.0000, 7.0", r":3: attribute is ' 7.0'"),
        ("[6.2901 - ", "[6.2901 ", r":3: .*expected \[start - end\]"),
        ("Ses01F_impro01_F000", "F000", r":3: name is 'F000'"),
        ("C-E2:\tNeutral;", "C-E2:\tGlum;", r":4: category is 'Glum'"),
        ("val 3; act 2; dom  4", "val 9; act 2; dom  4", r":8: val is '9'"),
    ],
)
def test_iemocap_faults(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in IEMOCAP
    with pytest.raises(BadData, match=says):
        open_dataset(iemocap(tmp_path, IEMOCAP.replace(old, new, 1)))


def test_one_rating_has_no_spread(tmp_path: Path) -> None:
    """A deviation of 0 would read as perfect agreement."""
    clip = next(iter(open_dataset(iemocap(tmp_path / "iemocap", _one_evaluator(IEMOCAP)))))
    assert clip.dimensions is not None and clip.dimensions_sd is None


def _one_evaluator(text: str) -> str:
    lines = text.splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("A-"))
    return "".join(x for i, x in enumerate(lines) if not x.startswith("A-") or i == first)
