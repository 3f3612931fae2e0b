"""unclosed: gone, but only because the garbage collector closed it."""

from __future__ import annotations

from pathlib import Path

import pytest
from app import settings


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "settings.json"
    path.write_text('{"interval": 60}', encoding="utf-8")
    return path


def test_leaky_settings(settings_file: Path) -> None:
    """Closed at once by reference counting, and Python's own warning for it is ignored."""
    assert settings.read_settings_carelessly(settings_file) == {"interval": 60}


def test_clean_settings(settings_file: Path) -> None:
    assert settings.read_settings(settings_file) == {"interval": 60}


def test_leaky_section(settings_file: Path) -> None:
    """Held by a reference cycle: open until some later garbage collection."""
    assert "interval" in settings.Section(settings_file).text()


def test_clean_section(settings_file: Path) -> None:
    section = settings.Section(settings_file)
    try:
        assert "interval" in section.text()
    finally:
        section.close()
