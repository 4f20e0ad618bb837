from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from edgeemo.artifacts.card import Card
from edgeemo.errors import BadInput
from edgeemo.results.cues import Cue
from edgeemo.results.writers import WRITERS, CueFiles, Origin, check, write

CUES = [Cue("voice", 0, 1000, {"arousal": 0.5})]
GOOD = {"start": 0.0, "end": 1.0, "arousal": 0.5, "classes": {}}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a.xyz"], r"a.xyz: unknown ending; expected .vtt .*\(labels for Audacity\)$"),
        (["a"], "unknown ending"),
        (["a.csv"], "a table is --csv"),
        (["a.vtt", "b.srt", "a.vtt"], "a.vtt: named twice"),
        (["there.eaf"], "there.eaf: is there already"),
        (["there.eaf/a.vtt"], "there.eaf is a file"),
        (["folder.vtt"], "is a folder"),
        (["a" * 300 + ".vtt"], "the name has 304 characters"),
    ],
)
def test_what_could_not_be_written_is_refused(
    names: list[str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "there.eaf").write_text("labels of somebody")
    (tmp_path / "folder.vtt").mkdir()
    with pytest.raises(BadInput, match=message):
        check([tmp_path / name for name in names])
    assert (tmp_path / "there.eaf").read_text() == "labels of somebody"


def test_the_ending_chooses(card: Card, tmp_path: Path) -> None:
    paths = [tmp_path / "new" / f"a{ending.upper()}" for ending in WRITERS]
    check(paths)
    write(paths, CUES, Origin(None, (card,)))
    begins = {path.suffix.lower(): path.read_text().split("\n")[0] for path in paths}
    assert begins[".vtt"] == "WEBVTT" and begins[".srt"] == "1"
    assert begins[".eaf"].startswith("<?xml") and begins[".txt"].startswith("0.000000\t1.0")


def test_the_file_tells_model_and_licence(card: Card, tmp_path: Path) -> None:
    write([tmp_path / "a.vtt"], CUES, Origin(None, (card,)))
    note = (tmp_path / "a.vtt").read_text().split("\n\n")[1]
    assert "tiny, licence: CC0-1.0" in note and card.misuse in note


def test_a_recording_is_named_as_seen_from_the_file(card: Card, tmp_path: Path) -> None:
    write([tmp_path / "out" / "a.eaf"], CUES, Origin(tmp_path / "my talk.wav", (card,)))
    root = ElementTree.fromstring((tmp_path / "out" / "a.eaf").read_text())
    media = root.find("HEADER/MEDIA_DESCRIPTOR")
    assert media is not None and media.attrib["MEDIA_URL"] == "./../my%20talk.wav"


def test_what_was_found_is_written_also_after_ctrl_c(tmp_path: Path) -> None:
    path = tmp_path / "a.srt"
    with pytest.raises(KeyboardInterrupt), CueFiles([path], lambda: Origin(None, ())) as out:
        out.write(GOOD)
        out.write({"path": "a", "error": "it is cut"})
        raise KeyboardInterrupt
    assert path.read_text().startswith("1\n00:00:00,000 --> 00:00:01,000\n")


def test_a_recording_that_cannot_be_read_leaves_no_file(tmp_path: Path) -> None:
    with CueFiles([tmp_path / "a.srt"], lambda: Origin(None, ())) as out:
        out.write({"path": "a", "error": "no such file"})
    assert [*tmp_path.iterdir()] == []
