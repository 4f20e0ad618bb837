"""The int8 engine and its peers, each as functions to time; used by engine.py.

A peer's works: `clip`, 5 s of features in one call; `stream`, the same as frames come; `samples`, a
clip of 5 s from samples to the estimate, with edgeemo's front end.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeemo.artifacts.onnx import read_onnx
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.backends.engine import Model
from edgeemo.errors import require
from edgeemo.features import log_mel

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "tools" / "recipes" / "wav2small-stream-noise" / "recipe.toml"
FRAMES, HOP, EVERY, WINDOW = 500, 4, 25, 300
Values = NDArray[np.float32]
Work = Callable[[], Values]
Run = Callable[[Values], Values]


@cache
def samples(frames: int = FRAMES) -> Values:
    """Shipped speech that gives so many frames."""
    paths = sorted(need("speech").rglob("*.flac"))[:8]
    return np.concatenate([read_audio(path) for path in paths])[: 400 + 160 * (frames - 1)]


@cache
def features() -> Values:
    """5 s of the shipped speech."""
    return log_mel(samples())


def works(run: Run) -> dict[str, Work]:
    """Of a peer that keeps no state: its whole window for each estimate of a stream."""
    return {
        "clip": lambda: run(features()),
        "stream": windows(run),
        "samples": lambda: run(log_mel(samples())),
    }


def ours(blob: bytes, kernels: str | None) -> dict[str, Work]:
    x = features()
    whole, stream = Model(blob, 64, kernels), Model(blob, HOP, kernels)
    out = np.zeros(whole.info()["values"], np.float32)

    def clip(rows: Values) -> Values:
        whole.reset()
        whole.push(rows)
        whole.outputs(out)
        return out[:3]

    def live() -> Values:
        stream.reset()
        for at in range(0, FRAMES, HOP):
            stream.push(x[at : at + HOP])
            if (at + HOP) % EVERY < HOP:
                stream.outputs(out)
        return out[:3]

    return works(clip) | {"stream": live}


def windows(run: Run) -> Work:
    """An estimate every 250 ms from the last WINDOW frames."""
    x = features()

    def live() -> Values:
        for end in range(EVERY, FRAMES + 1, EVERY):
            found = run(x[max(0, end - WINDOW) : end])
        return found

    return live


def onnx_session(path: Path) -> Any:
    onnxruntime = require("onnxruntime", "onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def onnx(path: Path) -> dict[str, Work]:
    session = onnx_session(path)
    return works(lambda x: np.asarray(session.run(["adv"], {"features": x[np.newaxis]})[0][0]))


def onnx_hops(path: Path) -> dict[str, Work]:
    """Bare calls: one for each hop, and one more where an estimate is wanted."""
    x, session = features(), onnx_session(path)
    names = [o.name for o in session.get_outputs()]
    start = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()}

    def live() -> Values:
        given, total = dict(start), np.zeros_like(start["mean"])
        for count, at in enumerate(range(0, FRAMES, HOP), 1):
            given["features"] = x[np.newaxis, at : at + HOP]
            found = dict(zip(names, session.run(names, given), strict=True))
            given |= {n.replace("next", "state"): v for n, v in found.items() if "next" in n}
            total += found["token"].reshape(total.shape)
            if (at + HOP) % EVERY < HOP:
                said = session.run(["adv"], given | {"mean": total / np.float32(count)})[0][0]
        return np.asarray(said, np.float32)

    return {"stream": live}


def litert_run(model: bytes, *, reference: bool = False) -> Run:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kernels = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    runners = {}

    def run(rows: Values) -> Values:
        if len(rows) not in runners:
            runner = Interpreter(
                model_content=model, num_threads=1, experimental_op_resolver_type=kernels
            )
            place = runner.get_input_details()[0]
            runner.resize_tensor_input(place["index"], [1, len(rows), 40, 1])
            runner.allocate_tensors()
            runners[len(rows)] = runner
        runner = runners[len(rows)]
        place = runner.get_input_details()[0]
        scale, zero = place["quantization"]
        codes = np.clip(np.rint(rows / np.float32(scale)) + zero, -128, 127).astype(np.int8)
        runner.set_tensor(place["index"], codes[np.newaxis, :, :, np.newaxis])
        runner.invoke()
        adv = next(d for d in runner.get_output_details() if d["shape"][-1] == 3)
        scale, zero = adv["quantization"]
        found = (runner.get_tensor(adv["index"])[0].astype(np.float32) - zero) * np.float32(scale)
        return np.asarray(found, np.float32)

    return run


def tflm(model: bytes) -> dict[str, Work]:
    """Its host build takes the file's own length alone, WINDOW frames: times are scaled to 5 s."""
    from tflite_micro import runtime

    runner = runtime.Interpreter.from_bytes(model)
    told = runner.get_input_details(0)["quantization_parameters"]
    scale, zero = told["scales"], told["zero_points"]

    def run(rows: Values) -> Values:
        codes = np.clip(np.rint(rows / scale) + zero, -128, 127).astype(np.int8)
        runner.set_input(codes[np.newaxis, :, :, np.newaxis], 0)
        runner.invoke()
        return np.zeros(0, np.float32)

    part = samples(WINDOW)
    return {"clip": lambda: run(features()[:WINDOW]), "samples": lambda: run(log_mel(part))}


def executorch(path: Path) -> dict[str, Work]:
    """A file of `executorch_file`, which takes FRAMES frames alone; so it has no stream."""
    torch, runtime = require("torch", "train"), require("executorch.runtime", "dev")
    forward = runtime.Runtime.get().load_program(path).load_method("forward")

    def run(rows: Values) -> Values:
        return np.asarray(forward.execute([torch.from_numpy(rows)[None]])[0][0])

    return {name: work for name, work in works(run).items() if name != "stream"}


def executorch_file(weights: Path, path: Path) -> None:
    """ExecuTorch's own int8 (XNNPACK) of the shipped student; its ranges are those of features().

    Args:
        weights: the exported ONNX file whose weights it gets.
        path: the .pte file to write.
    """
    torch = require("torch", "train")
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.backends.xnnpack.quantizer import xnnpack_quantizer as xnnpack
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    from edgeemo.compress.students import make_student
    from edgeemo.compress.train.onnx_weights import load_onnx_weights
    from edgeemo.export.outputs import Outputs

    told = tomllib.loads(RECIPE.read_text("utf-8"))["student"]
    student = make_student(told["name"], **told["options"])
    load_onnx_weights(student, weights)
    temperature = read_onnx(weights).card.calibration.class_temperature
    given = (torch.from_numpy(features())[None],)
    int8 = xnnpack.get_symmetric_quantization_config(is_per_channel=True)
    graph = torch.export.export(Outputs(student, temperature).eval(), given).module()
    graph = prepare_pt2e(graph, xnnpack.XNNPACKQuantizer().set_global(int8))
    graph(*given)
    program = torch.export.export(convert_pt2e(graph), given)
    made = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(made.to_executorch().buffer)
