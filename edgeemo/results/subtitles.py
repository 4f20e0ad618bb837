"""Subtitles: WebVTT and SRT.

Sources: WebVTT, W3C Candidate Recommendation of 2019 (https://www.w3.org/TR/webvtt1/); of SRT there
is no standard: numbers from 1, a comma before the milliseconds, no comments.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgeemo.results.cues import Cue


def webvtt(cues: Sequence[Cue], notes: Sequence[str]) -> str:
    """A WebVTT file.

    Args:
        cues: in the order of time.
        notes: lines of a comment at its head; they are shown to nobody who watches.
    """
    # A line with an arrow would be taken for the times of a cue, an empty one for the end.
    lines = [note.replace("-->", "->") for note in notes if note.strip()]
    blocks = ["WEBVTT", "\n".join(["NOTE", *lines])]
    blocks += [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n<v {cue.who}>{_escaped(cue.text())}"
        for cue in cues
    ]
    return "\n\n".join(blocks) + "\n"


def srt(cues: Sequence[Cue]) -> str:
    """An SRT file of cues in the order of time; the format has no comments."""
    blocks = [
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.who}: {cue.text()}\n"
        for number, cue in enumerate(cues, 1)
    ]
    return "\n".join(blocks)


def _clock(ms: int, point: str) -> str:
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{ms:03d}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
