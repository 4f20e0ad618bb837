"""Recipes of schema 1, whose keys had other names, as schema 2."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from edgeemo.errors import BadRecipe

LOG = logging.getLogger("edgeemo")

TABLES: Mapping[str, str] = MappingProxyType(
    {
        "distil": "distill",
        "regular": "spec_augment",
        "look": "image_augment",
        "stop": "early_stopping",
        "rated": "finetune",
    }
)
"""Tables of schema 1 and their names since."""

KEYS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"student": {"start": "init_from"}, "distill": {"average": "ema_decay"}}
)
"""Keys of schema 1 and their names since, by table (under its name of schema 2)."""

LOSSES: Mapping[str, str] = MappingProxyType(
    {
        "human": "annotator_ccc",
        "spread": "std_match",
        "tie": "class_consistency",
        "pair": "class_cooccurrence",
    }
)
"""Losses of schema 1 and their names since."""

DROPPED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"heads": ("members", "layers", "relu", "rated", "others")}
)
"""Keys of schema 1 that mean nothing any more, by table: they are left out with a warning."""

_LOSS_TABLES = ("loss", "pretrain_loss")


def upgrade(values: Mapping[str, Any], schema: int) -> dict[str, Any]:
    """The values of a recipe under the names of schema 2.

    Args:
        values: what the TOML parser gave; it is not changed.
        schema: of this edgeemo.

    Returns:
        A copy under the new names. What is no recipe at all is left for the strict reader.

    Raises:
        BadRecipe: a newer schema, an old key beside its new name, or an old key in a recipe that
            says it is of schema 2; the message names the new key.
    """
    version = values.get("schema")
    if isinstance(version, int) and not isinstance(version, bool) and version > schema:
        raise BadRecipe(f"$.schema: {version}, this edgeemo reads 1 to {schema}; update edgeemo")
    made = _renamed(values, TABLES, "$", version)
    for name, table in made.items():
        if isinstance(table, Mapping):
            made[name] = _table(table, name, version)
    if version == 1 and not isinstance(version, bool):
        made["schema"] = schema
    return made


def _table(table: Mapping[str, Any], name: str, version: object) -> dict[str, Any]:
    made = _renamed(table, KEYS.get(name, {}), f"$.{name}", version)
    for key in DROPPED.get(name, ()) if version == 1 else ():
        if key in made:
            LOG.warning("$.%s.%s: no longer used; it is left out", name, key)
            del made[key]
    for loss in _LOSS_TABLES:
        if isinstance(made.get(loss), Mapping):
            made[loss] = _renamed(made[loss], LOSSES, f"$.{name}.{loss}", version)
    gain = made.get("gain_db")
    if name == "augment" and isinstance(gain, (int, float)) and not isinstance(gain, bool):
        made["gain_db"] = [-gain, gain]  # recipes that models were made by stay as they were
    return made


def _renamed(
    table: Mapping[str, Any], names: Mapping[str, str], path: str, version: object
) -> dict[str, Any]:
    """A copy of a table in the same order, old keys under their new names."""
    for old, new in names.items():
        if old in table and new in table:
            raise BadRecipe(f"{path}.{old}: the old name of {new!r}, which is there too; remove it")
        if old in table and version != 1:
            raise BadRecipe(f"{path}.{old}: since schema 2 this key is {new!r}; rename it")
    return {names.get(key, key): value for key, value in table.items()}
