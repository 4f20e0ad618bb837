"""Does a file end where its writer ended it? For kinds whose head does not tell the length."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

_HEAD = 4096  # bytes
_TAIL = 1 << 17  # bytes; an Ogg page and a packet of a program have at most half of it
_SEARCHED = 1 << 16  # bytes of the tail in which a chain of frames must begin
# Windows Media: how a file begins, and its object that tells the file's size 40 bytes on.
_ASF = (b"\x30\x26\xb2\x75", bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))


def is_cut(file: BinaryIO) -> bool:
    """Whether a file ends in the middle, of the kinds that promise no length or whose end tells it.

    Those are Ogg, MPEG sound (layers II and III, and AAC in ADTS), MPEG program and transport
    streams, Windows Media and Wave64; of all others the answer is False. A stream that ends right
    behind a frame or packet ends as a whole one does: nothing tells that more was to come.

    Args:
        file: open for reading, can seek; it is left somewhere.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    file.seek(0)
    head = file.read(_HEAD)
    if head[:4] == b"riff":  # Wave64: its size is all that tells
        return int.from_bytes(head[16:24], "little") > size
    if head[:4] == b"OggS":
        return not _ogg_ends(tail)
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        return _is_cut(tail, _frame_bytes, b"\xff") or _is_cut(tail, _adts_bytes, b"\xff")
    if head[:4] == b"\0\0\1\xba":
        return _is_cut(tail, _packet_bytes, b"\0\0\1")
    if head[:4] == _ASF[0]:
        at = head.find(_ASF[1])
        return at >= 0 and int.from_bytes(head[at + 40 : at + 48], "little") > size
    packet = transport_packet(head)
    return packet > 0 and size % packet != 0


def transport_packet(head: bytes) -> int:
    """Bytes of a packet of an MPEG transport stream: 188, of cameras and discs 192; 0 if none.

    Args:
        head: first bytes, 197 or more of a stream.
    """
    if len(head) > 188 and head[0] == head[188] == 0x47:
        return 188
    return 192 if len(head) > 196 and head[4] == head[196] == 0x47 else 0


def ogg_links(file: BinaryIO) -> list[int]:
    """Where the links of a chained Ogg file begin: recordings of radio, files put in a row.

    Args:
        file: open for reading, can seek; it is left somewhere.

    Returns:
        Bytes from the file's beginning, 0 first; of any other file that alone.
    """
    links, at, within = [0], 0, False
    while True:
        file.seek(at)
        head = file.read(27 + 255)
        if len(head) < 27 or head[:4] != b"OggS":
            return links
        first = bool(head[5] & 2)  # the page begins a stream; all of a link begin with its first
        if first and within:
            links.append(at)
        within = not first
        at += 27 + head[26] + sum(head[27 : 27 + head[26]])


def _ogg_ends(tail: bytes) -> bool:
    """Whether the last page is whole and says that it is the last."""
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) < at + 27:
        return False
    count = tail[at + 26]
    table = tail[at + 27 : at + 27 + count]
    whole = len(table) == count and len(tail) >= at + 27 + count + sum(table)
    return whole and bool(tail[at + 5] & 4)


_KBPS = {
    "MPEG-1, layer II": (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    "MPEG-1, layer III": (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    "MPEG-2": (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _frame_bytes(head: bytes) -> int:
    """Bytes of the frame of layer II or III that begins so; 0 if none does."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer, rate, kbps = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 2 & 3, head[2] >> 4
    if version == 1 or layer not in (1, 2) or rate == 3 or not 0 < kbps < 15:
        return 0
    third = layer == 1
    name = f"MPEG-1, layer {'III' if third else 'II'}" if version == 3 else "MPEG-2"
    samples = 72 if third and version != 3 else 144  # an eighth of those in a frame
    return samples * _KBPS[name][kbps] * 1000 // _HZ[version][rate] + (head[2] >> 1 & 1)


def _adts_bytes(head: bytes) -> int:
    """Bytes of the frame of AAC that begins so; 0 if none does."""
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return 0
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return size if size > 7 else 0


def _packet_bytes(head: bytes) -> int:
    """Bytes of the packet, or of the head of a pack, of a program stream that begins so."""
    if head[:4] == b"\0\0\1\xb9":  # the end of the program
        return 4
    if len(head) < 14 or head[:3] != b"\0\0\1" or head[3] < 0xB9:
        return 0
    if head[3] == 0xBA:  # MPEG-2, with stuffing; or MPEG-1
        return 14 + (head[13] & 7) if head[4] >> 6 == 1 else 12
    return 6 + int.from_bytes(head[4:6], "big")


def _is_cut(tail: bytes, size_of: Callable[[bytes], int], mark: bytes) -> bool:
    """Whether the chain of frames in the tail ends within one (a tag may follow the last).

    Args:
        tail: of the file.
        size_of: bytes of the frame that begins with these 14 bytes; 0 if none does.
        mark: how all frames begin.
    """
    start = tail.find(mark)
    while 0 <= start < _SEARCHED:
        at, frames = start, 0
        while size := size_of(tail[at : at + 14]):
            at, frames = at + size, frames + 1
            if at > len(tail):
                break
        if frames >= 4:
            # Of the last frame there may be too little to tell its size.
            return at > len(tail) or (0 < len(tail) - at < 14 and tail[at:].startswith(mark))
        start = tail.find(mark, start + 1)
    return False
