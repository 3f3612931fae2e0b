"""What needs no look after each test: what was there before the first one, and what pytest's capturing works with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_what_exists_at_the_first_test_is_old(pytester, alone):
    """Our collections of what a test made don't visit it."""
    pytester.makepyfile(
        """
        import gc
        MADE = []

        def test_first():
            assert not any(one is MADE for one in gc.get_objects(generation=0))
            assert any(one is MADE for one in gc.get_objects())
        """
    )
    assert alone().result.ret == 0


def test_what_the_user_froze_stays_frozen(pytester, alone):
    """A program that forks does that, to keep its pages shared."""
    pytester.makeconftest("import gc\nMADE = []\ngc.freeze()")
    pytester.makepyfile(
        """
        import gc
        from conftest import MADE

        def test_first():
            assert gc.get_freeze_count() > 1000
            assert not any(one is MADE for one in gc.get_objects())  # it tells of none that is frozen
        """
    )
    assert alone().result.ret == 0


@pytest.mark.parametrize(
    ("capture", "expected"),
    [("fd", True), ("sys", False), ("no", False), ("tee-sys", False)],
)
def test_what_capturing_works_with(pytester, alone, capture, expected):
    """Descriptors 1 and 2, what they were before, and the files that take the output: only where pytest moves these."""
    pytester.makeconftest(
        """
        import json, pathlib, pytest

        @pytest.hookimpl(trylast=True)
        def pytest_sessionstart(session):
            guard = session.config.pluginmanager.get_plugin("leakguard-guard")
            pathlib.Path("numbers.json").write_text(json.dumps(sorted(guard.watch.stillness.of_capture)))
        """
    )
    pytester.makepyfile("def test_it(): pass")
    assert alone(f"--capture={capture}").result.ret == 0
    numbers = json.loads((Path(pytester.path) / "numbers.json").read_text("utf-8"))
    assert len(numbers) == (6 if expected else 0)
    assert numbers[:2] == ([1, 2] if expected else [])


@pytest.mark.parametrize("capture", ["fd", "no"])
def test_what_takes_the_place_of_a_known_descriptor_is_told(pytester, alone, capture):
    """As many as before, and yet one of them is new."""
    pytester.makepyfile(
        test_a="""
        import os
        KNOWN = os.open(__file__, os.O_RDONLY)

        def test_before():
            os.close(os.open(os.devnull, os.O_RDONLY))

        def test_swaps(tmp_path):
            os.close(KNOWN)
            assert os.open(tmp_path, os.O_RDONLY) == KNOWN
        """
    )
    ran = alone(f"--capture={capture}")
    (finding,) = ran.report["findings"]
    assert (finding["kind"], finding["test"], finding["origin"]["line"]) == ("fd", "test_a.py::test_swaps", 9)
