"""The view in a browser: a page for this machine only, fed by server-sent events.

Who may read: only programs of this machine can reach the port, of these only who knows the address
with its key (another account of the machine does not), and no page of another site: requests
that name another host or origin are refused. The page loads nothing from elsewhere, and takes no
commands: it only shows.
"""

from __future__ import annotations

import base64
import errno
import html
import json
import logging
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edgeemo.errors import BadInput, require
from edgeemo.live.state import PLAIN_WORDS, Block, Item, Picture, State
from edgeemo.results.sounds import heard
from edgeemo.types import CLASSES, DIMENSIONS, Emotion

HOST = "127.0.0.1"
"""The one address that is listened on."""

MOST_READERS = 8
"""Open pages; one more is told to wait."""

LEVEL_SECONDS = 0.1
"""Between two messages about the level of the sound."""

PAGE = Path(__file__).parent / "page"
_FILES = {
    "": ("index.html", "text/html; charset=utf-8"),
    "live.css": ("live.css", "text/css; charset=utf-8"),
    "live.js": ("live.js", "text/javascript; charset=utf-8"),
}
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",  # the address holds the key
    "X-Content-Type-Options": "nosniff",
}
_PICTURE_SIDE = 640  # pixels of a shown picture's longer side
_QUALITY = 75  # of its JPEG, 0..100
_IDLE_SECONDS = 5.0  # after so long without news a comment tells that the connection stands
_REQUEST_SECONDS = 10.0  # for a request to come, and for a reader to take what is sent
_GOODBYE_SECONDS = 1.0  # for readers to take the last message

log = logging.getLogger("edgeemo")
Payload = Callable[[], str]


class Board:
    """The newest message of each kind; slow readers miss some, and nothing piles up."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: dict[str, tuple[int, Payload]] = {}
        self._count = 0
        self.closed = False

    def put(self, kind: str, payload: Payload) -> None:
        """Replace the message of a kind.

        Args:
            kind: of message: "level", "picture", "estimate" or "end".
            payload: gives its text when a reader takes it.
        """
        with self._changed:
            self._count += 1
            self._newest[kind] = (self._count, payload)
            self._changed.notify_all()

    def close(self) -> None:
        """Let the readers end once they have taken what is there."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def read(self) -> Iterator[tuple[str, Payload] | None]:
        """Messages in the order in which they came; None where there was no news for a while."""
        taken = 0
        while True:
            new = self._news(taken)
            if new is None:
                return
            if not new:
                yield None
            for number, kind, payload in new:
                taken = number
                yield kind, payload

    def _news(self, taken: int) -> list[tuple[int, str, Payload]] | None:
        """Messages after number `taken`, empty after a while without; None after the last one."""
        with self._changed:
            self._changed.wait_for(lambda: self._count > taken or self.closed, _IDLE_SECONDS)
            new = [
                (number, kind, payload)
                for kind, (number, payload) in self._newest.items()
                if number > taken
            ]
            return None if self.closed and not new else sorted(new, key=lambda message: message[0])


