"""What a file is, told by its first bytes, and what reads it or what to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgeemo.sound.endings import transport_packet

HEAD = 512
"""First bytes that `kind_of` wants."""

SOUND_SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".aifc", ".au", ".snd"),
    *(".caf", ".w64", ".rf64", ".m4a", ".m4b", ".aac", ".wma", ".amr", ".mka", ".mp2", ".spx"),
    *(".ac3", ".eac3", ".dts", ".wv", ".tta", ".sph", ".voc"),
)
"""Endings of sound files, in small letters."""

UNREAD_SUFFIXES = (
    *(".heic", ".heif", ".avif", ".tif", ".tiff", ".gif", ".jp2", ".j2k", ".jxl", ".svg", ".psd"),
    *(".ico", ".dng", ".exr", ".dds", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
    *(".ape", ".mpc", ".dsf", ".dff", ".ra", ".mid", ".midi", ".m3u", ".m3u8"),
    *(".rm", ".rmvb", ".vob", ".mxf", ".swf", ".asx", ".pls", ".mts", ".m2ts"),
)
"""Endings of pictures, sound and video that nothing here reads, in small letters."""

_AS_SOUND = "convert it first: ffmpeg -i FILE -ar 16000 -ac 1 OUT.wav"
_AS_PICTURE = "save it as PNG or JPEG first"


@dataclass(frozen=True)
class Kind:
    """What a file is.

    Attributes:
        name: with its article, for messages.
        reader: "libsndfile" for sound that it knows, "ffmpeg" for containers, "" for what is no
            sound.
        remedy: what the user can do where nothing reads it.
    """

    name: str
    reader: Literal["libsndfile", "ffmpeg", ""]
    remedy: str = _AS_SOUND

    @property
    def is_picture(self) -> bool:
        """Whether it is a picture that nothing here reads."""
        return self.remedy == _AS_PICTURE

    @property
    def media(self) -> bool:
        """Whether it would be read in another format."""
        return self.remedy in (_AS_SOUND, _AS_PICTURE)


UNKNOWN = Kind("of no known kind", "libsndfile", "expected WAV, FLAC, OGG or MP3")

# First bytes, from the first of the file on.
_STARTS: tuple[tuple[bytes, Kind], ...] = (
    (b"RIFX", Kind("a WAV file", "libsndfile")),
    (b"RF64", Kind("a WAV file", "libsndfile")),
    (b"riff\x2e\x91\xcf\x11", Kind("a Wave64 file", "libsndfile")),
    (b"fLaC", Kind("a FLAC file", "libsndfile")),
    (b"OggS", Kind("an Ogg file", "libsndfile")),
    (b"ID3", Kind("an MP3 file", "libsndfile")),
    (b"FORM", Kind("an AIFF file", "libsndfile")),
    (b".snd", Kind("an AU file", "libsndfile")),
    (b"caff", Kind("a CAF file", "libsndfile")),
    (b"#!AMR", Kind("an AMR file", "ffmpeg")),
    (b"\x1a\x45\xdf\xa3", Kind("a Matroska or WebM file", "ffmpeg")),
    (b"FLV\x01", Kind("a Flash video", "ffmpeg")),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", Kind("a Windows Media file", "ffmpeg")),
    (b"\0\0\1\xba", Kind("an MPEG video", "ffmpeg")),
    (b"\0\0\1\xb3", Kind("an MPEG video", "ffmpeg")),
    (b"II*\0", Kind("a TIFF picture", "", _AS_PICTURE)),
    (b"MM\0*", Kind("a TIFF picture", "", _AS_PICTURE)),
    (b"GIF8", Kind("a GIF picture", "", _AS_PICTURE)),
    (b"\0\0\0\x0cjP  ", Kind("a JPEG 2000 picture", "", _AS_PICTURE)),
    (b"\xff\x4f\xff\x51", Kind("a JPEG 2000 picture", "", _AS_PICTURE)),
    (b"\xff\xd8\xff", Kind("a JPEG picture", "", "give it to a model of faces")),
    (b"\x89PNG", Kind("a PNG picture", "", "give it to a model of faces")),
    (b"BM", Kind("a BMP picture", "", "give it to a model of faces")),
    (b"8BPS", Kind("a Photoshop picture", "", _AS_PICTURE)),
    (b"%PDF", Kind("a PDF document", "", "give a sound file")),
    (b"PK\x03\x04", Kind("a ZIP archive", "", "unpack it first")),
    (b"\x1f\x8b", Kind("a gzip archive", "", "unpack it first")),
    (b"MThd", Kind("a MIDI file, which holds notes and no sound", "", "render it to WAV first")),
    (b"MAC ", Kind("a Monkey's Audio file", "")),
    (b"wvpk", Kind("a WavPack file", "ffmpeg")),
    (b"TTA1", Kind("a True Audio file", "ffmpeg")),
    (b"\x0b\x77", Kind("an AC-3 file", "ffmpeg")),
    (b"\x7f\xfe\x80\x01", Kind("a DTS file", "ffmpeg")),
    (b"\xff\x0a", Kind("a JPEG XL picture", "", _AS_PICTURE)),
    (b"\0\0\0\x0cJXL ", Kind("a JPEG XL picture", "", _AS_PICTURE)),
    (b"\0\0\1\0", Kind("a Windows icon, a picture", "", _AS_PICTURE)),
    (b"DDS ", Kind("a DirectDraw picture", "", _AS_PICTURE)),
    (b"\x76\x2f\x31\x01", Kind("an OpenEXR picture", "", _AS_PICTURE)),
    (b".RMF", Kind("a RealMedia file", "")),
    (b"#EXTM3U", Kind("a playlist", "", "give the files that it names")),
    (b"ffconcat", Kind("a playlist", "", "give the files that it names")),
)

_BRANDS: dict[bytes, Kind] = {
    b"heic": Kind("a HEIC picture", "", _AS_PICTURE),
    b"heix": Kind("a HEIC picture", "", _AS_PICTURE),
    b"hevc": Kind("a series of HEIC pictures", "", _AS_PICTURE),
    b"mif1": Kind("a HEIF picture", "", _AS_PICTURE),
    b"msf1": Kind("a series of HEIF pictures", "", _AS_PICTURE),
    b"avif": Kind("an AVIF picture", "", _AS_PICTURE),
    b"avis": Kind("a series of AVIF pictures", "", _AS_PICTURE),
    b"crx ": Kind("a Canon raw picture", "", _AS_PICTURE),
}
_MPEG4 = Kind("an MPEG-4 file", "ffmpeg")
_RIFFS: dict[bytes, Kind] = {
    b"WAVE": Kind("a WAV file", "libsndfile"),
    b"AVI ": Kind("an AVI video", "ffmpeg"),
    b"WEBP": Kind("a WebP picture", "", "give it to a model of faces"),
}


# Starts that samples have only by chance: none of two bytes, of zeros, or of small numbers.
_NAMES = (b"RIFF", *(s for s, _ in _STARTS if len(s) > 2 and s[0] not in (0, 0xFF)))


def is_named(head: bytes) -> bool:
    """Whether bytes begin with the name of a format, and so are no raw samples.

    Args:
        head: the first 4 bytes or more.
    """
    return head.startswith(_NAMES) or head[4:8] == b"ftyp"


def kind_of(head: bytes) -> Kind:
    """What a file is that begins so.

    Args:
        head: its first HEAD bytes, or all of them.
    """
    if not head:
        return Kind("an empty file", "", "copy it again")
    if head[:4] == b"RIFF":
        return _RIFFS.get(head[8:12], UNKNOWN)
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], _MPEG4)
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):
        return _MPEG4
    if transport_packet(head):
        return Kind("an MPEG transport stream", "ffmpeg")
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:
        return Kind("an AAC file", "ffmpeg")
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:
        return Kind("an MP3 file", "libsndfile")
    return UNKNOWN
