"""Sound of every kind to samples: the whole of it, or a word.

`read_audio` gives a clip as one array. `SoundReader` gives sound of any length piece by piece, from
a file, standard input or a pipe, and keeps in `notices` what a user should know of it: a lost end,
damage, channels that were left out, a level far from that of speech. libsndfile decodes WAV, FLAC,
Ogg, MP3, AIFF, AU, CAF and W64; the program ffmpeg, where it is installed, decodes the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput, printable, require, within
from edgeemo.sound.channels import Level, Powers
from edgeemo.sound.damage import DAMAGED
from edgeemo.sound.ffmpeg import FfmpegDecoder, NoSound, ffmpeg
from edgeemo.sound.kinds import HEAD, SOUND_SUFFIXES, Kind, kind_of
from edgeemo.sound.libsndfile import SndfileDecoder
from edgeemo.sound.opening import open_binary, with_descriptor
from edgeemo.sound.wav import open_wav

LOG = logging.getLogger("edgeemo")

SUFFIXES = SOUND_SUFFIXES
"""Endings of the files that a search through folders takes as sound, in small letters."""

LONGEST = 3600.0
"""Seconds of sound that `read_audio` gives at most, unless told otherwise: 230 MB at 16 kHz."""

# A header is a stranger's word: these bound what it can make us allocate or compute.
_RATES, _TELEPHONE = (1_000, 768_000), 8_000  # Hz; less than the latter was never measured
_CHANNELS = 64
_PEAK = 4.0  # loud float files stay below; one in units of int16 reaches 32768
_SANE = 0.9  # of a block's values; with fewer it is in other units, and nothing is damaged
_OVERLOAD = 1.1  # a lossy peak stays below
_CONVERT = "convert it first: ffmpeg -i FILE -ar 16000 -ac 1 OUT.wav"
_KEPT = 1 << 22  # values of a file with channels that are kept while its mix is chosen


class Decoder(Protocol):
    """What decodes a file: `edgeemo.sound.libsndfile` and `edgeemo.sound.ffmpeg` have one each."""

    rate: int
    channels: int
    promised: int | None
    notices: list[str]
    cut: bool
    lossy: bool

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Float32 [n, channels], n > 0."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class SoundReader:
    """A sound as mono samples at one rate, piece by piece; memory does not grow with its length.

        reader = SoundReader("meeting.m4a")
        for block in reader:
            ...
        print(reader.notices)

    Attributes:
        name: what messages call the sound.
        seconds: of sound that was given so far.
        promised: seconds that the file promises; None before it is opened, and if it does not say.
        notices: what a user should know of the sound; complete when the iteration has ended.
    """

    def __init__(
        self,
        source: str | Path | BinaryIO,
        rate: int = 16000,
        *,
        channel: int | None = None,
        name: str | None = None,
    ) -> None:
        """Nothing is opened yet.

        Args:
            source: a path, "-" for standard input, or a binary file open for reading.
            rate: sampling rate of the result, Hz; another one is resampled by soxr ("HQ").
            channel: number of the one channel to read, from 1; None for the mean of all channels
                that are not silent, in phase.
            name: what messages call the sound; default the path.

        Raises:
            BadInput: a rate or a channel that is none.
        """
        is_path = isinstance(source, (str, Path))
        unnamed = "sound" if hasattr(source, "read") else repr(source)
        self.name = name or printable(source if is_path else getattr(source, "name", unnamed))
        within("rate", rate, *_RATES)
        if rate != int(rate):
            raise BadInput(f"rate is {rate}; expected a whole number of Hz")
        if channel is not None:
            within("channel", channel, 1, _CHANNELS)
        self.seconds = 0.0
        self.promised: float | None = None
        self.notices: list[str] = []
        self._source, self._rate, self._channel = source, int(rate), channel

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Samples, float32, shape [n], n > 0, finite, some seconds at a time, from the beginning.

        Integer formats come as -1..1; float and lossy formats may reach a little beyond,
        and are not clipped.

        Raises:
            BadInput: no such file, not a sound file, broken, empty, or samples that are NaN,
                infinite or not in -1..1 units; the message names the file.
            MissingExtra: soundfile or soxr is not installed (extra "audio").
        """
        self.seconds, self.notices = 0.0, []
        level = Level(self._rate)
        self._loudest = 0.0
        with ExitStack() as stack:
            file = open_binary(self._source, self.name, stack)
            for samples in self._resampled(self._mono(file, stack)):
                if not len(samples):
                    continue
                level.push(samples)
                self.seconds += len(samples) / self._rate
                yield samples
        if not self.seconds:
            raise BadInput(f"{self.name}: holds no samples; expected some sound")
        self.notices += [notice for notice in [level.notice()] if notice]
        if self._loudest > _OVERLOAD:
            self.notices.append(f"reaches {self._loudest:.3g}, beyond full scale; expected -1..1")

    def _mono(self, file: BinaryIO, stack: ExitStack) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Rate and samples [n] of each block."""
        decoder = self._open(file, stack)
        rate, channels = decoder.rate, decoder.channels
        self.promised = None if decoder.promised is None else decoder.promised / rate
        if rate < _TELEPHONE:
            self.notices.append(f"has nothing above {rate / 2:g} Hz; record at {_TELEPHONE} Hz")
        if channels == 1 or self._channel is not None:
            blocks = self._whole(decoder, file, stack)
            weights = None
        else:
            blocks, weights, said = self._mixed(decoder, file, stack)
            self.notices += [said] if said else []
        one = (self._channel or 1) - 1
        for block in blocks:
            yield rate, block[:, one] if weights is None else block @ weights

    def _mixed(
        self, decoder: Decoder, file: BinaryIO, stack: ExitStack
    ) -> tuple[Iterator[NDArray[np.float32]], NDArray[np.float32], str]:
        """Blocks of all channels, the weights of each, and a word: seen to the end before."""
        powers, kept, values = Powers(decoder.channels), [], 0
        for block in self._whole(decoder, file, stack):
            powers.push(block)
            values += block.size
            if values <= _KEPT:
                kept.append(block)
        weights, said = powers.mix()
        if values <= _KEPT:
            return iter(kept), weights, said
        self.notices.clear()
        kept.clear()
        return self._whole(self._open(file, stack), file, stack), weights, said

    def _open(self, file: BinaryIO, stack: ExitStack) -> Decoder:
        file.seek(0)
        head = file.read(HEAD)
        file.seek(0)
        kind = kind_of(head)
        decoder: Decoder
        try:
            wav = open_wav(file, head)
        except BadInput as error:
            raise BadInput(f"{self.name}: {error}") from None
        if wav is not None:
            decoder = wav
        elif kind.reader == "libsndfile":
            decoder = self._sndfile(file, kind, stack)
        elif kind.reader and ffmpeg() is not None:
            decoder = FfmpegDecoder(with_descriptor(file, stack), self.name)
        else:
            needs = "its sound needs ffmpeg, install it from your system's packages, or "
            reason = needs if kind.reader else "" if kind.media else "no sound; "
            raise BadInput(f"{self.name}: is {kind.name}: {reason}{kind.remedy}")
        stack.callback(decoder.close)
        low, high = _RATES
        if not low <= decoder.rate <= high:
            raise BadInput(
                f"{self.name}: sampling rate {decoder.rate} Hz; expected {low} to {high}"
            )
        if decoder.channels > _CHANNELS:
            raise BadInput(
                f"{self.name}: {decoder.channels} channels; expected at most {_CHANNELS}"
            )
        if self._channel is not None and not 1 <= self._channel <= decoder.channels:
            raise BadInput(
                f"{self.name}: no channel {self._channel}; expected 1 to {decoder.channels}"
            )
        return decoder

    def _sndfile(self, file: BinaryIO, kind: Kind, stack: ExitStack) -> Decoder:
        try:
            return SndfileDecoder(file, self.name)
        except BadInput as error:
            if kind.name == "of no known kind":
                raise BadInput(f"{error}; expected WAV, FLAC, OGG or MP3, or {_CONVERT}") from None
            if ffmpeg() is None:
                raise BadInput(f"{error}: the file is damaged; copy it again") from None
            try:
                return FfmpegDecoder(with_descriptor(file, stack), self.name)
            except BadInput:
                raise error from None

    def _whole(
        self, decoder: Decoder, file: BinaryIO, stack: ExitStack
    ) -> Iterator[NDArray[np.float32]]:
        """All that can be decoded; what is missing is told."""
        frames, wild = 0, False
        for block in decoder.blocks():
            frames += len(block)
            if decoder.lossy and not np.abs(block).max() <= _PEAK:
                block, wild = _tamed(block), True
            yield block
        self.notices += decoder.notices
        if wild and not decoder.notices:
            self.notices.append(DAMAGED)
        broken = isinstance(decoder, SndfileDecoder) and decoder.broken
        if broken:
            where = f"damaged after {frames / decoder.rate:.2f} s"
            if ffmpeg() is None:
                self.notices.append(f"{where}; what follows needs ffmpeg, and was not read")
            else:
                self.notices.append(f"{where}; what can be decoded behind it was read")
                for block in self._behind(decoder, file, stack, frames):
                    frames += len(block)
                    yield block
        missing = (decoder.promised or 0) - frames
        slack = 0.1 * decoder.rate if isinstance(decoder, FfmpegDecoder) else 0
        if missing > slack:
            self.notices.append(
                f"{missing / decoder.rate:.2f} s of {(missing + frames) / decoder.rate:.2f} s are "
                "missing: the file was cut or damaged; copy it again"
            )
        elif not broken and decoder.cut:
            self.notices.append("the file ends in the middle: it was cut; copy it again")

    def _behind(
        self, decoder: Decoder, file: BinaryIO, stack: ExitStack, frames: int
    ) -> Iterator[NDArray[np.float32]]:
        """What ffmpeg finds after the first frames of the file."""
        try:
            rest = FfmpegDecoder(with_descriptor(file, stack), self.name)
        except BadInput:
            return
        stack.callback(rest.close)
        if (rest.rate, rest.channels) != (decoder.rate, decoder.channels):
            return
        for block in rest.blocks():
            skipped = min(frames, len(block))
            frames -= skipped
            if skipped < len(block):
                yield block[skipped:]

    def _resampled(
        self, blocks: Iterator[tuple[int, NDArray[np.float32]]]
    ) -> Iterator[NDArray[np.float32]]:
        stream: Any = None
        for rate, block in blocks:
            if len(block):
                self._loudest = max(self._loudest, _peak(block, self.name))
            if rate == self._rate:
                yield np.ascontiguousarray(block)
                continue
            if stream is None:
                soxr = require("soxr", "audio")
                stream = soxr.ResampleStream(rate, self._rate, 1, dtype="float32", quality="HQ")
            yield self._as_loud(stream.resample_chunk(np.ascontiguousarray(block)))
        if stream is not None:
            yield self._as_loud(stream.resample_chunk(np.zeros(0, np.float32), last=True))

    def _as_loud(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """A resampled block without what the filter adds to the edges of clipped sound."""
        most = max(1.0, self._loudest)
        return np.clip(block, -most, most)


def has_sound(source: str | Path) -> bool:
    """Whether a video has a sound track; True where that cannot be told without ffmpeg.

    Args:
        source: a path.
    """
    if ffmpeg() is None:
        return True
    with ExitStack() as stack:
        try:
            file = open_binary(source, str(source), stack, what="video")
            FfmpegDecoder(with_descriptor(file, stack), str(source)).close()
        except NoSound:
            return False
        except BadInput:
            return True  # whoever reads it will say what is wrong
    return True


def read_audio(
    source: str | Path | BinaryIO,
    rate: int = 16000,
    *,
    longest: float = LONGEST,
    channel: int | None = None,
    name: str | None = None,
) -> NDArray[np.float32]:
    """Read a sound file as mono samples at one rate.

    What a user should know of the sound (`SoundReader.notices`) goes as warnings to the logger
    "edgeemo".

    Args:
        source: as for `SoundReader`.
        rate: as for `SoundReader`.
        longest: seconds; a longer sound is refused, since memory grows with it.
        channel: as for `SoundReader`.
        name: as for `SoundReader`.

    Returns:
        Samples, float32, shape [n], n > 0, all finite.

    Raises:
        BadInput: as iterating over a `SoundReader`; or longer than `longest`.
        MissingExtra: soundfile or soxr is not installed (extra "audio").
    """
    blocks = read_blocks(source, rate, longest=longest, channel=channel, name=name)
    return np.concatenate([*blocks])


def read_blocks(
    source: str | Path | BinaryIO,
    rate: int = 16000,
    *,
    longest: float | None = None,
    channel: int | None = None,
    name: str | None = None,
) -> Iterator[NDArray[np.float32]]:
    """The same samples piece by piece, for a stream: memory does not grow with the file.

    Args:
        source: as for `read_audio`.
        rate: as for `read_audio`.
        longest: seconds, or None for any length.
        channel: as for `read_audio`.
        name: as for `read_audio`.

    Yields:
        Samples, float32, shape [n], n > 0; some seconds at a time.

    Raises:
        BadInput: as `read_audio`; of what lies behind in the file, once it is reached.
        MissingExtra: soundfile or soxr is not installed (extra "audio").
    """
    reader = SoundReader(source, rate, channel=channel, name=name)
    for block in reader:
        if longest is not None and max(reader.seconds, reader.promised or 0) > longest:
            raise BadInput(
                f"{reader.name}: {max(reader.seconds, reader.promised or 0):.0f} s of sound; "
                f"expected at most {longest:g} s: read it with edgeemo.audio.SoundReader, or "
                "`edgeemo predict --windows`, which take any length"
            )
        yield block
    for notice in reader.notices:
        LOG.warning("%s: %s", reader.name, notice)


def _tamed(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """A block of a lossy codec, whose damaged packets may come out as any number: zeros there."""
    fits = np.abs(block) <= _PEAK
    return np.where(fits, block, np.float32(0)) if fits.mean() > _SANE else block


def _peak(samples: NDArray[np.float32], name: str) -> float:
    """The largest sample, without its sign."""
    peak = max(float(samples.max()), -float(samples.min()))  # NaN stays NaN
    if not np.isfinite(peak):
        raise BadInput(f"{name}: a sample is NaN or infinite; write the file again from its source")
    if peak > _PEAK:
        raise BadInput(
            f"{name}: largest sample {peak:g}; expected about -1..1, divide by the full scale"
        )
    return peak
