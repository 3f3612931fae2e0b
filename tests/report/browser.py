"""A headless browser for the tests of the page: found by PATH, told to stay off the network."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,1400",
)


def found() -> tuple[str, str]:
    """The browser and its driver. Skips the test, with the reason, where there is none."""
    pytest.importorskip("selenium", reason="selenium is not installed")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        missing = " and ".join(
            name for name, path in (("a Chromium browser", browser), ("chromedriver", driver)) if not path
        )
        pytest.skip(f"{missing} not found in PATH")
    return browser, driver


@contextmanager
def driven(profile: Path, *switches: str) -> Iterator[Any]:
    """A browser with a profile of its own, closed at the end.

    Both programs are named, so that selenium has nothing to look for and nothing to download.
    """
    browser, driver = found()
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for switch in (*_SWITCHES, f"--user-data-dir={profile}", *switches):
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        window.set_page_load_timeout(60)
        yield window
    finally:
        window.quit()


def until(question: Any, seconds: float = 10.0) -> Any:
    """Ask again until the answer is true. Raises AssertionError."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
    return answer
