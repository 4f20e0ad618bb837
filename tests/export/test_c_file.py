"""model.bin: the same estimate as the student in C, damage noticed, any content read safely."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from edgeemo.artifacts.card import from_json
from edgeemo.export import c_file
from edgeemo.export.c_writer import LIBRARY, Folder

CHANGES = 300


def test_the_file_is_the_student(c_folder: Folder, tmp_path: Path) -> None:
    sources = sorted((c_folder.path / "src").glob("*.c"))
    program = tmp_path / "program"
    flags = "-std=c99 -g -O1 -fsanitize=address,undefined -fno-sanitize-recover=all".split()
    main = Path(__file__).parent / "model_file.c"
    include = f"-I{c_folder.path / 'src'}"
    subprocess.run(["gcc", *flags, include, main, *sources, "-o", program], check=True)
    command = [program, c_folder.path / "model.bin", str(CHANGES), "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    card = from_json((c_folder.path / "card.json").read_text())
    labels = [label for o in card.outputs for label in o.labels]
    assert sorted(done.stdout.split()) == sorted(labels)
    opened = re.match(r"(\d+) of", done.stderr)
    assert opened and 0 < int(opened[1]) < CHANGES  # some changes are harmless, some refused


def test_the_readme_compiles(c_folder: Folder, tmp_path: Path) -> None:
    """Its blocks of C, as they stand, one behind the other in a function."""
    blocks = re.findall(r"```c\n(.*?)```", (c_folder.path / "README.md").read_text(), re.S)
    assert len(blocks) == 2
    lines = "".join(blocks).splitlines()
    includes = [line for line in lines if line.startswith("#include")]
    body = [line for line in lines if not line.startswith("#include")]
    body = [line.replace("for (;;)", "for (int i = 0; i < 1; i++)") for line in body]
    second = next(i for i, line in enumerate(body) if line.startswith("edgeemo_file "))
    body[second:second] = ["{"]
    declared = """
extern const int16_t *microphone(void);
extern void use(float value, float confidence);
extern const void *bank;
extern size_t bank_bytes;
int run(void);
int run(void)
{
"""
    program = tmp_path / "readme.c"
    end = ["return status;", "}", "}"]
    program.write_text("\n".join([*includes, declared, *body, *end]) + "\n")
    flags = "-std=c99 -O1 -Wall -Wextra -Wpedantic -Werror".split()
    include = f"-I{c_folder.path / 'src'}"
    subprocess.run(["gcc", *flags, include, "-c", program, "-o", tmp_path / "o"], check=True)


def test_the_head_is_what_c_reads(c_folder: Folder) -> None:
    data = (c_folder.path / "model.bin").read_bytes()
    header = (LIBRARY / "include" / "edgeemo_file.h").read_text()
    version = re.search(r"EDGEEMO_FILE_VERSION = (\d+)", header)
    assert version and int(version[1]) == c_file.VERSION
    assert data[:4] == c_file.MAGIC and int.from_bytes(data[8:12], "little") == len(data)
    assert bytes.fromhex(c_folder.card.digest) in data
