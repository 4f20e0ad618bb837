"""88 eGeMAPS functionals of each clip, for benchmarks/crossval.py to compare with.

    python benchmarks/egemaps.py CLIPS egemaps.npz

Needs its own environment: pip install opensmile==2.6.0. openSMILE comes under audEERING's research
licence and is used for this comparison alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile


def main(folder: Path, out: Path) -> None:
    """One array for each clip, named by the file without its ending."""
    import opensmile  # is in no environment of the project's own

    smile = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    found = {}
    for path in sorted([*folder.glob("*.flac"), *folder.glob("*.ogg"), *folder.glob("*.wav")]):
        samples, rate = soundfile.read(path, dtype="float32")
        found[path.stem] = smile.process_signal(samples, rate).to_numpy()[0]
    np.savez(out, **found)
    print(f"{out}: {len(found)} clips")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
