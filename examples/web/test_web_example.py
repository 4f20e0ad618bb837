"""The page in headless Chromium: a clip, and a microphone that plays a file."""

from __future__ import annotations

import functools
import http.server
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
RECORD = """
    window.heard = [];
    const push = listener.push.bind(listener);
    listener.push = (samples) => { heard.push(...samples); push(samples); };
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(
    student: Any, needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    needs("make", "clang", "wasm-ld")
    build = tmp_path_factory.mktemp("web")
    command = ["make", "-s", "-C", HERE, f"STUDENT={student.folder}", f"BUILD={build}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    handler = functools.partial(Quiet, directory=str(build))
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def browser(
    address: str, clip: Any, needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    needs("chromium", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "no-first-run",
        "disable-sync",
        "disable-background-networking",
        "disable-component-update",
        "use-fake-ui-for-media-stream",
        "use-fake-device-for-media-stream",
        f"use-file-for-fake-audio-capture={clip.path}",
        f"user-data-dir={tmp_path_factory.mktemp('profile')}",
    ):
        options.add_argument(f"--{flag}")
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser: Any, address: str) -> Any:
    browser.get(address)
    wait(browser, "!document.getElementById('listen').disabled")
    return browser


def wait(driver: Any, script: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not driver.execute_script(f"return {script}"):
        status = driver.execute_script("return document.getElementById('status').textContent")
        assert time.monotonic() < end, f"{script} did not become true; the page says: {status}"
        time.sleep(0.1)


def same(found: dict[str, float], want: dict[str, np.float32]) -> bool:
    return {name: np.float32(value) for name, value in found.items()} == want


def test_a_clip_gives_the_bits_of_python(page: Any, student: Any, clip: Any) -> None:
    samples = clip.samples / 32768
    script = "listener.push(Float32Array.from(arguments[0])); return listener.estimate()"
    assert same(page.execute_script(script, samples.tolist()), student.estimate(clip.samples))


def test_too_little_sound_gives_nothing(page: Any) -> None:
    script = "listener.push(new Float32Array(300)); return listener.estimate()"
    assert page.execute_script(script) is None


def test_the_microphone_is_heard(page: Any, student: Any) -> None:
    """What came from the microphone gives what Python gives for the same samples."""
    page.execute_script(RECORD)
    page.find_element("id", "listen").click()
    wait(page, "listener.seconds > 1.5")
    assert float(page.find_element("id", "arousal-text").text) > 0
    page.find_element("id", "listen").click()
    wait(page, "document.getElementById('listen').textContent === 'Listen'")
    found, heard = page.execute_script("return [listener.estimate(), heard]")
    samples = np.array(heard, np.float32)
    assert np.sqrt(np.mean(samples**2)) > 0.01  # speech, not silence
    assert same(found, student.estimate(samples))
