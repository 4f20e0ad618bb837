"""docs/teachers.md says what the code says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from edgeemo.compress.teachers import class_names, described, known_teachers
from edgeemo.errors import BadRecipe
from edgeemo.io import schema

TEXT = (Path(__file__).parents[3] / "docs" / "teachers.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("name", known_teachers())
def test_every_teacher_stands_in_the_table(name: str) -> None:
    known = known_teachers()[name]
    assert f"| `{name}` | {known.order} | {known.scale} | {known.licence} |" in TEXT
    for place in re.findall(r"hf download (\S+)|https://doi\.org/(\S+)", known.fetch):
        assert max(place) in TEXT


def test_every_toml_block_is_read() -> None:
    kinds = []
    for block in BLOCKS:
        values = tomllib.loads(block)
        kinds.append(values["kind"])
        if values["kind"] == "ensemble":
            schema.read(described.EnsembleFile, values, BadRecipe)
            continue
        file = schema.read(described.ModelFile, values, BadRecipe)
        described._dimensions(file.adv, face=file.image is not None)
        described._categories(file.classes)
        if file.image is not None:
            described._face_preparation(file.image)
        else:
            described._preparation(file.input or described.InputTable())
    assert sorted(kinds) == ["ensemble", "onnx", "onnx", "torchscript"]


def test_every_class_name_is_mentioned() -> None:
    for name in [*class_names._ALIASES, *class_names.NO_CLASS]:
        assert re.search(rf"(?<![a-z]){re.escape(name)}(?![a-z])", TEXT.split("Class names")[1])
