"""The telemetry of optional packages, switched off before they are imported.

`edgeemo.errors.require` imports every optional package through `quiet_import`, so this is the one
place that knows what each of them would tell its makers. docs/security.md has the table in words.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType, ModuleType

LOG = logging.getLogger("edgeemo")

SWITCHES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "onnxruntime": ("ORT_DISABLE_TELEMETRY", "1"),
        "nncf": ("NNCF_CI", "1"),
        "huggingface_hub": ("HF_HUB_DISABLE_TELEMETRY", "1"),
        "ray": ("RAY_USAGE_STATS_ENABLED", "0"),
    }
)
"""By package: the environment variable that it reads while it is imported, and its value for "off".

huggingface_hub is what transformers and litert-torch talk to their makers through."""

SENDERS = ("openvino_telemetry",)
"""Packages that do nothing but send. NNCF makes a device id in the home folder while it is
imported, whatever NNCF_CI says, unless this package is missing; so it is, for that moment."""

LAST_WITHOUT: Mapping[str, tuple[int, ...]] = MappingProxyType({"mediapipe": (0, 10, 21)})
"""By package: its last version that sends nothing. Later ones cannot be told not to."""

_told: set[str] = set()
_imported: set[str] = set()  # by quiet_import: what is called for each file must not cost much


class Sends(Exception):
    """A package that would report its use, and cannot be told not to."""


def switch_off() -> None:
    """Set all switches, for this process and those that it starts.

    A package that the program has imported already, without its switch, is named in one warning on
    the logger "edgeemo": it has read the environment, and is beyond reach.
    """
    for package, (variable, off) in SWITCHES.items():
        if package in sys.modules and os.environ.get(variable) != off and package not in _told:
            _told.add(package)
            LOG.warning(
                "%s was imported before edgeemo could switch its telemetry off; "
                "set %s=%s before that import",
                package,
                variable,
                off,
            )
        os.environ[variable] = off


def quiet_import(module: str) -> ModuleType:
    """Import a package whose telemetry is off.

    Args:
        module: import name, with dots for a part of a package.

    Raises:
        ImportError: it is not there, or broken.
        Sends: this version cannot be told not to; the message has the remedy.
    """
    if module in _imported and (there := sys.modules.get(module)) is not None:
        return there
    switch_off()
    _refuse_senders(module.partition(".")[0])
    blocked = [name for name in SENDERS if name not in sys.modules]
    try:
        for name in blocked:
            sys.modules[name] = None  # type: ignore[assignment]  # what Python takes for missing
        made = importlib.import_module(module)
        _imported.add(module)
        return made
    finally:
        for name in blocked:
            sys.modules.pop(name, None)


def _refuse_senders(package: str) -> None:
    last = LAST_WITHOUT.get(package)
    if last is None:
        return
    from importlib import metadata  # takes as long to import as a second of sound to judge

    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError:
        return  # the import will say that it is missing
    numbers = tuple(int(part) for part in version.split(".")[:3] if part.isdecimal())
    if numbers > last:
        known = ".".join(map(str, last))
        raise Sends(
            f"{package} {version} reports its use over the network and has no switch for it; "
            f"install {known} (pip install '{package}<={known}'), or do without {package}"
        )
