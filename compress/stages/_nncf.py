"""NNCF without its surprises: no telemetry, no compiler at run time, no messages."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from edgeemo.errors import require

from ..students.base import Student

HOOKS = "__nncf_hooks"
"""Where NNCF keeps what it adds to a model; state keys begin so."""


@lru_cache(maxsize=1)
def load_nncf() -> Any:
    """The package.

    Raises:
        MissingExtra: it is not installed.
    """
    nncf = require("nncf", "export")
    nncf.set_log_level(logging.ERROR)
    # Its kernels are C++ that it compiles on first use, for a minute or more, where a compiler is.
    # Its own reference in torch gives the same numbers on every machine, at 2.5 times a step.
    kernels = require("nncf.torch.quantization.extensions", "export").QuantizedFunctionsCPU
    reference = require("nncf.torch.quantization.reference", "export")
    plain = reference.ReferenceQuantize(reference.ReferenceBackendType.TORCH)
    kernels._loaded_namespace = SimpleNamespace(
        Quantize_forward=plain.forward, Quantize_backward=plain.backward
    )
    return nncf


def plain_state(student: Student) -> dict[str, Tensor]:
    """A student's own weights without what NNCF has added; what its masks hide is 0."""
    found = {k: v for k, v in student.state_dict().items() if not k.startswith(HOOKS)}
    for key, mask in student.state_dict().items():
        if key.startswith(HOOKS) and key.endswith("binary_mask"):
            name = key.removeprefix(f"{HOOKS}.post_hooks.").split("__")[0].replace(":", ".")
            found[name] = found[name] * mask
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Without the bar that NNCF draws on stdout."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        yield
