"""The public names: all there, all documented, nothing forgotten."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import subprocess
import sys
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
