"""Export: quantization, writers of artifacts, and the parity check that may refuse them.

Imported as `edgeemo.export`; needs the extra "export".
"""

from .job import ExportResult, export_run

__all__ = ["ExportResult", "export_run"]
