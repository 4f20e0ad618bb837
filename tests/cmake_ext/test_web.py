"""The npm package edgeemo-web: packed, installed into an empty folder, typed, bundled, and run."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeemo import Session, _native
from edgeemo.artifacts.engine_blob import compile_graph
from edgeemo.artifacts.models import DEFAULT, ZOO
from edgeemo.artifacts.teachers_package import need
from edgeemo.artifacts.tflite_graph import Graph
from edgeemo.audio import read_audio
from edgeemo.backends import Backend, open_backend
from edgeemo.features import log_mel
from tests.chromium import chromium
from tests.cmake_ext.web_native import flat, native, native_stream

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "cmake_ext" / "bindings" / "web"
APP = Path(__file__).with_name("web_app")
# Versions that run on Node.js 18, which Debian 12 has.
TOOLS = {"typescript": "5.9.3", "vite": "6.4.6"}
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edgeemo-tests"
POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"


def run(*command: str | Path, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for tool in ("clang", "wasm-ld", "node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed; .ci/run installs it when run by root")
    out = tmp_path_factory.mktemp("web") / "edgeemo-web"
    run(sys.executable, SOURCE / "build.py", out, folder=ROOT)
    return out


@pytest.fixture(scope="module")
def archive(package: Path) -> Path:
    """What a registry would get."""
    return package / run("npm", "pack", "--silent", folder=package).strip()


@pytest.fixture(scope="module")
def app(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder into which the archive was installed, by npm and without a network."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "package.json").write_text('{"name": "app", "private": true, "type": "module"}')
    run(
        "npm", "install", "--offline", "--silent", "--no-audit", "--no-fund", archive, folder=folder
    )
    for path in APP.iterdir():
        shutil.copyfile(path, folder / path.name)
    return folder


@pytest.fixture(scope="module")
def tools() -> Path:
    """Where npm keeps TypeScript and Vite; they are fetched once for each pair of versions."""
    folder = CACHE / "-".join(f"{name}-{version}" for name, version in TOOLS.items())
    if not (folder / "node_modules" / ".package-lock.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        names = [f"{name}@{version}" for name, version in TOOLS.items()]
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, *names,
            folder=folder)  # fmt: skip
    return folder / "node_modules" / ".bin"


@pytest.fixture(scope="module")
def backend() -> Backend:
    return open_backend(ZOO / f"{DEFAULT}.tflite", "c")


@pytest.fixture(scope="module")
def clip() -> NDArray[np.float32]:
    return np.asarray(read_audio(need("speech/emodb_full/03a01Fa.flac")), np.float32)


@pytest.fixture(scope="module")
def sound(clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """Speech, nothing, speech."""
    parts = [clip, np.zeros(80_000), clip[::-1] / 4, clip]
    return np.concatenate(parts).astype(np.float32)


# ---- as a package ----


def test_it_is_small_and_its_worklet_stands_alone(archive: Path, package: Path) -> None:
    """Bundlers put files of up to 4,096 bytes into the page, where a worklet may not be loaded."""
    assert archive.stat().st_size <= 200_000
    worklet = (package / "dist" / "worklet.js").read_text()
    assert len(worklet) > 4096
    assert not [line for line in worklet.splitlines() if line.startswith(("import", "export"))]


def test_it_says_what_its_weights_are_licensed_for(package: Path, backend: Backend) -> None:
    text = " ".join((package / "LICENCES.md").read_text().split())
    assert backend.card.licence in text and "Apache License 2.0" in text
    manifest = json.loads((package / "package.json").read_text())
    assert manifest["license"] == "SEE LICENSE IN LICENCES.md" and "dependencies" not in manifest


def test_the_same_student_gives_the_same_bytes(package: Path, tmp_path: Path) -> None:
    run(sys.executable, SOURCE / "build.py", tmp_path / "again", folder=ROOT)
    for path in (package / "dist").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / "dist" / path.name).read_bytes(), path


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    command = [sys.executable, SOURCE / "build.py", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2 and "no edgeemo-web" in done.stderr and done.stderr.count("\n") == 1
    assert (tmp_path / "mine").exists()


def test_types_are_strict(app: Path, tools: Path) -> None:
    flags = "--strict --noEmit --module nodenext --target es2022 --lib es2022,dom".split()
    run(tools / "tsc", *flags, "app.ts", folder=app)


# ---- in Node.js ----


def test_node_gives_the_bits_of_native(
    app: Path,
    backend: Backend,
    clip: NDArray[np.float32],
    sound: NDArray[np.float32],
    odd_shapes: Graph,
) -> None:
    (app / "clip").write_bytes(clip.astype("<f4").tobytes())
    (app / "sound").write_bytes(sound.astype("<f4").tobytes())
    odd = compile_graph(odd_shapes).data
    (app / "odd").write_bytes(odd)
    told = json.loads(run("node", "node.js", folder=app))
    want = [native(backend, samples) for samples in (clip, clip[:5000], clip / 8)]
    assert [e["simd"] for e in told["estimates"]] == [True, False]
    for estimates in told["estimates"]:
        assert [flat(item) for item in estimates["found"]] == want
        assert estimates["found"][0]["end"] == len(clip) / 16000
        told_once = Session(backend, ZOO / f"{DEFAULT}.tflite").predict(clip)
        assert estimates["found"][0]["confidence"] == told_once.confidence
        assert estimates["found"][0]["expression"] == told_once.expression

    # Gate, windows, smoothing and confidence, by both sets of kernels and in any blocks.
    items = native_stream(backend, sound)
    assert {item["status"] for item in items} == {"listening", "silent"}
    assert [stream["items"] for stream in told["streams"]] == [items, items]
    assert [stream["whole"] for stream in told["streams"]] == [items, items]
    assert told["rates"][0] == [1.0] and len(told["rates"][1]) <= 1

    # Layers of shapes that no student has, by both sets of kernels.
    model = _native.Model(odd, 8)
    model.push(log_mel(clip))
    values = np.zeros(model.info()["values"], np.float32)
    assert model.outputs(values) == len(values)
    assert told["odd"] == [values.tolist()] * 2

    # A tone is the same tone at any rate: estimates move by a few of their steps of 1/256.
    first, *others = map(flat, told["tones"])
    for other in others:
        assert max(abs(other[name] - first[name]) for name in first) < 0.05

    codes = ["short", *["input"] * 5, "insecure", "download"]
    assert all(error and error["ours"] for error in told["errors"]), told["errors"]
    assert [error["code"] for error in told["errors"]] == codes
    assert "sample 1 is NaN" in told["errors"][2]["message"]


# ---- in Chromium ----


class Handler(http.server.SimpleHTTPRequestHandler):
    """The built page, with what its query asks for in the head: no COOP, no COEP."""

    def end_headers(self) -> None:
        if "policy=none" not in self.path:
            policy = POLICY if "policy=strict" not in self.path else "default-src 'self'"
            self.send_header("Content-Security-Policy", policy)
        if "microphone=forbidden" in self.path:
            self.send_header("Permissions-Policy", "microphone=()")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(app: Path, tools: Path) -> Iterator[str]:
    """The page that Vite makes of app.ts, on localhost."""
    run(tools / "vite", "build", "--logLevel", "warn", folder=app)
    assert list((app / "dist" / "assets").glob("worklet-*.js")), "the worklet is no file of its own"
    shutil.copyfile(app / "record.js", app / "dist" / "record.js")
    handler = functools.partial(Handler, directory=str(app / "dist"))
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(clip: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    sound = tmp_path_factory.mktemp("sound") / "clip.wav"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(np.rint(clip * 32767).astype("<i2").tobytes())
    profile = tmp_path_factory.mktemp("profile")
    flag = "autoplay-policy=no-user-gesture-required"
    with chromium(profile, flag, microphone=sound) as driver:
        driver.set_script_timeout(60)
        yield driver


def run_on_page(browser: Any, address: str, script: str) -> Any:
    """What an async function body gives on a fresh page; `app` is what app.ts leaves there."""
    browser.get(address)
    return browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "const ready = async () => { while (!window.app)"
        " await new Promise((resolve) => setTimeout(resolve, 20)); };"
        f"(async () => {{ await ready(); {script} }})().then(done, (e) => done(`failed: ${{e}}`))"
    )


RECORD = """
    window.record = [];
    const add = AudioWorklet.prototype.addModule;
    AudioWorklet.prototype.addModule = async function (url) {
      await add.call(this, "/record.js");
      return add.call(this, url);
    };
    const Node = AudioWorkletNode;
    window.AudioWorkletNode = class extends Node {
      constructor(...given) {
        super(...given);
        this.port.addEventListener("message", ({ data }) => {
          if (data.record) record.push(...data.record);
        });
      }
    };
