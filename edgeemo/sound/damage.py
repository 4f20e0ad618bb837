"""Damage within a file that its decoder steps over in silence: Ogg pages and frames of MP3."""

from __future__ import annotations

import io
import zlib
from typing import BinaryIO

from edgeemo.sound.endings import frame_bytes

DAMAGED = "damaged in places; the rest was read"
"""What is told of it."""

_PIECE = 1 << 20  # bytes searched at once
_TAIL = 4096  # bytes behind the last frame that may be a tag of any kind
_CHAIN = 4  # frames in a row that are no accident
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_pages(file: BinaryIO) -> tuple[list[int], bool]:
    """Where the links of a chained Ogg file begin (recordings of radio, files put in a row).

    Args:
        file: open for reading, can seek; it is left somewhere.

    Returns:
        Bytes from the file's beginning, 0 first, of any other file that alone; and whether a page
        within is damaged, so that its decoder drops it. A last page that is not whole is a lost
        end, and no damage.
    """
    links, at, within, damaged = [0], 0, False, False
    while True:
        file.seek(at)
        head = file.read(27 + 255)
        is_page = len(head) >= 27 and head[:4] == b"OggS"
        if is_page:
            length = 27 + head[26] + sum(head[27 : 27 + head[26]])
            file.seek(at)
            page = file.read(length)
            if len(page) == length and _is_right(page):
                first = bool(head[5] & 2)  # it begins a stream; all of a link begin with its first
                if first and within:
                    links.append(at)
                within = not first
                at += length
                continue
            damaged = damaged or len(page) == length
        following = _find(file, b"OggS", at + 1) if is_page or at else -1
        if following < 0:
            return links, damaged
        damaged, at = True, following


def _is_right(page: bytes) -> bool:
    """Whether the checksum of an Ogg page is right: CRC 0x04C11DB7 from 0, the high bit first.

    zlib has the same polynomial with the low bit first, and inverted: of mirrored bytes it gives
    the mirrored sum. Source: RFC 3533, section 6.
    """
    told = int.from_bytes(page[22:26].translate(_MIRRORED), "big")
    blank = page[:22] + bytes(4) + page[26:]
    return zlib.crc32(blank.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF == told


def mpeg_is_damaged(file: BinaryIO) -> bool:
    """Whether the chain of frames of MPEG sound (layers II and III) breaks before its end.

    Args:
        file: open for reading, can seek; it is left somewhere. Frames may lie within a WAV.

    Returns:
        Whether there is something between two frames that is no frame and no tag. False where no
        chain begins, as of frames whose bitrate is free.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    at, frames, start, data = 0, 0, 0, b""
    while at < size - _TAIL:
        if not start <= at <= start + len(data) - 14:
            file.seek(at)
            start, data = at, file.read(_PIECE)
        head = data[at - start : at - start + 14]
        step = frame_bytes(head)
        frames = frames + 1 if step else frames
        step = step or _tag_bytes(head)
        if not step and frames >= _CHAIN:
            return True
        if not step:  # what lies before the first frames
            step, frames = 1, 0
        at += step
    return False


def _tag_bytes(head: bytes) -> int:
    """Bytes of the tag that begins so, as files put in a row have them between frames; else 0."""
    if head[:3] == b"ID3" and len(head) >= 10:
        size = head[6:10]  # seven bits each
        return 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    return 128 if head[:3] == b"TAG" else 0


def _find(file: BinaryIO, mark: bytes, at: int) -> int:
    """The first byte of a mark at or behind a place; -1 if there is none."""
    while True:
        file.seek(at)
        data = file.read(_PIECE)
        found = data.find(mark)
        if found >= 0:
            return at + found
        if len(data) < _PIECE:
            return -1
        at += _PIECE - len(mark) + 1
