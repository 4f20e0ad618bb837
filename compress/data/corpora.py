"""Acted corpora as they are distributed, known by their file names.

The name of each file tells who spoke which sentence with which emotion; one entry of `CORPORA`
tells how to read it. Labels that lie beside the sound (EmoTale, nEMO, CREMA-D) are joined by name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, pstdev

from .clips import LOG, Clip, Span
from .corpus_info import licence_of, speaker_and_group
from .emotions import share_votes
from .tables import Row, read_table

Clips = dict[str, Clip]
"""Clips by the stem of their file."""


@dataclass(frozen=True)
class NamedCorpus:
    """A corpus whose file names carry the labels.

    Attributes:
        name: of the corpus.
        stem: what a file's stem looks like; groups `speaker`, `emotion`, and where there are such
            `text`, `language`, and further groups, which become tags.
        emotions: code in the name to a word of `emotions.WORDS`.
        language: ISO 639-1, or the map from the group `language`.
        sex: of a speaker by name, None if the corpus does not say.
        join: adds what lies in label files beside the sound.
    """

    name: str
    stem: re.Pattern[str]
    emotions: Mapping[str, str]
    language: str | Mapping[str, str]
    sex: Callable[[str], str | None]
    join: Callable[[Path, Clips], Clips] = lambda folder, clips: clips

    def clip(self, file: Path, id: str) -> Clip | None:
        """One file as a clip, or None if its name is not of this corpus.

        Args:
            file: of sound.
            id: of the clip.
        """
        match = self.stem.fullmatch(file.stem)
        if match is None:
            return None
        codes = match.groupdict()
        name = codes.pop("speaker")
        emotion = self.emotions[codes.pop("emotion")]
        language = self.language
        if not isinstance(language, str):
            language = language[codes.pop("language")]
        speaker, group = speaker_and_group(self.name, name)
        votes, other = share_votes([(emotion, 1.0)])
        return Clip(
            id=id,
            corpus=self.name,
            speaker=speaker,
            span=Span(file),
            sex=self.sex(name),
            language=language,
            text_id=codes.pop("text", None),
            emotion=emotion,
            votes=votes,
            other=other,
            licence=licence_of(self.name),
            group=group,
            tags={tag: value for tag, value in codes.items() if value is not None},
        )


def read_named_corpus(folder: Path, files: Iterable[Path]) -> list[Clip] | None:
    """Clips of a folder in which every file is named as one of `CORPORA`, else None.

    Copies of a corpus often hold every file twice, in nested folders; the first is taken.

    Args:
        folder: of the corpus; label files are looked for in it, below it and beside it.
        files: of sound, in the folder or below it.

    Raises:
        BadData: a label file is wrong; the message has file and line.
    """
    # Some corpora come as MP3 beside WAV.
    files = sorted(files, key=lambda file: (file.suffix.lower() not in (".wav", ".flac"), file))
    for corpus in CORPORA:
        clips: Clips = {}
        doubles = 0
        for file in files:
            clip = corpus.clip(file, file.relative_to(folder).as_posix())
            if clip is None:
                break
            doubles += file.stem in clips
            clips.setdefault(file.stem, clip)
        else:
            if doubles:
                LOG.warning("%s: %d files come twice, each was taken once", folder, doubles)
            return list(corpus.join(folder, clips).values()) if clips else None
    return None


def _join_emotale(folder: Path, clips: Clips) -> Clips:
    """annotations.csv: three annotators' dimensions (1..5 by halves) and category for each file."""
    path = _find(folder, "annotations.csv")
    if path is None:
        LOG.warning("%s: no annotations.csv, so no ratings; fetch it from EmoTale's page", folder)
        return clips
    raters = ("a1", "a2", "a3")
    columns = [f"{r}_{x}" for r in raters for x in (*"ADV", "cat")]
    joined = dict(clips)
    for row in read_table(path, ["file", *columns]):
        stem = Path(row.values["file"]).stem
        if stem not in joined:
            continue
        ratings = [_scale(row, [f"{r}_{x}" for r in raters], 1, 5) for x in "ADV"]
        codes = [row.text(f"{r}_cat") for r in raters]
        wrong = [code for code in codes if code is not None and code not in _EMOTALE]
        if wrong:
            raise row.fault(f"category {wrong[0]!r:.40}; expected one of {', '.join(_EMOTALE)}")
        votes, other = share_votes((_EMOTALE[code], 1.0) for code in codes if code)
        a, d, v = ratings
        joined[stem] = replace(
            joined[stem],
            dimensions=(fmean(a), fmean(d), fmean(v)) if a and d and v else None,
            dimensions_sd=_spread(a, d, v),
            votes=votes,
            other=other,
        )
    return joined


