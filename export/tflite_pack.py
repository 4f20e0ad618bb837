"""TFLite flatbuffers as objects: read, tidied, and packed small.

Objects are those of the schema's own Python code (`ai_edge_litert.schema_py_generated`). Its packer
aligns constants to 4 bytes and writes a vector for each use; microcontrollers need 16, and two
thirds of the bytes beside the weights are zero points, eight bytes a channel, all of them zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.errors import require

ALIGNMENT = 16
"""Of constants in a file, in bytes: what TensorFlow Lite Micro and vector instructions ask for."""

schema: Any = require("ai_edge_litert.schema_py_generated", "export")
flatbuffers: Any = require("flatbuffers", "export")


class _Builder(flatbuffers.Builder):  # type: ignore[misc]  # the package has no types
    """Writes equal vectors and equal tables once: a flatbuffer may point to them twice."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.vectors: dict[tuple[int, bytes], int] = {}
        self.tables: dict[Any, int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:
        key = x.dtype.itemsize, x.tobytes()
        if key not in self.vectors:
            self.vectors[key] = super().CreateNumpyVector(x)
        return self.vectors[key]


class _Once:
    """A table that is written once for all its equals."""

    def __init__(self, table: Any) -> None:
        self._table = table
        fields = (
            (k, v.tobytes() if isinstance(v, np.ndarray) else v) for k, v in vars(table).items()
        )
        self._key = type(table).__name__, tuple(fields)

    def Pack(self, builder: _Builder) -> int:
        if self._key not in builder.tables:
            builder.tables[self._key] = self._table.Pack(builder)
        return builder.tables[self._key]


class _Buffer(schema.BufferT):  # type: ignore[misc]
    """A constant at an address that is a multiple of ALIGNMENT."""

    def Pack(self, builder: _Builder) -> int:
        if self.data is None or not len(self.data):
            schema.BufferStart(builder)
            return int(schema.BufferEnd(builder))
        data = np.asarray(self.data, np.uint8).tobytes()
        builder.StartVector(1, len(data), ALIGNMENT)
        builder.head -= len(data)
        builder.Bytes[builder.head : builder.head + len(data)] = data
        vector = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


def unpack(data: bytes) -> Any:
    """A model's objects, all constants among them.

    Above 256 KB of constants the quantizer moves them behind the flatbuffer. LiteRT reads that;
    TensorFlow Lite Micro does not, and says nothing: it computes nonsense.
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    return model


def pack(model: Any, names: bool = False) -> bytes:
    """A model's bytes: constants aligned and inline, nothing twice.

    The model's objects are changed. The same objects give the same bytes.

    Args:
        model: from `unpack`.
        names: keep the names of inner values, which are longer than all else beside the weights.
    """
    _drop_unused(model)
    _merge_buffers(model)
    for graph in model.subgraphs:
        named = set(graph.inputs) | set(graph.outputs)
        for i, tensor in enumerate(graph.tensors):
            if not names and i not in named:
                tensor.name = None
            tensor.shape = np.asarray(tensor.shape, np.int32)
            tensor.quantization = _plain(tensor.quantization)
        for op in graph.operators:
            op.inputs, op.outputs = (np.asarray(v, np.int32) for v in (op.inputs, op.outputs))
            if op.builtinOptions is not None:
                op.builtinOptions = _Once(op.builtinOptions)
    model.buffers = [_as(_Buffer, b) for b in model.buffers]
    model.metadata, model.metadataBuffer, model.description = [], None, b"edgeemo"
    builder = _Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _plain(found: Any) -> _Once | None:
    """Scales, zero points and axis; the range they came from is of no use to a runtime."""
    if found is None or found.scale is None or not len(found.scale):
        return None
    kept = schema.QuantizationParametersT()
    kept.scale = np.asarray(found.scale, np.float32)
    kept.zeroPoint = np.asarray(found.zeroPoint, np.int64)
    kept.quantizedDimension = found.quantizedDimension
    return _Once(kept)


def _as(kind: type, found: Any) -> Any:
    made = kind()
    made.__dict__.update(found.__dict__)
    return made


def _drop_unused(model: Any) -> None:
    """Take out tensors that no operator touches, and number the rest anew."""
    for number, graph in enumerate(model.subgraphs):
        used = {i for op in graph.operators for i in [*op.inputs, *op.outputs] if i >= 0}
        order = sorted(used | {int(i) for i in [*graph.inputs, *graph.outputs]})
        new = {old: at for at, old in enumerate(order)} | {-1: -1}
        graph.tensors = [graph.tensors[i] for i in order]
        for holder in (graph, *graph.operators):
            holder.inputs = [new[i] for i in holder.inputs]
            holder.outputs = [new[i] for i in holder.outputs]
        for signature in model.signatureDefs or []:
            if signature.subgraphIndex == number:
                for pair in [*signature.inputs, *signature.outputs]:
                    pair.tensorIndex = new[pair.tensorIndex]


def _merge_buffers(model: Any) -> None:
    """One buffer for equal constants, none for what no tensor uses. Buffer 0 means "no data"."""
    kept: list[Any] = [schema.BufferT()]
    known: dict[bytes, int] = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or not len(data):
                tensor.buffer = 0
                continue
            key = np.asarray(data, np.uint8).tobytes()
            if key not in known:
                known[key] = len(kept)
                kept.append(model.buffers[tensor.buffer])
            tensor.buffer = known[key]
    model.buffers = kept
