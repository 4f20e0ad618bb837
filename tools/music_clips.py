"""Cut a corpus of music out of recordings, for the recipe table `sounds`.

    python tools/music_clips.py --out DATA/music ALBUM=LICENCE ALBUM=LICENCE ...

ALBUM is a folder of recordings, LICENCE what its owner says, for example "CC BY-SA 3.0". Up to six
stretches of six seconds of each piece become clips; a piece is one speaker, so that no split
cuts it. Needs ffmpeg. The recordings of benchmarks/sounds.py are those of Debian packages, which
`apt-get download` and `dpkg-deb -x` bring: see docs/guides/sounds.md.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from edgeemo.types import SAMPLE_RATE

SECONDS, CLIPS = 6, 6
ENDINGS = (".ogg", ".mp3", ".opus", ".flac", ".wav")
LEAST_LEVEL = 0.003  # root mean square; softer stretches are pauses


def cut(file: Path, out: Path, name: str) -> list[str]:
    """Write the clips of a piece; their names. None of a piece of less than two clips.

    Args:
        file: the recording.
        out: folder of the clips.
        name: of the piece; clips are called after it.
    """
    decode = ["ffmpeg", "-loglevel", "error", "-i", str(file), "-vn", "-f", "f32le", "-ac", "1"]
    raw = subprocess.run([*decode, "-ar", str(SAMPLE_RATE), "-"], capture_output=True)
    if raw.returncode:
        print(f"{file}: left out: {raw.stderr.decode(errors='replace')[:200]}", file=sys.stderr)
    sound, length, names = np.frombuffer(raw.stdout, "<f4"), SECONDS * SAMPLE_RATE, []
    count = min(CLIPS, len(sound) // (2 * length) * 3)
    for number in range(count):
        start = int((len(sound) - length) * (number + 0.5) / count)
        clip = sound[start : start + length]
        if np.sqrt(np.mean(np.square(clip))) >= LEAST_LEVEL:
            names.append(f"{name}-{number}.flac")
            soundfile.write(out / names[-1], np.clip(clip, -1, 1), SAMPLE_RATE)
    return names


def main(argv: Sequence[str] | None = None) -> int:
    """Cut all; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("albums", nargs="+", metavar="ALBUM=LICENCE")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    rows: list[dict[str, str]] = []
    args.out.mkdir(parents=True, exist_ok=True)
    for each in args.albums:
        album, _, licence = each.partition("=")
        files = sorted(
            p for p in Path(album).rglob("*") if p.is_file() and p.suffix.lower() in ENDINGS
        )
        if not files or not licence:
            print(f"{each}: expected FOLDER=LICENCE, a folder with recordings", file=sys.stderr)
            return 2
        for number, file in enumerate(files):
            piece = f"{Path(album).name}-{number:03d}"
            told = {"speaker": piece, "sound": "music", "licence": licence}
            rows += [{"path": name} | told for name in cut(file, args.out, piece)]
    with (args.out / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["path", "speaker", "sound", "licence"])
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(rows)} clips of {len({row['speaker'] for row in rows})} pieces in {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
