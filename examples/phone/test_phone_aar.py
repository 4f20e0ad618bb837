"""The Android library without an Android: its files, and its three processors at work.

Its libraries ask for libc.so. Here a file of that name, which asks for this machine's C library,
stands in for Android's; for armeabi-v7a that of Debian's `armel`, whose calling convention it has.
"""

from __future__ import annotations

import io
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from elftools.elf.elffile import ELFFile

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ABIS = {"arm64-v8a": "EM_AARCH64", "armeabi-v7a": "EM_ARM", "x86_64": "EM_X86_64"}
TAKEN = {"malloc", "free", "memcpy", "memmove", "memset", "memcmp", "__aeabi_memcpy8"}


@pytest.fixture(scope="module")
def built(followed: Any) -> Path:
    """The folder with the AAR."""
    return Path(followed.folder) / "build"


@pytest.fixture(scope="module")
def unpacked(built: Path) -> Path:
    (aar,) = built.glob("edgeemo-voice-*.aar")
    with zipfile.ZipFile(aar) as archive:
        assert archive.testzip() is None
        archive.extractall(built / "unpacked")
    return built / "unpacked"


def test_what_gradle_looks_for_is_there(built: Path, unpacked: Path) -> None:
    manifest = ElementTree.parse(unpacked / "AndroidManifest.xml").getroot()
    assert manifest.attrib["package"] == "org.edgeemo"
    assert "org.edgeemo.Voice" in (unpacked / "proguard.txt").read_text()
    with zipfile.ZipFile(io.BytesIO((unpacked / "classes.jar").read_bytes())) as jar:
        names = ["Emotion", "Library", "Voice", "VoiceStream"]
        assert jar.namelist() == [f"org/edgeemo/{name}.class" for name in names]
        assert jar.read("org/edgeemo/Voice.class")[6:8] == b"\0\x34"  # Java 8, for old tools
    assert (unpacked / "R.txt").read_bytes() == b""
    assert {path.name for path in (unpacked / "jni").iterdir()} == {*ABIS}
    (pom,) = built.glob("*.pom")
    tags = {e.tag.rpartition("}")[2]: e.text for e in ElementTree.parse(pom).iter()}
    assert tags["packaging"] == "aar" and pom.stem == f"{tags['artifactId']}-{tags['version']}"
    told = " ".join((unpacked / "META-INF" / "LICENCES.md").read_text().split())
    assert tags["name"] and tags["name"].removeprefix("model: ") in told
    assert "Apache License" in (unpacked / "META-INF" / "LICENSE").read_text()


@pytest.mark.parametrize("abi", ABIS)
def test_a_library_fits_android(unpacked: Path, abi: str) -> None:
    """Pages of 16 KB, the one library that it asks for, and no other function."""
    path = unpacked / "jni" / abi / "libedgeemo_phone.so"
    assert path.stat().st_size < 256 << 10
    with path.open("rb") as file:
        elf = ELFFile(file)
        assert elf["e_machine"] == ABIS[abi]
        loads = [s["p_align"] for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
        assert loads and min(loads) >= 16384
        dynamic = elf.get_section_by_name(".dynamic")
        tags = [tag.entry.d_tag for tag in dynamic.iter_tags()]
        assert "DT_TEXTREL" not in tags
        assert [tag.needed for tag in dynamic.iter_tags("DT_NEEDED")] == ["libc.so"]
        symbols = [*elf.get_section_by_name(".dynsym").iter_symbols()][1:]
        asked = {s.name for s in symbols if s["st_shndx"] == "SHN_UNDEF"}
        given = {s.name for s in symbols} - asked
    assert asked <= TAKEN
    assert all(n.startswith(("edgeemo_phone_", "Java_org_edgeemo_Voice")) for n in given)


def stand_in(compiler: str, folder: Path) -> Path:
    """A libc.so that has nothing and asks for this machine's C library; its folder."""
    folder.mkdir()
    empty = folder / "empty.c"
    empty.write_text("")
    link = ["-shared", "-Wl,--no-as-needed", "-Wl,-soname,libc.so", "-o", folder / "libc.so"]
    subprocess.run([compiler, empty, *link], check=True)
    return folder


@pytest.fixture
def clip_file(clip: Any, tmp_path: Path) -> Path:
    path = tmp_path / "clip.f32"
    path.write_bytes((clip.samples.astype("<f4") / 32768).tobytes())
    return path


def values(text: str) -> dict[str, np.float32]:
    return {name: np.float32(value) for name, value in map(str.split, text.splitlines())}


ARM = {
    "arm64-v8a": ("aarch64-linux-gnu", "qemu-aarch64"),
    "armeabi-v7a": ("arm-linux-gnueabi", "qemu-arm"),
}


@pytest.fixture
def check_bits(
    student: Any, clip: Any, clip_file: Path, sound: Any, numbered: Callable[[str], Any]
) -> Callable[[Callable[..., Any]], None]:
    """Asks a program, given how it is run, for a clip's estimate and for a stream's."""

    def check(run: Callable[..., Any]) -> None:
        done = run(clip_file)
        assert done.returncode == 0, done.stderr + done.stdout
        assert values(done.stdout) == student.estimate(clip.samples)
        done = run(sound.path, "stream")
        assert done.returncode == 0, done.stderr + done.stdout
        found = numbered(done.stdout)
        assert found == student.stream(sound.samples)
        assert {line[2] == "nobody" for line in found} == {True, False}

    return check


@pytest.mark.parametrize("abi", ARM)
def test_arm_gives_the_bits_of_python(
    abi: str,
    unpacked: Path,
    check_bits: Callable[..., None],
    needs: Callable[..., None],
    tmp_path: Path,
) -> None:
    machine, emulator = ARM[abi]
    compiler, root = f"{machine}-gcc", f"/usr/{machine}"
    needs(compiler, emulator)
    caller = tmp_path / "caller"
    subprocess.run([compiler, HERE / "caller.c", "-ldl", "-o", caller], check=True)
    place = f"LD_LIBRARY_PATH={stand_in(compiler, tmp_path / 'shim')}:{root}/lib"
    library = unpacked / "jni" / abi / "libedgeemo_phone.so"
    command = [emulator, "-L", root, "-E", place, caller, library]
    check_bits(lambda *a: subprocess.run([*command, *a], capture_output=True, text=True))


def run_java(unpacked: Path, shim: Path, classes: Path, *arguments: str | Path, abi: str) -> Any:
    place = f"-Djava.library.path={unpacked / 'jni' / abi}"
    jar = unpacked / "classes.jar"
    return subprocess.run(
        ["java", "-Xcheck:jni", place, "-cp", f"{jar}:{classes}", "Listen", *arguments],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(shim)},
    )


def test_the_classes_give_the_bits_of_python(
    unpacked: Path,
    check_bits: Callable[..., None],
    clip_file: Path,
    needs: Callable[..., None],
    tmp_path: Path,
) -> None:
    """The jar and the library for x86_64, on this machine's Java."""
    needs("java", "javac", "gcc")
    shim = stand_in("gcc", tmp_path / "shim")
    jar = unpacked / "classes.jar"
    subprocess.run(["javac", "-cp", jar, "-d", tmp_path, HERE / "Listen.java"], check=True)
    check_bits(lambda *a: run_java(unpacked, shim, tmp_path, *a, abi="x86_64"))
    # A library for another processor: Java's error, which names processor and file.
    done = run_java(unpacked, shim, tmp_path, clip_file, abi="arm64-v8a")
    assert done.returncode == 1 and "has no library for this processor" in done.stderr
    assert "libedgeemo_phone.so" in done.stderr
