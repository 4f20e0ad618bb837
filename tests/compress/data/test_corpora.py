"""Corpora in miniature, laid out as they are distributed, filled with other real speech."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeemo.compress.data import Clip, open_dataset
from edgeemo.errors import BadData
from tests.compress.data.facts import facts


def by_id(path: Path) -> dict[str, Clip]:
    return {clip.id: clip for clip in open_dataset(path)}


def test_ravdess(tmp_path: Path, place) -> None:
    place(
        "Actor_01/03-01-02-01-01-01-01.wav",
        "Actor_02/03-01-08-02-02-02-02.wav",
        "audio_speech_actors_01-24/Actor_01/03-01-02-01-01-01-01.wav",  # as one known copy has it
    )
    clips = by_id(tmp_path)
    assert list(clips) == ["Actor_01/03-01-02-01-01-01-01.wav", "Actor_02/03-01-08-02-02-02-02.wav"]
    calm, surprise = clips.values()
    assert facts(calm) == ("ravdess/01", "M", "en", "01", "calm")
    assert calm.votes == {"neutral": 1.0}
    assert facts(surprise) == ("ravdess/02", "F", "en", "02", "surprise")
    assert surprise.tags == {"channel": "01", "intensity": "02", "take": "02"}
    assert surprise.licence == "CC BY-NC-SA 4.0"


def test_emodb(tmp_path: Path, place) -> None:
    place(*(f"wav/{name}.wav" for name in ("03a01Fa", "08b10Lc", "16a07Wb", "10a05Ed", "11a02Ac")))
    clips = by_id(tmp_path)
    assert [facts(clip) for clip in clips.values()] == [
        ("emodb/03", "M", "de", "a01", "happiness"),
        ("emodb/08", "F", "de", "b10", "boredom"),
        ("emodb/10", "M", "de", "a05", "disgust"),
        ("emodb/11", "M", "de", "a02", "fear"),
        ("emodb/16", "F", "de", "a07", "anger"),
    ]
    assert clips["wav/08b10Lc.wav"].votes is None and clips["wav/08b10Lc.wav"].other == 1.0


CREMAD_VOTES = """\
"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote","meanEmoResp"
"100062",6,2,0,0,1,0,"1001_DFA_ANG_XX",9,0.666666666666667,"A",54.6666666666667
"107503",0,0,0,0,7,3,"1091_IEO_SAD_HI",10,0.7,"N",60
"200062",0,0,0,0,9,0,"1001_DFA_ANG_XX",9,1,"N",54
"300062",0,0,9,0,0,0,"1001_DFA_ANG_XX",9,1,"F",54
"""


@pytest.mark.parametrize("inside", [True, False])
def test_cremad(tmp_path: Path, place, inside: bool) -> None:
    place(
        "AudioWAV/1001_DFA_ANG_XX.wav",
        "AudioWAV/1091_IEO_SAD_HI.wav",
        "AudioWAV/1040_ITH_SAD_X.wav",
    )
    place("AudioMP3/1001_DFA_ANG_XX.mp3")
    (tmp_path / "processedResults").mkdir()
    (tmp_path / "processedResults" / "tabulatedVotes.csv").write_text(CREMAD_VOTES)
    (tmp_path / "VideoDemographics.csv").write_text(
        "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n"
        "1091,29,Female,Asian,Not Hispanic\n"
    )
    clips = {
        c.span.path.name: c for c in open_dataset(tmp_path if inside else tmp_path / "AudioWAV")
    }
    anger = clips["1001_DFA_ANG_XX.wav"]
    assert facts(anger) == ("cremad/1001", "M", "en", "DFA", "anger")
    # Only those who heard and did not see.
    assert anger.votes == pytest.approx({"anger": 6 / 9, "disgust": 2 / 9, "neutral": 1 / 9})
    sad = clips["1091_IEO_SAD_HI.wav"]
    assert sad.votes == pytest.approx({"neutral": 0.7, "sadness": 0.3})
    assert (sad.sex, sad.tags) == ("F", {"level": "HI"})
    assert clips["1040_ITH_SAD_X.wav"].votes == {"sadness": 1.0}


EMOTALE = """\
file,a1_A,a1_V,a1_D,a1_cat,a2_A,a2_V,a2_D,a2_cat,a3_A,a3_V,a3_D,a3_cat,gt_emotion
DK_001_A_2.wav,4.0,1.5,4.0,A,4.0,2.0,5.0,A,5.0,1.0,5.0,A,A
EN_003_B_1.wav,2.0,2.5,2.0,B,1.5,2.0,1.0,N,2.0,2.0,2.5,S,B
"""


def test_emotale(tmp_path: Path, place) -> None:
    place("DK_001_A_2.wav", "EN_003_B_1.wav", "EN_003_H_4.wav")
    (tmp_path / "annotations.csv").write_text(EMOTALE)
    anger, boredom, unrated = by_id(tmp_path).values()
    assert facts(anger) == ("emotale/001", None, "da", "2", "anger")
    # The figures that the research copy has for this clip, arousal, dominance, valence.
    assert anger.dimensions == pytest.approx((0.8333, 0.9167, 0.125), abs=5e-5)
    assert anger.dimensions_sd == pytest.approx((0.1179, 0.1179, 0.1021), abs=5e-5)
    assert boredom.language == "en"
    assert boredom.votes == {"neutral": 0.5, "sadness": 0.5}
    assert boredom.other == pytest.approx(1 / 3)
    assert unrated.dimensions is None and unrated.votes == {"happiness": 1.0}


def test_one_rating_has_no_spread(tmp_path: Path, place) -> None:
    """A deviation of 0 would read as perfect agreement."""
    place("emotale/DK_001_A_2.wav")
    rows = [line.split(",") for line in EMOTALE.splitlines()]
    one = [[*row[:5], *[""] * 8, row[13]] for row in rows[1:]]
    table = "\n".join(",".join(row) for row in [rows[0], *one])
    (tmp_path / "emotale" / "annotations.csv").write_text(table)
    (clip,) = open_dataset(tmp_path / "emotale")
    assert clip.dimensions == pytest.approx((0.75, 0.75, 0.125)) and clip.dimensions_sd is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "4.0,1.5,4.0,A",
            "6.0,1.5,4.0,A",
            r"annotations.csv:2: a1_A is '6.0'; expected a number 1 to 5",
        ),
        ("4.0,A,4.0", "4.0,Q,4.0", r"annotations.csv:2: category 'Q'"),
        ("a1_V", "a1_Val", "column 'a1_V' is missing"),
    ],
)
def test_emotale_faults(tmp_path: Path, place, old: str, new: str, says: str) -> None:
    place("DK_001_A_2.wav")
    assert old in EMOTALE
    (tmp_path / "annotations.csv").write_text(EMOTALE.replace(old, new, 1))
    with pytest.raises(BadData, match=says):
        open_dataset(tmp_path)


def test_nemo(tmp_path: Path, place) -> None:
    place("samples/WR0_surprised_64.wav", "samples/EB0_neutral_13.wav")
    (tmp_path / "data.tsv").write_text(
        "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
        'WR0_surprised_64.wav\tsurprised\t"Ucho wykrywa dźwięki.\tucho\t        WR0\tmale\t23\n'
        "EB0_neutral_13.wav\tneutral\tInteresuje mnie historia.\tint\t        EB0\tfemale\t27\n",
        encoding="utf-8",
    )
    for folder in (tmp_path, tmp_path / "samples"):
        neutral, surprise = open_dataset(folder)
        assert facts(neutral) == ("nemo/EB0", "F", "pl", "13", "neutral")
        assert facts(surprise) == ("nemo/WR0", "M", "pl", "64", "surprise")
        assert surprise.tags == {"raw_text": '"Ucho wykrywa dźwięki.', "age": "23"}


def test_tess(tmp_path: Path, place) -> None:
    place("OAF_angry/OAF_back_angry.wav", "YAF_pleasant_surprised/YAF_bar_ps.wav")
    place("OAF_neutral/OA_bite_neutral.wav")  # misspelt in the corpus itself
    clips = by_id(tmp_path)
    assert [facts(clip) for clip in clips.values()] == [
        ("tess/OAF", "F", "en", "back", "anger"),
        ("tess/OAF", "F", "en", "bite", "neutral"),
        ("tess/YAF", "F", "en", "bar", "surprise"),
    ]
    assert {clip.group for clip in clips.values()} == {"tess"}


def test_one_foreign_file_makes_a_folder_plain(tmp_path: Path, place) -> None:
    place("a/03-01-02-01-01-01-01.wav", "a/mine.wav")
    assert {clip.emotion for clip in open_dataset(tmp_path)} == {None}
