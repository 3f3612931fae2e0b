"""The how-to on old suites, done: 300 leaks, green the same day, guarded from then on, and fewer after each fix."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pytest_leakguard.core.baseline_text import parse

PAGE = (Path(__file__).parents[2] / "docs" / "howto" / "adopt-in-an-old-suite.md").read_text("utf-8")
MODULES, TESTS, LEAKS = 20, 3, 5
QUICK = ("--leakguard-grace=0", "--leakguard-probes=fd")


def module(number: int, fixed: str = "") -> str:
    """Tests that leak in functions of their own, but for one that was fixed."""
    text = "import os\n\nKEPT = []\n"
    for test in range(TESTS):
        names = [f"open_{number}_{test}_{leak}" for leak in range(LEAKS)]
        for name in names:
            left = "os.close(it)" if name == fixed else "KEPT.append(it)"
            text += f"\ndef {name}():\n    it = os.open(os.devnull, os.O_RDONLY)\n    {left}\n"
        text += f"\ndef test_{test}():\n" + "".join(f"    {name}()\n" for name in names)
    return text


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_a_suite_with_300_leaks(pytester, alone):
    """The steps of the page, in order, with its commands and its ini file."""
    pytester.makepyfile(**{f"test_m{number}": module(number) for number in range(MODULES)})
    (command,) = blocks("sh")
    words = command.split()
    assert words[:2] == ["pytest", "--leakguard"]
    written = alone(*QUICK, *words[2:])
    assert written.result.ret == 0
    written.result.assert_outcomes(passed=60)
    assert written.report["summary"]["known"] == 300
    assert len(parse((pytester.path / "leaks.toml").read_text("utf-8"), "leaks.toml").entries) == 300

    (ini,) = blocks("ini")
    (pytester.path / "pytest.ini").write_text(ini, "utf-8")
    guarded = alone(*QUICK, flag=())
    assert guarded.result.ret == 0
    assert guarded.report["summary"]["known"] == 300
    guarded.result.stdout.fnmatch_lines(
        ["leakguard: baseline leaks.toml with 300 known leaks", "leakguard: 60 tests, 0 leaks, 300 known, *"]
    )

    # a new leak, and a fix
    pytester.makepyfile(
        test_m3=module(3, fixed="open_3_0_0"),
        test_new="KEPT = []\n\ndef test_it():\n    KEPT.append(open(__file__))\n",
    )
    changed = alone(*QUICK, flag=())
    assert changed.result.ret == 1
    assert [f["test"] for f in changed.findings] == ["test_new.py::test_it"]
    assert changed.report["baseline"]["gone"] == ["fd:test_m3.py:open_3_0_0"]
    shown = next(block for block in blocks("text") if "gone from the suite" in block)
    pattern = re.sub(r"toml:\d+: \S+", r"toml:*: fd:test_m3.py:open_3_0_0", shown)
    changed.result.stdout.fnmatch_lines(pattern.splitlines())

    (pytester.path / "test_new.py").unlink()
    assert alone(*QUICK, "--leakguard-baseline-update", flag=()).result.ret == 0
    assert len(parse((pytester.path / "leaks.toml").read_text("utf-8"), "leaks.toml").entries) == 299


@pytest.mark.parametrize("block", blocks("toml"))
def test_the_blocks_of_the_page_are_read(block):
    """As they stand there."""
    (entry,) = parse(block, "leaks.toml").entries
    assert entry.count == 3
    assert entry.fingerprint == "fd:app/store.py:Store.open"