def _spread(*ratings: list[float]) -> tuple[float, float, float] | None:
    """Deviations between raters; one rating has none, and 0 would read as perfect agreement."""
    if min(map(len, ratings)) < 2:
        return None
    a, d, v = map(pstdev, ratings)
    return a, d, v


def _join_nemo(folder: Path, clips: Clips) -> Clips:
    """data.tsv: the text, and the speaker's sex and age."""
    path = _find(folder, "data.tsv")
    if path is None:
        LOG.warning("%s: no data.tsv, so no sex of speakers", folder)
        return clips
    joined = dict(clips)
    columns = ("file_id", "emotion", "raw_text", "speaker_id", "gender", "age")
    for row in read_table(path, columns, delimiter="\t"):
        stem = Path(row.values["file_id"]).stem
        if stem not in joined:
            continue
        if row.word("emotion") != joined[stem].emotion:
            raise row.fault(f"emotion {row.text('emotion')!r} is not the one in the file's name")
        sex = {"female": "F", "male": "M"}.get(row.values["gender"].strip())
        tags = {tag: row.values[tag] for tag in ("raw_text", "age")}
        joined[stem] = replace(joined[stem], sex=sex, tags={**joined[stem].tags, **tags})
    return joined


def _join_cremad(folder: Path, clips: Clips) -> Clips:
    """processedResults/tabulatedVotes.csv, rows of the voice; VideoDemographics.csv."""
    joined = dict(clips)
    path = _find(folder, "tabulatedVotes.csv")
    if path is None:
        LOG.warning("%s: no tabulatedVotes.csv, so no votes; the acted category counts", folder)
    else:
        for stem, counts in _voice_votes(path).items():
            if stem in joined:
                votes, other = share_votes(counts.items())
                joined[stem] = replace(joined[stem], votes=votes, other=other)
    path = _find(folder, "VideoDemographics.csv")
    if path is not None:
        sexes = {
            f"cremad/{row.values['ActorID'].strip()}": row.values["Sex"].strip()[:1] or None
            for row in read_table(path, ["ActorID", "Sex"])
        }
        joined = {k: replace(c, sex=sexes.get(c.speaker)) for k, c in joined.items()}
    return joined


def _voice_votes(path: Path) -> dict[str, dict[str, float]]:
    """Votes by word of annotators who listened without the picture, by stem."""
    codes = {code: _CREMAD[emotion] for emotion, code in zip(_CREMAD, "ADFHNS", strict=True)}
    found: dict[str, dict[str, float]] = {}
    for row in read_table(path, ["", *codes, "fileName"]):
        # The first column is a number plus 100000 for voice, 200000 for face, 300000 for both.
        if not 100_000 <= row.as_number(row.values[""], "first column", 0, 1e6) < 200_000:
            continue
        counts = found.setdefault(row.values["fileName"].strip(), {})
        for code, word in codes.items():
            counts[word] = counts.get(word, 0.0) + (row.number(code, 0, 1e6) or 0.0)
    return found


def _scale(row: Row, columns: Iterable[str], low: float, high: float) -> list[float]:
    """Ratings of one dimension as 0..1, those that were given."""
    values = [row.number(column, low, high) for column in columns]
    return [(value - low) / (high - low) for value in values if value is not None]


