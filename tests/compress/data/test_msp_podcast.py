"""MSP-Podcast in a miniature."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeemo.compress.data import open_dataset
from edgeemo.errors import BadData

MSP = """\
FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1
MSP-PODCAST_0002_0011.wav,X,7.0,1.0,4.0,Unknown,Female,Train
MSP-PODCAST_0002_0012.wav,O,4.0,4.0,4.0,Unknown,Unknown,Train
"""
from tests.compress.data.facts import facts

MSP_DETAILS = {
    "MSP-PODCAST_0001_0008.wav": {
        "WORKER00000001": {
            "EmoClass_Major": "Neutral",
            "EmoClass_Second": "Neutral,Concerned",
            "EmoAct": "2",
            "EmoDom": "3",
            "EmoVal": "4",
        },
        "WORKER00000002": {
            "EmoClass_Major": "Contempt",
            "EmoClass_Second": "Angry",
            "EmoAct": "3",
            "EmoDom": "3",
            "EmoVal": "4",
        },
    },
    "MSP-PODCAST_0002_0011.wav": {
        "WORKER00000001": {"EmoClass_Major": "Angry", "EmoAct": "7", "EmoDom": "4", "EmoVal": "1"},
        "WORKER00000003": {"EmoClass_Major": "Sad", "EmoAct": "7", "EmoDom": "4", "EmoVal": "1"},
        "WORKER00000004": {
            "EmoClass_Major": "Other-Annoyed",
            "EmoAct": "7",
            "EmoDom": "4",
            "EmoVal": "1",
        },
    },
}


@pytest.mark.parametrize("details", ["json", "csv"])
def test_msp_podcast(tmp_path: Path, place, details: str) -> None:
    place("Audios/MSP-PODCAST_0001_0008.wav")
    (tmp_path / "Labels").mkdir()
    (tmp_path / "Labels" / "labels_consensus.csv").write_text(MSP)
    if details == "json":
        (tmp_path / "Labels" / "labels_detailed.json").write_text(json.dumps(MSP_DETAILS))
    else:
        columns = ("EmoClass_Major", "EmoAct", "EmoDom", "EmoVal")
        rows = ["FileName,Worker," + ",".join(columns)]
        for name, workers in MSP_DETAILS.items():
            rows += [",".join([name, w, *(r[c] for c in columns)]) for w, r in workers.items()]
        (tmp_path / "Labels" / "labels_detailed.csv").write_text("\n".join(rows) + "\n")
    neutral, disputed, other = open_dataset(tmp_path)
    assert neutral.id == "Audios/MSP-PODCAST_0001_0008.wav"
    assert len(neutral.samples()) > 0
    assert facts(neutral) == ("msp_podcast/30", "M", "en", None, "neutral")
    assert neutral.dimensions == pytest.approx(
        (1.2 / 6, 1.6 / 6, 0.5)
    )  # arousal, dominance, valence
    assert neutral.dimensions_sd == pytest.approx((0.5 / 6, 0, 0))
    assert neutral.votes == {"neutral": 0.5, "contempt": 0.5}
    assert neutral.tags == {"Split_Set": "Test1"}
    assert facts(disputed)[:2] == ("msp_podcast/podcast-0002", "F")
    assert (disputed.emotion, disputed.votes) == ("no agreement", {"sadness": 0.5, "anger": 0.5})
    assert disputed.other == pytest.approx(1 / 3)
    assert disputed.dimensions == (1.0, 0.5, 0.0)
    assert (other.emotion, other.votes, other.other, other.sex) == ("other", None, 1.0, None)


@pytest.mark.parametrize(
    ("consensus", "details", "says"),
    [
        (
            MSP.replace("2.2", "0.2"),
            "{}",
            "labels_consensus.csv:2: EmoAct is '0.2'; expected a number 1 to 7",
        ),
        (MSP.replace(",N,", ",Q,"), "{}", "labels_consensus.csv:2: EmoClass is 'Q'"),
        (MSP.replace("EmoVal", "Valence"), "{}", "column 'EmoVal' is missing"),
        (MSP.replace("MSP-PODCAST_0001", "../0001"), "{}", "labels_consensus.csv:2: path"),
        (MSP, "[]", "labels_detailed.json: expected an object"),
        (MSP, "{", "labels_detailed.json is not JSON"),
        (MSP, '{"a.wav": {"W1": {}}}', "a.wav: W1: EmoClass_Major is missing"),
        (
            MSP,
            '{"MSP-PODCAST_0001_0008.wav": {"W1": {"EmoClass_Major": "Vexed"}}}',
            "MSP-PODCAST_0001_0008.wav: W1: EmoClass_Major is 'Vexed'",
        ),
    ],
)
def test_msp_podcast_faults(tmp_path: Path, consensus: str, details: str, says: str) -> None:
    (tmp_path / "Labels").mkdir()
    (tmp_path / "Labels" / "labels_consensus.csv").write_text(consensus)
    (tmp_path / "Labels" / "labels_detailed.json").write_text(details)
    with pytest.raises(BadData, match=says):
        open_dataset(tmp_path)


def test_one_rating_has_no_spread(tmp_path: Path) -> None:
    """A deviation of 0 would read as perfect agreement."""
    (tmp_path / "msp" / "Labels").mkdir(parents=True)
    (tmp_path / "msp" / "Labels" / "labels_consensus.csv").write_text(MSP)
    details = {k: dict(list(v.items())[:1]) for k, v in MSP_DETAILS.items()}
    (tmp_path / "msp" / "Labels" / "labels_detailed.json").write_text(json.dumps(details))
    clip = next(iter(open_dataset(tmp_path / "msp")))
    assert clip.dimensions is not None and clip.dimensions_sd is None
