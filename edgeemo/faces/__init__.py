"""Faces in pictures and video: detectors, tracking, and an estimate for each face.

from edgeemo.faces import Faces
from edgeemo.vision.pictures import read_picture

faces = Faces(edgeemo.load("mobilenetv1-face"))
for emotion in faces.find(read_picture("photo.jpg")):
    print(emotion.box, emotion.expression, emotion.valence)
"""

from edgeemo.faces.analysis import Faces, Tracked, TrackingSession
from edgeemo.faces.boxes import Face
from edgeemo.faces.detectors import DETECTORS, Detector, open_detector
from edgeemo.faces.tracking import Track, Tracker

__all__ = [
    "DETECTORS",
    "Detector",
    "Face",
    "Faces",
    "Track",
    "Tracked",
    "Tracker",
    "TrackingSession",
    "open_detector",
]
