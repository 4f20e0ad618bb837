"""The front end in firmware: what gets linked, and that the header's own example is C."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

C = Path(__file__).resolve().parents[2] / "cmake_ext"
STRICT = (
    "-std=c99",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wdouble-promotion",
    "-Werror",
)

# Only linked, never run: the tables' values do not matter.
WITH_TABLES = """
#include "edgeemo_internal.h"
static const edgeemo_tables tables = {.window = 400, .hop = 160, .fft = 512, .bands = 40,
                                     .arithmetic = &edgeemo_float_arithmetic};
static double memory[1000];
static int16_t block[160];
int main(void)
{
    edgeemo_frontend *fe;
    float frame[40];
    int32_t taken;
    if (edgeemo_frontend_init_tables(&fe, memory, sizeof memory, &tables) != EDGEEMO_OK)
        return 1;
    edgeemo_frontend_push(fe, frame, 40, frame, 1, &taken);
    return edgeemo_frontend_push_i16(fe, block, 160, frame, 1, &taken);
}
"""
WITH_SPEC = """
#include "edgeemo.h"
static double memory[1500];
int main(void)
{
    static const edgeemo_feature_spec spec = EDGEEMO_LOGMEL40;
    edgeemo_frontend *fe;
    return edgeemo_frontend_init(&fe, memory, sizeof memory, &spec);
}
"""
IN_DOUBLE = re.compile(r"__aeabi_[cd]?d\w*|__aeabi_(f|i|ui|l|ul)2d|__\w+df\d?")
ALLOCATION = re.compile(r"_?(m|c|re)alloc(_r)?|_?free(_r)?|_sbrk(_r)?")
LIBM = re.compile(r"(sin|cos|tan|exp|exp2|log|log2|log10|log1p|pow|sqrt|fmod|floor|round)(f|l)?")


def linked_symbols(program: str, sources: list[Path], folder: Path) -> set[str]:
    """Names in a program for Cortex-M4, after the linker has left out what nothing calls."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed; .ci/run installs it when run by root")
    (folder / "main.c").write_text(program)
    ports = C / "ports"
    subprocess.run(
        [
            "arm-none-eabi-gcc",
            "-std=c99",
            "-O2",
            "-ffp-contract=off",
            "-mthumb",
            "-mcpu=cortex-m4",
            "-mfpu=fpv4-sp-d16",
            "-mfloat-abi=hard",
            "-ffunction-sections",
            "-fdata-sections",
            "-Wl,--gc-sections",
            "-nostartfiles",
            "--specs=nano.specs",
            "--specs=nosys.specs",
            f"-I{C / 'include'}",
            f"-I{C / 'src'}",
            *map(str, sources),
            str(ports / "start.c"),
            "main.c",
            "-lm",
            "-L",
            str(ports),
            "-T",
            str(ports / "mps2-an386.ld"),
            "-o",
            "program",
        ],
        check=True,
        cwd=folder,
    )
    listing = subprocess.run(
        ["arm-none-eabi-nm", "program"], cwd=folder, check=True, capture_output=True, text=True
    )
    return {line.split()[-1] for line in listing.stdout.splitlines()}


def matching(pattern: re.Pattern[str], names: set[str]) -> set[str]:
    return {name for name in names if pattern.fullmatch(name)}


def test_with_tables_in_flash_nothing_is_linked_from_outside(
    sources: list[Path], tmp_path: Path
) -> None:
    names = linked_symbols(WITH_TABLES, sources, tmp_path)
    assert {"edgeemo_frontend_push", "edgeemo_frontend_push_i16", "edgeemo_log"} <= names
    for pattern in (IN_DOUBLE, ALLOCATION, LIBM):
        assert matching(pattern, names) == set()


def test_making_tables_takes_doubles_and_nothing_else(sources: list[Path], tmp_path: Path) -> None:
    names = linked_symbols(WITH_SPEC, sources, tmp_path)
    assert {"__aeabi_dmul", "__aeabi_dadd"} <= matching(IN_DOUBLE, names)
    for pattern in (ALLOCATION, LIBM):
        assert matching(pattern, names) == set()


@pytest.mark.parametrize("bits", [(), ("-m32", "-msse2", "-mfpmath=sse")], ids=["64", "32"])
def test_example_of_the_header_is_c(bits: tuple[str, ...], tmp_path: Path) -> None:
    header = (C / "include" / "edgeemo.h").read_text()
    example = re.findall(r"^ \*     (.*)$", header[: header.index(" * Ownership")], re.MULTILINE)
    assert len(example) > 10
    function = "int32_t use(const float *samples, int32_t n);\n"
    function += function.rstrip(";\n") + "\n{\n" + "\n".join(example) + "\n}\n"
    source = tmp_path / "example.c"
    source.write_text('#include "edgeemo.h"\n' + function)
    # The headers that a 32-bit program needs come with the compiler: gcc-multilib is for linking.
    subprocess.run(
        [
            "gcc",
            *STRICT,
            "-ffreestanding",
            *bits,
            f"-I{C / 'include'}",
            "-c",
            str(source),
            "-o",
            str(tmp_path / "example.o"),
        ],
        check=True,
    )