def _find(folder: Path, name: str) -> Path | None:
    """A label file by name, in the folder, below it, or beside it (the folder holds the sound)."""
    below = sorted(folder.rglob(name))
    beside = [folder.parent / name, folder.parent / "processedResults" / name]
    return next((path for path in [*below, *beside] if path.is_file()), None)


_EMOTALE = {"A": "anger", "B": "boredom", "H": "happiness", "N": "neutral", "S": "sadness"}
_CREMAD = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
_RAVDESS = {
    f"{number:02d}": word
    for number, word in enumerate(
        ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"), start=1
    )
}
_TESS = {
    "angry": "anger",
    "disgust": "disgust",
    "fear": "fear",
    "happy": "happiness",
    "neutral": "neutral",
    "ps": "surprise",  # "pleasant surprise"
    "sad": "sadness",
}
_EMODB = {  # first letters of the German words
    "W": "anger",  # Wut
    "L": "boredom",  # Langeweile
    "E": "disgust",  # Ekel
    "A": "fear",  # Angst
    "F": "happiness",  # Freude
    "T": "sadness",  # Trauer
    "N": "neutral",
}
_EMODB_MEN = frozenset({"03", "10", "11", "12", "15"})
_NEMO = {
    "anger": "anger",
    "fear": "fear",
    "happiness": "happiness",
    "neutral": "neutral",
    "sadness": "sadness",
    "surprised": "surprise",
}

CORPORA = (
    # 03-01-06-01-02-01-12: modality, channel (speech, song), emotion, intensity (normal, strong),
    # statement, repetition, actor (odd: man).
    NamedCorpus(
        "ravdess",
        re.compile(
            r"03-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
            r"-(?P<text>0[12])-(?P<take>0[12])-(?P<speaker>\d\d)"
        ),
        _RAVDESS,
        "en",
        lambda speaker: "M" if int(speaker) % 2 else "F",
    ),
    # 1001_DFA_ANG_XX: actor, sentence, emotion, level (low, medium, high, not said).
    NamedCorpus(
        "cremad",
        re.compile(
            r"(?P<speaker>1\d{3})_(?P<text>[A-Z]{3})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)"
            r"_(?P<level>LO|MD|HI|XX?)"  # one file of the corpus ends in a single X
        ),
        _CREMAD,
        "en",
        lambda speaker: None,
        _join_cremad,
    ),
    # 03a01Fa: speaker, text, emotion, version.
    NamedCorpus(
        "emodb",
        re.compile(r"(?P<speaker>\d\d)(?P<text>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<version>[a-z])"),
        _EMODB,
        "de",
        lambda speaker: "M" if speaker in _EMODB_MEN else "F",
    ),
    # DK_004_A_5: language, speaker, emotion, sentence.
    NamedCorpus(
        "emotale",
        re.compile(r"(?P<language>DK|EN)_(?P<speaker>\d{3})_(?P<emotion>[ABHNS])_(?P<text>\d+)"),
        _EMOTALE,
        {"DK": "da", "EN": "en"},
        lambda speaker: None,
        _join_emotale,
    ),
    # EB0_anger_1: speaker, emotion, sentence.
    NamedCorpus(
        "nemo",
        re.compile(rf"(?P<speaker>[A-Z]{{2}}\d)_(?P<emotion>{'|'.join(_NEMO)})_(?P<text>\d+)"),
        _NEMO,
        "pl",
        lambda speaker: None,
        _join_nemo,
    ),
    # OAF_back_angry: speaker (older, younger woman), word after "say the word", emotion.
    NamedCorpus(
        "tess",
        re.compile(rf"(?P<speaker>OAF|OA|YAF)_(?P<text>[a-z]+)_(?P<emotion>{'|'.join(_TESS)})"),
        _TESS,
        "en",
        lambda speaker: "F",
    ),
)
"""The corpora that are known by their file names."""
