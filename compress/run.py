"""A run: the folder that distillation leaves and export starts from.

recipe.toml          complete, with every default written out
environment.json     versions, machine, and what the command was given
split.json           speakers of train, valid and test
metrics.jsonl        a line an epoch
checkpoints/last.pt  to go on from
ranges.json          of activations, where training with the rounding of int8 has learned them
student.pt           averaged weights of the best epoch
parity/parity.npz    held-out inputs with what student, teacher and humans said
run.json             facts for the card; there only when the run is finished
crossval.json        of `--folds`: figures over all folds, in place of a student
report.html          for people
.lock                held by the process that works on the run
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgeemo import __version__
from edgeemo.artifacts.card import Calibration, Metric, ReceptiveField, Source
from edgeemo.artifacts.trained_on import TrainedOn
from edgeemo.errors import BadArtifact, BadData, BadInput
from edgeemo.features import FeatureSpec
from edgeemo.io import schema
from edgeemo.io.files import is_plain, lock, write_text
from edgeemo.io.loading import load_json, parse_json, read_bytes
from edgeemo.vision.images import ImageSpec

from .evaluation.parity_set import ParitySet, read_parity_set, write_parity_set
from .recipes import Recipe, dump_recipe, load_recipe
from .students.base import Student, load_student

RUNS = Path("runs")
"""Where runs lie unless a command says otherwise."""

SCHEMA = 1
_POINTER = "last"
_LOCK = ".lock"


@dataclass(frozen=True)
class RunSummary:
    """What a card says of a student before it is exported; its parts are those of the card.

    Attributes:
        schema: version of this layout.
        name: of the model.
        task: "speech" or "face".
        student: registered name of the student.
        options: it was made with.
        spec: features or pictures that it expects.
        window: span of a token, shortest clip.
        teachers: whose labels it learned.
        data: corpora that it heard.
        licence: of the weights, which data, teacher and first weights decide.
        metrics: on the test speakers.
        ceiling: CCC of one annotator against the others on the test speakers; empty if unknown.
        calibration: temperature of the classes and the confidence, fitted on the valid speakers.
        parameters: trained numbers.
        macs_per_second: without the front end; of one picture for a student of faces.
        best_epoch: whose weights these are.
        seed: of the run.
        clips: labelled clips of each part.
        skipped: clips that could not be used.
        recipe: sha256 (hex) of the recipe file.
        attributions: who must be named with the model.
        trained_on: speakers and clips that taught the student and its teachers.
        seen: what of the test split taught the teacher, in one line; empty without one.
        classes: whether the student gives classes, which it does where something taught them.
        sounds: whether it tells speech and sounds, likewise.
    """

    schema: int
    name: str
    task: str
    student: str
    options: Mapping[str, float]
    spec: FeatureSpec | ImageSpec
    window: ReceptiveField
    teachers: tuple[Source, ...]
    data: tuple[Source, ...]
    licence: str
    metrics: tuple[Metric, ...]
    ceiling: Mapping[str, float]
    calibration: Calibration
    parameters: int
    macs_per_second: int
    best_epoch: int
    seed: int
    clips: Mapping[str, int]
    skipped: int
    recipe: str = ""
    attributions: tuple[str, ...] = ()
    trained_on: TrainedOn | None = None
    seen: str = ""
    classes: bool = True
    sounds: bool = False


class Run:
    """One run's folder.

    Args:
        folder: it must hold a recipe.toml; see begin() for a new one.

    Raises:
        BadInput: no such folder, or not a run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / "recipe.toml").is_file():
            raise BadInput(
                f"{self.folder}: not a run (no recipe.toml in it); make one with: edgeemo distill"
            )

    def __repr__(self) -> str:
        state = "finished" if self.finished else "not finished"
        return f"Run({str(self.folder)!r}, {state})"

    @classmethod
    def begin(cls, folder: Path, recipe: Recipe, given: Mapping[str, Any]) -> Run:
        """Make the folder with recipe and environment.

        Args:
            folder: new or empty. To make it is the claim: of several processes one gets it.
            recipe: of the run.
            given: what the command was told, for example {"data": "corpora/"}.

        Raises:
            BadInput: the folder holds something already.
            BadData: it cannot be written.
        """
        if not _claim(folder):
            raise BadInput(f"{folder} is not empty; give a new folder, or go on with --resume")
        return cls._written(folder, recipe, given)

    @classmethod
    def begin_next(cls, runs: Path, recipe: Recipe, given: Mapping[str, Any]) -> Run:
        """Make the first folder NAME-001, NAME-002, ... that is free, and no other process's.

        Args:
            runs: where it is made.
            recipe: of the run, with its name.
            given: as for `begin`.

        Raises:
            BadData: it cannot be written.
        """
        while True:
            folder = new_folder(recipe.name, runs)
            if _claim(folder):
                return cls._written(folder, recipe, given)

    @classmethod
    def _written(cls, folder: Path, recipe: Recipe, given: Mapping[str, Any]) -> Run:
        try:
            write_text(folder / "recipe.toml", dump_recipe(recipe))
            write_text(folder / "environment.json", _json(environment() | {"given": dict(given)}))
        except OSError as error:
            raise BadData(f"{folder} cannot be written ({error.strerror})") from None
        return cls(folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from working on the run; the system undoes it if this one ends.

        Raises:
            BadInput: another process has it.
            BadData: the folder cannot be written.
        """
        try:
            file = (self.folder / _LOCK).open("a")
        except OSError as error:
            raise BadData(f"{self.folder} cannot be written ({error.strerror})") from None
        with file:
            try:
                lock(file)
            except OSError:
                raise BadInput(
                    f"{self.folder}: another process works on this run; wait until it is done"
                ) from None
            yield

    @property
    def recipe(self) -> Recipe:
        """The run's recipe."""
        return load_recipe(self.folder / "recipe.toml")

    @property
    def recipe_sha256(self) -> str:
        """Of the file recipe.toml, hex."""
        return hashlib.sha256((self.folder / "recipe.toml").read_bytes()).hexdigest()

    @property
    def given(self) -> dict[str, Any]:
        """What the command was told when the run began."""
        return dict(_read_json(self.folder / "environment.json").get("given", {}))

    @property
    def finished(self) -> bool:
        """Whether everything that export needs is there."""
        return (self.folder / "run.json").is_file()

    @property
    def report(self) -> Path:
        """The report for people."""
        return self.folder / "report.html"

    def student(self) -> Student:
        """The trained student. BadArtifact if its file is damaged or missing."""
        return load_student(self.folder / "student.pt")

    def facts(self) -> RunSummary:
        """What the card needs.

        Raises:
            BadArtifact: the run is not finished, or run.json is damaged.
        """
        if (self.folder / "crossval.json").is_file():
            raise BadArtifact(
                f"{self.folder}: a cross-validation leaves figures and no student; "
                "distill without --folds for one"
            )
        if not self.finished:
            raise BadArtifact(
                f"{self.folder}: the run is not finished; go on with: "
                f"edgeemo distill --resume {self.folder}"
            )
        value = _read_json(self.folder / "run.json")
        if value.get("schema") != SCHEMA:
            raise BadArtifact(
                f"{self.folder}/run.json: schema {value.get('schema')!r}; expected {SCHEMA}"
            )
        return schema.read(RunSummary, value, BadArtifact)

    def history(self) -> list[dict[str, Any]]:
        """Figures of each epoch.

        Raises:
            BadArtifact: the file is missing or damaged.
        """
        path = self.folder / "metrics.jsonl"
        lines = read_bytes(path, BadArtifact).splitlines()
        return [
            _table(parse_json(line, BadArtifact, f"{path}, line {number}", nan=True), path)
            for number, line in enumerate(lines, 1)
        ]

    def parity_set(self) -> ParitySet:
        """The parity set.

        Raises:
            BadArtifact: it is missing or damaged.
        """
        try:
            return read_parity_set(self._parity)
        except BadArtifact as error:
            raise BadArtifact(
                f"{error}; make it again with: edgeemo distill --resume {self.folder}"
            ) from None

    def write_parity_set(self, clips: ParitySet) -> None:
        """Write the parity set, all of it or nothing."""
        write_parity_set(self._parity, clips)

    @property
    def _parity(self) -> Path:
        return self.folder / "parity" / "parity.npz"

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Learned ranges of activations, by the student's own names; empty if none were learned.

        Raises:
            BadArtifact: the file is damaged.
        """
        path = self.folder / "ranges.json"
        if not path.exists():
            return {}
        found = _read_json(path)
        for name, pair in found.items():
            numbers = isinstance(pair, list) and len(pair) == 2
            if not (numbers and all(isinstance(v, float) for v in pair) and pair[0] < pair[1]):
                raise BadArtifact(
                    f"{path}: {name}: expected [smallest, largest], got {pair!r:.40}; make it "
                    f"again with: edgeemo distill --resume {self.folder}"
                )
        return {name: (pair[0], pair[1]) for name, pair in found.items()}

    def finish(self, facts: RunSummary) -> None:
        """Write the facts, and remember this run as the last one of its folder's folder."""
        write_text(self.folder / "run.json", _json(schema.write(facts)))
        write_text(self.folder.parent / _POINTER, self.folder.name + "\n")


def write_ranges(folder: Path, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Keep learned ranges for export.

    Args:
        folder: of the run.
        ranges: smallest and largest value of an activation, by the student's own names.
    """
    write_text(folder / "ranges.json", _json({k: list(v) for k, v in ranges.items()}))


def last_run(runs: Path = RUNS) -> Run:
    """The run that was finished last.

    Raises:
        BadInput: there is none.
    """
    try:
        name = (runs / _POINTER).read_text(encoding="utf-8").strip()
    except OSError:
        raise BadInput(f"no finished run in {runs}/; make one with: edgeemo distill") from None
    if not is_plain(name):
        raise BadInput(f"{runs / _POINTER} names {name!r}; expected the name of a folder beside it")
    return Run(runs / name)


def named_run(given: Path, runs: Path = RUNS) -> Path:
    """The folder of a run that a user names: by its path, or as `edgeemo runs` lists it.

    Args:
        given: a path, or the name of a folder in `runs`.
        runs: where runs lie.

    Returns:
        The folder; `given` where there is no such run.
    """
    listed = runs / given
    return listed if not given.exists() and listed.is_dir() else given


def _claim(folder: Path) -> bool:
    """Whether an empty or new folder is this process's: one alone can make the lock's file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            return False
        with (folder / _LOCK).open("x"):
            return True
    except FileExistsError:
        return False
    except OSError as error:
        raise BadData(f"{folder} cannot be made ({error.strerror})") from None


def new_folder(name: str, runs: Path = RUNS) -> Path:
    """A free name for a run: runs/name-001 and so on.

    Args:
        name: of the recipe.
        runs: folder of all runs.
    """
    number = 1
    while (folder := runs / f"{name}-{number:03d}").exists():
        number += 1
    return folder


def environment() -> dict[str, Any]:
    """Versions and machine, for the record; nothing in a run depends on it."""
    found = {"edgeemo": __version__, "python": platform.python_version()}
    for package in ("numpy", "torch", "onnxruntime", "pyarrow", "soundfile", "soxr"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {"versions": found, "machine": platform.platform(), "cores": os.cpu_count()}


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _read_json(path: Path) -> dict[str, Any]:
    return _table(load_json(path, BadArtifact), path)


def _table(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadArtifact(f"{path}: expected a table of JSON")
    return value
