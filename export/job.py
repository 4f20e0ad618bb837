"""From a run folder to files that have passed parity."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeemo.artifacts.card import Card
from edgeemo.artifacts.licences import verdict_of
from edgeemo.backends import Backend, open_backend
from edgeemo.compress.evaluation.parity_set import ParitySet
from edgeemo.compress.run import Run, RunSummary
from edgeemo.compress.stages.rounding import rounded
from edgeemo.compress.stages.rounding_int4 import rounded_int4
from edgeemo.compress.students import Student
from edgeemo.errors import BadData, BadInput, ParityFailed
from edgeemo.io.files import replacing

from .c_writer import find_compiler, write_folder
from .cards import card_of_run
from .int8 import ActivationRecorder
from .onnx_writer import OnnxWriter, float_graph
from .parity import Parity, Tolerances, compare, table, with_outputs_of
from .qat_ranges import learned_table
from .ranges import RULES
from .runtimes import Runtime, matrix, on_runtimes, tile_to_length
from .tflite_writer import TfliteWriter
from .writer import ExportInput, QuantConfig, Writer


class CWriter(TfliteWriter):
    """The int8 TFLite file whose integers a C folder holds; `write_folder` makes the folder."""

    format = "c"


WRITERS: Mapping[str, Writer] = {w.format: w for w in (OnnxWriter(), TfliteWriter(), CWriter())}

FLOAT_HEAD_THRESHOLD = 0.995
"""Agreement at which the heads stay int8 without a try in float."""

SILENCE_RANGE = 0.1
"""Features that vary by less, in natural logarithms, hold no sound."""

RUNTIME_CLIPS = 16
"""Clips that each runtime is given: TensorFlow Lite Micro is slow on a large machine."""

CALIBRATION_CLIPS = 64
"""Clips that ranges are read from, and as many on which candidates are ranked."""

Log = Callable[[str], None]


@dataclass(frozen=True)
class ExportResult:
    """A file that was written.

    Attributes:
        path: where it lies; of the format c a folder.
        format: its writer.
        bytes: its size; of a C folder the flash that network and tables take.
        card: the card inside.
        parity: how it compares with the float student.
        runtimes: the file on each runtime that reads it.
    """

    path: Path
    format: str
    bytes: int
    card: Card
    parity: Parity
    runtimes: tuple[Runtime, ...]


def export(
    run: Path,
    formats: Sequence[str] = ("onnx",),
    int8: bool = False,
    out: Path | None = None,
    waveform: bool = False,
    step: bool = False,
    limits: Tolerances | None = None,
    log: Log = lambda text: None,
    front_end: str = "float",
    int4: bool = False,
) -> list[ExportResult]:
    """Write the student of a run in each format, and leave only what passes parity.

    The file is judged on clips of the test split, so its figures are those of `edgeemo distill`.
    Ranges are chosen on other clips: they are calibrated on those with even numbers, and candidates
    are ranked on those with odd numbers. See `ParitySet.dealt` for runs without a test split.

    Args:
        run: folder left by `edgeemo distill`.
        formats: of WRITERS.
        int8: quantize; otherwise float.
        out: folder for the files; None is the run's own folder `export`.
        waveform: one file that takes samples, with the front end inside.
        step: step models: the states of a causal student are inputs and outputs.
        limits: None for the usual ones.
        log: called with lines about progress.
        front_end: of C folders, "float" or "fixed"; see `edgeemo.export.c_writer.write_folder`.
        int4: as `int8`, with four bits for the weights of convolutions across channels, but for
            the first layer.

    Returns:
        A result for each format.

    Raises:
        ParityFailed: a file differs from the float student by more than the limits; nothing is
            left on disk under its name (an earlier file stays), and the message has the table.
        BadInput: an unknown format.
        BadArtifact, BadData: the run folder is damaged or lacks its parity set.
    """
    check_formats(formats)
    int8 = int8 or int4
    if CWriter.format in formats:
        _check_folder(int8, step)
    source = Run(run)
    facts, student, card = source.facts(), source.student(), card_of_run(source.facts())
    if step:  # without the sounds; see Step
        card = replace(card, outputs=tuple(o for o in card.outputs if o.name != "sounds"))
    limits = limits or Tolerances()
    trained = ExportInput(student, card, waveform, step, source.ranges())
    kept = source.parity_set()
    clips = with_outputs_of(kept, student, card.calibration.class_temperature)
    chosen, judged = clips.dealt()
    if not int8 and clips.test is None:
        judged = clips
    results = []
    for writer in (WRITERS[name] for name in formats):
        held, how = trained, None
        if int8:
            rounding, seen = (rounded_int4, chosen) if int4 else (rounded, _seen(chosen))
            held = replace(trained, student=rounding(student, seen.features, writer.largest_weight))
            how = calibrate(writer, held, chosen, limits, log, int4)
        kind = ("-waveform" if waveform else "") + ("-step" if step else "")
        name = card.name + kind + ("-int4" if int4 else "-int8" if int8 else "-float")
        place = _Place(writer, judged, limits, facts, student)
        path, data = (out or run / "export") / name, writer.write(held, how)
        if writer.format == "c":
            results.append(place.folder(path.with_name(f"{name}-c"), data, front_end))
        else:
            results.append(place.file(path.with_name(f"{name}{writer.ending}"), data))
    return results


def check_formats(formats: Sequence[str]) -> None:
    """Refuse what cannot be written.

    Raises:
        BadInput: an unknown format, or none at all.
    """
    if not formats:
        raise BadInput(f"no format given; there is: {', '.join(WRITERS)}")
    for name in formats:
        if name not in WRITERS:
            raise BadInput(f"no format {name!r}; there is: {', '.join(WRITERS)}")


def _check_folder(int8: bool, step: bool) -> None:
    """Refuse at once what would be no C folder after minutes of work."""
    find_compiler()
    if not int8:
        raise BadInput("a C folder holds an int8 student; add --int8")
    if step:
        raise BadInput("a C folder streams by itself; leave out --step, or choose another format")


def calibrate(
    writer: Writer,
    trained: ExportInput,
    clips: ParitySet,
    limits: Tolerances,
    log: Log,
    int4: bool = False,
) -> QuantConfig:
    """The rule for ranges, and the heads in float or not, that agree best with the student.

    Args:
        writer: of the format.
        trained: the student and its card.
        clips: with the student's outputs; ranges come from some, the choice from others.
        limits: of parity.
        log: called with a line for each candidate.
        int4: see `QuantConfig`.

    Raises:
        BadData: the clips are all silence.
    """
    plain = ExportInput(trained.student, trained.card)
    graph = float_graph(trained.student, trained.card.calibration.class_temperature)
    seen = _seen(clips)
    if not any(float(np.ptp(f)) > SILENCE_RANGE for f in seen.features):
        raise BadData("the clips that ranges are read from are all silence; label other clips")
    kind = "int4" if int4 else "int8"
    watch = ActivationRecorder(graph)
    observed = watch.observe([f[None] for f in seen.features])
    tables = [observed.table(rule) for rule in RULES]
    if trained.learned:
        tables.insert(
            0,
            learned_table(
                watch, trained.student, seen.features[0][None], trained.learned, tables[0]
            ),
        )
    ranked = clips.take(slice(1, 2 * CALIBRATION_CLIPS, 2))

    def best(float_head: bool) -> tuple[float, QuantConfig]:
        found = []
        for ranges in tables:
            how = QuantConfig(ranges, float_head, int4)
            with loaded(writer, writer.write(plain, how)) as backend:
                parity = compare(backend, ranked, limits)
            layers = ", heads in float" if float_head else ""
            log(f"{kind}, ranges by {ranges.rule}{layers}: agreement {parity.worst:.4f}")
            found.append((parity.worst, how))
        # The first of equals: what was learned, then from the plainest rule on.
        return max(found, key=lambda pair: pair[0])

    whole = best(float_head=False)
    if whole[0] >= FLOAT_HEAD_THRESHOLD or not writer.float_heads:
        return whole[1]
    return max(whole, best(float_head=True), key=lambda pair: pair[0])[1]


def _seen(clips: ParitySet) -> ParitySet:
    """Those that ranges and means are read from."""
    return clips.take(slice(0, 2 * CALIBRATION_CLIPS, 2))


@contextmanager
def loaded(writer: Writer, data: bytes) -> Iterator[Backend]:
    """A file that is not kept, loaded as a user would.

    Args:
        writer: of the format.
        data: bytes of the file.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"candidate{writer.ending}"
        path.write_bytes(data)
        yield open_backend(path, writer.format)


