"""88 eGeMAPS functionals of each clip, for crossval.py and robustness.py to compare with.

    python benchmarks/egemaps.py CLIPS egemaps.npz

Needs an environment of its own: pip install opensmile==2.6.0. openSMILE comes under audEERING's
research licence and is used for this comparison alone.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile


def functionals(sounds: Iterable[tuple[np.ndarray[Any, Any], int]]) -> np.ndarray[Any, Any]:
    """The functionals of each sound, [N, 88].

    Args:
        sounds: samples, float32 [n], and their rate in Hz.
    """
    import opensmile  # is in no environment of the project's own

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    return np.stack([smile.process_signal(x, rate).to_numpy()[0] for x, rate in sounds])


def main() -> None:
    """One array for each clip, named by the file without its ending."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="of FLAC, OGG and WAV files")
    parser.add_argument("out", type=Path, help="the .npz file to write")
    args = parser.parse_args()
    folder, out = args.folder, args.out
    paths = sorted([*folder.glob("*.flac"), *folder.glob("*.ogg"), *folder.glob("*.wav")])
    if not paths:
        parser.error(f"{folder}: no .flac, .ogg or .wav file in it; give a folder of clips")
    if out.suffix != ".npz" or not out.parent.is_dir():
        parser.error(f"{out}: expected a file that ends in .npz, in a folder that is there")
    if importlib.util.find_spec("opensmile") is None:
        parser.error("opensmile is not installed; install it with: pip install opensmile==2.6.0")
    rows = functionals(soundfile.read(path, dtype="float32") for path in paths)
    found = {path.stem: row for path, row in zip(paths, rows, strict=True)}
    np.savez(out, **found)
    print(f"{out}: {len(found)} clips")


if __name__ == "__main__":
    main()
