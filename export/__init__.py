"""Export: quantization, writers of artifacts, and the parity check that may refuse them.

    from pathlib import Path
    from edgeemo.export import export

    for result in export(Path("runs/mine"), ("onnx", "tflite"), int8=True):
        print(result.path, result.bytes)

Imported as `edgeemo.export`; needs the extra "export". Names are imported when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .job import ExportResult as ExportResult
    from .job import export as export

_HOME = {"ExportResult": "edgeemo.export.job", "export": "edgeemo.export.job"}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name == "export_run":
        import warnings

        warnings.warn(f"{__name__}.export_run is export now", DeprecationWarning, stacklevel=2)
        return __getattr__("export")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
