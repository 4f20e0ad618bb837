"""Labels by Ray are those of `edgeemo label`, whatever is broken or killed; one core, two nodes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from edgeemo.compress.data import shipped_speech
from tests.compress.tars import write_tar
from tests.compress.test_cli import TEACHER, Loudness

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit")

HERE = Path(__file__).parent
RECIPE = """
schema = 2
[teacher]
name = "teacher.toml"
[student]
name = "wav2small-stream"
[augment]
copies = 2
[distill]
epochs = 1
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six tars, one with a broken clip, one cut off, a teacher, and what `edgeemo label` makes."""
    made = tmp_path_factory.mktemp("cluster")
    torch.jit.trace(Loudness(), torch.zeros(1, 16000)).save(str(made / "teacher.pt"))
    (made / "teacher.toml").write_text(TEACHER)
    recipe = RECIPE.replace("teacher.toml", str(made / "teacher.toml"))
    (made / "recipe.toml").write_text(recipe)
    (made / "tars").mkdir()
    clips = shipped_speech().clips[::5]
    for number in range(6):
        write_tar(made / "tars" / f"{number}.tar", clips[number:36:6])
    broken, cut = (made / "tars" / name for name in ("1.tar", "4.tar"))
    data = bytearray(broken.read_bytes())
    data[512:516] = b"none"  # the magic number of the first FLAC
    broken.write_bytes(data)
    cut.write_bytes(cut.read_bytes()[:-60_000])
    command = [sys.executable, "-m", "edgeemo", "label", *given(made), "--out", made / "plain"]
    assert subprocess.run(command, capture_output=True).returncode == 1
    return made


def given(folder: Path) -> list[str]:
    return ["--data", str(folder / "tars"), "--recipe", str(folder / "recipe.toml")]


@pytest.fixture
def temporary() -> Iterator[Path]:
    """For Ray: the address of a Unix socket has at most 107 bytes, a folder of pytest has 80."""
    with tempfile.TemporaryDirectory(prefix="ray-") as name:
        yield Path(name)


def label(fault: str, folder: Path, out: Path, temporary: Path) -> str:
    """Label with a fault; what was printed."""
    script = HERE / "faulty_cluster.py"
    command = [sys.executable, script, fault, temporary, *given(folder), "--out", out]
    command += ["--actors", "2"]
    for _ in range(4):  # Ray gives its processes 15 s to start; on a busy machine they need more
        shutil.rmtree(out, ignore_errors=True)
        with subprocess.Popen(
            [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run:
            try:
                said, _ = run.communicate(timeout=900)
            finally:
                run.terminate()  # it ends what Ray has started
        if "during startup" not in said.rstrip().rpartition("\n")[2]:
            break
    assert run.returncode == 1 and "left out 4.tar" in said, said[-3000:]
    return said


def labels(folder: Path) -> dict[str, bytes]:
    """All files of the labels: rows, settings, manifest."""
    return {path.name: path.read_bytes() for path in folder.glob("*/*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["actor", "node"])
def test_a_killed_actor_or_node_costs_no_row(
    fault: str, folder: Path, tmp_path: Path, temporary: Path
) -> None:
    said = label(fault, folder, tmp_path / "labels", temporary)
    assert (tmp_path / "labels" / "killed").exists()
    ours, theirs = labels(tmp_path / "labels"), labels(folder / "plain")
    assert ours == theirs
    manifest = json.loads(ours["part-00001-of-00001.json"])
    assert [unit["name"] for unit in manifest["left_out"]] == ["4.tar"]
    assert [unit["skipped"] for unit in manifest["units"]] == [0, 2, 0, 0, 0]
    assert len(ours) == 5 + 2
    assert "6 of 6" in said