"""


def test_the_microphone_gives_the_bits_of_native(
    browser: Any, address: str, backend: Backend
) -> None:
    """Under a strict policy, beyond the point where the older of two states is replaced."""
    script = f"""{RECORD}
        const voice = await app.load();
        const items = await app.listen(voice.microphone(), 14);
        return {{ simd: voice.simd, items, record, isolated: crossOriginIsolated }};"""
    told = run_on_page(browser, address, script)
    assert told["simd"] is True and told["isolated"] is False
    record, items = np.array(told["record"], np.float32), told["items"]
    assert np.sqrt(np.mean(record**2)) > 0.01  # speech, not silence
    assert items[-1]["start"] > 1 and items[-1]["end"] > 3
    want = {item["end"]: item for item in native_stream(backend, record)}
    assert items == [want[item["end"]] for item in items]
    assert "listening" in {item["status"] for item in items}


def test_without_vectors_and_with_a_device_of_another_rate(
    browser: Any, address: str, backend: Backend
) -> None:
    """Firefox refuses a microphone at another rate than the device's, as this context does."""
    script = f"""{RECORD}
        WebAssembly.validate = () => false;
        const Context = AudioContext;
        window.AudioContext = class extends Context {{
          createMediaStreamSource(stream) {{
            if (this.sampleRate === 16000) throw new DOMException("rate", "NotSupportedError");
            window.rate = this.sampleRate;
            return super.createMediaStreamSource(stream);
          }}
        }};
        const voice = await app.load();
        const items = await app.listen(voice.microphone(), 1);
        const clip = voice.estimate(Float32Array.from(record), rate);
        return {{ simd: voice.simd, items, record, rate, clip }};"""
    told = run_on_page(browser, address, script)
    assert told["simd"] is False and told["rate"] in (44_100, 48_000)
    (item,) = told["items"]
    assert item["end"] >= 1
    # The same resampler on the page, of the record so far, is close: it has some milliseconds more.
    assert abs(item["arousal"] - told["clip"]["arousal"]) < 0.1