@dataclass(frozen=True)
class _Place:
    """What a written file must pass before it gets its name.

    Attributes:
        writer: that wrote it.
        clips: that it is judged on.
        limits: of parity.
        facts: of the run.
        student: in float.
    """

    writer: Writer
    clips: ParitySet
    limits: Tolerances
    facts: RunSummary
    student: Student

    def file(self, path: Path, data: bytes) -> ExportResult:
        """Write under a temporary name, reload, compare, and move into place if it passes."""
        with replacing(path) as temporary:
            temporary.write_bytes(data)
            return replace(self._judged(temporary, path), path=path)

    def folder(self, path: Path, data: bytes, front_end: str) -> ExportResult:
        """As `file`; then the folder, which moves into place if its self-test passes, too."""
        with tempfile.TemporaryDirectory() as name:
            artifact = Path(name) / f"{path.name}{self.writer.ending}"
            artifact.write_bytes(data)
            result = self._judged(artifact, path)
            folder = write_folder(artifact, path, front_end)
        # What was judged is the file that the folder's integers came from.
        rows = tuple(replace(row, bytes=folder.flash) for row in result.runtimes)
        return replace(result, path=path, bytes=folder.flash, runtimes=rows)

    def _judged(self, temporary: Path, path: Path) -> ExportResult:
        """What a written file gives, or ParityFailed with the table."""
        backend = open_backend(temporary, self.writer.format)
        level = _level(self.facts)
        parity = compare(backend, self.clips, self.limits, self.facts.ceiling, level)
        few = self.clips.take(slice(0, RUNTIME_CLIPS))
        rows = on_runtimes(temporary, backend, tile_to_length(self.student, few))
        faults = [*parity.faults, *(fault for row in rows for fault in row.faults)]
        if faults:
            raise ParityFailed(f"{path.name} is not written: {'; '.join(faults)}\n{table(parity)}")
        size = temporary.stat().st_size
        return ExportResult(temporary, self.writer.format, size, backend.card, parity, rows)


