"""Sound through the program ffmpeg: containers that libsndfile does not know, and damage."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import BadInput
from edgeemo.sound.endings import is_cut

CONTAINERS = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,dts,eac3,flac,flv,matroska,mov,mp3,mpeg,mpegts,mpegvideo,ogg,"
    "tta,w64,wav,wv"
)
"""Demuxers that open nothing but the file they are given: no playlists, no image sequences."""

_BLOCK = 1 << 18  # values read at once
_ALAC = 4096  # frames of a packet
_AU = 24  # bytes of the head of an AU stream


def ffmpeg() -> str | None:
    """Where ffmpeg is, or None."""
    return shutil.which("ffmpeg")


class NoSound(BadInput):
    """A container that holds no sound track."""


class FfmpegDecoder:
    """The first sound track of a file, decoded by ffmpeg.

    Attributes:
        rate: of the track, Hz.
        channels: of the track.
        promised: frames that the container promises; None if it does not say.
        notices: what was wrong on the way.
        cut: whether a file that promises no length ends in the middle; known at its end.
        lossy: whether a damaged packet may come out as any number.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        """Start the program.

        Args:
            file: open, with a descriptor of its own; ffmpeg gets the descriptor and no name.
            name: for messages.

        Raises:
            NoSound: it holds none.
            BadInput: ffmpeg cannot read it.
        """
        program = ffmpeg()
        assert program is not None
        self._name, self._file = name, file
        self.notices: list[str] = []
        self.cut = False
        descriptor = os.dup(file.fileno())
        os.lseek(descriptor, 0, os.SEEK_SET)
        command = [program, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]
        command += ["-protocol_whitelist", "file,pipe", "-format_whitelist", CONTAINERS]
        command += ["-i", f"file:/dev/fd/{descriptor}", "-map", "0:a:0", "-c:a", "pcm_f32be"]
        command += ["-f", "au", "pipe:1"]
        # What it says may be long: in a pipe that nobody empties it would wait for ever.
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=self._said, pass_fds=[descriptor]
            )
        finally:
            os.close(descriptor)
        assert self._process.stdout is not None
        self._out: IO[bytes] = self._process.stdout
        try:
            head = self._out.read(_AU)
            if len(head) < _AU or head[:4] != b".snd":
                self._process.wait()
                raise self._refusal()
            skip, _, _, rate, channels = np.frombuffer(head[4:], ">u4").tolist()
            self.rate, self.channels = int(rate), int(channels)
            self._out.read(skip - _AU)
        except BaseException:
            self.close()
            raise
        self.promised = self._promise()
        self.lossy = not any("Audio: pcm" in line for line in self._of_input())
        tracks = sum("Audio:" in line for line in self._of_input())
        if tracks > 1:
            self.notices.append(f"holds {tracks} sound tracks; the first was read")

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Float32 [n, channels], n > 0."""
        frame = 4 * self.channels
        size = max(1, _BLOCK // self.channels) * frame
        while raw := self._out.read(size):
            whole = raw[: len(raw) // frame * frame]
            values = np.frombuffer(whole, ">f4").astype(np.float32)
            if len(values):
                yield values.reshape(-1, self.channels)
        self._process.wait()
        faults = [line for line in self._lines() if re.search(r"\[(error|fatal)\]", line)]
        if faults:
            self.notices.append(f"damaged in places ({_plain(faults[0])}); the rest was read")
        self.cut = is_cut(self._file)

    def close(self) -> None:
        """End the program if it still runs."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._out.close()
        self._said.close()

    def _lines(self) -> list[str]:
        self._said.seek(0)
        return self._said.read(1 << 20).decode(errors="replace").splitlines()

    def _of_input(self) -> list[str]:
        """What it says of the file, and not of what it makes."""
        lines = self._lines()
        ends = [i for i, line in enumerate(lines) if "Output #" in line or "Stream mapping" in line]
        return lines[: min(ends, default=len(lines))]

    def _promise(self) -> int | None:
        """Of sound alone: beside pictures the duration is that of the longest track."""
        lines = self._of_input()
        film = any("Video:" in line and "attached pic" not in line for line in lines)
        guess = any("Estimating duration from bitrate" in line for line in lines)
        found = re.search(r"Duration: (\d+):(\d+):([\d.]+)", "\n".join(lines))
        if film or guess or found is None:
            return None
        seconds = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
        # A container may count ALAC by whole packets, of which the last is not full.
        part = _ALAC if any("Audio: alac" in line for line in lines) else 0
        return max(0, int(seconds * self.rate) - part)

    def _refusal(self) -> BadInput:
        lines = self._lines()
        if any("matches no streams" in line for line in lines):
            return NoSound(f"{self._name}: holds no sound track")
        faults = [line for line in lines if re.search(r"\[(error|fatal)\]", line)]
        reason = _plain(faults[0]) if faults else "no reason given"
        remedy = "it is cut or damaged, copy it again"
        return BadInput(f"{self._name}: cannot be read by ffmpeg ({reason}); {remedy}")


def _plain(line: str) -> str:
    """A line of ffmpeg's without its labels and its name for the file."""
    line = re.sub(r"^(\[[^\]]*\] ?)+", "", line)
    return re.sub(r"file:/dev/fd/\d+:? ?", "", line).strip()[:120]
