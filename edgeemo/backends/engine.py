"""The int8 engine as it is, without a card: compiled blobs, blocks and sets of kernels.

For measurements (benchmarks/engine.py); `edgeemo.load` gives what is safe to use.
"""

from edgeemo._native import Model, model_kernels

__all__ = ["Model", "model_kernels"]
