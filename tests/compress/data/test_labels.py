"""labels.csv: what is understood, and that each fault is named with its line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from edgeemo.compress.data import Clip, open_dataset
from edgeemo.errors import BadData

HEAD = "path,speaker,emotion\n"


def labels(folder: Path, text: str) -> Path:
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return folder


def test_all_columns(tmp_path: Path, place) -> None:
    place("in/a.wav")
    labels(
        tmp_path,
        "path,speaker,sex,language,text_id,emotion,seconds,arousal,dominance,valence,"
        "arousal_sd,dominance_sd,valence_sd,licence,group,room\n"
        "in/a.wav, 03 ,F,de,a01,Angry,1.5,.75,0.5,.25,0.1,0,.2,CC0 1.0,family,kitchen\n",
    )
    (clip,) = open_dataset(tmp_path)
    corpus = tmp_path.name
    assert (clip.id, clip.corpus, clip.speaker) == ("in/a.wav", corpus, f"{corpus}/03")
    assert (clip.sex, clip.language, clip.text_id) == ("F", "de", "a01")
    assert (clip.emotion, clip.votes, clip.other) == ("anger", {"anger": 1.0}, 0.0)
    assert (clip.dimensions, clip.dimensions_sd) == ((0.75, 0.5, 0.25), (0.1, 0.0, 0.2))
    assert (clip.seconds, clip.licence, clip.group) == (1.5, "CC0 1.0", f"{corpus}/family")
    assert clip.tags == {"room": "kitchen"}
    assert len(clip.samples()) == 30372
    assert len(clip.digest()) == 64


@pytest.mark.parametrize(
    ("head", "values", "votes", "other"),
    [
        ("emotion", "calm", {"neutral": 1.0}, 0.0),
        ("emotion", "boredom", None, 1.0),
        ("emotion", "", None, 0.0),
        ("emotion,votes_anger,votes_fear", "fear,3,1", {"anger": 0.75, "fear": 0.25}, 0.0),
        (
            "emotion,voice_anger,voice_fear,face_fear",
            "fear,3,1,9",
            {"anger": 0.75, "fear": 0.25},
            0,
        ),
        ("emotion,votes_anger,votes_boredom", "anger,1,3", {"anger": 1.0}, 0.75),
        (
            "emotion,r1_emotion,r2_emotion,r3_emotion",
            "fear,sadness,boredom,sadness",
            {"sadness": 1.0},
            1 / 3,
        ),
        (
            "emotion,r1_emotion,r2_emotion",
            "fear,sad,surprised",
            {"sadness": 0.5, "surprise": 0.5},
            0,
        ),
        ("emotion,votes_anger", "fear,0", {"fear": 1.0}, 0.0),
    ],
)
def test_votes_stay_a_distribution(
    tmp_path: Path, head: str, values: str, votes: dict[str, float] | None, other: float
) -> None:
    (clip,) = open_dataset(labels(tmp_path, f"path,speaker,{head}\na.wav,1,{values}\n"))
    assert clip.votes == (votes if votes is None else pytest.approx(votes))
    assert clip.other == pytest.approx(other)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1: column 'path' is missing"),
        ("path,emotion\na.wav,fear\n", "1: column 'speaker' is missing"),
        ("path,speaker,speaker\na.wav,1,1\n", "1: column 'speaker' comes twice"),
        (
            "path,speaker,arrousal\na.wav,1,.5\n",
            "1: unknown column 'arrousal'; did you mean 'arousal'",
        ),
        ("path,speaker,votes_anxiety\na.wav,1,3\n", "1: column 'votes_anxiety'"),
        (HEAD, "holds no clip"),
        (HEAD + "a.wav,1,fear\nb.wav,2\n", "3: 2 values; expected 3"),
        (
            HEAD + "a.wav,1,fear\n\nb.wav,2,gloom\n",
            "4: emotion is 'gloom'; expected one of neutral",
        ),
        (HEAD + "a.wav,,fear\n", "2: speaker is empty"),
        (HEAD + ",1,fear\n", "2: path '' leaves"),
        (HEAD + "/etc/a.wav,1,fear\n", "2: path '/etc/a.wav' leaves the folder"),
        (HEAD + "b/../../a.wav,1,fear\n", "2: path 'b/../../a.wav' leaves the folder"),
        (HEAD + "C:\\a.wav,1,fear\n", "leaves the folder"),
        (HEAD + "a.wav,1,fear\na.wav,1,fear\n", "3: path 'a.wav' stands in .*labels.csv:2 already"),
        (HEAD + "a.wav,1,fear\n./a.wav,1,fear\n", "3: path 'a.wav' stands in"),
        (HEAD + '"a.wav,1,fear\n', "is no table"),
        ("path,speaker,sex\na.wav,1,woman\n", "2: sex is 'woman'; expected F, M"),
        ("path,speaker,seconds\na.wav,1,long\n", "2: seconds is 'long'; expected a number 0 to"),
        ("path,speaker,seconds\na.wav,1,-1\n", "2: seconds is '-1'"),
        ("path,speaker,arousal,dominance,valence\na.wav,1,.5,.5,1.01\n", "valence is '1.01'"),
        ("path,speaker,arousal,dominance,valence\na.wav,1,.5,nan,.5\n", "dominance is 'nan'"),
        (
            "path,speaker,arousal,dominance,valence\na.wav,1,.5,,\n",
            "2: dominance and valence are missing",
        ),
        ("path,speaker,votes_fear\na.wav,1,-3\n", "votes_fear is '-3'"),
        ("path,speaker,r1_emotion\na.wav,1,joyish\n", "r1_emotion is 'joyish'"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadData, match=says) as caught:
        open_dataset(labels(tmp_path, text))
    assert "labels.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_encoding_is_checked(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes(HEAD.encode() + "ä.wav,1,fear\n".encode("latin-1"))
    with pytest.raises(BadData, match="is not UTF-8"):
        open_dataset(tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"\xef\xbb\xbf" + HEAD.encode() + b"a.wav,1,fear\n")
    assert len(open_dataset(tmp_path)) == 1


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, place) -> None:
    place("outside/a.wav", "set/b.wav")
    (tmp_path / "set" / "a.wav").symlink_to(tmp_path / "outside" / "a.wav")
    (tmp_path / "set" / "sub").symlink_to(tmp_path / "outside")
    (tmp_path / "set" / "c.wav").symlink_to(tmp_path / "set" / "b.wav")
    for path in ("a.wav", "sub/a.wav"):
        labels(tmp_path / "set", HEAD + f"{path},1,fear\n")
        with pytest.raises(BadData, match=r"labels.csv:2: .* is a link that leaves the folder"):
            open_dataset(tmp_path / "set")
    labels(tmp_path / "set", HEAD + "c.wav,1,fear\n")
    assert len(open_dataset(tmp_path / "set")) == 1


def table(folder: Path, text: str, **changes: tuple[float, float]) -> list[Clip]:
    folder.mkdir(exist_ok=True)
    (folder / "labels.csv").write_bytes(text.encode())
    return list(open_dataset(folder, **changes).clips)


def test_pictures_are_faces(tmp_path: Path) -> None:
    (clip,) = table(tmp_path, "path,speaker,emotion,licence\nann/1.JPG,ann,happiness,CC0\n")
    assert (clip.task, clip.votes, clip.licence) == ("face", {"happiness": 1.0}, "CC0")
    assert [clip.task for clip in table(tmp_path, HEAD + "a.wav,1,fear\n")] == ["speech"]


def test_what_spreadsheets_write(tmp_path: Path) -> None:
    """A mark of byte order, blanks behind commas, quotation marks behind blanks, CR LF."""
    text = '\ufeffpath, speaker, arousal, dominance, valence\r\n"a, b.wav", 1, 0.5, 0.25, 1\r\n'
    (clip,) = table(tmp_path, text)
    assert (clip.id, clip.speaker, clip.dimensions) == (
        "a, b.wav",
        f"{tmp_path.name}/1",
        (0.5, 0.25, 1.0),
    )
    with pytest.raises(BadData, match=r"'path' is missing.*separate the columns by commas"):
        table(tmp_path, "path;speaker\na.wav;1\n")


@pytest.mark.parametrize(
    ("scale", "given", "want"),
    [
        ((1, 5), "1,3,5", (0, 0.5, 1)),
        ((-1, 1), "-1,0,1", (0, 0.5, 1)),
        ((0, 100), "0,50,100", (0, 0.5, 1)),
    ],
)
def test_ratings_on_other_scales(
    tmp_path: Path, scale: tuple[float, float], given: str, want: tuple[float, ...]
) -> None:
    head = "path,speaker,arousal,dominance,valence,arousal_sd,dominance_sd,valence_sd\n"
    spread = (scale[1] - scale[0]) / 4
    text = f"{head}a.wav,1,{given},{spread},{spread},{spread}\n"
    (clip,) = table(tmp_path, text, scale=scale)
    assert clip.dimensions == want and clip.dimensions_sd == (0.25, 0.25, 0.25)
    formula = r"\(x - lowest\) / \(highest - lowest\): name it, for example --label-scale 1 5"
    with pytest.raises(BadData, match=rf"labels.csv:2: .*expected a number 0 to 1; .*{formula}"):
        table(tmp_path, text)


def test_a_wrong_scale_is_not_told_to_name_itself(tmp_path: Path) -> None:
    text = "path,speaker,arousal,valence\na.wav,1,0.5,0.25\n"
    with pytest.raises(BadData, match=r"expected a number 1 to 5; is that the scale of --label-sc"):
        table(tmp_path, text, scale=(1, 5))


@pytest.mark.parametrize("scale", [(1, 1), (5, 1), (0, float("nan")), (0, float("inf"))])
def test_a_scale_without_extent(tmp_path: Path, scale: tuple[float, float]) -> None:
    with pytest.raises(BadData, match="a scale of"):
        table(tmp_path, HEAD + "a.wav,1,fear\n", scale=scale)


def test_two_dimensions_are_enough(tmp_path: Path) -> None:
    (clip,) = table(tmp_path, "path,speaker,arousal,valence\na.wav,1,0.5,0.25\n")
    assert clip.dimensions is not None
    arousal, dominance, valence = clip.dimensions
    assert (arousal, valence) == (0.5, 0.25) and math.isnan(dominance)
    with pytest.raises(BadData, match="dominance and valence are missing; give two of the three"):
        table(tmp_path, "path,speaker,arousal\na.wav,1,0.5\n")
