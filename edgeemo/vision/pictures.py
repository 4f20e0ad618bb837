"""Picture files to pixels: JPEG, PNG, WebP, BMP; their size is checked before they are decoded.

Whatever a file holds comes out as 8-bit RGB: grey is repeated, 16 bits are cut to 8, transparency
is dropped, CMYK is converted, and a camera's note on which way is up is followed.
"""

from __future__ import annotations

import struct
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from edgeemo.errors import BadInput, printable, require
from edgeemo.quiet import quiet
from edgeemo.sound.kinds import HEAD, UNKNOWN, kind_of
from edgeemo.sound.opening import open_binary
from edgeemo.vision.images import LARGEST, Pixels

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""Endings of the files that a search through folders takes as pictures, in small letters."""

MOST_PIXELS = 64_000_000
"""Largest picture, width times height; it needs three bytes a pixel."""

MOST_BYTES = 128 * 2**20
"""Largest file."""

# The header of a JPEG's frame, which tells its size: SOF0 to SOF15 without DHT, JPG and DAC.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length behind them


def read_picture(source: str | Path | bytes, name: str | None = None) -> Pixels:
    """Read a picture.

    Args:
        source: a path, or the bytes of a file.
        name: what messages call it; default the path.

    Returns:
        uint8 [height, width, 3], RGB, upright.

    Raises:
        BadInput: no such file, not one of the formats, cut short, or too large (told from its
            header: nothing is decoded); the message names the file.
        MissingExtra: OpenCV is not installed (extra "vision").
    """
    if isinstance(source, bytes):
        name, data = name or "picture", source
    else:
        name = name or printable(source)
        data = _read(source, name)
    width, height = _size(data, name)
    if not 0 < min(width, height) <= max(width, height) <= LARGEST or width * height > MOST_PIXELS:
        raise BadInput(
            f"{name}: {width} x {height} pixels; expected 1 to {LARGEST} a side and at most "
            f"{MOST_PIXELS / 1e6:.0f} million, make it smaller"
        )
    cv2 = require("cv2", "vision")
    try:
        with quiet():  # libjpeg writes what it thinks of a file to stderr
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise BadInput(
            f"{name}: cannot be decoded ({' '.join(str(error).split())[:120]})"
        ) from None
    # Upright may mean that width and height have changed places.
    if image is None or sorted(image.shape[:2]) != sorted((height, width)):
        raise BadInput(f"{name}: cannot be decoded; the file is damaged")
    pixels: Pixels = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return pixels


def is_picture(data: bytes) -> bool:
    """Whether a file that begins so is of a format that `read_picture` takes."""
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM"))


def _read(path: str | Path, name: str) -> bytes:
    with ExitStack() as stack:
        file = open_binary(path, name, stack, what="picture")
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise BadInput(f"{name}: over {MOST_BYTES} bytes; make it smaller")
    return data


def _size(data: bytes, name: str) -> tuple[int, int]:
    """Width and height, and whether the file has its end: half a picture is not an answer."""
    cut = BadInput(f"{name}: the picture is cut short; copy the file again")
    try:
        if not is_picture(data):
            kind = kind_of(data[:HEAD])
            what = "not a picture" if kind is UNKNOWN else f"is {kind.name}"
            remedy = f"; {kind.remedy}" if kind.is_picture else ""
            raise BadInput(f"{name}: {what}; expected JPEG, PNG, WebP or BMP{remedy}")
        if data.startswith(b"\xff\xd8"):
            width, height, rest = _jpeg(data)
            whole = data.find(b"\xff\xd9", rest) >= 0
        elif data.startswith(b"\x89PNG"):
            width, height = struct.unpack_from(">II", data, 16)
            whole = data.find(b"IEND", 33) >= 0
        elif data.startswith(b"RIFF"):
            width, height = _webp(data)
            whole = len(data) >= struct.unpack_from("<I", data, 4)[0] + 8
        else:
            width, height, whole = *_bmp(data), True  # the decoder notices
    except (struct.error, IndexError):
        raise cut from None
    if not whole:
        raise cut
    return width, height


def _jpeg(data: bytes) -> tuple[int, int, int]:
    """Width, height, and where the header of the frame ends."""
    at = 2
    while True:
        if data[at] != 0xFF:
            raise IndexError
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:  # fill bytes, and markers without a length
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        if marker in _FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height, at + 2 + length
        at += 2 + length


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        sides = data[24:30] + b"\0"
        wide, high = struct.unpack("<I", sides[:3] + b"\0")[0], struct.unpack("<I", sides[3:])[0]
        return wide + 1, high + 1
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _bmp(data: bytes) -> tuple[int, int]:
    if struct.unpack_from("<I", data, 14)[0] == 12:  # the header of OS/2
        width, height = struct.unpack_from("<HH", data, 18)
        return width, height
    width, height = struct.unpack_from("<ii", data, 18)
    return width, abs(height)  # negative: the first row is the upper one
