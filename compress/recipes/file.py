"""Recipes as files: TOML that defines a run completely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeemo.errors import BadRecipe, nearest, printable
from edgeemo.io import schema
from edgeemo.io.loading import load_toml

from .tables import SCHEMA, Recipe
from .upgrade import upgrade

FOLDER = Path(__file__).parent

_MOST_BYTES = 64 * 1024


def recipe_names() -> tuple[str, ...]:
    """Names of the shipped recipes, sorted."""
    return tuple(sorted(p.stem for p in FOLDER.glob("*.toml")))


def load_recipe(source: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        source: a file ending in .toml, or the name of a shipped recipe.

    Raises:
        BadRecipe: not found, not TOML, an unknown key, a wrong type or an impossible value; the
            message has file and path.
    """
    path = Path(source)
    if path.suffix != ".toml":
        if str(source) not in recipe_names():
            raise BadRecipe(
                f"no recipe {printable(repr(str(source)), 80)}; "
                f"{nearest(source, recipe_names(), 'shipped')}; "
                "a file of your own must end in .toml"
            )
        path = FOLDER / f"{source}.toml"
    values = load_toml(path, BadRecipe, _MOST_BYTES)
    values.setdefault("name", path.stem)
    try:
        return schema.read(Recipe, upgrade(values, SCHEMA), BadRecipe)
    except BadRecipe as error:
        raise BadRecipe(f"{path}: {error}") from None


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as TOML with every value written out; load_recipe reads it back equal."""
    plain = schema.write(recipe)
    # TOML has no null: a table that is not there stays away.
    plain = {k: v for k, v in plain.items() if v is not None}
    lines = [f"{k} = {_toml(v)}" for k, v in plain.items() if not isinstance(v, dict)]
    for name, table in plain.items():
        if isinstance(table, dict):
            lines += ["", f"[{name}]", *(f"{k} = {_toml(v)}" for k, v in table.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return repr(value)
