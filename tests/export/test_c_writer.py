"""C folders: what is in them, that they are checked before they are there, and what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeemo import cli
from edgeemo.artifacts.card import from_json
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.audio import read_audio
from edgeemo.compress.run import Run
from edgeemo.errors import BadInput, ParityFailed
from edgeemo.export import c_text, c_writer, export
from edgeemo.export.c_writer import Folder, write_folder
from edgeemo.export.parity import Tolerances
from edgeemo.features import LOGMEL40

ROOT = Path(__file__).parents[2]
ARTIFACT = Path(os.environ.get("EDGEEMO_STUDENT", ZOO / f"{DEFAULT}.tflite"))

DIFFERENT = "self-test: failed: other features, or another estimate"


@pytest.fixture
def folder(c_folder: Folder) -> Folder:
    return c_folder


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Boards take their time, and one test of them is enough."""
    monkeypatch.setattr(c_writer, "measure", lambda *unused: {})


def contents(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def make(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-s", "-C", path, *arguments], capture_output=True, text=True)


def test_the_self_test_runs_anywhere(folder: Folder, tmp_path: Path) -> None:
    copy = shutil.copytree(folder.path, tmp_path / "elsewhere")
    done = make(copy, "CFLAGS=-g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all")
    assert done.returncode == 0 and "self-test: ok" in done.stdout, done.stderr


def test_the_self_test_notices_damaged_weights(folder: Folder, tmp_path: Path) -> None:
    """A single bit, which the estimate for this clip may well not show."""
    copy = shutil.copytree(folder.path, tmp_path / "damaged")
    path = copy / "src" / "edgeemo_student.c"
    text = path.read_text()
    network = re.search(r"network\[\d+\] = \{(.*?)\}", text, re.S)
    assert network
    words = network[1].split()
    half = len(words) // 2
    words[half] = f"0x{(int(words[half].rstrip(','), 16) ^ 0x100):x},"
    path.write_text(text.replace(network[1], " ".join(words)))
    done = make(copy)
    assert done.returncode != 0 and "bytes of a model have changed" in done.stdout


def test_the_self_test_notices_other_features(folder: Folder, tmp_path: Path) -> None:
    """With this flag clang fuses what the sources forbid; the estimate may well be the same."""
    for tool in ("clang", "aarch64-linux-gnu-gcc", "qemu-aarch64"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")
    sources = [*folder.path.glob("*.c"), *(folder.path / "src").glob("*.c")]
    sources += [folder.path / "ports" / name for name in ("terminal.c", "terminal_stdio.c")]
    includes = [f"-I{folder.path / place}" for place in ("src", "ports")]
    program = tmp_path / "program"
    command = ["clang", "--target=aarch64-linux-gnu", "-static", "-O2", "-ffp-contract=fast"]
    subprocess.run([*command, *includes, *sources, "-o", program], check=True)
    done = subprocess.run(["qemu-aarch64", program], capture_output=True, text=True)
    assert done.returncode == 1 and DIFFERENT in done.stdout


def test_the_program_of_the_guide_runs(folder: Folder, tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guides" / "packages.md").read_text()
    (program,) = re.findall(r"^```c\n(.*?)^```$", guide, re.DOTALL | re.MULTILINE)
    (tmp_path / "main.c").write_text(program)
    source = folder.path / "src"
    command = ["gcc", f"-I{source}", tmp_path / "main.c", *source.glob("*.c")]
    subprocess.run([*command, "-o", tmp_path / "voice"], check=True)
    samples = np.rint(read_audio(c_writer.GOLDEN) * 32768).astype("<i2").tobytes()
    done = subprocess.run([tmp_path / "voice"], input=2 * samples, capture_output=True, check=True)
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 4 and all(re.fullmatch(r"1 0\.\d\d", line) for line in lines)


def test_the_clip_can_be_left_out(folder: Folder, tmp_path: Path) -> None:
    """Then neither the clip nor the function is in the object files."""
    includes = [f"-I{folder.path / 'src'}"]
    for name in ("golden", "self_test"):
        source, made = folder.path / "src" / f"edgeemo_{name}.c", tmp_path / f"{name}.o"
        command = ["gcc", "-std=c99", "-Wpedantic", "-Werror", *includes, "-c", source, "-o", made]
        subprocess.run([*command, "-DEDGEEMO_NO_SELF_TEST"], check=True)
        listing = subprocess.run(["nm", made], check=True, capture_output=True, text=True)
        assert listing.stdout == ""


def test_the_card_and_the_costs_are_told(folder: Folder) -> None:
    card = from_json((folder.path / "card.json").read_text())
    assert card == folder.card
    readme = (folder.path / "README.md").read_text()
    assert card.digest[:12] in readme and f"{folder.memory:,}" in readme
    if card.features == LOGMEL40:
        budget = ROOT / "cmake_ext" / "budget.toml"
        tables = tomllib.loads(budget.read_text())["Cortex-M4F"]["tables"]
        assert f"| flash: tables of the front end | {tables:,} |" in readme
    if folder.costs:
        assert folder.costs["memory"] <= folder.memory
        assert f"{folder.costs['second']:,}" in readme


SIZES = """
#include "edgeemo_student.h"
#include "terminal.h"
int main(void)
{
    edgeemo_stream_settings settings = EDGEEMO_STREAM_SETTINGS;
    terminal_number((uint32_t)edgeemo_speech_size(&edgeemo_student));
    terminal_text(" ");
    terminal_number((uint32_t)edgeemo_stream_size(&edgeemo_student, &settings));
    terminal_text(" ");
    terminal_number(EDGEEMO_STUDENT_MEMORY);
    terminal_text(" ");
    terminal_number(EDGEEMO_STUDENT_STREAM_MEMORY);
    terminal_text("\\n");
    return 0;
}
"""


@pytest.mark.parametrize("board", ["cortex-m4", "cortex-m55"])
def test_the_memory_is_what_a_board_asks_for(folder: Folder, board: str, tmp_path: Path) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")
    copy = Path(shutil.copytree(folder.path, tmp_path / "sizes"))
    (copy / "main.c").write_text(SIZES)
    done = make(copy, board)
    assert done.returncode == 0, done.stderr
    speech, stream, *macros = map(int, done.stdout.split())
    assert macros == [speech, stream]


def test_every_header_says_who_may_call(folder: Folder) -> None:
    for name in c_writer.HEADERS:
        text = re.sub(r"[\s*]+", " ", (folder.path / "src" / name).read_text())
        assert re.search(r"belongs? to (one|no) (thread|task)|come from one task", text), name


def test_the_same_file_gives_the_same_bytes(
    folder: Folder, tmp_path: Path, unmeasured: None
) -> None:
    again = contents(write_folder(ARTIFACT, tmp_path / "again").path)
    first = contents(folder.path)
    if folder.costs:  # its README tells them
        del first["README.md"], again["README.md"]
    assert again == first


def test_a_folder_of_ours_is_replaced_and_no_other(
    folder: Folder, tmp_path: Path, unmeasured: None
) -> None:
    path = Path(shutil.copytree(folder.path, tmp_path / "student"))
    (path / "stale").write_text("")
    write_folder(ARTIFACT, path)
    assert not (path / "stale").exists() and (path / "card.json").is_file()
    (tmp_path / "mine").mkdir()
    with pytest.raises(BadInput, match="no C folder of edgeemo"):
        write_folder(ARTIFACT, tmp_path / "mine")


def test_what_fails_its_self_test_is_not_written(
    tmp_path: Path, unmeasured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(student: c_text.Student) -> str:
        changed = student.golden.estimate.copy()
        changed[0] += 0.01
        values = c_text.floats(changed)
        return re.sub(r"(estimate\[\d+\] = \{)[^}]*", rf"\1{values}\n", golden(student))

    golden = c_text.golden_source
    monkeypatch.setattr(c_text, "golden_source", other)
    with pytest.raises(ParityFailed, match="or another estimate"):
        write_folder(ARTIFACT, tmp_path / "student")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("compiler", ["", "no-such-compiler"])
def test_without_a_compiler_it_refuses(
    compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setenv("PATH", str(tmp_path))
    status = cli.main(["export", str(ARTIFACT), "--format", "c", "-o", str(tmp_path / "out")])
    error = capsys.readouterr().err
    assert status == 2 and error.count("\n") == 1 and "install gcc or clang" in error
    assert not (tmp_path / "out").exists()


def test_the_command_writes_the_shipped_student(
    tmp_path: Path, unmeasured: None, capsys: pytest.CaptureFixture
) -> None:
    command = ["export", str(ARTIFACT), "--format", "c", "-o", str(tmp_path), "--json"]
    assert cli.main(command) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["path"]) == tmp_path / f"{ARTIFACT.stem}-c"
    assert (tmp_path / f"{ARTIFACT.stem}-c" / "src" / "edgeemo_student.c").is_file()


@pytest.mark.slow
def test_a_run_becomes_a_folder(
    make_run: Callable[[str, Path], Run], tmp_path: Path, unmeasured: None
) -> None:
    run = make_run("wav2small-stream", tmp_path / "run")
    with pytest.raises(BadInput, match="streams by itself"):
        export(run.folder, ("c",), int8=True, step=True)
    # A student of few steps has outputs that int8 moves; the folder is what is tested here.
    (result,) = export(run.folder, ("c",), int8=True, limits=Tolerances(ccc=0.2))
    assert result.path == run.folder / "export" / "wav2small-stream-int8-c"
    assert [row.runtime for row in result.runtimes] == ["edgeemo C int8"]
    assert from_json((result.path / "card.json").read_text()) == result.card
