"""What makes a C folder a library for Arduino, PlatformIO, ESP-IDF, Zephyr and CMSIS-Pack tools.

Each of them finds its own file and compiles the flat `src/`, in which nothing is for one of them.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import edgeemo
from edgeemo.artifacts.card import Card
from edgeemo.artifacts.licences import MIT, verdict_of
from edgeemo.errors import BadArtifact

NAME = "EdgeemoVoice"
_SUMMARY = "How a voice sounds: arousal, dominance and valence from the samples of a microphone."
_DETAILS = (
    "A neural network with its front end in portable C99: no allocation, no operating system, no "
    "libm; the same bits on every processor."
)
_WIDTH = 100


def manifests(card: Card, sources: Sequence[str]) -> dict[str, str]:
    """The files by path in the folder.

    Args:
        card: of the student.
        sources: names of the files in `src/`.
    """
    version = edgeemo.__version__
    return {
        "library.properties": _arduino(version),
        "library.json": _platformio(version),
        "idf_component.yml": f'version: "{version}"\ndescription: "{_SUMMARY}"\n',
        "zephyr/module.yml": "name: edgeemo_voice\nbuild:\n  cmake: zephyr\n"
        "  kconfig: zephyr/Kconfig\n",
        "zephyr/CMakeLists.txt": _ZEPHYR_CMAKE,
        "zephyr/Kconfig": _ZEPHYR_KCONFIG,
        f"edgeemo.{NAME}.pdsc": _pdsc(version, sources),
        "LICENSE": _apache(),
        "LICENCES.md": licences(card),
    }


def licences(card: Card) -> str:
    """What the code is licensed for, what the weights are, and who must be named.

    Args:
        card: of the student.
    """
    lines = [
        "# Licences",
        "",
        "Code: Copyright 2026 The edgeemo authors, Apache License 2.0, see LICENSE.",
        "",
        f"Weights ({card.name}, digest {card.digest[:12]}): {card.licence}.",
        "",
        f"{verdict_of(card)}.",
    ]
    if card.attributions:
        lines += ["", "The weights were made with:", *(f"- {line}" for line in card.attributions)]
    if any("MIT" in line for line in card.attributions):
        lines += ["", "MIT License", "", *MIT]
    return "".join(f"{_wrapped(line)}\n" for line in lines)


def _wrapped(line: str) -> str:
    return textwrap.fill(line, _WIDTH, subsequent_indent="  " * line.startswith("- "))


def _apache() -> str:
    """The licence of the code, from the checkout or from where an installation has it."""
    here = Path(edgeemo.__file__).parent.parent
    installed = f"edgeemo-{edgeemo.__version__}.dist-info"
    for path in (here / "LICENSE", here / installed / "licenses" / "LICENSE"):
        if path.is_file():
            return path.read_text("utf-8")
    raise BadArtifact(f"edgeemo's LICENSE is not in {here}; install edgeemo anew")


def _arduino(version: str) -> str:
    """Format 1.5: https://arduino.github.io/arduino-cli/latest/library-specification/."""
    return f"""\
name={NAME}
version={version}
author=edgeemo
maintainer=edgeemo
sentence={_SUMMARY}
paragraph={_DETAILS}
category=Signal Input/Output
url=
architectures=*
includes={NAME}.h
"""


def _platformio(version: str) -> str:
    """Without `license`: its tools ask the network whether they know a licence."""
    told = {
        "name": NAME,
        "version": version,
        "description": _SUMMARY,
        "keywords": ["speech", "emotion", "audio", "neural network"],
        "frameworks": "*",
        "platforms": "*",
        "headers": f"{NAME}.h",
        "build": {"srcDir": "src", "includeDir": "src"},
        "examples": [
            {
                "name": "FirstEstimate",
                "base": "examples/FirstEstimate",
                "files": ["FirstEstimate.ino"],
            }
        ],
    }
    return json.dumps(told, indent=2) + "\n"


_ZEPHYR_CMAKE = """\
if(CONFIG_EDGEEMO_VOICE)
  zephyr_library()
  file(GLOB sources ${CMAKE_CURRENT_LIST_DIR}/../src/*.c)
  zephyr_library_sources(${sources})
  zephyr_include_directories(../src)
  if(NOT CONFIG_EDGEEMO_VOICE_SELF_TEST)
    zephyr_compile_definitions(EDGEEMO_NO_SELF_TEST)
  endif()
endif()
"""

_ZEPHYR_KCONFIG = f"""\
config EDGEEMO_VOICE
\tbool "{_SUMMARY}"
\thelp
\t  {_DETAILS}

config EDGEEMO_VOICE_SELF_TEST
\tbool "Self-test with a second of speech: 32 KB of flash"
\tdepends on EDGEEMO_VOICE
\tdefault y
"""


def _pdsc(version: str, sources: Sequence[str]) -> str:
    """Description of a CMSIS pack: Open-CMSIS-Pack, schema 1.7.7."""
    kinds = {".c": "sourceC", ".h": "header"}
    files = "".join(
        f'        <file category="{kinds[Path(name).suffix]}" name="src/{name}"/>\n'
        for name in sources
    )
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<package schemaVersion="1.7.7" xmlns:xs="http://www.w3.org/2001/XMLSchema-instance" \
xs:noNamespaceSchemaLocation="PACK.xsd">
  <vendor>edgeemo</vendor>
  <name>{NAME}</name>
  <description>{escape(_SUMMARY)}</description>
  <url></url>
  <license>LICENCES.md</license>
  <releases>
    <release version="{version}">{escape(_DETAILS)}</release>
  </releases>
  <components>
    <component Cclass="Machine Learning" Cgroup="Speech emotion" Cversion="{version}">
      <description>{escape(_SUMMARY)}</description>
      <files>
        <file category="doc" name="README.md"/>
        <file category="include" name="src/"/>
{files}      </files>
    </component>
  </components>
</package>
"""
