"""Sound files to samples: WAV, FLAC, OGG (Vorbis, Opus), MP3 and whatever else libsndfile reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput, require

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
"""Endings of the files that a search through folders takes as sound, in small letters."""

LONGEST = 3600.0
"""Seconds of sound that `read_audio` gives at most, unless told otherwise."""

# A header is a stranger's word: these bound what it can make us allocate or compute.
_RATES = (1_000, 768_000)  # Hz
_CHANNELS = 64
_BLOCK = 1 << 18  # values (frames times channels) held at once while reading
_PEAK = 16.0  # a float file in units of int16 reaches 32768; loud float files stay below 4


def read_audio(
    source: str | Path | BinaryIO,
    rate: int = 16000,
    *,
    longest: float = LONGEST,
    name: str | None = None,
) -> NDArray[np.float32]:
    """Read a sound file as mono samples at one rate.

    Channels are averaged; another rate is resampled by soxr ("HQ"). Integer formats come as
    -1..1; float formats and resampled peaks may reach a little beyond, and are not clipped.

    Args:
        source: a path, or a binary file open for reading that can seek.
        rate: sampling rate of the result, Hz.
        longest: seconds; a longer file is refused. Memory grows with the result only
            (230 MB an hour at 16 kHz), not with the file's own rate and channels.
        name: what messages call the sound; default the path.

    Returns:
        Samples, float32, shape [n], n > 0, all finite.

    Raises:
        BadInput: no such file, not a sound file, broken, empty, too long, or samples that are
            NaN, infinite or not in -1..1 units; the message names the file.
        MissingExtra: soundfile or soxr is not installed (extra "audio").
    """
    return np.concatenate([*read_blocks(source, rate, longest=longest, name=name)])


def read_blocks(
    source: str | Path | BinaryIO,
    rate: int = 16000,
    *,
    longest: float = LONGEST,
    name: str | None = None,
) -> Iterator[NDArray[np.float32]]:
    """The same samples piece by piece, for a stream: memory does not grow with the file.

    Args:
        source: as for `read_audio`.
        rate: as for `read_audio`.
        longest: as for `read_audio`.
        name: as for `read_audio`.

    Yields:
        Samples, float32, shape [n], n > 0; some seconds at a time.

    Raises:
        BadInput: as `read_audio`; of what lies behind in the file, once it is reached.
        MissingExtra: soundfile or soxr is not installed (extra "audio").
    """
    sf = require("soundfile", "audio")
    if isinstance(source, (str, Path)):
        path = Path(source)
        name = name or str(source)
        if not path.is_file():
            raise BadInput(f"{name}: no such file; give the path of a sound file")
        opened: Any = str(path)
    else:
        opened = source
        name = name or str(getattr(source, "name", "sound"))
    empty = True
    try:
        with sf.SoundFile(opened) as file:
            _check_header(file, longest, name)
            for samples in _read_blocks(file, rate, longest, name):
                if len(samples):
                    empty = False
                    yield _checked(samples, name)
    except (sf.SoundFileError, RuntimeError, TypeError, OSError) as error:
        # TypeError: soundfile takes a name that ends in .raw as a promise of headerless samples.
        reason = str(error).removeprefix(f"Error opening {opened!r}: ").rstrip(".")
        raise BadInput(
            f"{name}: cannot be read as sound ({reason}); expected WAV, FLAC, OGG or MP3"
        ) from None
    if empty:
        raise BadInput(f"{name}: holds no samples; expected some sound")


def _check_header(file: Any, longest: float, name: str) -> None:
    if not _RATES[0] <= file.samplerate <= _RATES[1]:
        raise BadInput(
            f"{name}: sampling rate {file.samplerate} Hz; expected {_RATES[0]} to {_RATES[1]}"
        )
    if file.channels > _CHANNELS:
        raise BadInput(f"{name}: {file.channels} channels; expected at most {_CHANNELS}")
    _check_length(file.frames, file.samplerate, longest, name)


def _check_length(frames: int, rate: int, longest: float, name: str) -> None:
    if frames > longest * rate:
        raise BadInput(
            f"{name}: {frames / rate:.0f} s of sound; expected at most {longest:g} s, "
            "cut it into pieces"
        )


def _read_blocks(file: Any, rate: int, longest: float, name: str) -> Iterator[NDArray[np.float32]]:
    """The file as mono at `rate`; never more than a block in the file's own form."""
    stream = None
    if file.samplerate != rate:
        soxr = require("soxr", "audio")
        stream = soxr.ResampleStream(file.samplerate, rate, 1, dtype="float32", quality="HQ")
    frames = 0
    while True:
        # block: [frames, channels]; a header may promise fewer frames than come, so count.
        block = file.read(_BLOCK // file.channels, dtype="float32", always_2d=True)
        frames += len(block)
        _check_length(frames, file.samplerate, longest, name)
        mono = block.mean(axis=1, dtype=np.float32)
        if stream is not None:
            mono = stream.resample_chunk(mono, last=len(block) == 0)
        yield mono
        if len(block) == 0:
            return


def _checked(samples: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    peak = float(np.max(np.abs(samples)))
    if not np.isfinite(peak):
        raise BadInput(f"{name}: a sample is NaN or infinite; write the file again from its source")
    if peak > _PEAK:
        raise BadInput(
            f"{name}: largest sample {peak:g}; expected about -1..1, divide by the full scale"
        )
    return samples
