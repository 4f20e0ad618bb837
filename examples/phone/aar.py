"""Build an Android library (AAR) with clang and a JDK, without the NDK.

    make aar STUDENT=folder JDK=/usr/lib/jvm/java-17-openjdk-amd64

An AAR is a ZIP: the manifest, the classes, one shared library for each processor, rules for R8. It
is written beside its .pom. The same sources give the same bytes.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

HERE = Path(__file__).resolve().parent

ABIS: Mapping[str, tuple[str, ...]] = {
    "arm64-v8a": ("--target=aarch64-linux-android24",),
    # Its kernels are in assembly, which wants the register of the frame pointer.
    "armeabi-v7a": ("--target=armv7a-linux-androideabi24", "-mthumb", "-fomit-frame-pointer"),
    "x86_64": ("--target=x86_64-linux-android24", "-mno-fma"),
}
"""By the name that Android gives to processors, what clang calls them. API 24 is Android 7."""

SHARED = ("-nostdlib", "-shared", "-fPIC", "-fuse-ld=lld")
# Pages of 16 KB; a name that libc.c does not have is an error.
LINK = ("-Wl,--gc-sections", "-Wl,-z,max-page-size=16384", "-Wl,--no-undefined", "-s", "-lc")
COMPILE = ("-ffreestanding", "-nostdlibinc", f"-isystem{HERE / 'android' / 'include'}")

METADATA = "META-INF/com/android/build/gradle/aar-metadata.properties"
POM = """<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.edgeemo</groupId>
  <artifactId>edgeemo-voice</artifactId>
  <version>{version}</version>
  <packaging>aar</packaging>
  <licenses>
    <license><name>code: Apache-2.0</name></license>
    <license><name>model: {licence}</name></license>
  </licenses>
</project>
"""


def run(*command: str | Path) -> str:
    """The output of a program that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout


def library(abi: str, build: Path, flags: Sequence[str]) -> bytes:
    """The shared library for one processor.

    Args:
        abi: of ABIS.
        build: folder for what is in between.
        flags: of the compiler, and the sources.
    """
    folder = build / abi
    folder.mkdir(parents=True, exist_ok=True)
    stub = HERE / "android" / "libc.c"
    name = ("-fno-builtin", "-Wl,-soname,libc.so", "-o", folder / "libc.so")
    run("clang", *ABIS[abi], *SHARED, stub, *name)
    out = folder / "libedgeemo_phone.so"
    command = [*ABIS[abi], *SHARED, *COMPILE, "-fvisibility=hidden", *flags, f"-L{folder}", *LINK]
    run("clang", *command, *_division(abi), "-o", out)
    return out.read_bytes()


def _division(abi: str) -> tuple[str, ...]:
    """ARMv7 divides by functions: those of GCC, which may be part of any program."""
    if abi != "armeabi-v7a":
        return ()
    processor = ("-mthumb", "-march=armv7-a+vfpv3-d16", "-mfloat-abi=softfp")
    return (run("arm-none-eabi-gcc", *processor, "-print-libgcc-file-name").strip(),)


def classes(jdk: Path, build: Path) -> bytes:
    """The jar of the classes."""
    out = build / "classes"
    out.mkdir(parents=True, exist_ok=True)
    lint = ("-Xlint:all,-options", "-Werror")
    sources = [HERE / f"{name}.java" for name in ("Emotion", "Library", "Voice", "VoiceStream")]
    run(jdk / "bin" / "javac", "--release", "8", *lint, "-d", out, *sources)
    return archive({p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*.class")})


def archive(files: Mapping[str, bytes]) -> bytes:
    """A ZIP of files, in the order of their names and without their times."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as out:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            out.writestr(entry, files[name])
    return data.getvalue()


def main() -> None:
    """Build the AAR and its .pom."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--student", type=Path, required=True, help="folder of the C export")
    parser.add_argument("--jdk", type=Path, required=True)
    parser.add_argument("--build", type=Path, required=True)
    args, flags = parser.parse_known_args()
    flags += [f"-I{args.jdk}/include", f"-I{args.jdk}/include/linux"]
    licence = json.loads((args.student / "card.json").read_text())["licence"]
    version = json.loads((args.student / "library.json").read_text())["version"]
    parts = {
        "AndroidManifest.xml": (HERE / "android" / "AndroidManifest.xml").read_bytes(),
        "R.txt": b"",
        "proguard.txt": (HERE / "android" / "proguard.txt").read_bytes(),
        "classes.jar": classes(args.jdk, args.build),
        **{f"META-INF/{n}": (args.student / n).read_bytes() for n in ("LICENSE", "LICENCES.md")},
        METADATA: b"aarFormatVersion=1.0\naarMetadataVersion=1.0\n",
    }
    for abi in ABIS:
        parts[f"jni/{abi}/libedgeemo_phone.so"] = library(abi, args.build, flags)
    out = args.build / f"edgeemo-voice-{version}.aar"
    out.write_bytes(archive(parts))
    out.with_suffix(".pom").write_text(POM.format(version=version, licence=escape(licence)))
    print(f"{out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    sys.exit(main())
