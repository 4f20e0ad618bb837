"""`open_dataset`: find out what a path holds, and read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from edgeemo.audio import SUFFIXES
from edgeemo.errors import BadData, counted
from edgeemo.vision.pictures import SUFFIXES as PICTURES

from .cameo import find_cameo, read_cameo
from .clips import LOG, Clip, DataSet, Span
from .corpora import read_named_corpus
from .corpus_info import licence_of
from .faces import plain_faces, read_faces, read_tables
from .found import files_below, links_left_out
from .iemocap import find_summaries, read_iemocap
from .labels import UNIT, Scale, read_labels
from .msp_podcast import find_consensus, read_msp_podcast
from .shards import find_shards, read_shards


def open_dataset(path: str | Path, scale: Scale = UNIT) -> DataSet:
    """Read the labels of a data set; sound and pictures are read one by one, later.

    Understood, in this order:
      - a folder with `labels.csv` (see `labels`);
      - tar shards in WebDataset's layout: one file, or a folder of them (see `shards`);
      - MSP-Podcast and IEMOCAP, by their label files, and CAMEO, Parquet files of sound;
      - FER+, FER2013, AffectNet, RAF-DB, and folders of faces named by expression (see `faces`);
      - RAVDESS, CREMA-D, Emo-DB, EmoTale, nEMO, TESS, by the names of their files (see `corpora`);
      - a folder whose subfolders are such data sets: their union, ids "corpus/...";
      - a plain folder of sound files, without labels: the folder a file lies in is its speaker;
      - a plain folder of pictures, each of which is a face.

    Args:
        path: the folder, or one tar file, or one Parquet table of faces.
        scale: lowest and highest rating in a `labels.csv` or in shards.

    Raises:
        BadData: nothing there, no sound in it, or faulty labels (file and line are named).
    """
    folder = Path(path)
    if not folder.exists():
        raise BadData(f"{folder}: no such file or folder; give a folder of sound files")
    name = folder.resolve().name
    if folder.suffix == ".parquet" and folder.is_file():
        if find_cameo(folder):
            return DataSet(folder.stem, tuple(read_cameo([folder])))
        return DataSet(folder.stem, tuple(read_tables([folder], folder.resolve().parent.name)))
    if folder.is_file():
        if not find_shards(folder):
            raise BadData(f"{folder}: is a file; expected a folder, or a tar file of samples")
        return DataSet(folder.stem, tuple(read_shards([folder], folder.stem, scale)))
    if links := links_left_out(folder):
        LOG.warning(
            "%s: not followed: %s to folders, out of this one, or to nothing; copy what they mean",
            folder,
            counted(links, "link"),
        )
    clips = _read_corpus(folder, name, scale)
    if clips is None:
        clips = _read_union(folder, scale)
    if clips is None:
        clips = list(_read_plain(folder, name)) or list(plain_faces(folder, name))
    if not clips:
        raise BadData(
            f"{folder}: holds no sound and no pictures; "
            f"expected files that end in {', '.join((*SUFFIXES, *PICTURES))}"
        )
    return DataSet(name, tuple(clips))


def _read_corpus(folder: Path, name: str, scale: Scale) -> list[Clip] | None:
    """Clips of a folder that is one labelled corpus, else None."""
    if (folder / "labels.csv").is_file():
        return list(read_labels(folder, name, scale))
    if shards := find_shards(folder):
        return list(read_shards(shards, name, scale))
    if cameo := find_cameo(folder):
        return list(read_cameo(cameo))
    if find_consensus(folder):
        return list(read_msp_podcast(folder))
    if find_summaries(folder):
        return list(read_iemocap(folder))
    if (named := read_named_corpus(folder, _sounds(folder))) is not None:
        return named
    return read_faces(folder, name)


def _read_union(folder: Path, scale: Scale) -> list[Clip] | None:
    """Clips of a folder whose subfolders are corpora, else None."""
    found: list[Clip] = []
    left_out = []
    for part in sorted(p for p in folder.iterdir() if p.is_dir() and not p.is_symlink()):
        clips = _read_corpus(part, part.name, scale)
        if clips is not None:
            found += [replace(clip, id=f"{part.name}/{clip.id}") for clip in clips]
        elif any(_sounds(part)):
            left_out.append(part.name)
    if found and left_out:
        LOG.warning(
            "%s: folders of sound without labels are left out (%s); open them by themselves",
            folder,
            ", ".join(left_out),
        )
    return found or None


def _read_plain(folder: Path, corpus: str) -> Iterator[Clip]:
    loose = 0
    for file in _sounds(folder):
        id = file.relative_to(folder).as_posix()
        inside = "/" in id
        loose += not inside
        speaker = f"{corpus}/{id.rpartition('/')[0] if inside else file.stem}"
        yield Clip(id, corpus, speaker, Span(file), licence=licence_of(corpus))
    if loose:
        LOG.warning(
            "%s: %d files lie in no subfolder; each counts as a speaker of its own. "
            "Put each speaker's files into a folder, or write labels.csv",
            folder,
            loose,
        )


def _sounds(folder: Path) -> Iterator[Path]:
    """Sound files in a folder and its subfolders, by name."""
    return files_below(folder, SUFFIXES)
