"""Views without a screen: lines of JSON, lines for people, a recording."""

from __future__ import annotations

import json
import sys
import wave
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from edgeemo.errors import BadInput, printable
from edgeemo.fusion import Fused
from edgeemo.io.files import check_output, naming
from edgeemo.live.state import Block, Item, State
from edgeemo.results.sounds import heard
from edgeemo.types import DIMENSIONS, SAMPLE_RATE

_HEAD = " time  arousal  dominance  valence  class            sides\n"
SOUND, ESTIMATES = "sound.wav", "estimates.jsonl"
"""Names of the files of a recording."""


def row(state: State, estimate: Fused) -> dict[str, Any]:
    """One estimate as `edgeemo predict --json` writes it, and `speech`, `sides`, `box`.

    `path` is the file, or the device's name; `box` is there where a face was used.

    Args:
        state: knows the paths.
        estimate: one of theirs.
    """
    values: dict[str, Any] = {"path": state.paths.get("voice") or state.paths.get("face")}
    values |= {name: _rounded(getattr(estimate, name)) for name in DIMENSIONS}
    values["classes"] = {name: _rounded(value) for name, value in estimate.classes.items()}
    for name in ("confidence", "start", "end"):
        values[name] = _rounded(getattr(estimate, name))
    values |= {"speech": estimate.speech, "sides": list(estimate.sides)}
    if estimate.sounds:
        values["sounds"] = {name: _rounded(share) for name, share in estimate.sounds.items()}
    if estimate.box is not None:
        values["box"] = list(estimate.box)
    return values


class Lines:
    """An estimate a line on a text stream: JSON, or columns for people."""

    def __init__(self, out: TextIO, as_json: bool) -> None:
        self._out, self._json = out, as_json
        self._head = (
            "" if as_json else " time  arousal  dominance  valence  class            sides\n"
        )

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exc: object) -> None:
        pass

    def show(self, state: State, item: Item) -> None:
        """Write an estimate; other items have no line.

        Args:
            state: what is known, this item included.
            item: a piece of sound, a picture or an estimate.
        """
        if isinstance(item, Fused):
            line = (
                json.dumps(row(state, item), ensure_ascii=False) if self._json else _columns(item)
            )
            self._out.write(f"{self._head}{line}\n")
            self._out.flush()  # a reader at the other end of a pipe sees each one at once
            self._head = ""


class Recording:
    """Sound and estimates into a folder: `sound.wav` (16-bit) and `estimates.jsonl`.

    Pictures are not kept. Each file is whole at any time but for its last moment, so that what was
    recorded before a crash is there.
    """

    def __init__(self, folder: Path) -> None:
        """Choose the folder.

        Raises:
            BadInput: there is something in it already (nothing is ever overwritten), or it could
                not be written.
        """
        check_output(folder, folder=True)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise BadInput(f"{folder} is not an empty folder; name one that is empty or absent")
        self._folder = folder
        self._sound: wave.Wave_write | None = None

    def __enter__(self) -> Recording:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lines = (self._folder / ESTIMATES).open("w", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"{self._folder}: cannot be written ({error.strerror})") from None
        print(f"edgeemo: recording to {printable(self._folder.resolve())}", file=sys.stderr)
        return self

    def __exit__(self, *exc: object) -> None:
        with naming(self._folder):
            self._lines.close()
            if self._sound is not None:
                self._sound.close()

    def show(self, state: State, item: Item) -> None:
        """Write a piece of sound or an estimate.

        Args:
            state: what is known, this item included.
            item: a piece of sound, a picture or an estimate.
        """
        with naming(self._folder):
            if isinstance(item, Block):
                scaled = np.clip(np.rint(item.samples * 32768), -32768, 32767).astype("<i2")
                self._wave().writeframes(scaled.tobytes())
            elif isinstance(item, Fused):
                self._lines.write(_json(state, item) + "\n")
                self._lines.flush()

    def _wave(self) -> wave.Wave_write:
        if self._sound is None:
            self._sound = wave.open(str(self._folder / SOUND), "wb")  # noqa: SIM115
            self._sound.setnchannels(1)
            self._sound.setsampwidth(2)
            self._sound.setframerate(SAMPLE_RATE)
        return self._sound


def _json(state: State, estimate: Fused) -> str:
    return json.dumps(row(state, estimate), ensure_ascii=False)


def _columns(estimate: Fused) -> str:
    values = [getattr(estimate, name) for name in DIMENSIONS]
    cells = ["-" if value is None else f"{value:.2f}" for value in values]
    best = f"{estimate.expression} {estimate.confidence:.2f}" if estimate.expression else "-"
    best = heard(estimate.sounds) or best
    sides = " and ".join(estimate.sides) or ", ".join(
        f"{side}: {why}" for side, why in estimate.ignored.items() if why != "nothing yet"
    )
    return f"{estimate.end:5.2f}  {cells[0]:>7}  {cells[1]:>9}  {cells[2]:>7}  {best:<15}  {sides}"


def _rounded(value: float | None) -> float | None:
    """Four digits: the models are not better than two, and lines stay readable."""
    return None if value is None else round(value, 4)
