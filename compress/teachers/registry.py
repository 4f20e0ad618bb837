"""Teachers by name, folder or TOML file: `load_teacher`.

Nothing is ever downloaded. A name stands for a folder that the user has fetched; where it is
missing, the error has the command that fetches it and the licence that comes with it.
"""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from edgeemo.errors import BadArtifact, BadInput, nearest, require

from . import _weights, audeering, audonnx, described, emotion2vec, hsemotion, odyssey, voxprofile
from .base import Teacher

FOLDER_VARIABLE = "EDGEEMO_TEACHERS"
"""Environment variable: the folder whose subfolders are teachers, by name."""

Loader = Callable[[Path, str], Teacher]


@dataclass(frozen=True)
class TeacherInfo:
    """A published teacher.

    Attributes:
        name: what `load_teacher` takes; also the name of its folder.
        loader: takes (folder, device).
        licence: of the weights.
        fetch: the shell command that downloads it, with {folder} for the target.
        order: dimensions as the model's own files give them; the adapter reorders.
        scale: range of the model's own outputs.
    """

    name: str
    loader: Loader
    licence: str
    fetch: str
    order: str
    scale: str


_TEACHERS: dict[str, TeacherInfo] = {}


def register_teacher(info: TeacherInfo) -> None:
    """Add a teacher to the names that `load_teacher` takes.

    Raises:
        BadInput: the name is taken.
    """
    if info.name in _TEACHERS:
        raise BadInput(f"teacher {info.name!r} is registered already; choose another name")
    _TEACHERS[info.name] = info


def known_teachers() -> Mapping[str, TeacherInfo]:
    """All registered teachers by name, in the order of registration."""
    return dict(_TEACHERS)


def teachers_folder() -> Path:
    """Where named teachers are looked for: $EDGEEMO_TEACHERS or ~/.cache/edgeemo/teachers."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path.home() / ".cache" / "edgeemo" / "teachers"


def load_teacher(source: str | Path, device: str = "cpu") -> Teacher:
    """Load a teacher.

    Args:
        source: a registered name ("builtin", "audeering-dim", ...); or a folder as published (the
            adapter is chosen from its files); or a file that `edgeemo export` wrote; or a TOML file
            that describes an ONNX or TorchScript model, or an ensemble (docs/teachers.md).
        device: "cpu", "cuda" or "cuda:1"; ONNX models on CUDA need onnxruntime-gpu.

    Returns:
        The teacher, weights loaded, on `device`.

    Raises:
        BadInput: unknown name (the nearest is given), missing folder (with the command that fetches
            it), or a device that is not there.
        BadArtifact: the files are truncated, foreign, too large, or leave their folder.
        BadRecipe: the TOML has an unknown key or an impossible value.
        MissingExtra: transformers, torch or onnxruntime is not installed.
    """
    check_device(device)
    if isinstance(source, str) and source in _TEACHERS:
        return _load_known(_TEACHERS[source], device)
    path = Path(source)
    if path.suffix == ".toml" and path.is_file():
        return described.load(path, device)
    if path.is_dir():
        return recognize(path)(path, device)
    if path.is_file():
        return _load_file(path)
    raise BadInput(_not_found(str(source)))


def _load_file(path: Path) -> Teacher:
    """A model with a card; a file without one does not say what its outputs mean."""
    reason = ""
    if path.suffix in (".onnx", ".tflite"):
        artifact = importlib.import_module("edgeemo.compress.teachers.artifact")
        try:
            return cast(Teacher, artifact.ArtifactTeacher(path))
        except BadArtifact as error:
            reason = f" ({error})"
    raise BadInput(
        f"{path}: a model file alone does not say what its outputs mean; describe it in a TOML "
        f"beside it (docs/teachers.md) and give that{reason}"
    )


def recognize(folder: Path) -> Loader:
    """Which adapter reads a folder.

    Raises:
        BadArtifact: no adapter knows the files; the message lists what was looked for.
    """
    if (folder / "teacher.toml").is_file():
        return described.load
    if (folder / "model.yaml").is_file():
        return audonnx.load
    if any(f.stem.startswith(hsemotion.STEMS) for f in folder.glob("*.onnx")):
        return hsemotion.load
    if not (folder / "config.json").is_file():
        raise BadArtifact(
            f"{folder}: no teacher.toml, model.yaml or config.json in it; see docs/teachers.md"
        )
    config = _weights.read_json(folder, "config.json")
    kind, backbone = config.get("model_type"), str(config.get("pretrain_model", ""))
    if kind == "wav2vec2":
        return audeering.load
    if kind == "ser":
        return odyssey.load
    if backbone.startswith("wavlm"):
        return voxprofile.load_wavlm
    if backbone.startswith("whisper"):
        return voxprofile.load_whisper
    raise BadArtifact(
        f"{folder}/config.json is of no known teacher (model_type {kind!r}, pretrain_model "
        f"{backbone!r}); known: {', '.join(_TEACHERS)}"
    )


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises:
        BadInput: neither "cpu" nor "cuda" nor "cuda:N", or CUDA is not available.
    """
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", device):
        raise BadInput(f"device {device!r}; expected cpu, cuda or cuda:N")
    if device != "cpu":
        torch = require("torch", "train")
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(device.partition(":")[2] or 0) >= count:
            raise BadInput(f"device {device!r}: torch sees {count} CUDA devices; use device='cpu'")


