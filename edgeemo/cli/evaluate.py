"""`edgeemo evaluate`: a model against labels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeemo.artifacts.models import DEFAULT, FACE_DEFAULT
from edgeemo.cli import _figures
from edgeemo.cli._labels import add_label_scale
from edgeemo.cli._options import add_gate, add_profile
from edgeemo.errors import BadData, BadInput, told_of
from edgeemo.evaluation import confusion
from edgeemo.evaluation.confusion import Confusion
from edgeemo.evaluation.evaluate import Judged, figures, to_csv, to_svg
from edgeemo.evaluation.seen import Seen
from edgeemo.io.files import check_output, write_text
from edgeemo.session import Session, load
from edgeemo.speech.profile import SpeakerProfile, load_profile
from edgeemo.speech.vad import resolve_gate
from edgeemo.types import SAMPLE_RATE

if TYPE_CHECKING:
    from edgeemo.compress.data import Clip, DataSet

HELP = (
    "Compare a model with labels: CCC of arousal, dominance, valence with annotators' means, UAR "
    "of the classes, over all clips and by speaker; of the classes also accuracy, recalls, the "
    "divergence from the votes, and accuracy by group of people. Says which clips model or teacher "
    "were trained on, and gives the figures of the others apart."
)

RULES = ("votes", "emotion")
"""Which label counts as the true class; docs/guides/data.md says more."""

_GROUPS = ("sex", "ethnicity", "age", "language")
_YOUNG = (25, 35)  # ages up to here make a group each; the rest is the third


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    parser.add_argument(
        "path", metavar="PATH", help="a folder with labels.csv, or a corpus as it is distributed"
    )
    parser.add_argument(
        "--model", metavar="M", help="name or file (default: the shipped one of the data's task)"
    )
    add_profile(parser)
    add_gate(parser)
    add_label_scale(parser)
    parser.add_argument(
        "--label-rule",
        choices=RULES,
        default=RULES[0],
        help="which class counts as true: votes, that with the most votes, and none where they tie "
        "or most named no class; emotion, that of the column emotion (default: %(default)s)",
    )
    parser.add_argument(
        "--only-unseen",
        action="store_true",
        help="leave out clips of people whom the model or its teacher was trained on",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a measure")
    parser.add_argument("--csv", type=Path, metavar="F", help="write a line a clip to F")
    parser.add_argument("--plot", type=Path, metavar="F.svg", help="draw estimates over labels")
    parser.add_argument(
        "--confusion",
        type=Path,
        metavar="F",
        help="confusion matrix and recalls: a picture if F ends in .svg, numbers if in .csv",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate; 1 if a clip could not be used.

    Raises:
        BadInput: an output of another kind, or a model of another task than the data.
        BadData: no clip can be compared.
    """
    from edgeemo.compress.data import open_dataset

    if args.plot is not None and args.plot.suffix != ".svg":
        raise BadInput(f"{args.plot}: pictures are written as SVG; name a file that ends in .svg")
    if args.confusion is not None and args.confusion.suffix not in (".svg", ".csv"):
        raise BadInput(f"{args.confusion}: name a file that ends in .svg or .csv")
    for output in (args.csv, args.plot, args.confusion):
        if output is not None:
            check_output(output, inputs=_read_besides(args, output))
    data = open_dataset(args.path, tuple(args.label_scale))
    session = load(args.model or (FACE_DEFAULT if data.task == "face" else DEFAULT))
    if session.card.task != data.task:
        raise BadInput(f"{args.path} is for models of {data.task}; {session.card.name} is not one")
    seen = find_seen(session, data)
    if args.only_unseen:
        data = _without_seen(session, data, seen)
    profile = load_profile(args.profile) if args.profile else None
    gate = None if args.gate == "none" else args.gate
    if data.task == "speech":
        resolve_gate(gate, session.card)  # once, not for each clip
    rows = list(judge(session, data, gate, profile, args.label_rule))
    if not figures(rows):
        raise BadData(
            f"{args.path}: nothing to compare with: fewer than 2 usable clips have arousal, "
            "dominance and valence or a class"
        )
    if args.csv is not None:
        write_text(args.csv, to_csv(rows))
    if args.plot is not None:
        write_text(args.plot, to_svg(rows))
    if args.confusion is not None:
        _write_confusion(confusion.confusion(rows), args.confusion)
    lines = _figures.as_json if args.json else _figures.as_text
    for line in lines(session.card.name, data, _sections(rows, data, seen, args.only_unseen), seen):
        print(line)
    skipped = len(data) - len(rows)
    if skipped:
        print(f"edgeemo: {skipped} of {len(data)} clips were skipped", file=sys.stderr)
    return int(skipped > 0)


