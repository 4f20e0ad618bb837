"""The page: who gets it, what it is told, and how it looks in a browser.

    EDGEEMO_SCREENSHOTS=docs/images python -m pytest tests/edgeemo/live/test_web.py -k browser

makes the pictures of docs/guides/live.md anew.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from edgeemo.artifacts.models import FACE_DEFAULT, shipped
from edgeemo.errors import BadInput
from edgeemo.fusion import Fused
from edgeemo.live.state import MISUSE, Block, Picture, State
from edgeemo.live.web import MOST_READERS, PAGE, Web
from edgeemo.types import CLASSES, Emotion
from tests.chromium import chromium

from .conftest import Start, write_video


@pytest.fixture
def web(capsys: pytest.CaptureFixture[str]) -> Iterator[Web]:
    with Web(0) as made:
        yield made


def get(web: Web, path: str | None = None, **headers: str) -> http.client.HTTPResponse:
    parts = urlsplit(web.address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", parts.path if path is None else path, headers=headers)
    return connection.getresponse()


def events(response: http.client.HTTPResponse, count: int) -> list[tuple[str, dict[str, Any]]]:
    found = []
    while len(found) < count:
        line = response.readline().decode().strip()
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
            found.append((kind, json.loads(response.readline().decode().removeprefix("data: "))))
    return found


def state() -> State:
    classes = dict.fromkeys(CLASSES, 0.0) | {"anger": 1.0}
    made = State(sources={"voice": "a.wav"}, models={"voice": "m"})
    for number in range(8):
        value = None if number == 3 else number / 8
        made.tell(
            Fused(
                value,
                0.5,
                value,
                classes,
                0.9,
                True,
                0.0,
                number / 4,
                None,
                "anger",
                ("voice",),
                {"face": "nothing yet"},
            )
        )
    return made


def test_the_page_and_its_files(web: Web) -> None:
    page = get(web)
    assert page.status == 200
    text = page.read().decode()
    assert MISUSE.split(":")[0] in text and "{{words}}" not in text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Cache-Control"] == "no-store"
    base = urlsplit(web.address).path
    named = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert named and all(get(web, base + n).status == 200 for n in named if n != "data:,")


def test_the_page_asks_nobody_else() -> None:
    for file in PAGE.iterdir():
        text = file.read_text()
        assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"// .*", "", text)), file


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (None, {"Host": "edgeemo.example"}, 421),  # a foreign name that leads here
        (None, {"Host": "127.0.0.1"}, 421),
        (None, {"Origin": "http://example.com"}, 403),
        (None, {"Origin": "null"}, 403),
        (None, {"Origin": "http://localhost:1"}, 403),
        (None, {"Sec-Fetch-Site": "cross-site"}, 403),
        (None, {"Sec-Fetch-Site": "same-site"}, 403),  # another port of this machine
        ("/", {}, 403),
        ("/live.js", {}, 403),
        ("/wrong/", {}, 403),
        ("/wrong/events", {}, 403),
    ],
)
def test_others_are_refused(
    web: Web, path: str | None, headers: dict[str, str], status: int
) -> None:
    answer = get(web, path, **headers)
    assert answer.status == status
    assert answer.headers["Content-Security-Policy"]
    assert b"anger" not in answer.read()


def test_nothing_else_is_served(web: Web) -> None:
    base = urlsplit(web.address).path
    for name in ("web.py", "../web.py", "%2e%2e/web.py", "..%2fweb.py", "page", "events/"):
        assert get(web, base + name).status == 404
    parts = urlsplit(web.address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("POST", parts.path, body=b"{}")
    assert connection.getresponse().status == 501


def test_own_origin_and_name_are_served(web: Web) -> None:
    port = urlsplit(web.address).port
    for host in (f"127.0.0.1:{port}", f"localhost:{port}"):
        headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
        assert get(web, **headers).status == 200


def test_only_this_machine_can_reach_it(web: Web) -> None:
    assert web._server.server_address[0] == "127.0.0.1"


def test_a_late_reader_gets_the_last_minute(web: Web) -> None:
    now = state()
    web.show(now, now.estimate)
    answer = get(web, urlsplit(web.address).path + "events")
    ((kind, message),) = events(answer, 1)
    assert kind == "estimate"
    assert message["dimensions"] == {"arousal": 0.875, "dominance": 0.5, "valence": 0.875}
    assert list(message["classes"]) == list(CLASSES) and message["expression"] == "anger"
    assert message["trace"][3] == [0.75, None, 0.5, None] and len(message["trace"]) == 8
    assert message["sides"] == ["voice"] and "face: no camera in use" in message["notes"]
    now.heard(Block(np.full(800, 0.1, np.float32), 2.05))
    web.show(now, Block(np.zeros(0, np.float32), 2.05))
    ((kind, level),) = events(answer, 1)
    assert kind == "level" and level["level"] == pytest.approx(-20, abs=0.01)


def test_a_picture_and_its_boxes(web: Web, picture: np.ndarray) -> None:
    import base64

    import cv2

    face = Emotion(0.5, None, 0.5, {"anger": 1.0}, 0.8, box=(32, 24, 160, 120), expression="anger")
    web.show(State(), Picture(picture, 1.0, (face,)))
    answer = get(web, urlsplit(web.address).path + "events")
    ((kind, message),) = events(answer, 1)
    assert kind == "picture"
    assert message["faces"] == [
        {"box": [0.1, 0.1, 0.5, 0.5], "expression": "anger", "confidence": 0.8}
    ]
    jpeg = np.frombuffer(base64.b64decode(message["jpeg"]), np.uint8)
    shown = cv2.cvtColor(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert shown.shape == picture.shape
    assert np.mean(np.abs(shown.astype(float) - picture)) < 5  # red is red


def test_a_slow_reader_gets_the_newest(web: Web) -> None:
    now = state()
    answer = get(web, urlsplit(web.address).path + "events")
    web.show(now, now.estimate)
    assert len(events(answer, 1)) == 1
    for number in range(5_000):  # far more than any buffer between us holds
        now.cpu = number / 5_000
        web.show(now, now.estimate)
    seen = 0
    cpu = 0.0
    while cpu < 4_999 / 5_000:
        ((_, message),) = events(answer, 1)
        assert message["cpu"] >= cpu
        seen, cpu = seen + 1, message["cpu"]
    assert seen < 5_000


def test_there_are_not_too_many_readers(web: Web) -> None:
    path = urlsplit(web.address).path + "events"
    answers = [get(web, path) for _ in range(MOST_READERS)]
    assert {a.status for a in answers} == {200}
    assert get(web, path).status == 503


def test_readers_hear_of_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with Web(0) as made:
        answer = get(made, urlsplit(made.address).path + "events")
        port = urlsplit(made.address).port
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert events(answer, 1)[0][0] == "end" and answer.read() == b"\n"
    assert [t for t in threading.enumerate() if t.name == "edgeemo-web"] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
    assert "edgeemo: open http://127.0.0.1:" in capsys.readouterr().err


def test_it_says_how_another_machine_reaches_it(capsys: pytest.CaptureFixture[str]) -> None:
    with Web(0) as web:
        port = web.address.split(":")[2].split("/")[0]
    err = capsys.readouterr().err
    assert f"only this machine reaches it; from another one: ssh -L {port}:127.0.0.1:{port} " in err


def test_a_taken_port_is_told() -> None:
    with Web(0) as one:
        port = urlsplit(one.address).port
        assert port is not None
        with pytest.raises(BadInput, match=rf"port {port} is taken .* --web 0"):
            Web(port)


def test_the_key_is_new_each_time() -> None:
    keys = set()
    for _ in range(3):
        with Web(0) as made:
            keys.add(urlsplit(made.address).path)
    assert len(keys) == 3 and min(map(len, keys)) > 20


# ---- in a browser ----

FLAGS = ("disable-quic", "force-device-scale-factor=1", "window-size=1360,1080")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    logs = {"browser": "ALL", "performance": "ALL"}
    with chromium(tmp_path / "profile", *FLAGS, logs=logs) as driver:
        yield driver


def wait(driver: Any, script: str, seconds: float = 60) -> Any:
    """What a script returns once that is true."""
    end = time.monotonic() + seconds
    while not (value := driver.execute_script(f"return {script}")):
        assert time.monotonic() < end, f"{script} did not become true"
        time.sleep(0.1)
    return value


def colour(driver: Any) -> str:
    return driver.execute_script("return getComputedStyle(document.body).backgroundColor")


def save(driver: Any, name: str) -> None:
    folder = os.environ.get("EDGEEMO_SCREENSHOTS")
    if folder:
        time.sleep(0.6)  # until bars and numbers are of one moment
        driver.save_screenshot(str(Path(folder) / name))


ADDRESS = re.compile(r"http://\S+")
NARROW = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
DARK = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
BARS = """return [...document.querySelectorAll('#dimensions [role=meter]')].map((bar) =>
    [bar.getAttribute('aria-valuenow'), bar.firstElementChild.getBoundingClientRect().width])"""
COLOURS = """new Set(new Uint32Array(document.getElementById('{}').getContext('2d')
    .getImageData(0, 0, 300, 150).data.buffer)).size"""
TEXT = "document.getElementById('{}').textContent"


def opened(browser: Any, process: subprocess.Popen[str]) -> str:
    """Open the page whose address a process prints; the address."""
    assert process.stderr is not None
    for line in process.stderr:
        found = ADDRESS.search(line)
        if found:
            browser.get(found[0])
            return found[0]
    raise AssertionError("no address came")


def asked(browser: Any) -> set[str]:
    """Hosts that the browser asked for anything."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    return {urlsplit(url).netloc for url in urls if url.startswith("http")}


