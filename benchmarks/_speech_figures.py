"""Tables of speech for readme_table.py: in the world, students side by side, sounds, bursts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from _figures import MISSING, markdown, result

_BESIDE = {"built-in teacher": "teacher", "eGeMAPS (openSMILE) + SVR": "eGeMAPS"}
"""Beside the default student in the table of conditions, and what heads their columns."""

_COMMON = (
    "clean",
    "babble 10 dB",
    "babble 5 dB",
    "pink noise 10 dB",
    "pink noise 5 dB",
    "room 0.6 s, 1 m",
    "telephone",
    "level -30 dB",
)
"""Conditions that the README shows; its guide has all."""


def robustness() -> str:
    """Agreement with annotators under the conditions that most people meet, in few words."""
    return _robustness("wav2small-stream", _BESIDE, _COMMON)


def robustness_all() -> str:
    """Agreement with annotators of default student, teacher and baseline under all conditions."""
    return _robustness("wav2small-stream", _BESIDE)


def robustness_open() -> str:
    """The same of the model that may be sold."""
    return _robustness("wav2small-stream-open", {})


def _robustness(name: str, others: Mapping[str, str], only: Sequence[str] = ()) -> str:
    """A table of conditions, and the commands that measured it.

    Args:
        name: the student, by its name in robustness.json.
        others: those beside it, and what heads their columns.
        only: conditions; without, all of them and how they were measured.
    """
    found = result("robustness.json")
    if found is None or name not in found["commands"]:
        return MISSING
    judges = {name: "CCC"} | {k: v for k, v in others.items() if k in found["commands"]}
    rows = [
        [
            row["condition"],
            *(f"{value:.2f}" for judge in judges for value in row[judge]["ccc"]),
            f"{row[name]['speech']:.2f}",
        ]
        for row in found["rows"]
        if not only or row["condition"] in only
    ]
    head = ["speech", *(f"{who} {x}" for who in judges.values() for x in "ADV"), "told as speech"]
    commands = " and ".join(f"`{found['commands'][judge]}`" for judge in judges)
    how = "" if only else _protocol(found, judges)
    return f"{markdown(head, rows)}\n\n{how}Made by {commands}."


def _protocol(found: Mapping[str, Any], judges: Iterable[str]) -> str:
    """How the conditions were measured."""
    apart = [sd for row in found["rows"] for judge in judges for sd in row[judge].get("sd", ())]
    drawn = (
        f"; mean over repetitions with other folds, standard deviation at most {max(apart):.3f}"
        if apart
        else ""
    )
    return (
        f"{found['test_set']}, speaker-independent (unseen speakers){drawn}. "
        "Noise stands at its ratio to the level of speech; babble is six people. CCC is that of "
        "all clips; the last column is the share that the default gate lets pass. "
    )


def students() -> str:
    """Students of speech by the same folds: agreement, bytes, work and time."""
    found = result("students.json")
    if found is None:
        return MISSING
    rows = [
        [
            f"`{name}`",
            f"{row['passes']}",
            *(f"{value:.3f}" for ccc in row["ccc"].values() for value in ccc),
            f"{row['bytes'] / 1000:.0f} KB",
            f"{row['parameters']:,}",
            f"{row['macs_per_second'] / 1e6:.1f} M",
            f"{row['time']:.2f}",
        ]
        for name, row in found["students"].items()
    ]
    under = [name for row in found["students"].values() for name in row["ccc"]]
    agreement = [f"{name} {x}" for name in dict.fromkeys(under) for x in "ADV"]
    head = ["student", "passes", *agreement, "ONNX", "parameters", "MAC / s", "time"]
    return f"{markdown(head, rows)}\n\nMade by `{found['command']}`."


def sounds() -> str:
    """What gates miss and take for speech, and which sounds the student tells."""
    found = result("sounds.json")
    if found is None:
        return MISSING
    gates = found["gates"]
    measures = [m for m in gates["student"] if not m.endswith("noise as speech")]
    head = ["share of time", *gates]
    table = markdown(head, [[m, *(f"{gates[g][m]:.3f}" for g in gates)] for m in sorted(measures)])
    most = {
        word: next((name, share) for name, share in row.items() if name != "clips")
        for word, row in found["sounds"].items()
        if not word.startswith("burst")
    }
    told = "; ".join(f"{word} {name} {share:.2f}" for word, (name, share) in most.items())
    return (
        f"{table}\n\nLaughs and bursts of amusement told as laughter: "
        f"{found['laughs told as laughter']:.2f}. What clips of each word are told as most often, "
        f"and how often: {told}. {found['clips']:,} clips, {found['folds']} of 5 folds by person, "
        f"int8; {100 * found['more MAC']:.1f} % more work. Made by `{found['command']}`."
    )


def bursts() -> str:
    """Recall of classes on bursts of the voice and on speech."""
    found = result("bursts.json")
    if found is None:
        return MISSING
    head = ["mean recall", *(f"{name}, {clips:,} clips" for name, clips in found["clips"].items())]
    rows = [
        [name, *(f"{row[of]['mean']:.3f}" for of in found["clips"])]
        for name, row in found["recall"].items()
    ]
    taught = found["recall"]["classes taught bursts"]["emogator"]
    each = ", ".join(f"{name} {share:.2f}" for name, share in taught.items() if name != "mean")
    return (
        f"{markdown(head, rows)}\n\nOf bursts, once taught: {each}. 5 folds by person, int8 but "
        f"for the linear heads; {found['bytes more']:,} bytes more; dimensions move by "
        f"{found['dimensions apart']:.4f} in the mean, by rounding. Made by `{found['command']}`."
    )
