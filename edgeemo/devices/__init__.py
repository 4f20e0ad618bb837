"""Microphone and camera, and files that stand in for them.

    with edgeemo.microphone() as sound, session.stream() as stream:
        for block in sound:
            for emotion in stream.push(block):
                print(emotion)

Each is a context manager and an iterator; `stop()`, from any thread, ends the iteration. The only
clock that edgeemo reads is the one that paces these.
"""

from edgeemo.devices.camera import Camera, VideoFile, camera, video_file
from edgeemo.devices.microphone import Microphone, SoundFile, microphone, sound_file

__all__ = [
    "Camera",
    "Microphone",
    "SoundFile",
    "VideoFile",
    "camera",
    "microphone",
    "sound_file",
    "video_file",
]
