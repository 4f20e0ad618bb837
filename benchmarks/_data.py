"""The folder of data sets that benchmarks read, looked at before anything else is done."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

from edgeemo.errors import BadInput


def data_folder(path: str | Path, *parts: str) -> Path:
    """The folder, if it holds all that will be read of it.

    Args:
        path: of the folder.
        parts: paths or patterns of what it must hold, such as "speech/*/labels.csv".

    Raises:
        BadInput: it lacks one; the message has the folder and all parts.
    """
    folder = Path(path)
    lacks = [part for part in parts if not any(folder.glob(part))]
    if lacks:
        found = f"has no {', '.join(lacks)}" if folder.is_dir() else "no such folder"
        raise BadInput(f"{folder}: {found}; expected a folder that holds {', '.join(parts)}")
    return folder


def add_data(parser: ArgumentParser, *parts: str, required: bool = True) -> None:
    """Add the option --data; a folder that lacks a part ends the command, in one line.

    Args:
        parser: of the benchmark.
        parts: see `data_folder`.
        required: whether the option must be given.
    """

    def folder(path: str) -> Path:
        try:
            return data_folder(path, *parts)
        except BadInput as error:
            parser.exit(2, f"--data {error}\n")

    holds = f"holds {', '.join(parts)}"
    parser.add_argument("--data", type=folder, required=required, help=holds)
