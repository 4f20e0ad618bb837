"""`edgeemo students`: what can be trained, and what it will cost."""

from __future__ import annotations

import argparse
import inspect
import json
from typing import Any

from edgeemo.errors import BadInput, require

HELP = (
    "List the students with their options, parameters, multiply-accumulates and memory before "
    "anything is trained; with a NAME and --option the costs of that one."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help="of one student (default: all)")
    add(
        "--option",
        action="append",
        default=[],
        metavar="KEY=NUMBER",
        help="of the student, as in [student.options] of a recipe; may come more than once",
    )
    add("--json", action="store_true", help="one JSON object a student")


def run(args: argparse.Namespace) -> int:
    """Print the costs.

    Raises:
        BadInput: an option that is no number, or without a student.
    """
    require("torch", "train")
    from edgeemo.compress.students import student_names

    if args.option and not args.name:
        raise BadInput("--option is of one student; give its name too")
    options = dict(_option(text) for text in args.option)
    for name in [args.name] if args.name else student_names():
        found = costs(name, options)
        print(json.dumps(found) if args.json else _text(found))
    return 0


def _option(text: str) -> tuple[str, float]:
    key, _, number = text.partition("=")
    try:
        return key, float(number)
    except ValueError:
        raise BadInput(f"--option {text}: expected KEY=NUMBER, for example width=16") from None


def costs(name: str, options: dict[str, float]) -> dict[str, Any]:
    """What a student costs.

    Args:
        name: a registered student.
        options: of it; others have their defaults.

    Raises:
        BadRecipe: no such student or option.
    """
    from edgeemo.compress.students import make_student
    from edgeemo.compress.students.cost import (
        activation_bytes,
        macs_per_second,
        parameters,
        stream_bytes,
    )
    from edgeemo.features import FeatureSpec

    student = make_student(name, **options)
    taken = inspect.signature(type(student)).parameters
    return {
        "name": name,
        "task": "speech" if isinstance(student.spec, FeatureSpec) else "face",
        "options": {k: options.get(k, v.default) for k, v in taken.items()},
        "parameters": parameters(student),
        "macs_per_second": round(macs_per_second(student)),
        "activation_bytes": activation_bytes(student),
        "stream_bytes": stream_bytes(student),
    }


def _text(found: dict[str, Any]) -> str:
    each = "picture" if found["task"] == "face" else "second of sound"
    options = ", ".join(f"{k} = {v}" for k, v in found["options"].items()) or "none"
    ram = f"{found['activation_bytes'] / 1024:.0f} KB of activations in int8 for a whole {each}"
    if found["stream_bytes"] is not None:
        ram += f"; {found['stream_bytes'] / 1024:.1f} KB at least in the C engine, frame by frame"
    return (
        f"{found['name']}  ({found['task']})\n"
        f"  {found['parameters']:,} parameters, some {found['parameters'] / 1000:.0f} KB in int8; "
        f"{found['macs_per_second'] / 1e6:.2f} M MAC a {each}\n"
        f"  RAM: {ram}\n"
        f"  options: {options}"
    )
