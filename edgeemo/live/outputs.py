"""Views that are files: a table, and cues for editors of subtitles and annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from edgeemo.fusion import Fused
from edgeemo.io.files import check_output
from edgeemo.live.state import Item, State
from edgeemo.live.views import row
from edgeemo.results import tables, writers
from edgeemo.results.cues import Cue
from edgeemo.results.utterances import Utterances


class CsvFile(AbstractContextManager["CsvFile"]):
    """A row an estimate, as `edgeemo predict --csv`, and what it was made from (`sides`)."""

    def __init__(self, path: Path, inputs: Sequence[Path | None] = ()) -> None:
        """Choose the file.

        Args:
            path: to be written, or replaced.
            inputs: files that are read meanwhile.

        Raises:
            BadInput: it could not be written, or is one of the inputs.
        """
        check_output(path, inputs=inputs)
        self._path = path

    def __enter__(self) -> CsvFile:
        self._table = tables.Csv(self._path, (*tables.COLUMNS, "sides"))
        return self

    def __exit__(self, *exc: object) -> None:
        self._table.__exit__(*exc)

    def show(self, state: State, item: Item) -> None:
        """Write an estimate.

        Args:
            state: what is known, this item included.
            item: a piece of sound, a picture or an estimate.
        """
        if isinstance(item, Fused):
            self._table.write(row(state, item))


class CueFiles(AbstractContextManager["CueFiles"]):
    """A cue an utterance, into files by their endings, at the end."""

    def __init__(self, paths: Sequence[Path], origin: Callable[[], writers.Origin]) -> None:
        """Choose the files.

        Args:
            paths: of endings that `writers.WRITERS` knows.
            origin: tells of recording and models at the end.

        Raises:
            BadInput: as `writers.check`.
        """
        writers.check(paths)
        self._paths, self._origin = paths, origin
        self._utterances = Utterances()
        self._cues: list[Cue] = []
        self._begun = False

    def __exit__(self, *exc: object) -> None:
        """Write, also after Ctrl-C or an error; without any estimate there is no file."""
        if not self._begun:
            return
        cues = [*self._cues, *self._utterances.flush()]
        writers.write(self._paths, cues, self._origin())

    def show(self, state: State, item: Item) -> None:
        """Take an estimate.

        Args:
            state: what is known, this item included.
            item: a piece of sound, a picture or an estimate.
        """
        if isinstance(item, Fused):
            self._begun = True
            self._cues += self._utterances.push(item)
