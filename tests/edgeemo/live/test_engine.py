"""Threads, order and clocks of the engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import edgeemo
from edgeemo.devices import camera, sound_file, video_file
from edgeemo.devices.camera import VideoFile
from edgeemo.devices.microphone import SoundFile
from edgeemo.errors import DeviceLost
from edgeemo.faces import Faces
from edgeemo.fusion import Fused
from edgeemo.live.engine import Engine
from edgeemo.live.state import Block, Item, Picture, State
from edgeemo.vision.video import Video

MODELS = {"voice": "v", "face": "f"}


class Kept:
    """A view that keeps what it is shown."""

    def __init__(self) -> None:
        self.items: list[Item] = []
        self.closed = False

    def __enter__(self) -> Kept:
        return self

    def __exit__(self, *exc: object) -> None:
        self.closed = True

    def show(self, state: State, item: Item) -> None:
        self.items.append(item)

    @property
    def estimates(self) -> list[Fused]:
        return [item for item in self.items if isinstance(item, Fused)]


class Unplugged(SoundFile):
    """A microphone that is pulled out after a while."""

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        for number, block in enumerate(super().__iter__()):
            if number == 30:
                raise DeviceLost("microphone gone gives no more sound")
            yield block


class Late(VideoFile):
    """A camera whose first picture comes late, and whose own clock begins with it."""

    def __iter__(self) -> Iterator[tuple[float, NDArray[np.uint8]]]:
        time.sleep(1.0)
        first: float | None = None
        for seconds, image in super().__iter__():
            first = seconds if first is None else first
            yield seconds - first, image


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("edgeemo")]


@pytest.fixture
def faces(face_artifact: Path) -> Faces:
    return Faces(edgeemo.load(face_artifact))


def voice(path: Path, kind: type[SoundFile] = SoundFile, fast: bool = True):  # type: ignore[no-untyped-def]
    return lambda: kind(path, fast), edgeemo.load("wav2small-stream").stream()


def test_both_sides_in_the_order_of_time(clip: Path, silent_video: Path, faces: Faces) -> None:
    def found() -> list[tuple[tuple[str, ...], float]]:
        view = Kept()
        pictures = (lambda: video_file(silent_video, fast=True), faces)
        engine = Engine(voice(clip), pictures, MODELS, in_order=True, one_clock=True)
        engine.run([view])
        seconds = [i.end if isinstance(i, Fused) else i.seconds for i in view.items]
        # An estimate comes with the block that it ends in, whose end may be later.
        assert all(b - a > -0.06 for a, b in pairwise(seconds))
        return [(i.sides, i.end) for i in view.estimates]

    first = found()
    assert first == found()  # threads do not change what comes out
    # The face alone until the first second of sound, and after its last one.
    assert first[0] == (("face",), 0.0)
    both = [end for sides, end in first if sides == ("voice", "face")]
    assert both[0] == 1.0 and set(np.diff(both[:-1])) == {0.25}
    assert first[-1][0] in ((), ("face",)) and first[-1][1] > 3.5
    assert threads() == []


def test_a_lost_microphone_leaves_the_face(clip: Path, silent_video: Path, faces: Faces) -> None:
    view = Kept()
    pictures = (lambda: video_file(silent_video, fast=True), faces)
    engine = Engine(voice(clip, Unplugged), pictures, MODELS, in_order=True, one_clock=True)
    summary = engine.run([view])
    assert view.closed and threads() == []
    assert set(summary.errors) == {"voice"}
    assert "voice: microphone gone gives no more sound" in list(summary.lines())
    heard = [e for e in view.estimates if "voice" in e.sides]
    assert max(e.end for e in heard) < 2.5
    assert view.estimates[-1].end > 3 and "voice" not in view.estimates[-1].sides


def test_a_device_that_is_not_there_is_left_out(clip: Path) -> None:
    face = (lambda: camera(63), None)
    engine = Engine(voice(clip), face, MODELS, required={"voice"})  # type: ignore[arg-type]
    summary = engine.run([])
    assert summary.state.num_estimates > 5
    assert "cannot be opened" in summary.state.ended["face"]
    with pytest.raises(DeviceLost, match="camera 63"):
        Engine(voice(clip), face, MODELS, required={"face"}).run([])  # type: ignore[arg-type]
    with pytest.raises(DeviceLost, match="camera 63"):
        Engine(None, face, {"face": "f"}).run([])  # type: ignore[arg-type]
    assert threads() == []


def test_a_fault_in_a_view_closes_everything(long_clip: Path) -> None:
    class Broken(Kept):
        def show(self, state: State, item: Item) -> None:
            if isinstance(item, Fused):
                raise ZeroDivisionError

    views = [Kept(), Broken()]
    with pytest.raises(ZeroDivisionError):
        Engine(voice(long_clip, fast=False), None, MODELS).run(views)
    assert all(view.closed for view in views) and threads() == []


def test_a_fault_in_a_side_is_not_hidden(clip: Path) -> None:
    class Faulty(SoundFile):
        def __iter__(self) -> Iterator[NDArray[np.float32]]:
            yield np.zeros(800, np.float32)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Engine(voice(clip, Faulty), None, MODELS).run([])
    assert threads() == []


def test_two_devices_share_a_clock(clip: Path, silent_video: Path, faces: Faces) -> None:
    """A picture has the time of the sound that came with it, whatever its own clock says."""
    view = Kept()
    pictures = (lambda: Late(silent_video, Video(silent_video), False), faces)
    Engine(voice(clip, fast=False), pictures, MODELS).run([view])
    assert [type(item) for item in view.items].count(Picture) > 1
    sound, first = 0.0, None
    for item in view.items:
        if isinstance(item, Block):
            sound = item.seconds
        elif isinstance(item, Picture) and first is None:
            first = item.seconds - sound
    assert first is not None and abs(first) < 0.5  # its own clock would say about 0


def test_time_goes_on_where_sound_was_lost(long_clip: Path) -> None:
    class Gap(SoundFile):
        def __iter__(self) -> Iterator[NDArray[np.float32]]:
            for number, block in enumerate(super().__iter__()):
                if number == 60:
                    return
                self.lost_seconds += 0.5 * (number == 30)
                yield block

    view = Kept()
    summary = Engine(voice(long_clip, Gap), None, MODELS).run([view])
    ends = [e.end for e in view.estimates]
    # 1.5 s of sound, half a second without, 1.5 s of sound.
    assert ends == [1 + 0.25 * i for i in range(11)]
    blocks = [item.seconds for item in view.items if isinstance(item, Block)]
    assert blocks[29:31] == pytest.approx([1.5, 2.05])
    assert summary.state.ended == {"voice": "ended"}


def test_memory_of_a_slow_view_is_bounded(long_clip: Path) -> None:
    class Slow(Kept):
        def show(self, state: State, item: Item) -> None:
            if isinstance(item, Fused) and state.num_estimates == 3:
                time.sleep(0.5)
                raise KeyboardInterrupt

    heard: list[float] = []

    class Counted(SoundFile):
        def __iter__(self) -> Iterator[NDArray[np.float32]]:
            for block in super().__iter__():
                heard.append(len(block) / 16_000)
                yield block

    summary = Engine(voice(long_clip, Counted), None, MODELS, in_order=True).run([Slow()])
    assert summary.interrupted
    assert sum(heard) < 1.5 + 64 * 0.05 + 0.5  # of a minute
    assert sound_file(long_clip).overruns == 0
