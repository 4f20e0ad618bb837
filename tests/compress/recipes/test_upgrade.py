"""Recipes of schema 1: all that were ever in the repository, and what may go wrong."""

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from edgeemo.compress.recipes import SCHEMA, load_recipe
from edgeemo.compress.recipes.upgrade import upgrade
from edgeemo.errors import BadRecipe

# Every version of every recipe that the repository held while schema 1 was the only one.
OLD = sorted((Path(__file__).parents[2] / "data" / "recipes_1").glob("*.toml"))

ONE = {"schema": 1, "student": {"name": "x", "start": "a.onnx"}}


def test_all_of_them_are_there() -> None:
    assert len(OLD) == 38


@pytest.mark.parametrize("path", OLD, ids=lambda p: p.stem)
def test_a_recipe_of_schema_1_is_read(path: Path) -> None:
    recipe, values = load_recipe(path), tomllib.loads(path.read_text())
    assert recipe.schema == SCHEMA
    assert recipe.distill.epochs == values["distil"]["epochs"]
    assert recipe.student.init_from == values["student"].get("start", "")
    assert len(recipe.distill.loss) == len(values["distil"]["loss"])


@pytest.mark.parametrize("name", ["demo", "wav2small-stream-on", "efficientnet-lite0-face"])
def test_the_newest_of_schema_1_says_what_the_shipped_one_says(name: str) -> None:
    newest = max(
        (p for p in OLD if p.name.split(".")[0] == name), key=lambda p: int(p.stem.split(".")[1])
    )
    shipped = load_recipe(name)
    # A name may be the file's, and the demo has another teacher since.
    assert replace(load_recipe(newest), name=shipped.name, teacher=shipped.teacher) == shipped


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ONE | {"distil": {}, "distill": {}},
            r"\$\.distil: the old name of 'distill', which is there",
        ),
        (ONE | {"schema": 2}, r"\$\.student\.start: since schema 2 this key is 'init_from'"),
        ({"schema": 2, "stop": {}}, r"\$\.stop: since schema 2 this key is 'early_stopping'"),
        (
            {"schema": 2, "distill": {"loss": {"tie": 1.0}}},
            r"\$\.distill\.loss\.tie: since schema 2 this key is 'class_consistency'",
        ),
        ({"schema": 3}, r"schema: 3, this edgeemo reads 1 to 2; update edgeemo"),
    ],
)
def test_a_key_under_the_wrong_name_is_told(values: dict[str, object], message: str) -> None:
    with pytest.raises(BadRecipe, match=message):
        upgrade(values, 2)


def test_a_key_that_means_nothing_any_more_is_told(caplog: pytest.LogCaptureFixture) -> None:
    assert upgrade(ONE | {"heads": {"members": 3, "hidden": 8}}, 2)["heads"] == {"hidden": 8}
    assert "$.heads.members: no longer used" in caplog.text


def test_what_is_given_is_not_changed() -> None:
    values = {"schema": 1, "distil": {"loss": {"human": 1.0}}}
    assert upgrade(values, 2) == {"schema": 2, "distill": {"loss": {"annotator_ccc": 1.0}}}
    assert values == {"schema": 1, "distil": {"loss": {"human": 1.0}}}


@pytest.mark.parametrize("version", [1, 2])
def test_one_number_of_gain_is_as_far_down_as_up(version: int) -> None:
    table = upgrade({"schema": version, "augment": {"gain_db": 8.0}}, SCHEMA)["augment"]
    assert table == {"gain_db": [-8.0, 8.0]}
