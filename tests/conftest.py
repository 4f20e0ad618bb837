"""What all tests share: one thread, the research corpora where they are, no silent skips in CI."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Before numpy or torch is imported, and inherited by subprocesses: on a busy machine with few
# cores more threads make small work slower, and sums come out in another order.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import pytest

ROOT = Path(__file__).resolve().parents[1]
NO_SKIPS = os.environ.get("EDGEEMO_NO_SKIPS") == "1"
HARDWARE = "hardware:"  # a skip whose reason begins so is allowed everywhere


@pytest.fixture(scope="session")
def corpora() -> Path:
    """The folder with the research corpora, which may not be shipped."""
    folder = Path(os.environ.get("EDGEEMO_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "speech").is_dir():
        pytest.skip(f"no research corpora in {folder}; set EDGEEMO_DATA to their folder")
    return folder


_skipped: list[str] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if not reason.startswith(HARDWARE):
            _skipped.append(f"{item.nodeid}: {reason}")
    return report


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A module that skips itself as a whole (importorskip) counts too."""
    if report.skipped:
        _skipped.append(f"{report.nodeid}: the whole module")


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """What a process of pytest-xdist has skipped is known to it alone."""
    _skipped.extend(set(getattr(node, "workeroutput", {}).get("skipped", ())) - set(_skipped))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["skipped"] = _skipped
    if NO_SKIPS and _skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if NO_SKIPS and _skipped:
        terminalreporter.section("skipped, although EDGEEMO_NO_SKIPS=1")
        for line in _skipped:
            terminalreporter.line(line)
