"""Both sides to one row of estimates: threads, order, fusion, a clean end."""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from edgeemo.errors import EdgeemoError, printable
from edgeemo.fusion import STALE_SECONDS, Clock, Fusion
from edgeemo.live.state import Block, Item, Picture, State
from edgeemo.live.workers import (
    Event,
    PictureSource,
    SoundSource,
    Worker,
    face_events,
    voice_events,
)
from edgeemo.sound.ffmpeg import NoSound
from edgeemo.speech.stream import Stream

if TYPE_CHECKING:
    from edgeemo.faces import Faces

HOP_SECONDS = 0.25
"""Between two estimates; the voice sets the time as long as it speaks."""

JOIN_SECONDS = 5.0
"""How long a thread may take to end; a device that hangs longer is left to the system."""

_ROOM = 64  # events that a side may be ahead of the view: memory stays flat when a view is slow
_WAIT = 0.1  # seconds between two looks at whether it is time to stop


class View(AbstractContextManager["View"], Protocol):
    """Something that shows what is found."""

    def show(self, state: State, item: Item) -> None:
        """Take what is new; `state` knows it already.

        Args:
            state: what is known, this item included.
            item: a piece of sound, a picture or an estimate.
        """


@dataclass(frozen=True)
class Summary:
    """What a run was.

    Attributes:
        state: as it was at the end.
        elapsed: seconds on the clock.
        cpu: seconds of processor time, all threads.
        interrupted: it was ended by Ctrl-C.
        errors: by side why it could not be opened or was lost.
    """

    state: State
    elapsed: float
    cpu: float
    interrupted: bool
    errors: dict[str, EdgeemoError]

    def lines(self) -> Iterator[str]:
        """In words."""
        state = self.state
        part = self.cpu / self.elapsed if self.elapsed else 0.0
        pictures = f", {state.pictures} pictures" if "face" in state.sources else ""
        yield (
            f"{state.seconds:.1f} s in {self.elapsed:.1f} s: {state.num_estimates} estimates"
            f"{pictures}; {100 * part:.1f} % of one core"
        )
        if state.latencies:
            yield (
                f"from the last sample to the shown estimate: median "
                f"{1000 * (state.latency or 0):.1f} ms, worst {1000 * max(state.latencies):.1f} ms "
                f"of the last {len(state.latencies)}"
            )
        yield from state.notes()


