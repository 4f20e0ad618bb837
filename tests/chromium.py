"""Chromium without a window, for the pages of the project."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

# Nothing that a browser does of its own accord: no first run, no network in the background.
_FLAGS = (
    "headless=new",
    "no-sandbox",
    "disable-gpu",
    "no-first-run",
    "disable-sync",
    "disable-background-networking",
    "disable-component-update",
)


@contextmanager
def chromium(
    profile: Path,
    *flags: str,
    logs: Mapping[str, str] | None = None,
    microphone: Path | None = None,
) -> Iterator[Any]:
    """A browser, by Selenium's WebDriver; the test is skipped where there is none.

    Args:
        profile: folder of the user's data; new.
        flags: of the command line, without dashes, beside those that all tests have.
        logs: level by the name of a log that is kept.
        microphone: WAV file that a microphone gives, again and again; permission is given unasked.
    """
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    program, driver_program = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver_program is None:
        pytest.skip("chromium and chromium-driver are not installed")
    given = [*_FLAGS, *flags, f"user-data-dir={profile}"]
    if microphone is not None:
        given += ["use-fake-ui-for-media-stream", "use-fake-device-for-media-stream"]
        given += [f"use-file-for-fake-audio-capture={microphone}"]
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in given:
        options.add_argument(f"--{flag}")
    if logs is not None:
        options.set_capability("goog:loggingPrefs", dict(logs))
    driver = webdriver.Chrome(options=options, service=Service(driver_program))
    try:
        yield driver
    finally:
        driver.quit()
