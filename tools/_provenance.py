"""Provenance of a shipped model: its recipes in order, with their digests."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.errors import BadRecipe
from edgeemo.io import schema

ROOT = Path(__file__).resolve().parents[1]
RECIPES = Path(__file__).parent / "recipes"
ZOO = ROOT / "edgeemo" / "zoo"


@dataclass(frozen=True)
class Round:
    """One training.

    Attributes:
        recipe: name of the recipe file, beside the provenance.
        recipe_sha256: of that file.
        start: `Card.digest` of the file whose weights it began with, which the round before had
            left; empty for the first one.
    """

    recipe: str
    recipe_sha256: str
    start: str = ""


@dataclass(frozen=True)
class Provenance:
    """How a shipped model was made.

    Attributes:
        name: of the model.
        command: that makes it.
        rounds: trainings in order, each from the file of the one before.
    """

    name: str
    command: str
    rounds: tuple[Round, ...]


def provenance_file(name: str) -> Path:
    """Where the provenance of a model lies, beside the recipes that it names."""
    return RECIPES / name / "provenance.toml"


def load_provenance(name: str) -> Provenance:
    """Read a model's provenance.

    Raises:
        BadRecipe: not TOML, or an unknown, missing or wrong key; the message has file and path.
    """
    path = provenance_file(name)
    try:
        return schema.read(Provenance, tomllib.loads(path.read_text(encoding="utf-8")), BadRecipe)
    except (OSError, tomllib.TOMLDecodeError, BadRecipe) as error:
        raise BadRecipe(f"{path}: {error}") from None


def sha256(path: Path) -> str:
    """Of a file's bytes, as hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check(name: str, zoo: Path = ZOO) -> list[str]:
    """Faults between a model's provenance, its recipes and the shipped files; empty if none.

    Args:
        name: of the model.
        zoo: folder of the shipped files.
    """
    path, provenance = provenance_file(name), load_provenance(name)
    faults = []
    for each in provenance.rounds:
        found = sha256(path.parent / each.recipe)
        if found != each.recipe_sha256:
            faults.append(
                f"{path.parent / each.recipe}: sha256 {found}, {path.name} says "
                f"{each.recipe_sha256}; a recipe that something was made by must stay as it was"
            )
    expected = sha256(path)
    files = zoo / f"{name}.onnx", zoo / f"{name}.tflite"
    for file, card in zip(
        files, (read_onnx(files[0]).card, read_tflite(files[1]).card), strict=True
    ):
        if card.recipe != expected:
            faults.append(
                f"{file}: its card names the recipe {card.recipe or 'of nothing'}, {path} is "
                f"{expected}; make the file again: {provenance.command}"
            )
    return faults
