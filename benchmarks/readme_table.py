"""Write the figures of the pages from what the benchmarks measured, so that none is typed by hand.

    python benchmarks/readme_table.py           writes the blocks anew
    python benchmarks/readme_table.py --check   exit status 1 if they are not what they should be

The pages are those of PAGES. A block lies between `<!-- figures:NAME -->` and `<!-- /figures -->`;
NAME is a function below, in _speech_figures.py or in _face_figures.py.
Files of benchmarks/results/ are read. Metrics of one row that were not measured are absent.

crossval.json, agreement with human ratings on unseen speakers:
    {"test_set": str, "protocol": str, "command": str, "rows": [
        {"name": str, "arousal": {"mean": float, "sd": float}, "dominance": ..., "valence": ...}]}
latency.json, from samples or a picture to the estimate:
    {"machine": str, "protocol": str, "command": str, "rows": [
        {"peer": str, "file": str, "ms": float, "peak_mb": float}]}
codecs.json, faces.json, face_folds.json, compression.json, int4.json, languages.json,
open_weights.json, robustness.json, sounds.json, students.json and teacher.json: as the
benchmarks of those names write them.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from _face_figures import face_folds, faces, faces_changed
from _figures import MISSING, markdown, result, spread
from _speech_figures import bursts, robustness, robustness_all, robustness_open, sounds, students

ROOT = Path(__file__).resolve().parents[1]
GUIDES = ROOT / "docs" / "guides"
RECIPES = ROOT / "tools" / "recipes"
PAGES = (
    ROOT / "README.md",
    *(
        GUIDES / f"{name}.md"
        for name in ("compression", "files", "languages", "licences", "sounds", "world")
    ),
    *(RECIPES / name / "README.md" for name in ("mobilenet", "mobilenetv1-face")),
)

_ORDERED = ("ravdess_full", "nemo", "turev", "tess")

BLOCK = re.compile(r"(<!-- figures:(\w+) -->\n).*?(<!-- /figures -->)", re.DOTALL)
COMMAND = "python benchmarks/readme_table.py"


def accuracy() -> str:
    """CCC on each dimension, mean and spread, of teacher, students, baselines and people."""
    found = result("crossval.json")
    if found is None:
        return MISSING
    teacher = result("teacher.json")
    rows = [
        [row["name"], *(spread(row.get(d)) for d in ("arousal", "dominance", "valence"))]
        for row in (*([teacher["row"]] if teacher else ()), *found["rows"])
    ]
    table = markdown(["CCC", "arousal", "dominance", "valence"], rows)
    return f"{table}\n\n{found['test_set']}. {found['protocol']}. Made by `{found['command']}`" + (
        f"; the teacher's row by `{teacher['command']}`." if teacher else "."
    )


def models() -> str:
    """Bytes, parameters, work and time of each shipped model."""
    from edgeemo.artifacts.models import shipped

    latency = result("latency.json") or {"rows": []}
    # The first peer of each file is the one that edgeemo prefers for it.
    times = {row["file"]: row for row in reversed(latency["rows"])}
    rows = []
    for model in shipped():
        time = times.get(model.path.name, {})
        rows.append(
            [
                f"`{model.path.name}`",
                f"{model.bytes / 1000:.0f} KB",
                f"{model.card.parameters:,}",
                f"{model.card.macs_per_second / 1e6:.1f} M",
                f"{time['ms']:.1f} ms" if "ms" in time else "",
                f"{time['peak_mb']:.0f} MB" if "peak_mb" in time else "",
            ]
        )
    if not rows:
        return MISSING
    head = ["model", "file", "parameters", "MAC / s or face", "one estimate", "peak memory"]
    table = markdown(head, rows)
    if "command" not in latency:
        return table
    told = f"{latency['protocol']}, {latency['machine']}. Made by `{latency['command']}`."
    return f"{table}\n\n{told}"


def open_weights() -> str:
    """Agreement of the models that may be sold with EmoTale's raters, and order of arousal."""
    found = result("open_weights.json")
    if found is None:
        return MISSING
    rows = [
        [
            row["name"],
            *(f"{value:.2f}" for value in (*row["correlation"], *row["ccc"])),
            *(f"{row['auc'][c]:.2f}" if c in row["auc"] else "" for c in _ORDERED),
        ]
        for row in found["rows"]
    ]
    letters = ("A", "D", "V")
    head = ["", *(f"r {x}" for x in letters), *(f"CCC {x}" for x in letters), *_ORDERED]
    languages = "; ".join(
        f"{row['name']}, CCC by language: "
        + ", ".join(
            f"{language} {' '.join(f'{value:.2f}' for value in values)}"
            for language, values in row["languages"].items()
        )
        for row in found["rows"]
    )
    told = (
        f"EmoTale, {found['rows'][0]['clips']} clips, speaker-independent (unseen speakers, and an "
        "unseen corpus): correlation and CCC of arousal, dominance and valence with the mean "
        "of three raters. Then the area under the curve of arousal, anger and happiness against "
        f"sadness, neutral, calm and boredom, in four unseen corpora. {languages}. "
        f"Made by `{found['command']} --data DATA --teacher --student wav2small-stream-open.onnx`."
    )
    return f"{markdown(head, rows)}\n\n{told}"


