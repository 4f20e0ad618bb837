"""Run by test_microphone.py in a process of its own: what an application would do.

    capture.py SECONDS LIBRARY [DEVICE]

Prints one JSON object: the blocks' samples go to heard.npy, the estimates into the object.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np

seconds, library = float(sys.argv[1]), sys.argv[2]
device = sys.argv[3] if len(sys.argv) > 3 else None
if library == "sounddevice":
    found = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *rest: None if name == "pyaudio" else found(name, *rest)

import edgeemo
from edgeemo.devices import _portaudio
from edgeemo.errors import EdgeemoError

session = edgeemo.load("wav2small-stream")
result: dict[str, object] = {}
blocks: list[np.ndarray] = []
estimates = []
try:
    sound = edgeemo.microphone(device)
    with sound, session.stream(smoothing=None, gate=None) as stream:
        Path("open").touch()
        try:
            for block in sound:
                blocks.append(block)
                estimates += stream.push(block)
                if stream.seconds >= seconds:
                    break
        finally:
            # A real device is never silent for ever: the test now lets the pipe flow, because
            # ALSA's thread would not end while it waits in it.
            Path("flow").touch()
    result["repaired"], result["overruns"] = sound.repaired, sound.overruns
    result["muted"], result["name"] = sound.muted_seconds, sound.name
    result["rate"] = sound.rate
except EdgeemoError as error:
    result["error"], result["kind"] = str(error), type(error).__name__
result["library"] = type(_portaudio.open_library()).__name__
result["estimates"] = [asdict(e) for e in estimates]
np.save("heard.npy", np.concatenate([np.zeros(0, np.float32), *blocks]))
print(json.dumps(result))