def _load_known(info: TeacherInfo, device: str) -> Teacher:
    folder = teachers_folder() / info.name
    if info.fetch and not folder.is_dir():
        raise BadInput(
            f"teacher {info.name}: no folder {folder}; nothing is fetched automatically. Download "
            f"it with: {info.fetch.format(folder=folder)}  Licence of the weights: "
            f"{info.licence}. Or set {FOLDER_VARIABLE}, or give its path"
        )
    return info.loader(folder, device)


def _load_builtin(_folder: Path, device: str) -> Teacher:
    # Imported here: it needs the files that are shipped with it, and onnxruntime.
    builtin = importlib.import_module("edgeemo.compress.teachers.builtin")
    return cast(Teacher, builtin.load(device))


def _load_open(_folder: Path, device: str) -> Teacher:
    builtin = importlib.import_module("edgeemo.compress.teachers.builtin")
    return cast(Teacher, builtin.load(device, builtin.OPEN_FILE, "teacher-open"))


def _load_builtin_face(_folder: Path, device: str) -> Teacher:
    builtin_face = importlib.import_module("edgeemo.compress.teachers.builtin_face")
    return cast(Teacher, builtin_face.load(device))


def _load_labels_only(_folder: Path, _device: str) -> Teacher:
    labels_only = importlib.import_module("edgeemo.compress.teachers.labels_only")
    return cast(Teacher, labels_only.LabelsOnly())


def _not_found(source: str) -> str:
    return (
        f"teacher {source!r} is neither a known name nor a folder nor a TOML file; "
        f"{nearest(source, _TEACHERS, 'known teachers')}"
        " (nothing is fetched automatically: docs/teachers.md has the download commands)"
    )


def _hf(repository: str) -> str:
    return f"hf download {repository} --local-dir {{folder}}"


for _known in (
    TeacherInfo(
        name="builtin",
        loader=_load_builtin,
        licence="shipped with edgeemo-teachers; its card tells",
        fetch="",
        order="arousal, dominance, valence",
        scale="0..1",
    ),
    TeacherInfo(
        name="builtin-face",
        loader=_load_builtin_face,
        licence="shipped with edgeemo-teachers; its card tells",
        fetch="",
        order="classes only",
        scale="softmax of eight classes",
    ),
    TeacherInfo(
        name="teacher-open",
        loader=_load_open,
        licence="shipped with edgeemo-teachers; its card tells",
        fetch="",
        order="arousal, dominance, valence",
        scale="0..1",
    ),
    TeacherInfo(
        name="none-face",
        loader=_load_labels_only,
        licence="no weights: students learn from annotators' votes alone",
        fetch="",
        order="nothing",
        scale="-",
    ),
    TeacherInfo(
        name=hsemotion.NAME,
        loader=hsemotion.load,
        licence=hsemotion.LICENCE,
        fetch="get an ONNX file of https://github.com/sb-ai-lab/EmotiEffLib "
        "(models/affectnet_emotions/onnx) and put it into {folder}, its name unchanged",
        order="valence, arousal (files called _mtl); eight classes by alphabet",
        scale="-1..1",
    ),
    TeacherInfo(
        name=audeering.NAME,
        loader=audeering.load,
        licence=audeering.LICENCE,
        fetch=_hf("audeering/wav2vec2-large-robust-12-ft-emotion-msp-dim"),
        order="arousal, dominance, valence",
        scale="about 0..1, not bounded",
    ),
    TeacherInfo(
        name=audonnx.NAME,
        loader=audonnx.load,
        licence=audonnx.LICENCE,
        fetch="get the archive of https://doi.org/10.5281/zenodo.6221127 and unpack it in {folder}",
        order="arousal, dominance, valence",
        scale="about 0..1, not bounded",
    ),
    TeacherInfo(
        name=odyssey.NAME,
        loader=odyssey.load,
        licence=odyssey.LICENCE,
        fetch=_hf("3loi/SER-Odyssey-Baseline-WavLM-Multi-Attributes"),
        order="arousal, dominance, valence",
        scale="about 0..1 (annotators' 1..7 as (x - 1) / 6), not bounded",
    ),
    TeacherInfo(
        name=voxprofile.WAVLM,
        loader=voxprofile.load_wavlm,
        licence=voxprofile.LICENCE,
        fetch=_hf("tiantiaf/wavlm-large-msp-podcast-emotion-dim"),
        order="arousal, valence, dominance",
        scale="0..1 (sigmoid)",
    ),
    TeacherInfo(
        name=voxprofile.WHISPER,
        loader=voxprofile.load_whisper,
        licence=voxprofile.LICENCE,
        fetch=_hf("tiantiaf/whisper-large-v3-msp-podcast-emotion-dim"),
        order="arousal, valence, dominance",
        scale="0..1 (sigmoid)",
    ),
    TeacherInfo(
        name=emotion2vec.NAME,
        loader=emotion2vec.load,
        licence=emotion2vec.LICENCE,
        fetch=_hf("emotion2vec/emotion2vec_plus_base")
        + "; then export it into that folder as docs/teachers.md says.",
        order="classes only",
        scale="softmax of nine classes",
    ),
):
    register_teacher(_known)
