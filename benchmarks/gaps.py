"""What do lost packets cost a stream, told by `gap`, met with `reset`, or passed over?

    python benchmarks/gaps.py [--model M]

One minute of shipped speech goes through a stream in packets of 20 ms. Of these 1 % are lost at
random, or once in ten seconds there is a gap of one length. Errors are mean differences of arousal
from the stream that lost nothing, at the nearest estimates that have numbers in both.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeemo import Session, load
from edgeemo.artifacts.teachers_package import need
from edgeemo.audio import read_audio
from edgeemo.io.files import write_text

PACKET, RATE = 320, 16_000
REMEDIES = ("gap", "reset", "drop")
GAPS = (0.02, 0.1, 0.5, 1.0, 3.0)

Packets = NDArray[np.float32]  # [n, PACKET]
Lost = NDArray[np.bool_]  # [n]


def minute() -> Packets:
    """One minute of shipped speech."""
    files = sorted(need("speech/librispeech").glob("*.ogg"))
    sound = np.concatenate([read_audio(file) for file in files])
    return np.resize(sound, (60 * RATE // PACKET, PACKET))


def arousal(session: Session, packets: Packets, lost: Lost, remedy: str) -> dict[float, float]:
    """Arousal by the time that the estimate tells.

    Args:
        session: the model.
        packets: all of them.
        lost: those that do not come.
        remedy: "gap", "reset" or "drop".
    """
    stream = session.stream(smoothing=None)
    found, missing = [], 0
    for packet, gone in zip(packets, lost, strict=True):
        missing += gone
        if gone:
            continue
        seconds, missing = missing * PACKET / RATE, 0
        if seconds and remedy == "gap":
            found += stream.gap(seconds)
        elif seconds and remedy == "reset":
            stream.reset(stream.seconds + seconds)
        found += stream.push(packet)
    return {round(e.end, 2): e.arousal for e in found if e.arousal is not None}


def compare(session: Session, packets: Packets, lost: Lost) -> dict[str, dict[str, float]]:
    """Estimates and their mean error, by remedy."""
    want = arousal(session, packets, np.zeros_like(lost), "gap")
    times = np.array(list(want))
    result = {"none lost": {"estimates": float(len(want)), "error": 0.0}}
    for remedy in REMEDIES:
        got = arousal(session, packets, lost, remedy)
        # After a reset estimates end at other times: half a stride away at most.
        pairs = [(float(times[np.abs(times - t).argmin()]), t) for t in got]
        errors = [abs(want[a] - got[b]) for a, b in pairs if abs(a - b) <= 0.13]
        result[remedy] = {
            "estimates": float(len(errors)),
            "error": round(float(np.mean(errors)), 4),
        }
    return result


def main() -> None:
    """Print a table, and keep it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="wav2small-stream")
    session, packets = load(parser.parse_args().model), minute()
    rng = np.random.default_rng(0)
    cases = {"1 % of packets": rng.random(len(packets)) < 0.01}
    for seconds in GAPS:
        at = np.arange(len(packets)) * PACKET / RATE % 10
        cases[f"{seconds:g} s in 10 s"] = (at >= 5) & (at < 5 + seconds - 1e-9)
    results = {name: compare(session, packets, lost) for name, lost in cases.items()}
    print(f"{'lost':16} " + " ".join(f"{remedy:>16}" for remedy in REMEDIES))
    for name, row in results.items():
        cells = [f"{row[r]['error']:.3f} of {row[r]['estimates']:.0f}" for r in REMEDIES]
        print(f"{name:16} " + " ".join(f"{cell:>16}" for cell in cells))
    document = {"command": "python benchmarks/gaps.py", "model": session.card.name, "rows": results}
    path = Path(__file__).parent / "results" / "gaps.json"
    write_text(path, json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
