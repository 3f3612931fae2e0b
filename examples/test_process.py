"""process: a child that nobody waits for. Its pipe is part of the same finding."""

from __future__ import annotations

from collections.abc import Callable

from app import helper


def test_leaky_helper(after_run: Callable[..., object]) -> None:
    process = helper.start_helper("hill")
    after_run(helper.stop_helper, "hill")
    assert process.poll() is None


def test_clean_helper() -> None:
    with helper.helper("valley") as process:
        assert process.poll() is None
