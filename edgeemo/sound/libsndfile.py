"""Sound through libsndfile: WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, AU, CAF, W64 and more."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import nullcontext
from functools import cache
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput, one_line, require
from edgeemo.quiet import quiet
from edgeemo.sound.damage import DAMAGED, mpeg_is_damaged, ogg_pages
from edgeemo.sound.endings import STREAMED, is_cut

_BLOCK = 1 << 18  # values (frames times channels) read at once
_ENDLESS = 1 << 40  # bytes that libsndfile is told a file has
_MOST_FRAMES = 1 << 36  # 50 days at 16 kHz; what promises more knows nothing
_WIDTHS = {"PCM_U8": 1, "PCM_S8": 1, "ULAW": 1, "ALAW": 1, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4}
_WIDTHS |= {"PCM_16": 2, "DOUBLE": 8}
_HEADED = ("WAV", "WAVEX", "RF64", "AIFF", "AU", "W64", "CAF")  # whose heads promise a length
_ENDED = (b"RIFF", b"RIFX", b"RF64", b"caff", b"riff", b"ID3", b"\xff", b"fLaC")
_AU_BLOCKS = range(23, 27)  # encodings of AU that come in blocks: G.721, G.722, G.723
_WHOLE = ("ALAC_16", "ALAC_20", "ALAC_24", "ALAC_32")  # whose head tells how many packets come
_LOSSY = ("MPEG", "VORBIS", "OPUS")  # how the subtypes begin whose damage may be any number
_SMALL = 1 << 21  # bytes


class _View(io.RawIOBase):
    """A part of a file, or more than it, as a file: a place in it, and an end to seek from."""

    at = 0
    end = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.end}[whence] + offset
        return self.at

    def tell(self) -> int:
        return self.at


class _Endless(_View):
    """A file that seems to have no end, so that libsndfile believes its head and not its size.

    libsndfile takes an MP3's length from its size where the file does not tell it, and stops there;
    and it cuts what a WAV promises down to the size, so that nobody hears of a lost end. What is
    sought from the end (an ID3v1 tag) is found all the same. A codec whose samples it counts by the
    file's size, and Ogg, whose last page it looks for, need the true size.
    """

    def __init__(self, file: BinaryIO, *, endless: bool) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        file.seek(0)
        # A small file is read in one go: libsndfile asks for some bytes at a time.
        self._data = file.read(self.size if self.size <= _SMALL else 4)
        self.end = _ENDLESS if endless else self.size

    def begins(self, *starts: bytes) -> bool:
        """Whether it begins with one of these four bytes."""
        return self._data.startswith(starts)

    def readinto(self, buffer: Any) -> int:
        from_end = self.at - (self.end - self.size)
        at = from_end if from_end >= 0 else self.at
        if at >= self.size:
            return 0
        if self.size <= _SMALL:
            part = self._data[at : at + len(buffer)]
            buffer[: len(part)] = part
            self.at += len(part)
            return len(part)
        self._file.seek(at)
        count = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self.at += count
        return int(count)


class _Part(_View):
    """A file from one of its bytes to another, as a file."""

    def __init__(self, file: BinaryIO, start: int, end: int) -> None:
        self._file, self._start, self.end = file, start, end - start

    def readinto(self, buffer: Any) -> int:
        part = memoryview(buffer)[: max(0, self.end - self.at)]
        self._file.seek(self._start + self.at)
        count = int(self._file.readinto(part))  # type: ignore[attr-defined]
        self.at += count
        return count


class SndfileDecoder:
    """A file, decoded from its first to its last sample.

    Attributes:
        rate: Hz.
        channels: of the file.
        promised: frames that its head promises; None if it does not say.
        notices: what was wrong on the way.
        broken: whether a part of the file remains that could not be decoded.
        cut: whether a file that promises no length ends in the middle.
        lossy: whether a damaged stretch may come out as any number.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Open it.

        Raises:
            BadInput: not sound that libsndfile knows.
            MissingExtra: soundfile is not installed (extra "audio").
        """
        self._sf = require("soundfile", "audio")
        self._name, self._source = name, file
        self._links: list[BinaryIO] = []  # behind the first, of a chained Ogg file
        self.notices: list[str] = []
        self.broken = self.cut = False
        starts, damaged = ogg_pages(file)
        if damaged:
            self.notices.append(DAMAGED)
        if len(starts) > 1:
            ends = [*starts[1:], file.seek(0, io.SEEK_END)]
            parts = (_Part(file, a, b) for a, b in zip(starts, ends, strict=True))
            file, *self._links = map(_as_binary, parts)
        try:
            self._sound = self._open(file)
        except (self._sf.SoundFileError, RuntimeError, TypeError, OSError) as error:
            raise BadInput(f"{name}: cannot be read as sound ({_why(error)})") from None
        self.rate, self.channels = int(self._sound.samplerate), int(self._sound.channels)
        self._coded = self._sound.format not in ("WAV", "AIFF", "AU", "W64")
        self.lossy = self._sound.subtype.startswith(_LOSSY)
        self.promised = self._promise()
        most = max(1, _BLOCK // self.channels)
        # A short file needs no long block; one frame more than promised shows that it has ended.
        self._frames = most if self.promised is None else min(most, max(1024, self.promised + 1))

    def _open(self, file: BinaryIO) -> Any:
        """The file for libsndfile, with its true size unless its promise is to be heard."""
        file.seek(0)
        self._file = _Endless(file, endless=_promises(file.read(16)))
        # libmpg123 writes to stderr what it thinks of a file that may be MP3.
        with nullcontext() if self._file.begins(b"fLaC", b"OggS") else quiet():
            sound = _forward(self._sf)(self._file)
            self._mp3 = sound.subtype.startswith("MPEG")
            plain = sound.subtype in _WIDTHS and sound.format in _HEADED
            if not (plain or self._mp3 or sound.format == "FLAC" or sound.subtype in _WHOLE):
                # It would take the last block of ADPCM or GSM again and again, up to the promise.
                sound.close()
                self._file.end = self._file.size
                self._file.seek(0)
                sound = _forward(self._sf)(self._file)
        # FLAC within Ogg has the format FLAC.
        known = plain or (sound.format == "FLAC" and 0 < sound.frames < _MOST_FRAMES)
        self._endings = not known or sound.format == "W64" or self._file.begins(b"OggS")
        return sound

    def _promise(self) -> int | None:
        frames = int(self._sound.frames)
        size = frames * self.channels * _WIDTHS.get(self._sound.subtype, 2)
        unknown = frames >= _MOST_FRAMES or size >= STREAMED > self._file.size
        return None if unknown or self._links else frames

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Float32 [n, channels], n > 0, until the end or the first thing that is not decoded."""
        yield from self._first()
        for link in self._links:
            try:
                decoder = SndfileDecoder(link, self._name)
            except BadInput:
                self.notices.append("one of its streams in a row cannot be read")
                continue
            if (decoder.rate, decoder.channels) == (self.rate, self.channels):
                yield from decoder.blocks()
            else:
                self.notices.append(
                    f"one of its streams in a row has {decoder.rate} Hz and {decoder.channels} "
                    "channels, unlike the first; it was not read"
                )
            if decoder.broken:
                self.notices.append("damaged in one of its streams in a row")
            decoder.close()

    def _first(self) -> Iterator[NDArray[np.float32]]:
        count, going = 0, True
        while going:
            block, going = self._read()
            count += len(block)
            # Beside MP3 a kept promise is the end; a further read would only say so.
            going = going and (self._mp3 or count != self.promised)
            if len(block):
                yield block
        if count == 0 and self.promised == 0:  # a writer that never came back to tell the length
            self.broken, self.promised = True, None
        short = self.promised is not None and count < self.promised
        if self._mp3 and self._file.at < self._file.size - 4096:  # a tag may remain
            self.broken = True
        self.cut = not short and self._endings and is_cut(self._source)
        if self._mp3 and not self.broken and mpeg_is_damaged(self._source):
            self.notices.append(DAMAGED)

    def _read(self) -> tuple[NDArray[np.float32], bool]:
        """The next block, and whether another may follow."""
        # soundfile drops what came before an error; NaN marks what was not written.
        block = np.empty((self._frames, self.channels), np.float32)
        if self._coded:
            block.fill(np.nan)
        try:
            with quiet() if self._mp3 else nullcontext():
                read = self._sound.read(out=block)
        except (self._sf.SoundFileError, RuntimeError, OSError):
            # At the very end it is a file that was cut, which the count of frames tells.
            self.broken = self._file.at < self._file.size
            missing = np.isnan(block).any(axis=1)
            return block[: int(np.argmax(missing)) if missing.any() else len(block)], False
        return read, len(read) > 0

    def close(self) -> None:
        """Let go of the decoder; the file stays open."""
        self._sound.close()


def _promises(head: bytes) -> bool:
    """Whether a file that begins so can be opened without its size: libsndfile will not seek it.

    Of others (G.72x in AU, 8SVX, sample dumps) it counts the blocks up to the end first.
    """
    if head[:4] == b".snd":
        return int.from_bytes(head[12:16], "big") not in _AU_BLOCKS
    if head[:4] == b"FORM":
        return head[8:12] in (b"AIFF", b"AIFC")
    return head.startswith(_ENDED)


@cache
def _forward(sf: Any) -> Any:
    class Forward(sf.SoundFile):  # type: ignore[misc]
        """Never seeks: soundfile would after each block, and that resets the decoder of MP3."""

        def seekable(self) -> bool:
            return False

    return Forward


def _as_binary(part: _Part) -> BinaryIO:
    return cast(BinaryIO, part)


def _why(error: BaseException) -> str:
    text = one_line(error)
    if "not a regular file" in text:  # what it says of MP3 that does not begin
        return "no frame of it can be decoded"
    return (text.partition(">: ")[2] or text.partition(": ")[2] or text).rstrip(".") or "no reason"
