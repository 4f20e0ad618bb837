"""What a file is, by its first bytes: the message names it and says what to do."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeemo.audio import read_audio
from edgeemo.errors import BadInput
from edgeemo.sound.kinds import kind_of
from edgeemo.vision.pictures import read_picture
from edgeemo.vision.video import is_video


@pytest.mark.parametrize(
    ("ending", "name"),
    [
        ("png", "a PNG picture"),
        ("bmp", "a BMP picture"),
        ("jpg", "a JPEG picture"),
        ("webp", "a WebP picture"),
    ],
)
def test_a_picture_is_named(tmp_path: Path, ending: str, name: str) -> None:
    path = tmp_path / f"a.{ending}"
    assert cv2.imwrite(str(path), np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(BadInput) as caught:
        read_audio(path)
    assert f"a.{ending}: is {name}: no sound; " in str(caught.value)


def test_archives_and_texts_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", "y")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\n")
    (tmp_path / "a.m3u8").write_bytes(b"#EXTM3U\nx.wav\n")
    (tmp_path / "a.wav").write_bytes(b"")
    says = {"a.zip": "unpack it", "a.pdf": "PDF", "a.m3u8": "a playlist", "a.wav": "an empty file"}
    for name, text in says.items():
        with pytest.raises(BadInput, match=text):
            read_audio(tmp_path / name)


@pytest.mark.parametrize(
    ("ending", "name"),
    [
        ("ts", "an MPEG transport stream"),
        ("flv", "a Flash video"),
        ("wmv", "a Windows Media file"),
        ("avi", "an AVI video"),
        ("mkv", "a Matroska or WebM file"),
        ("mpg", "an MPEG video"),
        ("gif", "a GIF picture"),
        ("tif", "a TIFF picture"),
        ("jp2", "a JPEG 2000 picture"),
        ("j2k", "a JPEG 2000 picture"),
        ("jxl", "a JPEG XL picture"),
        ("avif", "an AVIF picture"),
        ("mov", "an MPEG-4 file"),
        ("3gp", "an MPEG-4 file"),
    ],
)
def test_containers_are_told_apart(tmp_path: Path, ending: str, name: str) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not installed; .ci/run installs it")
    path = tmp_path / f"a.{ending}"
    made = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=d=0.4:s=176x144"]
    made += ["-frames:v", "1"] if name.endswith("picture") else []
    if subprocess.run([*made, str(path)], stderr=subprocess.DEVNULL).returncode:
        assert ending in ("jxl", "avif", "jp2", "j2k"), "only these need what not all ffmpeg have"
        pytest.skip(f"this ffmpeg writes no {ending}")
    assert kind_of(path.read_bytes()[:512]).name == name
    if name.endswith("picture"):
        for read in (read_audio, read_picture):
            with pytest.raises(BadInput, match=f"is {name}.*save it as PNG or JPEG") as caught:
                read(path)
            assert "no sound" not in str(caught.value)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avis", b"crx "])
def test_pictures_in_an_mpeg4_box_are_no_video(tmp_path: Path, brand: bytes) -> None:
    head = b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1" + bytes(64)
    assert not is_video(head)
    (tmp_path / "a.heic").write_bytes(head)
    for read in (read_audio, read_picture):
        with pytest.raises(BadInput, match="save it as PNG or JPEG"):
            read(tmp_path / "a.heic")