class Engine:
    """Runs the sides that there are until they end or Ctrl-C comes.

    Args:
        voice: what opens the sound and the stream that takes it, or None.
        face: what opens the pictures and what finds faces in them, or None.
        models: names of the models by side.
        required: sides without which there is nothing to do; another one whose device cannot be
            opened is left out, and the view says why.
        in_order: wait for the slower side, so that events come in the order of their own times.
            For files that are read faster than real time.
        one_clock: both sides begin at the same moment of the same recording. Otherwise their
            clocks are set by when they give something.
    """

    def __init__(
        self,
        voice: tuple[Callable[[], SoundSource], Stream] | None,
        face: tuple[Callable[[], PictureSource], Faces] | None,
        models: dict[str, str],
        *,
        required: Collection[str] = (),
        in_order: bool = False,
        one_clock: bool = False,
    ) -> None:
        self._voice, self._face = voice, face
        self._required = required
        self._in_order, self._one_clock = in_order, one_clock
        self.state = State(models=models)
        self._fusion = Fusion()
        self._stopping = threading.Event()
        self._sound: SoundSource | None = None
        self._sources: list[SoundSource | PictureSource] = []
        self._clocks = {"voice": Clock(), "face": Clock()}
        self._last_voice = self._last_face = -STALE_SECONDS
        self._due = 0.0
        self._errors: dict[str, EdgeemoError] = {}

    def run(self, views: Sequence[View]) -> Summary:
        """Run to the end.

        Returns:
            What was; threads have ended, devices and views are closed.

        Raises:
            DeviceLost, BadInput, MissingExtra: no device, or not a required one, can be opened.
            Exception: what a view or a model raised; everything is closed first.
        """
        begun, cpu = self._clock = time.perf_counter(), time.process_time()
        interrupted = False
        try:
            with ExitStack() as stack:
                events = self._start(stack)
                for view in views:
                    stack.enter_context(view)
                for event in events:
                    self._handle(event, views)
        except KeyboardInterrupt:
            interrupted = True
        return Summary(
            self.state,
            time.perf_counter() - begun,
            time.process_time() - cpu,
            interrupted,
            dict(self._errors),
        )

    def _start(self, stack: ExitStack) -> Iterator[Event]:
        """Open the devices and start their threads; the stack stops, joins and closes them."""
        shared: queue.Queue[Event] = queue.Queue(_ROOM)
        queues = []
        # The voice first: a camera may need a second to open.
        for side, events in (("voice", self._open_voice), ("face", self._open_face)):
            opened = self._opened(side, events, stack)
            if opened is None:
                continue
            room: queue.Queue[Event] = queue.Queue(_ROOM) if self._in_order else shared
            worker = Worker(side, opened, self._putter(room))
            worker.start()
            # Last in, first out: a thread hears of the end before it is waited for.
            stack.callback(worker.join, JOIN_SECONDS)
            stack.callback(self._stop)
            queues.append(room)
        if not queues:
            raise next(iter(self._errors.values()))
        if not self._in_order:
            return _until_ended(shared, len(queues))
        taken = (_until_ended(room, 1) for room in queues)
        return heapq.merge(*taken, key=lambda event: event.seconds)

    def _opened(
        self, side: str, events: Callable[[ExitStack], Iterator[Event] | None], stack: ExitStack
    ) -> Iterator[Event] | None:
        try:
            return events(stack)
        except EdgeemoError as error:
            if side in self._required:
                raise
            if not isinstance(error, NoSound):
                self._errors[side] = error
            self.state.ended[side] = str(error)
            return None

    def _open_voice(self, stack: ExitStack) -> Iterator[Event] | None:
        if self._voice is None:
            return None
        make, stream = self._voice
        source = self._sound = stack.enter_context(make())
        self._sources.append(source)
        self._name("voice", source)
        return voice_events(source, stream)

    def _open_face(self, stack: ExitStack) -> Iterator[Event] | None:
        if self._face is None:
            return None
        make, faces = self._face
        source = stack.enter_context(make())
        self._sources.append(source)
        self._name("face", source)
        return face_events(source, faces)

    def _name(self, side: str, source: SoundSource | PictureSource) -> None:
        self.state.paths[side] = source.name
        # Where a file lies is nobody's business who looks at the screen.
        shown = source.name if source.path is None else source.path.name
        self.state.sources[side] = printable(shown)

    def _stop(self) -> None:
        self._stopping.set()
        for source in self._sources:
            source.stop()

    def _putter(self, room: queue.Queue[Event]) -> Callable[[Event], bool]:
        def put(event: Event) -> bool:
            while not self._stopping.is_set():
                try:
                    room.put(event, timeout=_WAIT)
                    return True
                except queue.Full:
                    continue
            return False

        return put

    def _handle(self, event: Event, views: Sequence[View]) -> None:
        found = event.found
        if found is None:
            self._ended(event)
        elif isinstance(found, Picture):
            self._on_picture(self._align_time(found, event), event, views)
        else:
            self._observe("voice", event)
            if isinstance(found, Block):
                self.state.heard(found)
                self._show(found, views)
            else:
                self._last_voice = found.end
                self.state.voice = found
                self._fusion.voice(found)
                self._emit(found.end, event, views)
        self._measure()

    def _on_picture(self, picture: Picture, event: Event, views: Sequence[View]) -> None:
        self.state.seen(picture)
        if picture.faces:
            self._fusion.face(picture.faces[0])
        self._show(picture, views)
        # While the voice gives estimates they carry the face along.
        if picture.seconds - self._last_voice >= STALE_SECONDS and picture.seconds >= self._due:
            self._emit(picture.seconds, event, views)

    def _emit(self, at: float, event: Event, views: Sequence[View]) -> None:
        estimate = self._fusion.estimate(at)
        self._due = at + HOP_SECONDS
        self.state.tell(estimate)
        self._show(estimate, views)
        if not self._in_order:  # else it would be the time that one side waited for the other
            self.state.latencies.append(time.perf_counter() - event.arrived)

    def _show(self, item: Item, views: Sequence[View]) -> None:
        for view in views:
            view.show(self.state, item)

    def _observe(self, side: str, event: Event) -> None:
        clock = self._clocks[side]
        if side == "voice" and clock.begun is None:
            # Until now the faces had a time of their own.
            self._fusion.reset()
            self._last_face = -STALE_SECONDS
        clock.observe(event.seconds, event.arrived)

    def _align_time(self, picture: Picture, event: Event) -> Picture:
        """The picture on the voice's clock, so that times are those of the sound's samples."""
        self._observe("face", event)
        at = event.seconds
        if not self._one_clock:
            at = self._clocks["face"].to(self._clocks["voice"], at)
        at = self._last_face = max(at, self._last_face)
        faces = tuple(replace(face, start=at, end=at) for face in picture.faces)
        return Picture(picture.image, at, faces)

    def _ended(self, event: Event) -> None:
        if event.error is None:
            self.state.ended[event.side] = "ended"
            return
        if not isinstance(event.error, EdgeemoError):
            raise event.error  # a fault of edgeemo's own: show its traceback
        self._errors[event.side] = event.error
        self.state.ended[event.side] = str(event.error)

    def _measure(self) -> None:
        """Processor time and losses, once a second."""
        now, (then, cpu) = time.perf_counter(), self._clock
        if now - then < 1.0:
            return
        used = time.process_time()
        self.state.cpu, self._clock = (used - cpu) / (now - then), (now, used)
        if self._sound is not None:
            self.state.overruns = self._sound.overruns
            self.state.muted_seconds = self._sound.muted_seconds


def _until_ended(room: queue.Queue[Event], sides: int) -> Iterator[Event]:
    """Events of a queue up to the last one of the last of its sides."""
    while sides:
        event = room.get()
        sides -= event.found is None
        yield event
