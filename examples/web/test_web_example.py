"""The page in Chromium, whose microphone is a file; tests/cmake_ext/test_web.py compares bits."""

from __future__ import annotations

import functools
import http.server
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chromium import chromium

HERE = Path(__file__).parent


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    needs("make", "clang", "wasm-ld")
    build = tmp_path_factory.mktemp("web")
    command = ["make", "-s", "-C", HERE, f"PYTHON={sys.executable}", f"BUILD={build}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    handler = functools.partial(Quiet, directory=str(build))
    with http.server.ThreadingHTTPServer(("localhost", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(address: str, clip: Any, needs: Callable[..., None], tmp_path: Path) -> Iterator[Any]:
    needs("chromium", "chromedriver")
    logs = {"browser": "ALL"}
    with chromium(tmp_path / "profile", logs=logs, microphone=clip.path) as driver:
        driver.get(address)
        yield driver


def wait(driver: Any, script: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not driver.execute_script(f"return {script}"):
        status = driver.execute_script("return document.getElementById('status').textContent")
        assert time.monotonic() < end, f"{script} did not become true; the page says: {status}"
        time.sleep(0.1)


def test_a_click_shows_estimates_and_another_stops(page: Any) -> None:
    wait(page, "!document.getElementById('listen').disabled")
    page.find_element("id", "listen").click()
    wait(page, "document.getElementById('status').textContent.endsWith('s heard')")
    assert 0 < float(page.find_element("id", "arousal-text").text) < 1.2
    page.find_element("id", "listen").click()
    wait(page, "document.getElementById('listen').textContent === 'Listen'")
    # The policy of the page allows all that it does.
    severe = [entry["message"] for entry in page.get_log("browser") if entry["level"] == "SEVERE"]
    assert [message for message in severe if "favicon" not in message] == []
