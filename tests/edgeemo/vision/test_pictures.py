from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from edgeemo.errors import BadInput
from edgeemo.vision.pictures import is_picture, read_picture

cv2 = pytest.importorskip("cv2")
DATA = Path(__file__).parents[2] / "data" / "faces"
JPEG = DATA / "single_lisa1.jpg"


def encoded(ending: str, image: np.ndarray) -> bytes:
    there, data = cv2.imencode(ending, image)
    assert there
    return bytes(data)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int) -> bytes:
    """A header that promises this size, and an end, with almost nothing between."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(b"\0" * 10))
    return b"\x89PNG\r\n\x1a\n" + head + data + chunk(b"IEND", b"")


def with_orientation(data: bytes, orientation: int) -> bytes:
    """A JPEG with a camera's note on which way is up."""
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<H", 1) + entry + bytes(4)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


@pytest.mark.parametrize("ending", [".png", ".bmp", ".webp", ".jpg"])
def test_formats_give_rgb(ending: str) -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    image[:, :15] = (255, 0, 0)  # blue, as OpenCV orders
    image[:, 15:] = (0, 0, 255)
    found = read_picture(encoded(ending, image))
    assert found.shape == (20, 30, 3) and found.dtype == np.uint8
    assert np.abs(found[10, 3].astype(int) - (0, 0, 255)).max() < 40
    assert np.abs(found[10, 26].astype(int) - (255, 0, 0)).max() < 40


def test_other_depths_and_channels_become_rgb() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(read_picture(encoded(".png", grey)), np.stack([grey] * 3, axis=2))
    deep = grey.astype(np.uint16) * 257
    assert np.array_equal(read_picture(encoded(".png", deep)), np.stack([grey] * 3, axis=2))
    clear = np.dstack([grey] * 3 + [np.zeros_like(grey)])
    assert np.array_equal(read_picture(encoded(".png", clear)), np.stack([grey] * 3, axis=2))
    assert read_picture(encoded(".png", grey[:1, :1])).shape == (1, 1, 3)


def test_a_turned_picture_comes_upright() -> None:
    plain = read_picture(JPEG)
    turned = read_picture(with_orientation(JPEG.read_bytes(), 6))  # turn right by 90 degrees
    assert np.array_equal(turned, np.rot90(plain, -1))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(16385, 16), "16385 x 16 pixels"),
        (png(16000, 16000), "at most 64 million"),
        (png(0, 5), "0 x 5 pixels"),
        (png(64, 64), "cannot be decoded"),
        (png(8, 8)[:40], "cut short"),
        (JPEG.read_bytes()[:20000], "cut short"),
        (JPEG.read_bytes()[:40], "cut short"),
        (b"\xff\xd8\xff", "cut short"),
        (b"BM" + bytes(60), "0 x 0 pixels"),
        (b"BM", "cut short"),
        (b"RIFF\x10\0\0\0WEBPVP8X", "cut short"),
        (b"GIF89a" + bytes(20), "is a GIF picture; expected JPEG, PNG, WebP or BMP; save"),
        (b"", "is an empty file"),
    ],
)
def test_bad_pictures_are_one_line(data: bytes, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        read_picture(data, "bad.jpg")
    assert str(caught.value).startswith("bad.jpg: ") and "\n" not in str(caught.value)


def test_size_is_told_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(BadInput, match="60000 x 60000"):
        read_picture(png(60000, 60000))


def test_cut_at_any_byte_nothing_else_than_an_error_comes() -> None:
    data = encoded(".png", np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8))
    for whole in (data, JPEG.read_bytes()[:3000]):
        for end in range(0, len(whole) - 1, 7):
            with pytest.raises(BadInput):
                read_picture(whole[:end])


def test_absent_files_and_folders_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.jpg", tmp_path):
        with pytest.raises(BadInput, match="no such file"):
            read_picture(path)


def test_kinds_are_told_by_their_first_bytes() -> None:
    assert is_picture(JPEG.read_bytes()[:12]) and is_picture(png(1, 1)[:12])
    assert not is_picture(b"RIFF1234WAVE") and not is_picture(b"fLaC")
