"""What is known of a clip, in short."""

from edgeemo.compress.data import Clip


def facts(clip: Clip) -> tuple[str | None, ...]:
    return clip.speaker, clip.sex, clip.language, clip.text_id, clip.emotion
