"""The telemetry of optional packages: off before the import, told where that was too late."""

from __future__ import annotations

import ast
import logging
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from edgeemo import privacy
from edgeemo.errors import MissingExtra, require

ROOT = Path(__file__).resolve().parents[2]
WATCHED = {*privacy.SWITCHES, *privacy.SENDERS, *privacy.LAST_WITHOUT, "transformers"}


def test_switches_are_set_before_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package that looks at the environment while it is imported, as the real ones do."""
    lines = ["import os"] + [f"{v} = os.environ.get('{v}')" for v, _ in privacy.SWITCHES.values()]
    lines += [
        "try:",
        "    import openvino_telemetry",
        "    sends = True",
        "except ImportError:",
        "    sends = False",
    ]
    (tmp_path / "curious.py").write_text("\n".join(lines))
    (tmp_path / "openvino_telemetry.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    for variable, _ in privacy.SWITCHES.values():
        monkeypatch.setenv(variable, "whatever")
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    found = require("curious", "none")
    assert {v: getattr(found, v) for v, _ in privacy.SWITCHES.values()} == dict(
        privacy.SWITCHES.values()
    )
    assert found.sends is False
    # Afterwards the program may import it for reasons of its own.
    assert "openvino_telemetry" not in sys.modules


def test_an_import_that_came_first_is_told_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", sys)
    monkeypatch.setattr(privacy, "_told", set())
    with caplog.at_level(logging.WARNING, "edgeemo"):
        for value in ("0", "0"):
            monkeypatch.setenv("ORT_DISABLE_TELEMETRY", value)
            privacy.switch_off()
    # Other tests of this process may have imported more.
    (message,) = [m for m in caplog.messages if m.startswith("onnxruntime")]
    assert "set ORT_DISABLE_TELEMETRY=1 before that import" in message


def test_an_import_that_came_first_with_its_switch_is_fine(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", sys)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")
    monkeypatch.setattr(privacy, "_told", set())
    privacy.switch_off()
    assert not any(m.startswith("onnxruntime") for m in caplog.messages)


@pytest.mark.parametrize(("version", "taken"), [("0.10.21", True), ("0.10.35", False)])
def test_a_package_without_a_switch_is_refused(
    version: str, taken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mediapipe.py").write_text("there = True")
    monkeypatch.delitem(sys.modules, "mediapipe", raising=False)
    try:
        if taken:
            assert require("mediapipe", "mediapipe").there
        else:
            with pytest.raises(MissingExtra, match=r"pip install 'mediapipe<=0\.10\.21'"):
                require("mediapipe", "mediapipe")
    finally:
        sys.modules.pop("mediapipe", None)


@pytest.mark.parametrize("package", ["onnxruntime", "nncf", "transformers", "litert_torch"])
def test_a_real_import_leaves_nothing_at_home(package: str, tmp_path: Path) -> None:
    pytest.importorskip(package)
    quiet = {variable for variable, _ in privacy.SWITCHES.values()}
    env = {k: v for k, v in os.environ.items() if k not in quiet | {"CI"}}
    code = f"from edgeemo.errors import require; require({package!r}, 'all')"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        env=env | {"HOME": str(tmp_path)},
    )
    assert [*tmp_path.rglob("*")] == []


def test_nobody_imports_such_a_package_by_himself() -> None:
    """`require` is the only way in; the tests themselves may do as they like."""
    sources = [
        path
        for folder in ("edgeemo", "compress", "export", "benchmarks", "examples")
        for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(sources) > 150
    found = []
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            found += [f"{path}: {n}" for n in names if n.partition(".")[0] in WATCHED]
    assert found == []


def test_the_page_names_all_of_them() -> None:
    page = (ROOT / "docs" / "security.md").read_text()
    for package, (variable, off) in privacy.SWITCHES.items():
        assert package.replace("_", "-") in page and f"{variable}={off}" in page
    for package in (*privacy.SENDERS, *privacy.LAST_WITHOUT):
        assert package.replace("_", "-") in page
