"""Which part may import which: read from the source, and seen after a real import."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = ("edgeemo", "compress", "export")
EVERYTHING = (*CODE, "tests", "tools", "examples", "benchmarks")

# The commands that train or export are a shell around compress and export.
COMMANDS = ("calibrate", "distill", "export", "evaluate", "label", "runs", "students")
BRIDGES = {f"edgeemo/cli/{name}.py" for name in COMMANDS}


def sources(*folders: str) -> list[Path]:
    """Python files under the folders, without following the links edgeemo/compress and export."""
    found: list[Path] = []
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            inside = path.relative_to(ROOT).parts
            if inside[:2] not in {("edgeemo", "compress"), ("edgeemo", "export")}:
                found.append(path)
    return found


def imports(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Line, absolute dotted name, and whether only a type checker sees it, of each import.

    `from x import y` gives x.y. Calls of import_module and require with a constant count too.
    """
    tree = ast.parse(path.read_text(), str(path))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        hidden = id(node) in typing_only
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, hidden
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = [*path.relative_to(ROOT).with_suffix("").parts]
                if parts[0] != "edgeemo":
                    parts.insert(0, "edgeemo")  # where the folder is imported as
                base = ".".join([*parts[: -node.level], *([base] if base else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}", hidden
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield node.lineno, first.value, hidden


def wrong_arrows(path: Path) -> list[str]:
    """Imports of one file that point the wrong way."""
    name = path.relative_to(ROOT).as_posix()
    part = name.split("/")[0]
    faults = []
    for line, module, hidden in imports(path):
        where = f"{name}:{line} imports {module}"
        if module.split(".")[0] in ("compress", "export"):
            faults.append(f"{where}: a second copy; write edgeemo.{module}")
        if hidden:
            continue
        to_compress = module.startswith("edgeemo.compress")
        to_export = module.startswith("edgeemo.export")
        if part == "edgeemo" and (to_compress or to_export) and name not in BRIDGES:
            faults.append(f"{where}: the runtime knows neither training nor export")
        if part == "compress" and to_export:
            faults.append(f"{where}: training does not know export")
    return faults


def foreign_imports(path: Path) -> list[str]:
    """Packages that a file of edgeemo imports, but for numpy and those that it `require`s."""
    name = path.relative_to(ROOT).as_posix()
    required = re.findall(r'require\("(\w+)', path.read_text())
    allowed = {"numpy", "edgeemo", *required, *sys.stdlib_module_names}
    tops = {(line, module.split(".")[0]) for line, module, hidden in imports(path) if not hidden}
    return [f"{name}:{line} imports {top}" for line, top in sorted(tops) if top not in allowed]


def private_imports(path: Path) -> list[str]:
    """Imports of names with an underscore in front from outside the package that they belong to."""
    name = path.relative_to(ROOT).as_posix()
    parts = path.relative_to(ROOT).with_suffix("").parts
    here = ".".join(parts if parts[0] == "edgeemo" else ("edgeemo", *parts))
    # compress and export lie in edgeemo but are packages of their own.
    if parts[0] != "edgeemo":
        here = here.replace("edgeemo.", "edgeemo/", 1)
    faults = []
    for line, module, _ in imports(path):
        pieces = module.split(".")
        private = [i for i, p in enumerate(pieces) if p.startswith("_") and not p.startswith("__")]
        if pieces[0] != "edgeemo" or not private:
            continue
        owner = ".".join(pieces[: private[0]])
        if owner.startswith(("edgeemo.compress", "edgeemo.export")):
            owner = owner.replace("edgeemo.", "edgeemo/", 1)
        if not f"{here}.".startswith(f"{owner}."):
            faults.append(f"{name}:{line} imports {module}, which is private to {owner}")
    return faults


def test_private_names_stay_in_their_package() -> None:
    """Of tests too many look inside; they are not held to it."""
    files = sources(*CODE, "examples", "benchmarks")
    assert [fault for path in files for fault in private_imports(path)] == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("export/a.py", "from edgeemo import _native", True),
        ("benchmarks/a.py", "import edgeemo._native", True),
        ("edgeemo/a/b.py", "from edgeemo import _native", False),
        ("edgeemo/a/b.py", "from edgeemo.a._c import d", False),
        ("edgeemo/b.py", "from edgeemo.a._c import d", True),
        ("compress/b.py", "from edgeemo.session import _d", True),
        ("compress/a/b.py", "from ._c import d", False),
        ("export/a.py", "from ..compress._c import d", True),
    ],
)
def test_the_check_of_private_names_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, fault: bool
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert bool(private_imports(path)) == fault


def test_imports_point_one_way() -> None:
    files = sources(*EVERYTHING)
    assert {path.relative_to(ROOT).parts[0] for path in files} >= {*CODE, "tests"}
    assert [fault for path in files for fault in wrong_arrows(path)] == []


def test_optional_packages_come_through_require() -> None:
    # PyInstaller itself runs what is in its folder.
    files = [path for path in sources("edgeemo") if path.parent.name != "__pyinstaller"]
    assert [fault for path in files for fault in foreign_imports(path)] == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("edgeemo/a.py", "import compress", "second copy"),
        ("compress/a.py", "from export import b", "second copy"),
        ("edgeemo/a.py", "def f():\n    from edgeemo.compress import b", "neither"),
        ("edgeemo/a/b.py", "from ..compress import b", "neither"),
        ("edgeemo/a.py", "importlib.import_module('edgeemo.export.b')", "neither"),
        ("compress/a.py", "import edgeemo.export", "training"),
        ("compress/a/b.py", "from ...export import c", "training"),
    ],
)
def test_the_check_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, fault: str
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    (found,) = wrong_arrows(path)
    assert fault in found


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after a statement."""
    code = f"import sys; {statement}; import json; print(json.dumps(list(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in json.loads(run.stdout)}


@pytest.mark.parametrize(
    "statement",
    [
        "import edgeemo",
        "import edgeemo; edgeemo.log_mel, edgeemo.FeatureSpec, edgeemo.load, edgeemo.Card",
        "import edgeemo.cli",
        "import edgeemo.cli.doctor",
        "import edgeemo.cli.models",
        "import edgeemo.cli.predict",
    ],
)
def test_nothing_heavier_than_numpy_is_loaded(statement: str) -> None:
    extra = loaded_by(statement) - loaded_by("import numpy, argparse, logging, importlib.metadata")
    foreign = extra - set(sys.stdlib_module_names) - {"edgeemo"}
    assert {name for name in foreign if not name.startswith("__")} == set()


def test_import_costs_little_more_than_numpy() -> None:
    """The processor's time, which a busy machine does not stretch."""
    code = (
        "import time, numpy; start = time.process_time(); "
        "from edgeemo import features, session, types; print(time.process_time() - start)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(found.stdout) < 0.150, f"{found.stdout} s"