@pytest.mark.parametrize(
    ("query", "before", "code", "remedy"),
    [
        ("policy=strict", "", "policy", "add 'wasm-unsafe-eval' to its script-src"),
        ("microphone=forbidden", "", "permission", "ask the user to allow it"),
        ("", "delete window.AudioWorkletNode", "unsupported", "no audio worklets"),
        ("", "delete window.WebAssembly", "unsupported", "no WebAssembly"),
        (
            "",
            "Object.defineProperty(navigator, 'mediaDevices', {value: undefined})",
            "insecure",
            "https",
        ),
    ],
    ids=["policy", "permission", "no worklets", "no WebAssembly", "http"],
)
def test_what_a_page_lacks_is_told(
    query: str, before: str, code: str, remedy: str, browser: Any, address: str
) -> None:
    script = f"""{before};
        return app.outcome(async () => app.listen((await app.load()).microphone(), 1));"""
    told = run_on_page(browser, f"{address}?{query}", script)
    assert told["code"] == code and remedy in told["message"] and "\n" not in told["message"]


def test_a_muted_track_is_told_and_ends(browser: Any, address: str) -> None:
    """The browser's own events, sent by the test: headless Chromium has no switch to mute with."""
    script = """
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        let track, muted = false;
        navigator.mediaDevices.getUserMedia = async (constraints) => {
          const stream = await ask(constraints);
          track = stream.getAudioTracks()[0];
          Object.defineProperty(track, "muted", { get: () => muted });
          return stream;
        };
        const set = (to) => { muted = to; track.dispatchEvent(new Event(to ? "mute" : "unmute")); };
        const microphone = (await app.load()).microphone();
        const first = (await microphone.next()).value;
        set(true);
        const second = (await microphone.next()).value;
        set(false);
        const third = (await microphone.next()).value;
        const waiting = app.outcome(() => microphone.next());
        track.dispatchEvent(new Event("ended"));
        let fourth = await waiting;
        if (fourth.value) fourth = await app.outcome(() => microphone.next());
        return [first, second, third, fourth, track.readyState];"""
    first, second, third, fourth, state = run_on_page(browser, address, script)
    assert first["status"] == "listening" and second == {"status": "muted"}
    # After a pause a second of sound comes first, as at the start.
    assert third["status"] == "listening" and third["start"] == 0 and third["end"] <= 1.5
    assert fourth["code"] == "ended" and state == "ended"


def test_a_page_in_the_background_goes_on_and_piles_nothing_up(browser: Any, address: str) -> None:
    script = """
        window.microphone = (await app.load()).microphone();
        return (await microphone.next()).value.end;"""
    end = run_on_page(browser, address, script)
    page = browser.current_window_handle
    browser.switch_to.new_window("tab")
    try:
        browser.get("data:text/html,another tab")
        time.sleep(2)  # sound goes by: the clock is the microphone's, not the test's
    finally:
        browser.close()
        browser.switch_to.window(page)
    later = browser.execute_async_script("microphone.next().then((r) => arguments[0](r.value.end))")
    assert later > end + 0.25, "the next estimate, not the newest one"
    browser.execute_async_script("microphone.stop().then(arguments[0])")
