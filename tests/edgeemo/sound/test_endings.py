"""A file that ends in the middle says so, also where no head tells its length."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgeemo.audio import SoundReader

FORMS = {
    "a.mp2": "",
    "low.mp2": "-ar 16000",  # MPEG-2, whose frames have other lengths
    "pipe.mp3": "-write_xing 0",
    "flac.ogg": "-c:a flac",
    "vorbis.ogg": "-c:a libvorbis -page_duration 100000",  # otherwise all is one page
    "speex.spx": "-c:a libspeex -ar 16000",
    "a.ts": "-c:a aac",
    "a.mpg": "",
    "a.vob": "-c:a ac3",
    "a.m2ts": "-c:a ac3 -mpegts_m2ts_mode 1 -f mpegts",
    "a.ac3": "",
    "a.eac3": "",
    "a.dts": "-strict -2",
    "a.tta": "",
    "a.wv": "",
    "a.aac": "",
    "a.wma": "",
    "a.wmv": "",
}


@pytest.mark.parametrize("name", list(FORMS))
def test_a_lost_half_is_told_and_a_whole_file_is_not(
    speech_files: list[Path], tmp_path: Path, name: str
) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed; .ci/run installs it")
    path = tmp_path / name
    clip = next(path for path in speech_files if path.suffix == ".ogg")  # some seconds
    command = ["ffmpeg", "-v", "error", "-i", str(clip), "-ar", "48000"]
    subprocess.run([*command, *FORMS[name].split(), str(path)], check=True)
    reader = SoundReader(path)
    whole = sum(map(len, reader))
    # A lossy codec may put a peak beyond full scale.
    assert [told for told in reader.notices if "full scale" not in told] == []
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2 + 7])
    assert sum(map(len, reader)) < 0.7 * whole
    assert any("cut" in told or "damaged" in told for told in reader.notices)