class Web:
    """Serves the page while it is entered.

    Attributes:
        address: to open in a browser, with the key.
    """

    def __init__(self, port: int) -> None:
        """Take the port, so that a taken one is met before a device is opened.

        Args:
            port: 0 takes a free one.

        Raises:
            BadInput: the port is no port, or is taken.
        """
        if not 0 <= port < 65536:
            raise BadInput(f"port {port} does not exist; expected 0 to 65535")
        self._board = Board()
        self._key = secrets.token_urlsafe(16)
        try:
            self._server = _Server((HOST, port), partial(_Handler, self._board, self._key))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            why = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
            raise BadInput(f"port {port} {why}; --web 0 takes a free one") from None
        self.address = f"http://{HOST}:{self._server.server_port}/{self._key}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="edgeemo-web", daemon=True
        )
        self._levels = 0.0

    def __enter__(self) -> Web:
        self._thread.start()
        port = self._server.server_port
        print(f"edgeemo: open {self.address} (Ctrl-C ends)", file=sys.stderr)
        print(
            f"edgeemo: only this machine reaches it; from another one: ssh -L {port}:{HOST}:{port} "
            "THIS_MACHINE, then open the same address there",
            file=sys.stderr,
            flush=True,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        """Say goodbye to the readers and let go of the port."""
        self._board.put("end", lambda: "{}")
        self._board.close()
        self._server.wait_for_readers(_GOODBYE_SECONDS)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def show(self, state: State, item: Item) -> None:
        """Put up what is new.

        Args:
            state: what is known, this item included.
            item: a piece of sound, a picture or an estimate.
        """
        if isinstance(item, Picture):
            self._board.put("picture", partial(picture_message, item))
        elif isinstance(item, Block):
            now = time.perf_counter()
            if now - self._levels >= LEVEL_SECONDS:
                self._levels = now
                self._put("level", level_message(state))
        else:
            self._put("estimate", estimate_message(state))

    def _put(self, kind: str, message: dict[str, Any]) -> None:
        text = json.dumps(message, ensure_ascii=False, allow_nan=False)
        self._board.put(kind, lambda: text)


def level_message(state: State) -> dict[str, Any]:
    """What changes ten times a second."""
    return {"seconds": round(state.seconds, 2), "level": state.level, "peak": state.peak}


def estimate_message(state: State) -> dict[str, Any]:
    """All numbers of the page, with the last minute, so that a page opened late shows it too."""
    estimate = state.estimate
    return level_message(state) | {
        "dimensions": {name: getattr(estimate, name) for name in DIMENSIONS},
        "classes": {name: estimate.classes.get(name) for name in CLASSES},
        "expression": estimate.expression,
        "confidence": estimate.confidence,
        "speech": estimate.speech,
        "heard": heard(estimate.sounds),
        "sides": estimate.sides,
        "sources": state.sources,
        "models": state.models,
        "notes": state.notes(),
        "recording": state.recording,
        "latency": state.latency,
        "worst": max(state.latencies, default=None),
        "cpu": state.cpu,
        "trace": [
            [round(past.end, 2), *(_rounded(getattr(past, name)) for name in DIMENSIONS)]
            for past in state.trace
        ],
    }


def picture_message(picture: Picture) -> str:
    """The picture as JPEG, and its faces; coordinates are parts of its width and height."""
    cv2: Any = require("cv2", "vision")
    height, width = picture.image.shape[:2]
    part = min(1.0, _PICTURE_SIDE / max(width, height))
    size = (max(1, round(width * part)), max(1, round(height * part)))
    small = cv2.resize(picture.image, size, interpolation=cv2.INTER_AREA)
    bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
    _, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    faces = [_face(face, width, height) for face in picture.faces if face.box is not None]
    text = base64.b64encode(jpeg.tobytes()).decode()
    return json.dumps({"jpeg": text, "width": size[0], "height": size[1], "faces": faces})


def _face(face: Emotion, width: int, height: int) -> dict[str, Any]:
    left, top, right, bottom = face.box or (0, 0, 0, 0)
    box = [left / width, top / height, right / width, bottom / height]
    return {"box": box, "expression": face.expression, "confidence": face.confidence}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


class _Server(ThreadingHTTPServer):
    """Knows how many pages read."""

    daemon_threads = True
    block_on_close = False  # a page that hangs must not keep the program from ending

    def __init__(self, address: tuple[str, int], handler: Callable[..., BaseHTTPRequestHandler]):
        self._readers = 0
        self._changed = threading.Condition()
        super().__init__(address, handler)

    def enter(self) -> bool:
        """Count one more reader; False if there are too many."""
        with self._changed:
            if self._readers >= MOST_READERS:
                return False
            self._readers += 1
            return True

    def leave(self) -> None:
        """Count one reader less."""
        with self._changed:
            self._readers -= 1
            self._changed.notify_all()

    def wait_for_readers(self, seconds: float) -> None:
        """Until all have left, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: not self._readers, seconds)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closes a page in the middle of a message is no news."""
        log.debug("a request failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """Three files and one stream; everything else is refused."""

    server: _Server
    server_version, sys_version = "edgeemo", ""
    timeout = _REQUEST_SECONDS

    def __init__(self, board: Board, key: str, *args: Any) -> None:
        self._board, self._key = board, key
        super().__init__(*args)

    def do_GET(self) -> None:  # the name is given by http.server
        """Answer one request."""
        refused = self._refused()
        if refused is not None:
            self.send_error(*refused)
            return
        name = self.path.split("/", 2)[2].partition("?")[0]
        if name == "events":
            self._stream()
        elif name in _FILES:
            self._file(*_FILES[name])
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _refused(self) -> tuple[HTTPStatus, str] | None:
        """Why the request gets nothing, or None."""
        port = self.server.server_port
        hosts = (f"{HOST}:{port}", f"localhost:{port}")
        host = self.headers.get("Host", "")
        if host not in hosts:  # a name of another site that was made to lead here
            return HTTPStatus.MISDIRECTED_REQUEST, "this host name is not served"
        origin = self.headers.get("Origin")
        site = self.headers.get("Sec-Fetch-Site", "none")
        if origin not in (None, f"http://{host}") or site not in ("none", "same-origin"):
            return HTTPStatus.FORBIDDEN, "pages of other sites are refused"
        first, key, *rest = self.path.split("/", 2)
        if first or not rest or not secrets.compare_digest(key.encode(), self._key.encode()):
            return HTTPStatus.FORBIDDEN, "open the whole address that edgeemo printed"
        return None

    def _file(self, name: str, kind: str) -> None:
        data = (PAGE / name).read_bytes()
        data = data.replace(b"{{words}}", html.escape(PLAIN_WORDS).encode())
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self) -> None:
        if not self.server.enter():
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, "too many pages are open")
            return
        try:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for message in self._board.read():
                kind, payload = message or ("", None)
                text = f"event: {kind}\ndata: {payload()}\n\n" if payload else ": still here\n\n"
                self.wfile.write(text.encode())
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass  # the page was closed
        finally:
            self.server.leave()

    def end_headers(self) -> None:
        """Every answer, errors too, has the headers that keep the page to itself."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not printed: the terminal belongs to the command."""
        log.debug(format, *args)
