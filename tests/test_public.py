"""The public names: all there, all documented, nothing forgotten."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import edgeemo

ROOT = Path(__file__).resolve().parents[1]


def public_files() -> list[Path]:
    """Modules of the three parts whose names, and whose folders' names, do not begin with _."""
    return [
        path
        for part in ("edgeemo", "compress", "export")
        for path in sorted((ROOT / part).rglob("*.py"))
        if not any(
            piece.startswith("_") and piece not in ("__init__.py", "__main__.py")
            for piece in path.relative_to(ROOT).parts
        )
    ]


def undocumented(path: Path) -> list[str]:
    """Public functions, classes and methods of a file that have no docstring."""
    tree = ast.parse(path.read_text())
    name = path.relative_to(ROOT).as_posix()
    missing = [] if ast.get_docstring(tree) else [name]

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                continue
            decorators = {ast.unparse(d).split("(")[0] for d in node.decorator_list}
            if node.name.startswith("_") or "overload" in decorators:
                continue
            if not ast.get_docstring(node):
                missing.append(f"{name}:{node.lineno} {prefix}{node.name}")
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{node.name}.")

    visit(tree.body, "")
    return missing


def declared() -> dict[str, str]:
    """Public names and their modules as a type checker sees them."""
    tree = ast.parse(Path(edgeemo.__file__).read_text())
    (block,) = (
        n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"
    )
    assert all(isinstance(n, ast.ImportFrom) for n in block.body)
    return {alias.asname: node.module for node in block.body for alias in node.names}


def test_type_checkers_see_the_names_that_are_there() -> None:
    assert sorted([*declared(), "__version__"]) == edgeemo.__all__
    for name, home in declared().items():
        assert getattr(importlib.import_module(home), name) is getattr(edgeemo, name)
    assert set(dir(edgeemo)) >= set(edgeemo.__all__)


def test_the_list_of_public_names_is_complete() -> None:
    """As httpx does it: what is no module and not private is in the list, and nothing else."""
    for name in edgeemo.__all__:
        getattr(edgeemo, name)
    found = {
        name
        for name, value in vars(edgeemo).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    unlisted = {"annotations", "TYPE_CHECKING", "ModuleType"}
    assert found - unlisted == set(edgeemo.__all__) - {"__version__", "errors"}


@pytest.mark.parametrize("name", edgeemo.__all__)
def test_each_public_name_is_there(name: str) -> None:
    assert getattr(edgeemo, name) is not None
    if name != "__version__":
        assert inspect.getdoc(getattr(edgeemo, name))


@pytest.mark.parametrize(
    ("old", "new"), [("Baseline", "SpeakerProfile"), ("load_baseline", "load_profile")]
)
def test_a_renamed_name_works_and_warns(old: str, new: str) -> None:
    for home in ("edgeemo", "edgeemo.speech.profile"):
        with pytest.warns(DeprecationWarning, match=f"{old} is .*{new} now"):
            assert getattr(importlib.import_module(home), old) is getattr(edgeemo, new)


@pytest.mark.parametrize(("old", "new"), edgeemo._MOVED.items())
def test_a_module_that_moved_says_where_it_is(old: str, new: str) -> None:
    importlib.import_module(new)
    with pytest.raises(ImportError) as caught:
        importlib.import_module(old)
    assert str(caught.value) == f"{old} is {new} now"
    parent, _, name = old.rpartition(".")
    with pytest.raises(ImportError, match=f"{old} is {new} now"):
        exec(f"from {old} import anything")
    if parent == "edgeemo":
        with pytest.raises(AttributeError, match=f"it is {new} now"):
            getattr(edgeemo, name)


def test_a_lazy_name_is_the_thing_itself() -> None:
    assert edgeemo.log_mel is importlib.import_module("edgeemo.features").log_mel
    assert edgeemo.load is importlib.import_module("edgeemo.session").load


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'nonsense'"):
        edgeemo.nonsense  # noqa: B018


def test_star_import_gives_the_public_names() -> None:
    code = "before = {*dir(), 'before'}; from edgeemo import *; print(*(set(dir()) - before))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) == set(edgeemo.__all__)


def test_every_public_name_has_a_docstring() -> None:
    files = public_files()
    assert {path.relative_to(ROOT).parts[0] for path in files} == {"edgeemo", "compress", "export"}
    assert [fault for path in files for fault in undocumented(path)] == []


def test_the_docstring_check_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "a.py"
    path.write_text(
        '"""Head."""\nclass A:\n    """Doc."""\n    def b(self): ...\n    def _c(self): ...\n'
    )
    assert undocumented(path) == ["a.py:4 A.b"]


# Folders and modules whose docstrings are held to this; others follow.
DESCRIBED = (
    *(f"edgeemo/{name}.py" for name in ("__init__", "session", "types", "features", "fusion")),
    *(
        f"edgeemo/{name}/"
        for name in ("speech", "live", "faces", "devices", "evaluation", "backends", "results")
    ),
)


def functions(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.FunctionDef]]:
    """Public functions and methods, with the names of their classes."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            if isinstance(node, ast.FunctionDef):
                yield prefix + node.name, node
            else:
                yield from functions(node.body, f"{node.name}.")


def not_described(path: Path) -> list[str]:
    """Public functions without `Args:` for two or more arguments, or `Raises:` where they raise."""
    faults = []
    for name, node in functions(ast.parse(path.read_text()).body):
        doc = ast.get_docstring(node) or ""
        everything = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
        arguments = [a for a in everything if a.arg not in ("self", "cls")]
        raises = any(isinstance(n, ast.Raise) and n.exc is not None for n in ast.walk(node))
        # "See Gate.push." and "As `find`.": one text for one contract.
        if re.match(r"(See|As) `?\w|.*; see `", doc):
            continue
        missing = [len(arguments) >= 2 and "Args:" not in doc, raises and "Raises:" not in doc]
        if any(missing):
            faults.append(f"{path.relative_to(ROOT).as_posix()}:{node.lineno} {name}")
    return faults


def test_functions_tell_their_arguments_and_errors() -> None:
    names = {path: path.relative_to(ROOT).as_posix() for path in public_files()}
    files = [path for path, name in names.items() if name.startswith(DESCRIBED)]
    assert len(files) > 30
    assert [fault for path in files for fault in not_described(path)] == []


def test_the_check_of_arguments_notices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / "a.py"
    path.write_text(
        'def a(x, y):\n    """Does."""\ndef b():\n    """Does."""\n    raise ValueError(1)\n'
        'def c(x):\n    """Does."""\n'
    )
    assert not_described(path) == ["a.py:1 a", "a.py:3 b"]


def test_types_are_announced() -> None:
    assert (Path(edgeemo.__file__).parent / "py.typed").is_file()


EXAMPLES = [path for path in public_files() if ">>> " in path.read_text()]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_examples_in_docstrings_run(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    name = ".".join(parts if parts[0] == "edgeemo" else ("edgeemo", *parts))
    module = importlib.import_module(name.removesuffix(".__init__"))
    found = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
