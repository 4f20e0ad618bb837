"""Weights and settings from a teacher's folder: bounded, confined, never unpickled.

A checkpoint comes from somebody else. Tensors are read from safetensors, or from a PyTorch file
with `weights_only=True`, which builds tensors and nothing else. Names that stand in a file are
names in that file's folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeemo.errors import BadArtifact, one_line, require
from edgeemo.io import files
from edgeemo.io.loading import parse_json

if TYPE_CHECKING:
    import torch

    State = dict[str, torch.Tensor]

LARGEST_TEXT = 1 << 20
LARGEST_MODEL = 16 << 30
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def read_text(path: Path) -> str:
    """Text of a small settings file.

    Raises:
        BadArtifact: missing, larger than 1 MiB, or not UTF-8.
    """
    check_file(path, LARGEST_TEXT)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadArtifact(f"{path}: not UTF-8 text ({error.reason})") from None


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """A JSON object of a teacher's folder.

    Raises:
        BadArtifact: missing, too large, or not a JSON object.
    """
    path = folder / name
    value = parse_json(read_text(path), BadArtifact, path)
    if not isinstance(value, dict):
        raise BadArtifact(f"{path}: expected a JSON object, got {type(value).__name__}")
    return value


def check_file(path: Path, largest: int) -> None:
    """Refuse a file that is missing, empty or larger than `largest` bytes (BadArtifact)."""
    if not path.is_file():
        raise BadArtifact(f"{path}: no such file; the teacher's folder is not complete")
    size = path.stat().st_size
    if not 0 < size <= largest:
        raise BadArtifact(f"{path}: {size} bytes; expected 1 to {largest}")


def confined(folder: Path, name: str) -> Path:
    """The file `name` of a folder, for names that were read from a file.

    Raises:
        BadArtifact: `name` is more than a file name, or is a link that leaves the folder.
    """
    try:
        return files.confined(folder, name, plain=True)
    except ValueError as error:
        raise BadArtifact(f"file name {error} in {folder}") from None


def weights_file(folder: Path) -> Path:
    """The weights of a folder in Hugging Face's layout; safetensors is preferred.

    Raises:
        BadArtifact: neither file is there, or its size is impossible.
    """
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            check_file(folder / name, LARGEST_MODEL)
            return folder / name
    raise BadArtifact(f"{folder}: no {' or '.join(WEIGHT_FILES)}; download the folder again")


def digest(files: Iterable[Path], settings: Sequence[str] = ()) -> str:
    """sha256 in hex over settings and the contents of files, in the given order."""
    total = hashlib.sha256()
    for setting in settings:
        total.update(hashlib.sha256(setting.encode()).digest())
    for path in files:
        with path.open("rb") as stream:
            total.update(hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()


def read_state(path: Path, wanted: Callable[[str], bool]) -> State:
    """Tensors of a checkpoint, float32, on the CPU.

    Args:
        path: `weights_file(folder)`.
        wanted: says by its name whether a tensor is read (a decoder, say, is left on disk).

    Returns:
        Tensors by name.

    Raises:
        BadArtifact: truncated, foreign, or holding anything but tensors.
    """
    state = _read_safetensors(path, wanted) if path.suffix == ".safetensors" else _read_pt(path)
    torch = require("torch", "train")
    made = {}
    for name, value in state.items():
        if not wanted(name):
            continue
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            raise BadArtifact(f"{path}: {name} is no tensor of floats; not a known checkpoint")
        # A large teacher in half precision would run slowly, or not at all, on a CPU.
        made[name] = value.detach().to(torch.float32)
    return made


def fill(model: torch.nn.Module, state: State, path: Path) -> None:
    """Put a checkpoint into a model that was built on the meta device.

    Raises:
        BadArtifact: a tensor is missing, not known, of another shape, or not finite.
    """
    own = model.state_dict()
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is not known" for name in state if name not in own]
    problems += [
        f"{name} has shape {list(state[name].shape)}, expected {list(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    problems += [f"{name} is not finite" for name, t in state.items() if not t.isfinite().all()]
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise BadArtifact(f"{path}: {problems[0]}{more}; not a checkpoint of this teacher")
    model.load_state_dict(state, assign=True)
    model.requires_grad_(False).eval()


def renamed(state: State, prefix: str) -> State:
    """Tensors under `prefix`, without it, weight norm in the form of current torch."""
    old = {
        "pos_conv_embed.conv.weight_g": "pos_conv_embed.conv.parametrizations.weight.original0",
        "pos_conv_embed.conv.weight_v": "pos_conv_embed.conv.parametrizations.weight.original1",
    }
    made = {}
    for name, value in state.items():
        if name.startswith(prefix):
            short = name.removeprefix(prefix)
            for before, after in old.items():
                short = short.replace(before, after)
            made[short] = value
    return made


def _read_safetensors(path: Path, wanted: Callable[[str], bool]) -> dict[str, Any]:
    safetensors = require("safetensors", "teachers")
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys() if wanted(name)}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise BadArtifact(f"{path}: truncated or foreign ({error}); download it again") from None


def _read_pt(path: Path) -> dict[str, Any]:
    torch = require("torch", "train")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch names no class: EOFError, KeyError, RuntimeError, ...
        raise BadArtifact(
            f"{path}: truncated, foreign, or more than tensors ({one_line(error)}); "
            "download it again"
        ) from None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise BadArtifact(f"{path}: expected tensors by name, got {type(state).__name__}")
    return state
