"""What scale.py measures on: tars of changed speech, and their labels many times over."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np

HOUR, TARS, SECONDS = 1077, 4, 3.35
"""Clips of an hour, tars that they lie in, and their length."""


def make_tars(folder: Path, count: int) -> float:
    """Tars of so many clips of changed speech; hours of sound in them."""
    import soundfile

    from edgeemo.compress.data import shipped_speech
    from edgeemo.compress.data.augment import add_at_snr, change_speed, colored_noise

    rng = np.random.default_rng(1)
    clips = shipped_speech().clips
    samples = 0
    for number in range(TARS):
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(folder / f"{number}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
            for i in range(number, count, TARS):
                clip = clips[i % len(clips)]
                sound = change_speed(clip.samples(), rng.uniform(0.9, 1.1))
                sound = np.resize(sound, int(SECONDS * 16_000))
                noise = colored_noise(len(sound), 1.0, rng)
                sound = add_at_snr(sound * rng.uniform(0.3, 1), noise, rng.uniform(15, 40))
                data = io.BytesIO()
                soundfile.write(data, np.clip(sound, -1, 1), 16_000, format="FLAC")
                speaker = f"{clip.speaker.replace('/', '-')}-{i // len(clips)}"
                labels = json.dumps({"speaker": speaker}).encode()
                for name, content in (
                    (f"{i:05d}.flac", data.getvalue()),
                    (f"{i:05d}.json", labels),
                ):
                    member = tarfile.TarInfo(name)
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
                samples += len(sound)
    return samples / 16_000 / 3600


def multiply(labels: Path, times: int, out: Path) -> None:
    """The labels under so many other names."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from edgeemo.compress.labels.layout import UNCOMPRESSED

    (folder,) = labels.iterdir()
    made = out / folder.name
    made.mkdir(parents=True)
    shutil.copy(folder / "settings.json", made)
    manifest = json.loads((folder / "part-00001-of-00001.json").read_text())
    units = manifest["units"]
    manifest["units"] = []
    for hour in range(times):
        for unit in units:
            digest = hashlib.sha256(f"{unit['digest']}{hour}".encode()).hexdigest()[:32]
            table = pq.read_table(folder / f"{unit['digest']}.parquet")
            for name in ("address", "group"):
                values = [f"{v}-{hour}" for v in table[name].to_pylist()]
                table = table.set_column(table.column_names.index(name), name, pa.array(values))
            pq.write_table(table, made / f"{digest}.parquet", row_group_size=256, **UNCOMPRESSED)
            manifest["units"].append(unit | {"digest": digest, "name": f"{hour}/{unit['name']}"})
    manifest["listed"] = len(manifest["units"])
    (made / "part-00001-of-00001.json").write_text(json.dumps(manifest))
