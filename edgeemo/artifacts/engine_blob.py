"""From an int8 TFLite graph to the blob of the C engine (cmake_ext/include/edgeemo_model.h).

A blob is little-endian, made of tables and constants aligned to 4 bytes; the names, types and order
of the fields come from the C side (`_native.model_layout`). What the layers are is said in
`engine_layers.py`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeemo.artifacts.engine_compiler import (
    KINDS,
    LAYOUT,
    CannotRun,
    Compiler,
    Padded,
    add_tensor,
    place_of,
)
from edgeemo.artifacts.engine_layers import OPERATORS
from edgeemo.artifacts.engine_linear import span
from edgeemo.artifacts.tflite_graph import Graph

_FOREVER = 10**9


@dataclass(frozen=True)
class Blob:
    """What the engine runs.

    Attributes:
        data: the bytes.
        origin: for each tensor of the blob, the number of the tensor of the TFLite graph.
        rows: rows of the input in the file; a model that is not streamable takes exactly these.
        streamable: whether frames may come one by one.
    """

    data: bytes
    origin: tuple[int, ...]
    rows: int
    streamable: bool


def compile_graph(graph: Graph, *, rows: int | None = None, share: bool = True) -> Blob:
    """Make the engine's blob.

    Args:
        graph: of a full-integer model with one input of int8.
        rows: of the input, where that is not what the file says; it matters to a model that is
            not streamable.
        share: let tensors that are never used at the same time lie in the same memory; without
            it every row of every tensor can be looked at afterwards.

    Raises:
        CannotRun: an operator or a form of it that the engine does not run; the message
            names it.
    """
    if len(graph.inputs) != 1:
        raise CannotRun(f"has {len(graph.inputs)} inputs; the c backend runs models with one")
    c = Compiler(graph)
    first = graph.tensors[graph.inputs[0]]
    if len(first.shape) != 4 or first.shape[0] != 1:
        raise CannotRun(f"the input has the shape {first.shape}; expected [1, rows, columns, n]")
    shape = (rows or first.shape[1], *first.shape[2:])
    c.places[graph.inputs[0]] = Padded(add_tensor(c, graph.inputs[0], 1, shape))
    for operator in graph.operators:
        compile_one = OPERATORS.get(operator.name)
        if compile_one is None:
            raise CannotRun(f"the c backend does not run {operator.name}; use backend 'tflite'")
        compile_one(c, operator)
    streamable = _is_streamable(c)
    outputs = [place_of(c, i).index for i in graph.outputs]
    if share:
        _share_memory(c, outputs, streamable)
    origin = tuple(t.origin for t in c.tensors)
    return Blob(_pack(c, outputs), origin, shape[0], streamable)


# ---- memory and bytes ----


def _is_streamable(c: Compiler) -> bool:
    """As is_streamable() in edgeemo_model_check.c; a test compares the two."""
    for layer in c.layers:
        if c.tensors[layer["output"]].stride == 0:
            continue
        late = layer["second"] >= 0 and c.tensors[layer["second"]].stride == 0
        past = span(layer["kernel_rows"], layer["dilation_rows"]) - layer["stride_rows"]
        if late or layer["bottom"] or layer["top"] != past:
            return False
    return True


def _share_memory(c: Compiler, outputs: list[int], streamable: bool) -> None:
    """Give tensors that are never used at once the same pool, the first that is free."""
    busy_until = [-1] * LAYOUT["pools"]
    for at, layer in enumerate(c.layers):
        index = layer["output"]
        readers = [i for i, x in enumerate(c.layers) if index in (x["input"], x["second"])]
        # In a stream a kernel over time needs rows of earlier pushes.
        kept = streamable and any(
            c.layers[i]["kernel_rows"] > 1 or c.layers[i]["stride_rows"] > 1 for i in readers
        )
        last = _FOREVER if index in outputs else max(readers, default=at)
        free = [p for p, until in enumerate(busy_until) if until < at]
        if kept or not free:
            continue
        c.tensors[index].pool = free[0]
        busy_until[free[0]] = last


def _pack(c: Compiler, outputs: list[int]) -> bytes:
    """Header, tables, constants."""
    header = dict.fromkeys(LAYOUT["header"], 0)
    start = struct.calcsize(LAYOUT["header_format"])
    tables = bytearray()

    def add(name: str, data: bytes, count: int) -> None:
        header[name], header[f"{name}_at"] = count, start + len(tables)
        tables.extend(data)

    add("tensors", b"".join(_fields(vars(t), "tensor") for t in c.tensors), len(c.tensors))
    first = c.tensors[0]
    add("scales", struct.pack("<2f", 1 / first.scale, first.zero), 1)
    add("outputs", np.array(outputs, "<i4").tobytes(), len(outputs))
    base = start + len(tables) + struct.calcsize(LAYOUT["layer_format"]) * len(c.layers)
    moved = [layer | {k: layer[k] + base for k in _offsets(layer)} for layer in c.layers]
    add("layers", b"".join(_fields(layer, "layer") for layer in moved), len(moved))
    header |= {
        "magic": LAYOUT["magic"],
        "version": LAYOUT["version_int4" if any(x["int4"] for x in moved) else "version"],
        "bytes": base + len(c.constants),
    }
    return _fields(header, "header") + bytes(tables) + bytes(c.constants)


def _offsets(layer: dict[str, int]) -> tuple[str, ...]:
    kinds = {v: k for k, v in KINDS.items()}
    kind = kinds[layer["kind"]]
    if kind in ("CONV", "DEPTHWISE"):
        return "weights_or_m0", "channels_or_m1"
    return ("weights_or_m0",) if kind in ("SOFTMAX", "TABLE") else ()


def _fields(values: dict[str, Any], table: str) -> bytes:
    try:
        return struct.pack(LAYOUT[f"{table}_format"], *(values[name] for name in LAYOUT[table]))
    except struct.error:
        raise CannotRun(f"has a {table} whose sizes are beyond the bits of their fields") from None