def languages() -> str:
    """Order of arousal and valence, and recall, of a model that met none of the people."""
    found = result("languages.json")
    if found is None:
        return MISSING
    rows = [
        [
            ", ".join(row["languages"]),
            row["corpus"],
            f"{row['clips']:,}",
            f"{row['speakers']}",
            *(f"{row[key]:.2f}" if row[key] else "" for key in ("arousal_auc", "valence_auc")),
            *(
                f"{row[key]:.2f}" if row[key] and row["classes"] else ""
                for key in ("uar", "uar_of_traces")
            ),
            f"{1 / row['classes']:.2f}" if row["classes"] else "",
        ]
        for row in found["rows"]
    ]
    head = [
        "language",
        "corpus",
        "clips",
        "speakers",
        "arousal, AUC",
        "valence, AUC",
        "UAR of classes",
        "UAR of traces",
        "chance",
    ]
    told = f"`{found['model']}`, int8, the file that `edgeemo.load` takes (TFLite)"
    return f"{markdown(head, rows)}\n\n{told}. Made by `{found['command']}`."


def codecs() -> str:
    """What a codec does to estimates."""
    found = result("codecs.json")
    if found is None:
        return MISSING
    rows = [
        [
            form,
            f"{row['worst']:.2f}",
            f"{row['mean']:.3f}",
            f"{row['dB']:.0f} dB" if row["dB"] else "",
        ]
        for form, row in found["rows"].items()
    ]
    head = ["", "largest difference", "mean", "sound to noise"]
    told = f"`{found['model']}`, {found['clips']} clips of the demo speech, 16 kHz, against WAV"
    return f"{markdown(head, rows)}\n\n{told}. Made by `{found['command']}`."


def compression() -> str:
    """CCC of students that were pruned or trained with rounding, in float and int8."""
    found = result("compression.json")
    if found is None:
        return MISSING
    rows = [
        [
            f"`{name}`",
            variant,
            f"{row['parameters']:,}",
            f"{row['macs_per_second'] / 1e6:.1f} M",
            *(spread(ccc) for ccc in (row["float"], row["onnx"]["ccc"], row["tflite"]["ccc"])),
            f"{row['tflite']['bytes'] / 1000:.0f} KB",
        ]
        for name, variants in found.items()
        for variant, row in variants.items()
    ]
    head = [
        "student",
        "variant",
        "parameters",
        "MAC / s",
        "float",
        "ONNX int8",
        "TFLite int8",
        "file",
    ]
    return markdown(head, rows)


def int4() -> str:
    """CCC and bytes of files with weights of four and of eight bits."""
    found = result("int4.json")
    if found is None:
        return MISSING
    rows = [
        [
            row["file"],
            f"{row['bytes'] / 1000:.1f} KB",
            *(f"{value:.3f}" for value in row["ccc"].values()),
            f"{row['worst agreement']:.4f}",
            f"{row['refused']} of {found['folds']}",
        ]
        for row in found["rows"]
    ]
    heads = ["file", "bytes", "arousal", "dominance", "valence", "with float, worst", "refused"]
    clips, people, folds = (found[key] for key in ("clips", "speakers", "folds"))
    told = f"EmoTale, {clips} clips of {people} speakers, {folds} folds that held them out"
    return f"{markdown(heads, rows)}\n\n{told}. Made by `{found['command']}`."


WRITERS: Mapping[str, Callable[[], str]] = {
    "accuracy": accuracy,
    "bursts": bursts,
    "codecs": codecs,
    "compression": compression,
    "face_folds": face_folds,
    "faces": faces,
    "faces_changed": faces_changed,
    "int4": int4,
    "languages": languages,
    "models": models,
    "open_weights": open_weights,
    "robustness": robustness,
    "robustness_all": robustness_all,
    "robustness_open": robustness_open,
    "sounds": sounds,
    "students": students,
}


def filled(text: str) -> str:
    """A page's text with every block written anew."""
    return BLOCK.sub(lambda m: f"{m[1]}{WRITERS[m[2]]()}\n{m[3]}", text)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the figures of the pages.")
    parser.add_argument("--check", action="store_true", help="change nothing, compare")
    args = parser.parse_args()
    status = 0
    for page in PAGES:
        text = page.read_text()
        new = filled(text)
        if args.check and new != text:
            status = 1
            print(f"{page.name} is not what benchmarks/results say; run: {COMMAND}")
        if not args.check:
            page.write_text(new)
    return status


if __name__ == "__main__":
    sys.exit(main())
