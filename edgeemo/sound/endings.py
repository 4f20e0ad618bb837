"""Does a file end where its writer ended it? For kinds whose head does not tell the length."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from typing import BinaryIO, Literal

_HEAD = 4096  # bytes
_TAIL = 1 << 17  # bytes; an Ogg page and a packet of a program have at most half of it
STREAMED = 0x7FF00000  # bytes; writers into a pipe put at least this as the length
_HEADS = 3  # of FLAC frames that are tried
_SEARCHED = 1 << 16  # bytes of the tail in which a chain of frames must begin
# Windows Media: how a file begins, and its object that tells the file's size 40 bytes on.
_ASF = (b"\x30\x26\xb2\x75", bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))


def is_cut(file: BinaryIO) -> bool:
    """Whether a file ends in the middle, of the kinds that promise no length or whose end tells it.

    Those are Ogg, MPEG sound (layers II and III, and AAC in ADTS), MPEG program and transport
    streams, Windows Media, Wave64, WAV and AIFF of any codec, AU, VOC, NIST's SPHERE, and FLAC that
    was written to a pipe; of all others the answer is False. A stream that ends right
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
    if head[:4] == b"fLaC":
        return _flac_is_cut(tail)
    promised = _promised_bytes(file, head)
    if promised is not None:
        return promised > size
    if head[:4] == b"OggS":
        return not _ogg_ends(tail)
    if head[:3] == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        return _is_cut(tail, frame_bytes, b"\xff") or _is_cut(tail, _adts_bytes, b"\xff")
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


def _promised_bytes(file: BinaryIO, head: bytes) -> int | None:
    """Where the samples end by the head of a WAV, AIFF, AU, VOC or SPHERE file; None of others.

    A length that a writer into a pipe put there promises nothing: 0.
    """
    name = head[:4]
    if name in (b"RIFF", b"FORM"):
        little = name == b"RIFF"
        return _chunk_end(file, b"data" if little else b"SSND", "little" if little else "big")
    if name == b".snd":
        start, length = (int.from_bytes(head[i : i + 4], "big") for i in (4, 8))
        return start + length if length < STREAMED else 0
    if head[:19] == b"Creative Voice File":
        at = int.from_bytes(head[20:22], "little")
        while len(block := _at(file, at, 4)) == 4 and block[0]:
            at += 4 + int.from_bytes(block[1:4], "little")
        return at
    if name == b"NIST":
        told = dict(re.findall(rb"(\w+) -(?:i|s\d) (\d{1,9})\n", head))
        keys = (b"sample_count", b"channel_count", b"sample_n_bytes")
        before = re.match(rb"NIST_1A\n *(\d{1,9})\n", head)
        if before and all(key in told for key in keys) and b"shorten" not in head:
            return int(before[1]) + math.prod(int(told[key]) for key in keys)
        return 0
    return None


def _chunk_end(file: BinaryIO, name: bytes, order: Literal["little", "big"]) -> int:
    """Where a chunk of a RIFF or FORM file ends by its own word; 0 if it is not there."""
    at = 12
    while len(head := _at(file, at, 8)) == 8:
        size = int.from_bytes(head[4:], order)
        if head[:4] == name:
            return at + 8 + size if size < STREAMED else 0
        at += 8 + size + size % 2
    return 0


def _at(file: BinaryIO, at: int, count: int) -> bytes:
    file.seek(at)
    return file.read(count)


def _flac_is_cut(tail: bytes) -> bool:
    """Whether the checksum of the last frame of FLAC is wrong or missing.

    Source: RFC 9639, section 9.
    """
    end = len(tail) - (128 if tail[-128:-125] == b"TAG" else 0)
    at, heads = tail.rfind(b"\xff", 0, end), 0
    while at >= 0:
        if tail[at + 1 : at + 2] in (b"\xf8", b"\xf9") and _flac_head(tail[at : at + 16]):
            if _crc(tail[at:end], 0x8005, 16) == 0:
                return False
            heads += 1  # samples may look like the head of a frame: an earlier one may be it
        at = tail.rfind(b"\xff", 0, at) if heads < _HEADS else -1
    return heads > 0


def _flac_head(head: bytes) -> bool:
    """Whether the head of a FLAC frame begins so: its checksum is right."""
    if len(head) < 16:
        return False
    number = max(1, 8 - (head[4] ^ 0xFF).bit_length())  # bytes of the frame's number, like UTF-8
    size, rate = head[2] >> 4, head[2] & 15
    length = 4 + number + {6: 1, 7: 2}.get(size, 0) + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    return _crc(head[: length + 1], 0x07, 8) == 0


def _crc(data: bytes, polynomial: int, bits: int) -> int:
    """A checksum with the high bit first, from 0; that of data with their own checksum is 0."""
    top, mask, register = 1 << (bits - 1), (1 << bits) - 1, 0
    for byte in data:
        register ^= byte << (bits - 8)
        for _ in range(8):
            register = (register << 1 ^ polynomial if register & top else register << 1) & mask
    return register


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


def frame_bytes(head: bytes) -> int:
    """Bytes of the frame of MPEG sound, layer II or III, that begins so; 0 if none does.

    Args:
        head: 4 bytes or more.
    """
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
