"""The public names of edgeemo.compress and edgeemo.export: one list each, and nothing forgotten."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import edgeemo.compress
import edgeemo.export

DOORS = (edgeemo.compress, edgeemo.export)


@pytest.mark.parametrize("door", DOORS, ids=lambda d: d.__name__)
def test_the_list_of_public_names_is_complete(door: ModuleType) -> None:
    for name in door.__all__:
        value = getattr(door, name)
        assert inspect.getdoc(value)
        assert value is getattr(importlib.import_module(door._HOME[name]), name)
    found = {
        name
        for name, value in vars(door).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert found - {"annotations", "TYPE_CHECKING"} == set(door.__all__)
    assert set(door.__all__) <= set(dir(door))


@pytest.mark.parametrize("door", DOORS, ids=lambda d: d.__name__)
def test_type_checkers_see_the_same_names(door: ModuleType) -> None:
    assert door.__file__ is not None
    tree = ast.parse(Path(door.__file__).read_text())
    (block,) = (n for n in tree.body if isinstance(n, ast.If) and "TYPE" in ast.unparse(n.test))
    declared = {
        alias.asname: f"{door.__name__}.{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert declared == door._HOME


def test_a_door_loads_nothing_before_it_is_used() -> None:
    code = (
        "import sys, edgeemo.compress, edgeemo.export; "
        "print([n for n in ('numpy', 'torch', 'onnx', 'pyarrow') if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_other_names_are_refused_and_an_old_one_warns() -> None:
    for door in DOORS:
        with pytest.raises(AttributeError, match=f"'{door.__name__}' has no attribute 'nonsense'"):
            door.nonsense  # noqa: B018
    with pytest.warns(DeprecationWarning, match=r"export_run is export now"):
        assert edgeemo.export.export_run is edgeemo.export.export