def _level(facts: RunSummary) -> dict[str, float]:
    """What the mean level alone reaches: against annotators where there are any."""
    found: dict[str, float] = {}
    # Annotators come after the teacher in a run's list, and so replace it.
    for metric in facts.metrics:
        if metric.measure.startswith("ccc") and metric.baseline is not None:
            found[metric.of] = metric.baseline
    return found


_EXAMPLE = {"speech": "wav", "face": "jpg"}


def row(result: ExportResult) -> dict[str, Any]:
    """What `edgeemo export --json` prints for a file."""
    card, parity = result.card, asdict(result.parity)
    return {
        "path": str(result.path),
        "format": result.format,
        "bytes": result.bytes,
        "parameters": card.parameters,
        "macs_per_second": card.macs_per_second,
        "quantization": asdict(card.quantization),
        "digest": card.digest,
        "parity": parity,
        "runtimes": [asdict(r) for r in result.runtimes],
    }


def text(result: ExportResult) -> str:
    """What `edgeemo export` prints for a file."""
    card, kind = result.card, result.card.quantization
    how = "float"
    if kind.kind == "int8":
        layers = f", {' and '.join(kind.float_layers)} in float" if kind.float_layers else ""
        name = "int8" if kind.precision == "int8" else "int4 in convolutions, else int8"
        how = f"{name}, ranges by {kind.rule}{layers}"
    return (
        f"{result.path}\n"
        f"{result.bytes} bytes ({how}), {card.parameters} parameters, "
        f"{card.work}\n"
        f"{table(result.parity)}\n"
        f"{matrix(result.runtimes)}\n"
        f"licence: {card.licence}\n{verdict_of(card)}\n"
        f"use it: {_use(result)}"
    )


def _use(result: ExportResult) -> str:
    path = shlex.quote(str(result.path))
    if result.format == "c":
        return f"make -C {path} (its README.md tells the rest)"
    return f"edgeemo predict --model {path} FILE.{_EXAMPLE[result.card.task]}"
