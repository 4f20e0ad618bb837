"""Public functions of two or more arguments say what each is, and what they raise.

Public is what has no underscore in its name, nor in its module's or its class's. Where a method
fills in a contract that is written elsewhere, its docstring begins with "See".
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from edgeemo import errors
from edgeemo.artifacts.onnx_operators import OPERATORS

ROOT = Path(__file__).resolve().parents[1]

FAMILY = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.EdgeemoError)
}

TABLED = frozenset({"edgeemo/artifacts/onnx_arithmetic.py", "edgeemo/artifacts/onnx_layout.py"})
"""Modules of the rules in OPERATORS, whose one signature is told there and not at each rule."""

RULE = ["node", "inputs"]
RULES = {rule.__name__ for rule in OPERATORS.values()}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def modules() -> list[Path]:
    """Public modules of the three packages; links inside edgeemo are not followed."""
    files = [
        file
        for package in ("edgeemo", "compress", "export")
        for file in (ROOT / package).rglob("*.py")
        if not any(parent.is_symlink() for parent in file.parents)
    ]

    def private(file: Path) -> bool:
        names = file.relative_to(ROOT).parts
        return any(name.startswith("_") and name != "__init__.py" for name in names)

    return sorted(file for file in files if not private(file))


def functions(tree: ast.Module | ast.ClassDef, owner: str = "") -> Iterator[tuple[str, Function]]:
    """Public functions, and public methods of public classes, by their full name."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from functions(node, f"{owner}{node.name}.")
        elif isinstance(node, Function) and not node.name.startswith("_"):
            yield f"{owner}{node.name}", node


def arguments(function: Function, method: bool) -> list[str]:
    """Names of a function's arguments, without self or cls."""
    a = function.args
    names = [x.arg for x in (*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg) if x]
    return names[1:] if method and names[:1] in (["self"], ["cls"]) else names


def raised(node: ast.AST) -> Iterator[str]:
    """Errors of edgeemo that a function raises by name, not those of functions inside it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*Function.__args__, ast.Lambda)):
            continue
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call):
            name = ast.unparse(child.exc.func)
            if name in FAMILY:
                yield name
        yield from raised(child)


def faults(source: str, rules: Set[str] = frozenset()) -> list[str]:
    """What is missing in the docstrings of a module; `rules` need not tell the arguments RULE."""
    found = []
    for name, function in functions(ast.parse(source)):
        doc = ast.get_docstring(function) or ""
        if doc.startswith("See "):
            continue
        given = arguments(function, "." in name)
        told = "Args:" in doc or (name in rules and given == RULE)
        if len(given) > 1 and not told:
            found.append(f"{name}: Args")
        if any(raised(function)) and "Raises:" not in doc:
            found.append(f"{name}: Raises")
    return found


def test_arguments_and_errors_are_told() -> None:
    incomplete = {
        path: missing
        for file in modules()
        if (path := file.relative_to(ROOT).as_posix())
        and (
            missing := faults(
                file.read_text(encoding="utf-8"), RULES if path in TABLED else frozenset()
            )
        )
    }
    assert incomplete == {}


def test_a_rule_of_the_table_need_not_tell_its_arguments() -> None:
    rule = 'def f(node, inputs):\n    """Add."""'
    assert faults(rule, {"f"}) == []
    assert faults(rule, {"g"}) == ["f: Args"]
    assert faults(rule.replace("inputs", "shapes"), {"f"}) == ["f: Args"]


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ('def f(a, b):\n    """Sum."""', ["f: Args"]),
        ('def f(a, *, b):\n    """Sum.\n\n    Args:\n        a: x.\n        b: y.\n    """', []),
        ('def f(a):\n    """One."""\n    if a:\n        raise BadInput("a")', ["f: Raises"]),
        ('def f(a):\n    """One."""\n    raise ValueError(a)', []),
        ('def f():\n    """In."""\n    def g(a, b):\n        raise BadInput("a")', []),
        ('class C:\n    def f(self, a):\n        """One."""', []),
        ('class C:\n    def f(self, a, b):\n        """Two."""', ["C.f: Args"]),
        ('class C:\n    def f(self, a, b):\n        """See Other.f."""', []),
        ('class _C:\n    def f(self, a, b):\n        """Two."""', []),
        ("def _f(a, b):\n    pass", []),
    ],
)
def test_the_rule(source: str, missing: list[str]) -> None:
    assert faults(source) == missing
