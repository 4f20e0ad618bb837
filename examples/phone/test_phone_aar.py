"""The Android library without an Android: its files, and two of its processors at work.

Its libraries ask for libc.so. Here a file of that name, which asks for this machine's C library,
stands in for Android's. armeabi-v7a is built and examined, and not run: there is no C library of
its calling convention here.
"""

from __future__ import annotations

import io
import shutil
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
ROOT = "/usr/aarch64-linux-gnu"  # where Debian's cross compiler keeps its C library
ABIS = {"arm64-v8a": "EM_AARCH64", "armeabi-v7a": "EM_ARM", "x86_64": "EM_X86_64"}
TAKEN = {"malloc", "free", "memcpy", "memmove", "memset", "memcmp", "__aeabi_memcpy8"}


@pytest.fixture(scope="module")
def built(
    student: Any, needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder with the AAR."""
    needs("make", "clang", "ld.lld", "javac", "arm-none-eabi-gcc")
    build = tmp_path_factory.mktemp("aar")
    jdk = Path(str(shutil.which("javac"))).resolve().parents[1]
    options = [f"STUDENT={student.folder}", f"BUILD={build}", f"JDK={jdk}"]
    done = subprocess.run(
        ["make", "-s", "-C", HERE, "aar", *options], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return build


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
        assert jar.namelist() == ["org/edgeemo/Voice.class"]
        assert jar.read("org/edgeemo/Voice.class")[6:8] == b"\0\x34"  # Java 8, for old tools
    assert (unpacked / "R.txt").read_bytes() == b""
    assert {path.name for path in (unpacked / "jni").iterdir()} == {*ABIS}
    (pom,) = built.glob("*.pom")
    tags = {e.tag.rpartition("}")[2]: e.text for e in ElementTree.parse(pom).iter()}
    assert tags["packaging"] == "aar" and pom.stem == f"{tags['artifactId']}-{tags['version']}"
    licence = (unpacked / "META-INF" / "MODEL_LICENCE").read_text().strip()
    assert licence and tags["name"] == f"model: {licence}"


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
    assert all(n.startswith(("edgeemo_phone_", "Java_org_edgeemo_Voice_")) for n in given)


def stand_in(compiler: str, folder: Path) -> Path:
    """A libc.so that has nothing and asks for this machine's C library; its folder."""
    folder.mkdir()
    empty = folder / "empty.c"
    empty.write_text("")
    link = ["-shared", "-Wl,--no-as-needed", "-Wl,-soname,libc.so", "-o", folder / "libc.so"]
    subprocess.run([compiler, empty, *link], check=True)
    return folder


@pytest.fixture
def sound(clip: Any, tmp_path: Path) -> Path:
    path = tmp_path / "clip.f32"
    path.write_bytes((clip.samples.astype("<f4") / 32768).tobytes())
    return path


def values(text: str) -> dict[str, np.float32]:
    return {name: np.float32(value) for name, value in map(str.split, text.splitlines())}


def test_arm64_gives_the_bits_of_python(
    unpacked: Path, student: Any, clip: Any, sound: Path, needs: Callable[..., None], tmp_path: Path
) -> None:
    needs("aarch64-linux-gnu-gcc", "qemu-aarch64")
    caller = tmp_path / "caller"
    compiler = "aarch64-linux-gnu-gcc"
    subprocess.run([compiler, HERE / "caller.c", "-ldl", "-o", caller], check=True)
    shim = stand_in(compiler, tmp_path / "shim")
    library = unpacked / "jni" / "arm64-v8a" / "libedgeemo_phone.so"
    emulator = ["qemu-aarch64", "-L", ROOT, "-E", f"LD_LIBRARY_PATH={shim}:{ROOT}/lib"]
    done = subprocess.run([*emulator, caller, library, sound], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert values(done.stdout) == student.estimate(clip.samples)


def test_the_class_gives_the_bits_of_python(
    unpacked: Path, student: Any, clip: Any, sound: Path, needs: Callable[..., None], tmp_path: Path
) -> None:
    """The jar and the library for x86_64, on this machine's Java."""
    needs("java", "javac", "gcc")
    shim = stand_in("gcc", tmp_path / "shim")
    jar = unpacked / "classes.jar"
    subprocess.run(["javac", "-cp", jar, "-d", tmp_path, HERE / "Listen.java"], check=True)
    place = f"-Djava.library.path={unpacked / 'jni' / 'x86_64'}"
    done = subprocess.run(
        ["java", "-Xcheck:jni", place, "-cp", f"{jar}:{tmp_path}", "Listen", sound],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(shim)},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert values(done.stdout) == student.estimate(clip.samples)
