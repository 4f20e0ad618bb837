"""`edgeemo live`: microphone and camera, or files, to a terminal, a web page or JSON."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edgeemo.artifacts.licences import named
from edgeemo.artifacts.models import DEFAULT, card_command
from edgeemo.backends import BACKENDS
from edgeemo.cli._live_outputs import add_outputs, output_views
from edgeemo.cli._options import add_profile
from edgeemo.devices.stdin import FORM
from edgeemo.errors import BadInput, EdgeemoError

if TYPE_CHECKING:
    from edgeemo.live.engine import Engine, Summary, View
    from edgeemo.session import Session
    from edgeemo.speech.profile import SpeakerProfile

HELP = (
    "Listen and look, and show how voice and face would be perceived, four times a second. Without "
    "arguments: the default microphone, and the first camera if there is one and a model for "
    "faces. Nothing leaves the machine unless --osc or --lsl ask for it, and nothing is kept "
    "unless an option does. Ctrl-C ends."
)

PORT = 8613
"""Of the page, unless another one is given."""

INTERRUPTED = 130  # 128 + SIGINT, what a shell reports


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this command."""
    sources = parser.add_argument_group("what is listened to and looked at")
    sources.add_argument(
        "--microphone",
        metavar="D",
        help="number or part of the name of a microphone, or none (default: the system's)",
    )
    sources.add_argument(
        "--camera", metavar="N", help="number of a camera, or none (default: 0, if there is one)"
    )
    sources.add_argument(
        "--wav", metavar="F", type=Path, help="a sound file in place of the microphone"
    )
    sources.add_argument(
        "--video",
        metavar="F",
        type=Path,
        help="a video file in place of the camera; its sound, in place of the microphone, needs "
        "ffmpeg (or give it with --wav)",
    )
    sources.add_argument(
        "--stdin", action="store_true", help=f"standard input in place of the microphone: {FORM}"
    )
    sources.add_argument("--fast", action="store_true", help="files: do not keep to real speed")
    models = parser.add_argument_group("what is run")
    models.add_argument(
        "--model",
        default=DEFAULT,
        metavar="M",
        help="of speech: name of a shipped model or path of a file (default: %(default)s)",
    )
    models.add_argument("--face-model", metavar="M", help="of faces (default: the shipped one)")
    models.add_argument(
        "--backend", choices=sorted(BACKENDS), help="what runs them (default: by their ending)"
    )
    add_profile(models)
    views = parser.add_argument_group("how it is shown (default: in the terminal)")
    shown = views.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="one JSON object an estimate")
    shown.add_argument(
        "--web",
        nargs="?",
        type=int,
        const=PORT,
        metavar="PORT",
        help=f"a page for a browser on this machine (port {PORT}; 0 takes a free one)",
    )
    views.add_argument(
        "--record",
        metavar="DIR",
        type=Path,
        help="keep sound and estimates in this folder, which must be empty or absent",
    )
    add_outputs(parser)


def run(args: argparse.Namespace) -> int:
    """Run until the end of the file, the loss of all devices, or Ctrl-C; then the summary.

    Returns:
        0; 1 if a device was missing or lost while the other went on; 130 after Ctrl-C.

    Raises:
        EdgeemoError: nothing could be opened, or the only device was lost.
    """
    sessions: list[Session] = []
    views = [*output_views(args, lambda: tuple(s.card for s in sessions)), *_views(args)]
    engine = _engine(args, sessions)
    engine.state.recording = str(args.record.resolve()) if args.record else None
    # A terminal that is closed and a service that is stopped end as cleanly as Ctrl-C.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    summary = engine.run(views)
    # Where nothing ran there is nothing to tell but the error, which is one line.
    if summary.state.num_estimates or not _nothing_left(summary):
        told = (named(s.card, card_command(s.path)) for s in sessions)
        for line in (*told, *summary.lines()):
            print(f"edgeemo: {line}", file=sys.stderr)
    return _status(summary)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _nothing_left(summary: Summary) -> bool:
    return bool(summary.errors) and set(summary.errors) >= set(summary.state.models)


def _status(summary: Summary) -> int:
    if summary.interrupted:
        return INTERRUPTED
    if _nothing_left(summary):
        raise next(iter(summary.errors.values()))
    return int(bool(summary.errors))


def _views(args: argparse.Namespace) -> list[View]:
    views: list[View] = []
    if args.record:
        from edgeemo.live.views import Recording

        views.append(Recording(args.record))
    if args.web is not None:
        from edgeemo.live.web import Web

        return [*views, Web(args.web)]
    if args.json or not sys.stdout.isatty():
        from edgeemo.live.views import Lines

        return [*views, Lines(sys.stdout, as_json=args.json)]
    from edgeemo.live.terminal import Terminal

    return [*views, Terminal(sys.stdout)]


def _profile(path: str | None) -> SpeakerProfile | None:
    if path is None:  # the import costs some milliseconds before the first estimate
        return None
    from edgeemo.speech.profile import load_profile

    return load_profile(path)


def _engine(args: argparse.Namespace, sessions: list[Session]) -> Engine:
    """What runs; its models are added to `sessions`."""
    from edgeemo.live.engine import Engine
    from edgeemo.live.sources import Chosen, finder
    from edgeemo.session import load

    chosen = Chosen(args.microphone, args.camera, args.wav, args.video, args.fast, stdin=args.stdin)
    sound, pictures = chosen.sound(), chosen.pictures()
    if pictures is None and args.face_model is not None:
        raise BadInput("--face-model: nothing is looked at; add --camera or --video")
    models: dict[str, str] = {}
    required: set[str] = set()
    voice = face = without_faces = None
    if sound is not None:
        session = load(args.model, args.backend)
        profile = _profile(args.profile)
        voice = (sound[0], session.stream(profile=profile))
        models["voice"] = session.card.name
        sessions.append(session)
        required |= {"voice"} if sound[1] else set()
    if pictures is not None:
        try:
            faces, models["face"] = finder(args.face_model, args.backend)
            face = (pictures[0], faces)
            sessions.append(faces.session)
            required |= {"face"} if pictures[1] else set()
        except EdgeemoError as error:
            # A voice is enough, but not for somebody who named a camera or a model.
            if voice is None or args.camera or args.face_model:
                raise
            without_faces = str(error)
    engine = Engine(
        voice, face, models, required=required, in_order=args.fast, one_clock=chosen.files
    )
    if without_faces is not None:
        engine.state.ended["face"] = without_faces
    return engine
