"""`edgeemo predict` and `edgeemo evaluate` for pictures and video."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile

import edgeemo
from edgeemo import cli
from edgeemo.evaluation.confusion import confusion, to_csv, to_svg
from edgeemo.evaluation.evaluate import Judged
from edgeemo.evaluation.metrics import kl_divergence
from edgeemo.types import CLASSES, Emotion
from edgeemo.vision.pictures import read_picture

DATA = Path(__file__).parents[2] / "data"
LONDON = DATA / "faces" / "london"
Capture = pytest.CaptureFixture[str]


def predicted(capsys: Capture, *arguments: str | Path) -> tuple[int, list[dict[str, object]]]:
    status = cli.main(["predict", *map(str, arguments), "--json"])
    return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_folder_gives_a_line_a_face_and_goes_on_after_faults(
    face_artifact: Path, tmp_path: Path, capsys: Capture
) -> None:
    good = (LONDON / "001_happiness.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(good)
    (tmp_path / "b.jpg").write_bytes(good[:6000])
    shutil.copy(DATA / "faces" / "none_fox.jpg", tmp_path / "c.jpg")
    pair = np.concatenate([cv2.imread(str(LONDON / f"{n}_neutral.jpg")) for n in ("017", "001")], 1)
    cv2.imwrite(str(tmp_path / "d.png"), pair)
    (tmp_path / "e.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "f.wav").write_bytes(b"sound is not looked for with this model")
    video = (DATA / "video" / "grid_pwij3p.mpg").read_bytes()
    (tmp_path / "g.mpg").write_bytes(video[: len(video) // 3])
    status, rows = predicted(capsys, tmp_path, "--model", face_artifact)
    assert status == 1
    said = [(Path(str(r["path"])).name, r.get("face"), str(r.get("error", ""))) for r in rows]
    assert [name[0] for name, _, _ in said] == ["a", "b", "c", "d", "d", "e", "g"]
    assert "cut short" in said[1][2] and "no face found by blazeface" in said[2][2]
    assert [face for name, face, _ in said if name == "d.png"] == [1, 2]
    assert "cut short" in said[5][2] and said[6][1] == 1
    first = rows[0]
    assert list(first) == [
        "path",
        "face",
        "box",
        "arousal",
        "dominance",
        "valence",
        "classes",
        "confidence",
        "start",
        "end",
    ]
    found = edgeemo.load(face_artifact).predict(read_picture(tmp_path / "a.jpg"), box=first["box"])
    # The box is printed in whole pixels and used in fractions of them.
    assert first["valence"] == pytest.approx(found.valence, abs=0.03)
    assert list(first["classes"]) == list(CLASSES)  # type: ignore[call-overload]


def test_sound_and_faces_do_not_mix(
    face_artifact: Path, artifact: Path, tmp_path: Path, capsys: Capture
) -> None:
    picture, sound = LONDON / "001_happiness.jpg", tmp_path / "a.wav"
    soundfile.write(sound, np.zeros(16000, np.float32), 16000)
    status, rows = predicted(capsys, picture, sound, "--model", face_artifact)
    assert status == 1 and "face" in rows[0]
    assert "tiny-face is a model of faces; give it a picture or a video" in str(rows[1]["error"])
    status, rows = predicted(capsys, picture, sound, "--model", artifact)
    assert status == 1 and "tiny is a model of speech; give it sound" in str(rows[0]["error"])
    assert "error" not in rows[1]


def test_detectors_are_chosen(face_artifact: Path, capsys: Capture) -> None:
    picture = LONDON / "001_happiness.jpg"
    status, (row,) = predicted(capsys, picture, "--model", face_artifact, "--detector", "none")
    assert status == 0 and row["box"] == [0, 0, 256, 256]
    status, (row,) = predicted(capsys, picture, "--model", face_artifact, "--detector", "haar")
    assert status == 0 and row["box"] != [0, 0, 256, 256]
    assert cli.main(["predict", str(picture), "--model", str(face_artifact)]) == 0
    head, line = capsys.readouterr().out.splitlines()
    assert head.split()[-1] == "file" and "001_happiness.jpg  face 1 at (" in line


def judged(truth: str | None, guess: str, share: float = 0.7, **more: object) -> Judged:
    rest = (1 - share) / 7
    classes = {name: share if name == guess else rest for name in CLASSES}
    return Judged(guess, "s", Emotion(None, None, None, classes), None, truth, **more)  # type: ignore[arg-type]


def test_confusion_counts_by_hand() -> None:
    women, men = {"groups": {"sex": "F"}}, {"groups": {"sex": "M"}}
    rows = [
        judged("anger", "anger", **women),
        judged("anger", "fear", **women),
        judged("fear", "fear", **men),
        judged("neutral", "neutral", **women),
        judged(None, "anger"),
        judged("boredom", "anger"),
    ]
    found = confusion(rows)
    assert found is not None
    assert found.accuracy == 0.75 and found.uar == pytest.approx((0.5 + 1 + 1) / 3)
    assert found.recall == {"neutral": (1.0, 1), "anger": (0.5, 2), "fear": (1.0, 1)}
    assert found.counts[CLASSES.index("anger"), CLASSES.index("fear")] == 1
    assert [(g.name, g.count, round(g.accuracy, 3)) for g in found.groups] == [
        ("F", 3, 0.667),
        ("M", 1, 1.0),
    ]
    assert found.kl is None
    assert confusion([judged(None, "anger")]) is None
    lines = list(csv.reader(to_csv(found).splitlines()))
    assert lines[0] == ["true", *CLASSES, "recall", "count"]
    anger = lines[1 + CLASSES.index("anger")]
    assert anger[0] == "anger" and anger[-2:] == ["0.5000", "2"] and sum(map(int, anger[1:9])) == 2
    picture = ET.fromstring(to_svg(found))
    assert sum(e.tag.endswith("rect") for e in picture.iter()) == 65
    assert "50.0% of 2" in to_svg(found)


def test_divergence_is_against_the_votes() -> None:
    votes = [[0.7, 0.3]]
    assert kl_divergence(votes, votes) == 0
    want = 0.7 * np.log(0.7 / 0.5) + 0.3 * np.log(0.3 / 0.5)
    assert kl_divergence(votes, [[0.5, 0.5]]) == pytest.approx(want)
    mean = kl_divergence([[1, 0], *votes], [[0, 1], *votes])
    assert mean == pytest.approx(np.log(1e7) / 2)
    rows = [judged("anger", "anger", votes={"anger": 1.0})]
    assert confusion(rows).kl == pytest.approx(-np.log(0.7))  # type: ignore[union-attr]


def test_evaluate_faces_by_label(face_artifact: Path, tmp_path: Path, capsys: Capture) -> None:
    for name in ("happiness", "neutral"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for file in LONDON.glob(f"*_{name}.jpg"):
            shutil.copy(file, tmp_path / "data" / name)
    outputs = [tmp_path / "m.csv", tmp_path / "m.svg"]
    for out in outputs:
        assert (
            cli.main(
                [
                    "evaluate",
                    str(tmp_path / "data"),
                    "--model",
                    str(face_artifact),
                    "--confusion",
                    str(out),
                ]
            )
            == 0
        )
    text = capsys.readouterr().out
    assert "12 clips" in text and "classes: accuracy" in text and "happiness" in text
    table = list(csv.DictReader(outputs[0].read_text().splitlines()))
    assert sum(int(row["count"]) for row in table) == 12
    session = edgeemo.load(face_artifact)
    guesses = [
        max(found, key=found.__getitem__)
        for file in LONDON.glob("*_neutral.jpg")
        for found in [session.predict(read_picture(file)).classes]
    ]
    row = next(r for r in table if r["true"] == "neutral")
    assert {k: int(row[k]) for k in CLASSES} == {k: guesses.count(k) for k in CLASSES}
    assert (
        cli.main(
            [
                "evaluate",
                str(tmp_path / "data"),
                "--model",
                str(face_artifact),
                "--confusion",
                "m.png",
            ]
        )
        == 2
    )
    assert "name a file that ends in .svg or .csv" in capsys.readouterr().err


@pytest.fixture
def clip(speech_files: list[Path]) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed; .ci/run installs it")
    return speech_files[0]


def test_a_film_without_a_face_gives_its_voice(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    made = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=gray:s=64x64:d=1:r=5", "-i", clip]
    subprocess.run([*made, tmp_path / "a.mp4"], check=True)
    status, (voice, fault) = predicted(capsys, tmp_path / "a.mp4")
    assert status == 1 and "no face found" in fault["error"]
    assert voice["voice"] is True and voice["speech"] is True


def test_a_film_gives_its_faces_and_its_voice(clip: Path, tmp_path: Path, capsys: Capture) -> None:
    picture = LONDON / "001_happiness.jpg"
    made = ["ffmpeg", "-v", "error", "-loop", "1", "-t", "2", "-i", picture, "-i", clip]
    subprocess.run([*made, "-vf", "scale=320:-2", "-r", "5", tmp_path / "a.mp4"], check=True)
    status, rows = predicted(capsys, tmp_path / "a.mp4")
    assert status == 0
    assert [row.get("voice", False) for row in rows] == [False] * (len(rows) - 1) + [True]
    assert rows[0]["face"] == 1 and "face" not in rows[-1]
    (sound,) = predicted(capsys, clip)[1]
    for dimension in ("arousal", "dominance", "valence"):
        assert rows[-1][dimension] == pytest.approx(sound[dimension], abs=0.1)
    # A model of speech judges the voice alone, one of faces the faces.
    (voice,) = predicted(capsys, tmp_path / "a.mp4", "--model", "wav2small-stream")[1]
    assert "face" not in voice and voice["arousal"] == rows[-1]["arousal"]


@pytest.mark.parametrize("ending", ["mp4", "webm", "mkv", "m4a", "3gp"])
def test_a_container_with_sound_alone_is_sound(
    clip: Path, tmp_path: Path, capsys: Capture, ending: str
) -> None:
    how = ["-ar", "44100", "-c:a", "aac"] if ending == "3gp" else []
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", clip, *how, tmp_path / f"a.{ending}"], check=True
    )
    status, (row,) = predicted(capsys, tmp_path)
    assert status == 0 and row["arousal"] is not None and "face" not in row


@pytest.mark.parametrize("ending", ["ts", "flv", "wmv", "avi"])
def test_further_videos_are_read(
    face_artifact: Path, tmp_path: Path, capsys: Capture, ending: str, clip: Path
) -> None:
    made = ["ffmpeg", "-v", "error", "-i", DATA / "video" / "grid_pwij3p.mpg", "-an", "-t", "0.5"]
    strange = tmp_path / f"a%d\udcff.{ending}"
    subprocess.run([*made, tmp_path / f"a.{ending}"], check=True)
    (tmp_path / f"a.{ending}").rename(strange)
    status, rows = predicted(capsys, tmp_path, "--model", face_artifact)
    assert status == 0 and rows[0]["face"] == 1


def test_decoders_of_pictures_keep_stderr_clean(
    face_artifact: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = bytearray((LONDON / "001_happiness.jpg").read_bytes())
    data[9000:9400] = bytes(400)
    (tmp_path / "a.jpg").write_bytes(data)
    film = bytearray((DATA / "video" / "grid_pwij3p.mpg").read_bytes())
    film[60000:62000] = bytes(2000)
    (tmp_path / "b.mpg").write_bytes(film)
    cli.main(["predict", str(tmp_path), "--model", str(face_artifact), "--json"])
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("edgeemo: tiny-face (")
