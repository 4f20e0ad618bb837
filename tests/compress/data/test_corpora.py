"""Corpora in miniature, laid out as they are distributed, filled with other real speech."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeemo.compress.data import Clip, open_dataset
from edgeemo.errors import BadData


def by_id(path: Path) -> dict[str, Clip]:
    return {clip.id: clip for clip in open_dataset(path)}


def facts(clip: Clip) -> tuple[str | None, ...]:
    return clip.speaker, clip.sex, clip.language, clip.text_id, clip.emotion


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
    clip = next(iter(open_dataset(iemocap(tmp_path / "iemocap", _one_evaluator(IEMOCAP)))))
    assert clip.dimensions is not None and clip.dimensions_sd is None
    (tmp_path / "msp" / "Labels").mkdir(parents=True)
    (tmp_path / "msp" / "Labels" / "labels_consensus.csv").write_text(MSP)
    details = {k: dict(list(v.items())[:1]) for k, v in MSP_DETAILS.items()}
    (tmp_path / "msp" / "Labels" / "labels_detailed.json").write_text(json.dumps(details))
    clip = next(iter(open_dataset(tmp_path / "msp")))
    assert clip.dimensions is not None and clip.dimensions_sd is None


def _one_evaluator(text: str) -> str:
    lines = text.splitlines(keepends=True)
    first = next(i for i, line in enumerate(lines) if line.startswith("A-"))
    return "".join(x for i, x in enumerate(lines) if not x.startswith("A-") or i == first)


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


MSP = """\
FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set
MSP-PODCAST_0001_0008.wav,N,2.2,4.0,2.6,30,Male,Test1
MSP-PODCAST_0002_0011.wav,X,7.0,1.0,4.0,Unknown,Female,Train
MSP-PODCAST_0002_0012.wav,O,4.0,4.0,4.0,Unknown,Unknown,Train
"""
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