def _read_besides(args: argparse.Namespace, output: Path) -> Iterator[str | Path | None]:
    """What the command reads and an output would replace."""
    yield from (args.profile, args.model)
    if _is_of_data(output, args.path):
        yield output


def _is_of_data(output: Path, data: str) -> bool:
    """Whether a table that is there already belongs to the data, and is not of an evaluation."""
    if not output.is_file() or not output.resolve().is_relative_to(Path(data).resolve()):
        return False
    with output.open("rb") as file:
        head = file.read(40)
    return not head.startswith((to_csv([])[:40].encode(), b"true,", b"<svg"))


def judge(
    session: Session,
    data: DataSet,
    gate: str | None = "auto",
    profile: SpeakerProfile | None = None,
    rule: str = RULES[0],
) -> Iterator[Judged]:
    """Estimates of all clips or pictures that can be used.

    Args:
        session: the model.
        data: clips or pictures with labels.
        gate: of speech, as for `Session.predict`.
        profile: of the one person who speaks.
        rule: of RULES.

    Raises:
        BadArtifact: the model gives what its card does not promise. Clips that raise BadInput are
            skipped, with a line on stderr.
    """
    for clip in data:
        try:
            if clip.task == "face":
                estimate = session.predict(clip.image(), box=clip.box)
            else:
                estimate = session.predict(clip.samples(), SAMPLE_RATE, gate=gate, profile=profile)
                if estimate.speech is False:
                    raise BadInput("nobody speaks in it; --gate none takes it as it is")
        except BadInput as error:
            print("edgeemo: skipped", told_of(clip.id, error), file=sys.stderr)
            continue
        yield Judged(
            clip.id,
            clip.speaker,
            estimate,
            clip.dimensions,
            _truth(clip, rule),
            clip.votes,
            _groups(clip),
        )


def _truth(clip: Clip, rule: str) -> str | None:
    """The class with the most votes; None for no votes, a tie, or if most named no class."""
    if rule == "emotion":
        from edgeemo.compress.data.emotions import WORDS

        return WORDS.get(clip.emotion or "")
    votes = clip.votes or {}
    top = max(votes.values(), default=0.0)
    best = [name for name, share in votes.items() if share == top]
    return best[0] if len(best) == 1 and (1 - clip.other) * top > clip.other else None


def _groups(clip: Clip) -> dict[str, str]:
    known = {"sex": clip.sex, "language": clip.language} | dict(clip.tags)
    found = {name: str(known[name]) for name in _GROUPS if known.get(name)}
    try:
        age = float(found.get("age", ""))
    except ValueError:
        found.pop("age", None)
        return found
    young, middle = _YOUNG
    found["age"] = (
        f"to {young}"
        if age <= young
        else f"{young + 1} to {middle}"
        if age <= middle
        else f"over {middle}"
    )
    return found


def _write_confusion(matrix: Confusion | None, path: Path) -> None:
    if matrix is None:
        raise BadData(f"{path}: not written: nothing in the data has a class that the model gives")
    write = confusion.to_svg if path.suffix == ".svg" else confusion.to_csv
    write_text(path, write(matrix))


def find_seen(session: Session, data: DataSet) -> Seen | None:
    """Who of the data was in the training of the model and its teacher; None: not on its card.

    Args:
        session: the model.
        data: all of a data set.
    """
    from edgeemo.compress.exposure import seen_clips

    trained_on = session.card.trained_on
    return None if trained_on is None else seen_clips(trained_on, data.clips)


def _without_seen(session: Session, data: DataSet, seen: Seen | None) -> DataSet:
    if seen is None:
        raise BadInput(
            f"--only-unseen: the card of {session.card.name} does not say what taught the model; "
            "leave it out, or export the model again from its run"
        )
    if not seen.unseen:
        raise BadData(f"{data.name}: nobody is left with --only-unseen: {seen}")
    return replace(data, clips=tuple(data.clips[i] for i in seen.unseen))


def _sections(
    rows: list[Judged], data: DataSet, seen: Seen | None, only_unseen: bool
) -> dict[str, list[Judged]]:
    """Rows by whom they are of: all, and those of unseen people where they are some of them."""
    if only_unseen:
        return {"unseen": rows}
    found = {"all": rows}
    if seen is not None and 0 < len(seen.unseen) < len(data):
        new = {data.clips[i].id for i in seen.unseen}
        found["unseen"] = [row for row in rows if row.id in new]
    return found
