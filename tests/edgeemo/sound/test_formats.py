"""The table of formats in docs/guides/files.md, and what a format may cost."""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import edgeemo
from edgeemo.audio import SoundReader, read_audio
from edgeemo.sound.ffmpeg import FfmpegDecoder
from edgeemo.sound.kinds import SOUND_SUFFIXES
from edgeemo.sound.libsndfile import SndfileDecoder
from edgeemo.sound.wav import WavDecoder
from edgeemo.types import DIMENSIONS

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "files.md"
READERS = {"edgeemo itself": WavDecoder, "libsndfile": SndfileDecoder, "ffmpeg": FfmpegDecoder}
ROWS = re.findall(r"^\| ([^|]+) \| ((?:\.\w+ ?)+)[^|]*\| ([^|]+) \|", GUIDE.read_text(), re.M)
CASES = [(name, ending, by) for name, endings, by in ROWS for ending in endings.split()]
HOW = {
    **{".rf64": "-rf64 always -f wav", ".oga": "-f ogg -c:a libvorbis", ".snd": "-f au"},
    **{".aif": "-f aiff", ".aifc": "-f aiff", ".m4b": "-f ipod", ".3gp": "-c:a aac -f 3gp"},
    **{".spx": "-c:a libspeex", ".dts": "-strict -2 -ar 48000"},
}
CANNOT = {".amr"}  # this ffmpeg has no encoder of it


@pytest.fixture(scope="module")
def clip(speech_files: list[Path]) -> Path:
    for tool in ("ffmpeg", "sox"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it")
    return speech_files[0]


def convert(clip: Path, to: Path, how: str = "") -> Path:
    command = ["ffmpeg", "-v", "error", "-i", str(clip), *how.split(), str(to)]
    if to.suffix == ".sph":  # ffmpeg only reads it
        command = ["sox", str(convert(clip, to.with_suffix(".wav"))), str(to)]
    subprocess.run(command, check=True)
    return to


def test_the_table_has_all_endings_and_nothing_else() -> None:
    assert {by for _, _, by in CASES} == set(READERS)
    told = {ending for name, ending, _ in CASES if "video" not in name}
    assert told == set(SOUND_SUFFIXES)


@pytest.mark.parametrize(("name", "ending", "by"), CASES)
def test_each_row_is_true(clip: Path, tmp_path: Path, name: str, ending: str, by: str) -> None:
    if ending in CANNOT:
        return
    how = HOW.get(ending, "-c:a pcm_mulaw" if name.startswith("other WAV") else "")
    if ending in (".flv", ".mpg", ".3gp"):
        how += " -ar 44100"
    path = convert(clip, tmp_path / f"a{ending}", how)
    reader = SoundReader(path)
    samples = np.concatenate([*reader])
    assert len(samples) == pytest.approx(len(read_audio(clip)), abs=0.15 * 16000)
    assert reader.notices == []
    with ExitStack() as stack:
        file = stack.enter_context(path.open("rb"))
        assert type(reader._open(file, stack)) is READERS[by]


FORMS = {
    **{"wav": "", "flac": "", "opus": "", "m4a": "", "mp3": "-b:a 64k"},
    **{"ulaw.wav": "-c:a pcm_mulaw", "mp4": "-f mp4"},
}


def test_the_form_of_a_sound_changes_little(
    clip: Path, speech_files: list[Path], tmp_path: Path
) -> None:
    """Ten clips, through the shipped model: at most .05 from the WAV."""
    session = edgeemo.load("wav2small-stream")
    worst = dict.fromkeys(FORMS, 0.0)
    for number, source in enumerate(speech_files[:: len(speech_files) // 10][:10]):
        found = {}
        for form, how in FORMS.items():
            if form == "mp4":  # a video track beside it
                how = "-f lavfi -i color=s=160x120:r=5 -shortest"
            path = convert(source, tmp_path / f"{number}.{form}", how)
            found[form] = session.predict(read_audio(path))
        for form, emotion in found.items():
            for dimension in DIMENSIONS:
                apart = abs(getattr(emotion, dimension) - getattr(found["wav"], dimension))
                worst[form] = max(worst[form], apart)
    assert max(worst.values()) <= 0.05, worst
    assert worst["opus"] > 0, "nothing was compared"
