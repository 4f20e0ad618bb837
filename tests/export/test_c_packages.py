"""The C folder as a library: for Arduino, PlatformIO, ESP-IDF, Zephyr, CMSIS-Pack and CMake."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import edgeemo
from edgeemo.artifacts.card import from_json
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.artifacts.tflite import read_tflite
from edgeemo.export import c_packages
from edgeemo.export.c_writer import Folder

HERE = Path(__file__).parent
# What a sketch uses, without Arduino's own functions.
SKETCH = """
#include "EdgeemoVoice.h"
#include "edgeemo_golden.h"
static EdgeemoVoice voice;
int main()
{
    if (voice.selfTest() != EDGEEMO_OK || voice.begin() != EDGEEMO_OK || voice.estimate())
        return 1;
    voice.push(edgeemo_golden_clip, EDGEEMO_GOLDEN_SAMPLES);
    if (!voice.estimate() || voice.value(0) != edgeemo_golden_estimate[0])
        return 2;
    voice.reset();
    return voice.estimate() ? 3 : 0;
}
"""
CONSUMER = """
cmake_minimum_required(VERSION 3.18)
project(consumer LANGUAGES C CXX)
find_package(edgeemo_student REQUIRED)
add_executable(sketch sketch.cpp)
target_link_libraries(sketch PRIVATE edgeemo::edgeemo_student)
"""


def require(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(c_folder: Folder) -> Path:
    return c_folder.path


def test_sources_are_c11_as_they_are(folder: Path) -> None:
    """C99 is what the writer itself compiles."""
    flags = ["-std=c11", "-Os", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only"]
    run("gcc", *flags, *sorted((folder / "src").glob("*.c")), folder=folder)


@pytest.mark.parametrize("standard", ["c++11", "c++14", "c++17", "c++20"])
def test_headers_are_cpp(standard: str, folder: Path, tmp_path: Path) -> None:
    """And ask for the functions of C, or a sketch would not link."""
    require("g++")
    (tmp_path / "sketch.cpp").write_text(SKETCH)
    flags = "-Wall -Wextra -Wpedantic -Werror -fno-exceptions -fno-rtti -c".split()
    run("g++", f"-std={standard}", *flags, f"-I{folder / 'src'}", "sketch.cpp", folder=tmp_path)
    names = {line.split()[-1] for line in run("nm", "-u", "sketch.o", folder=tmp_path).splitlines()}
    wanted = {"edgeemo_self_test", "edgeemo_speech_push_i16", "edgeemo_golden_clip"}
    assert wanted <= names


def test_the_class_cannot_be_copied(folder: Path, tmp_path: Path) -> None:
    """Its chain lies in its own memory: a copy would work in that of the first, gone or not."""
    require("g++")
    text = '#include "EdgeemoVoice.h"\n#include <type_traits>\nusing V = EdgeemoVoice;\n'
    for what in ("copy_constructible", "copy_assignable", "move_constructible"):
        text += f'static_assert(!std::is_{what}<V>::value, "{what}");\n'
    (tmp_path / "copies.cpp").write_text(text + "V made;\n")
    run("g++", "-std=c++11", f"-I{folder / 'src'}", "-fsyntax-only", "copies.cpp", folder=tmp_path)


def test_cmake_installs_a_package_that_is_found(folder: Path, tmp_path: Path) -> None:
    require("cmake", "g++")
    prefix, consumer = tmp_path / "prefix", tmp_path / "consumer"
    options = ["EDGEEMO_SELF_TEST=OFF", "CMAKE_BUILD_TYPE=Debug", f"CMAKE_INSTALL_PREFIX={prefix}"]
    told = [f"-D{option}" for option in options]
    run("cmake", "-S", folder, "-B", "build", *told, folder=tmp_path)
    run("cmake", "--build", "build", "--target", "install", folder=tmp_path)
    consumer.mkdir()
    (consumer / "CMakeLists.txt").write_text(CONSUMER)
    (consumer / "sketch.cpp").write_text(SKETCH)
    run("cmake", "-B", "build", f"-DCMAKE_PREFIX_PATH={prefix}", folder=consumer)
    run("cmake", "--build", "build", folder=consumer)
    run(consumer / "build" / "sketch", folder=consumer)


def test_a_project_takes_one_folder(folder: Path, tmp_path: Path) -> None:
    """Beside a target of the self-test's name; a second folder is refused with the way to do it."""
    require("cmake")
    text = "cmake_minimum_required(VERSION 3.18)\nproject(product C)\n"
    text += f"add_custom_target(self_test)\nadd_subdirectory({folder} first)\n"
    (tmp_path / "CMakeLists.txt").write_text(text)
    run("cmake", "-B", "build", folder=tmp_path)
    (tmp_path / "CMakeLists.txt").write_text(f"{text}add_subdirectory({folder} second)\n")
    done = subprocess.run(["cmake", "-B", "build"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode and "are in this build already" in " ".join(done.stderr.split())
    assert "model.bin of each" in " ".join(done.stderr.split())


def test_arduino_finds_the_library_and_links_its_example(folder: Path, tmp_path: Path) -> None:
    """arduino-builder reads library.properties and compiles as Arduino does."""
    require("arduino-builder", "arduino-ctags", "arm-none-eabi-gcc", "arm-none-eabi-g++")
    library = tmp_path / "libraries" / c_packages.NAME
    shutil.copytree(folder, library)
    (tmp_path / "build").mkdir()
    (tmp_path / "tools").mkdir()
    sketch = library / "examples" / "FirstEstimate" / "FirstEstimate.ino"
    told = run("arduino-builder", "-hardware", HERE / "arduino", "-libraries", library.parent,
               "-tools", tmp_path / "tools", "-fqbn", "edgeemo:bare:m4", "-verbose", "-warnings",
               "all", "-build-path", tmp_path / "build", sketch, folder=tmp_path)  # fmt: skip
    assert f"Using library {c_packages.NAME} at version {edgeemo.__version__}" in told
    names = run("arm-none-eabi-nm", tmp_path / "build" / f"{sketch.name}.elf", folder=tmp_path)
    assert {"edgeemo_self_test", "edgeemo_golden_clip"} <= set(re.findall(r"edgeemo_\w+", names))


def test_zephyr_reads_the_options(folder: Path) -> None:
    kconfiglib = pytest.importorskip("kconfiglib")
    config = kconfiglib.Kconfig(str(folder / "zephyr" / "Kconfig"))
    assert config.warnings == []
    assert config.syms["EDGEEMO_VOICE_SELF_TEST"].str_value == "n"
    config.syms["EDGEEMO_VOICE"].set_value(2)
    assert config.syms["EDGEEMO_VOICE_SELF_TEST"].str_value == "y"
    cmake = (folder / "zephyr" / "CMakeLists.txt").read_text()
    assert set(re.findall(r"CONFIG_(\w+)", cmake)) == {s for s in config.syms if "EDGEEMO" in s}
    module = (folder / "zephyr" / "module.yml").read_text()
    assert all((folder / path).exists() for path in re.findall(r"(?:cmake|kconfig): (\S+)", module))


def test_every_manifest_names_what_is_there(folder: Path) -> None:
    sources = {f"src/{path.name}" for path in (folder / "src").iterdir()}
    pack = ElementTree.parse(folder / f"edgeemo.{c_packages.NAME}.pdsc").getroot()
    files = {element.attrib["name"]: element.attrib["category"] for element in pack.iter("file")}
    assert sources == {name for name, kind in files.items() if kind in ("sourceC", "header")}
    assert all((folder / name).exists() for name in files)
    assert (folder / str(pack.findtext("license"))).is_file()

    told = json.loads((folder / "library.json").read_text())
    assert f"src/{told['headers']}" in sources
    for example in told["examples"]:
        assert all((folder / example["base"] / name).is_file() for name in example["files"])
    properties = (folder / "library.properties").read_text().splitlines()
    arduino = dict(line.split("=", 1) for line in properties)
    assert f"src/{arduino['includes']}" in sources

    release = pack.find("releases/release")
    component = re.search(r'^version: "(.*)"$', (folder / "idf_component.yml").read_text(), re.M)
    assert release is not None and component is not None
    versions = {release.attrib["version"], component[1], told["version"], arduino["version"]}
    assert versions == {edgeemo.__version__}


def test_every_source_tells_its_licence(folder: Path) -> None:
    others = {"edgeemo_student.c": "LicenseRef-weights", "edgeemo_golden.c": "CC0-1.0"}
    files = [p for p in folder.rglob("*.*") if p.suffix in (".c", ".h", ".ld", ".ino")]
    assert len(files) > 60
    for path in [*files, folder / "Makefile", folder / "CMakeLists.txt"]:
        (told,) = re.findall(r"SPDX-License-Identifier: (\S+)", path.read_text())
        assert told == others.get(path.name, "Apache-2.0"), path.name


def test_licences_name_whom_the_weights_owe(folder: Path) -> None:
    card = from_json((folder / "card.json").read_text())
    text = " ".join((folder / "LICENCES.md").read_text().split())
    assert card.licence in text and "research only" in text
    assert "Apache License" in (folder / "LICENSE").read_text()
    free = read_tflite(ZOO / f"{DEFAULT}.tflite").card
    named = c_packages.licences(type(free)(**{**vars(free), "attributions": ("A. Corpus, MIT",)}))
    assert "- A. Corpus, MIT" in named and "Permission is hereby granted" in named
