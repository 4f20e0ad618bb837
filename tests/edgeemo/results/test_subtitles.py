"""Subtitles as ffmpeg reads them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from edgeemo.results.cues import Cue
from edgeemo.results.subtitles import srt, webvtt

CUES = [
    Cue("voice", 0, 2400, {"arousal": 0.5}, "anger", 0.75),
    Cue("face 1", 2400, 2401, {"valence": 0.25}, "a <b> & c", 0.5),
    Cue("voice", 3_599_999, 360_000_001, {"arousal": 1.0}),
]
NOTES = ["tiny, licence: CC0", "", "an arrow --> here"]


@pytest.fixture(autouse=True)
def _programs() -> None:
    if shutil.which("ffprobe") is None:
        pytest.skip("ffmpeg is not installed")


def probed(path: Path) -> list[tuple[int, int]]:
    """Start and duration of the packets that ffprobe finds, in milliseconds."""
    command = ["ffprobe", "-v", "error", "-show_packets", "-of", "json", path]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stderr == ""
    packets = json.loads(run.stdout)["packets"]
    return [(round(1000 * float(p["pts_time"])), int(p["duration"])) for p in packets]


def as_srt(path: Path) -> str:
    """The file as ffmpeg writes it again."""
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "srt", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("ending", [".vtt", ".srt"])
def test_ffmpeg_reads_times_and_texts(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{ending}"
    path.write_text(webvtt(CUES, NOTES) if ending == ".vtt" else srt(CUES))
    assert probed(path) == [(cue.start, cue.end - cue.start) for cue in CUES]
    read = as_srt(path)
    assert "anger 0.75, arousal 0.50" in read
    assert "CC0" not in read
    assert read.count("-->") == 3


def test_webvtt_escapes_and_comments() -> None:
    head, note, *cues = webvtt(CUES, NOTES).split("\n\n")
    assert head == "WEBVTT"
    assert note == "NOTE\ntiny, licence: CC0\nan arrow -> here"
    assert cues[1] == (
        "00:00:02.400 --> 00:00:02.401\n<v face 1>a &lt;b&gt; &amp; c 0.50, valence 0.25"
    )
    assert cues[2].startswith("00:59:59.999 --> 100:00:00.001\n")


def test_srt_counts_from_one() -> None:
    first, second, _ = srt(CUES).split("\n\n")
    assert first == "1\n00:00:00,000 --> 00:00:02,400\nvoice: anger 0.75, arousal 0.50"
    assert second.startswith("2\n")


def test_no_cue_is_an_empty_file() -> None:
    assert srt([]) == ""
    assert webvtt([], NOTES).startswith("WEBVTT\n\nNOTE\n")