def test_in_a_browser(
    browser: Any,
    start: Start,
    long_clip: Path,
    picture: np.ndarray,
    face_artifact: Path,
    tmp_path: Path,
) -> None:
    write_video(tmp_path / "face.avi", [picture] * 25 * 50)
    shutil.copy(long_clip, tmp_path / "speech.wav")
    # What it says does not matter here, but in the guide's picture it should mean something.
    there = any(model.name == FACE_DEFAULT for model in shipped())
    model = () if there else ("--face-model", face_artifact)
    files = ("--wav", "speech.wav", "--video", "face.avi")  # short names look better
    process = start("--web", "0", *files, *model, cwd=tmp_path)
    address = opened(browser, process)
    assert wait(browser, TEXT.format("headline") + ".trim() !== '–'")
    assert wait(browser, TEXT.format("detail") + ".includes('voice and face')")
    label = "document.getElementById('camera').getAttribute('aria-label')"
    assert wait(browser, f"{label}.includes('one face')")
    for canvas in ("plane", "trace", "camera"):  # something was drawn
        assert wait(browser, f"{COLOURS.format(canvas)} > 2")
    bars = browser.execute_script(BARS)
    assert len(bars) == 3 and all(0 < float(now) <= 1 and width > 0 for now, width in bars)
    assert len(browser.find_elements("css selector", "#classes .row")) == len(CLASSES)
    assert "Not for judging people" in browser.find_element("css selector", ".words").text
    if "EDGEEMO_SCREENSHOTS" in os.environ:
        time.sleep(12)  # a longer trace
    save(browser, "live-web-light.png")
    light = colour(browser)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", DARK)
    assert colour(browser) != light
    save(browser, "live-web-dark.png")
    browser.find_element("id", "pause").click()
    assert browser.find_element("id", "pause").get_attribute("aria-pressed") == "true"
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", NARROW)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    # Nobody else was asked for anything, and the page's own policy stopped nothing.
    assert asked(browser) == {urlsplit(address).netloc}
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
    process.send_signal(signal.SIGINT)
    assert wait(browser, TEXT.format("connection") + " === 'ended'")
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "estimates" in err and "Traceback" not in err


def test_no_camera_no_picture(browser: Any, start: Start, long_clip: Path) -> None:
    opened(browser, start("--web", "0", "--wav", long_clip))
    assert wait(browser, TEXT.format("detail") + ".includes('voice')")
    assert not browser.find_element("id", "camera-card").is_displayed()
