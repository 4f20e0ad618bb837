"""How do people put voice and face together, and does edgeemo's fusion do the same?

    python benchmarks/fusion.py VOTES [--rounds 10]

prints the figures and writes benchmarks/results/fusion.json. VOTES is
`processedResults/tabulatedVotes.csv` of CREMA-D (ODbL 1.0,
https://github.com/CheyneyComputerScience/CREMA-D): for each of 7,442 clips of 91 actors some ten
people chose one of six emotions from the voice alone, other people from the face alone, and others
from both.

Fitted on those counts: two exponents, so that voice^a times face^b, normalized, is what people say
of both together; and for each dimension the share of the voice, with categories replaced by the
place that listeners give them. The figures are of actors that the fit had not seen. edgeemo.fusion
holds the fitted numbers; tests/edgeemo/test_fusion.py sees that they are those of the result file.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from edgeemo.compress.data.intervals import EXPECTED
from edgeemo.types import DIMENSIONS

RESULT = Path(__file__).parent / "results" / "fusion.json"
EMOTIONS = {
    "N": "neutral",
    "H": "happiness",
    "S": "sadness",
    "A": "anger",
    "D": "disgust",
    "F": "fear",
}
PRIOR_VOTES = 0.5  # added to each count: nobody of ten does not mean never
FOLDS = 7
Array = NDArray[np.float64]


def read(path: Path) -> tuple[list[str], dict[str, Array]]:
    """Actor of each clip, and the counts [clips, 6] by what people had of it."""
    counts: dict[str, dict[str, list[int]]] = {"voice": {}, "face": {}, "both": {}}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            # The first digit of the row's number tells what was shown.
            side = {"1": "voice", "2": "face", "3": "both"}[row[""][0]]
            counts[side][row["fileName"]] = [int(row[letter]) for letter in EMOTIONS]
    clips = sorted(set.intersection(*map(set, counts.values())))
    table = {side: np.array([found[c] for c in clips], float) for side, found in counts.items()}
    return [clip[:4] for clip in clips], table


def shares(counts: Array) -> Array:
    padded = counts + PRIOR_VOTES
    return padded / padded.sum(1, keepdims=True)


def pooled(voice: Array, face: Array, exponents: Array) -> Array:
    product = voice ** exponents[0] * face ** exponents[1]
    return product / product.sum(1, keepdims=True)


def surprise(found: Array, votes: Array) -> float:
    """Mean negative log-probability of a vote, in nats."""
    return float(-(votes * np.log(found)).sum() / votes.sum())


def fit_exponents(voice: Array, face: Array, votes: Array) -> Array:
    start = np.array([0.5, 0.5])
    return np.asarray(minimize(lambda e: surprise(pooled(voice, face, e), votes), start).x)


def fit_share(voice: Array, face: Array, both: Array) -> float:
    """The voice's part a / (a + b) of a * voice + b * face + c, by least squares."""
    table = np.stack([voice, face, np.ones_like(voice)], axis=1)
    a, b, _ = np.linalg.lstsq(table, both, rcond=None)[0]
    return float(a / (a + b))


def measure(actors: list[str], table: dict[str, Array], seed: int) -> list[dict[str, float]]:
    """One repetition: figures of the held-out actors of each fold."""
    voice, face, votes = shares(table["voice"]), shares(table["face"]), table["both"]
    names = np.array(actors)
    people = np.random.default_rng(seed).permutation(sorted(set(actors)))
    rows = []
    for part in np.array_split(people, FOLDS):
        held = np.isin(names, part)
        exponents = fit_exponents(voice[~held], face[~held], votes[~held])
        found = {
            "voice alone": voice,
            "face alone": face,
            "mean of both": (voice + face) / 2,
            "product of both": pooled(voice, face, np.ones(2)),
            "fitted": pooled(voice, face, exponents),
        }
        rows.append({name: surprise(p[held], votes[held]) for name, p in found.items()})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("votes", type=Path)
    parser.add_argument("--rounds", type=int, default=10, help="repetitions with other folds")
    args = parser.parse_args()
    actors, table = read(args.votes)
    voice, face = shares(table["voice"]), shares(table["face"])
    rows = [row for seed in range(args.rounds) for row in measure(actors, table, seed)]
    both = shares(table["both"])
    centers = np.array([EXPECTED[name].center for name in EMOTIONS.values()])
    exponents = fit_exponents(voice, face, table["both"])
    result: dict[str, Any] = {
        "command": f"python benchmarks/fusion.py tabulatedVotes.csv --rounds {args.rounds}",
        "clips": len(actors),
        "actors": len(set(actors)),
        "folds": FOLDS,
        "rounds": args.rounds,
        "exponents": {"voice": round(exponents[0], 3), "face": round(exponents[1], 3)},
        "voice_share": {
            name: round(fit_share(*(side @ centers[:, i] for side in (voice, face, both))), 3)
            for i, name in enumerate(DIMENSIONS)
        },
        "nats_a_vote": {
            name: {
                "mean": round(float(np.mean([r[name] for r in rows])), 4),
                "sd": round(float(np.std([r[name] for r in rows])), 4),
            }
            for name in rows[0]
        },
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
