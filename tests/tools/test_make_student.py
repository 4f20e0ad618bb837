"""The shipped student's provenance."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from edgeemo.compress.recipes import load_recipe

Tool = Callable[[str], ModuleType]
NAME = "wav2small-stream"


def test_the_shipped_files_name_their_recipes(
    tool: Tool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tool("make_student").main(["--check"]) == 0
    assert "are what their recipes say" in capsys.readouterr().out


def test_each_recipe_is_read_and_goes_on_from_the_round_before(tool: Tool) -> None:
    provenance = tool("_provenance")
    rounds = provenance.load_provenance(NAME).rounds
    folder = provenance.provenance_file(NAME).parent
    recipes = [load_recipe(folder / each.recipe) for each in rounds]
    assert [r.distill.epochs for r in recipes] == [20, 17, 15, 24]
    assert [bool(r.student.init_from) for r in recipes] == [False, True, True, True]
    assert [r.finetune is None for r in recipes] == [True, True, True, False]
    assert (recipes[-1].teacher.name, recipes[-1].teacher.dimensions) == ("own", "builtin")
    start = tool("make_student")._from(Path("a.onnx"), recipes[1]).student.init_from
    assert start == str(Path("a.onnx").resolve())


def test_other_recipes_and_other_files_are_told(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    provenance = tool("_provenance")
    shutil.copytree(provenance.RECIPES, tmp_path / "recipes")
    monkeypatch.setattr(provenance, "RECIPES", tmp_path / "recipes")
    assert provenance.check(NAME) == []
    folder = tmp_path / "recipes" / NAME
    changed = folder / "round-2.toml"
    changed.write_text(changed.read_text().replace("epochs = 17", "epochs = 18"))
    (fault,) = provenance.check(NAME)
    assert re.search(r"round-2\.toml: sha256 [0-9a-f]{64}, provenance\.toml says", fault)
    path = folder / "provenance.toml"
    text = path.read_text()
    path.write_text(text.replace(provenance.sha256(folder / "round-4.toml"), "0" * 64))
    faults = provenance.check(NAME)
    assert len(faults) == 4 and sum("names the recipe" in f for f in faults) == 2
    path.write_text(text.replace("recipe_sha256", "recipe_sha265"))
    with pytest.raises(Exception, match=r"rounds\[0\]\.recipe_sha265: unknown key"):
        provenance.check(NAME)


@pytest.mark.parametrize("name", ["make_student", "make_teacher"])
def test_a_missing_result_is_told_before_data_are_read(
    tool: Tool, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", tmp_path / "data", "--whisper", tmp_path / "whisper"]
    given += ["--metrics", tmp_path / "none.json"]
    assert tool(name).main([str(each) for each in given]) == 2
    told = f"{tmp_path / 'none.json'}: No such file or directory\n"
    assert capsys.readouterr().err == told


def test_data_is_asked_for(tool: Tool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        tool("make_student").main([])
    assert "--data and --whisper are needed, or --check" in capsys.readouterr().err
