"""What is tried first: changed code, then places that were never tried, then the rest. And how far a sweep is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest

from pytest_leakguard.faults.changes import Changes
from pytest_leakguard.faults.model import FaultPoint
from pytest_leakguard.plugin.fault_order import CACHE_KEY, Order

CODE = "def first():\n    return 1\n\n\ndef second():\n    a = 1\n    return a\n"


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


def git(folder, *words: str) -> None:
    """Run git with an author of its own."""
    who = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def point(line: int, what: str = "open", path: str = "code.py") -> FaultPoint:
    return FaultPoint(family="acquire", path=path, qualname="f", what=what, occurrence=1, line=line)


def test_ranks(tmp_path):
    """Changed code, then what was never tried, whatever its number, then the rest."""
    (tmp_path / "code.py").write_text(CODE)
    order = Order(Changes(str(tmp_path), {"code.py": [range(1, 2)]}), frozenset({"acquire:code.py:f:open"}))
    assert [order.rank(one) for one in (point(2), point(6, "mkdir"), point(6))] == [0, 1, 2]


@pytest.fixture
def project(pytester):
    """Four places of which a budget of one trial can have one; one round more with each place."""
    pytester.mkpydir("app").joinpath("code.py").write_text(
        "import os\n" + "".join(f"def place{n}():\n    os.stat('.')\n\n" for n in range(4))
    )
    pytester.makepyfile(
        """
        from app import code

        def test_it():
            for place in (code.place0, code.place1, code.place2, code.place3):
                place()
        """
    )
    return pytester


def tried(pytester) -> list[str]:
    """The functions that the cache knows as tried, once a run with a budget of one trial is over."""
    result = pytester.runpytest(
        "-p", "leakguard", "--leakguard-faults", "--leakguard-fault-families=call",
        "--leakguard-fault-target=app", "--leakguard-fault-budget=1",
    )  # fmt: skip
    result.assert_outcomes(passed=1)
    text = (pytester.path / ".pytest_cache" / "v" / CACHE_KEY).read_text("utf-8")
    return re.findall(r"call:app/code.py:(place\d):stat", text)


@needs_git
def test_runs_with_a_budget_go_through_all_places_changed_ones_first(project, monkeypatch):
    """Each run tries another place, until all are known; a change of one brings it to the front."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    git(project.path, "init", "-q")
    git(project.path, "add", "-A")
    git(project.path, "commit", "-qm", "all")
    code = project.path / "app" / "code.py"
    code.write_text(code.read_text() + "# the end\n")
    seen = [tried(project) for _ in range(4)]
    assert [len(names) for names in seen] == [1, 2, 3, 4]
    code.write_text(code.read_text().replace("def place2():\n", "def place2():\n    os.getpid()\n"))
    shutil.rmtree(project.path / ".pytest_cache")
    assert tried(project) == ["place2"]


def test_workers_add_to_what_was_tried(project, monkeypatch):
    """The controller of a distributed run keeps what all of them have tried."""
    pytest.importorskip("xdist")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", raising=False)
    result = project.runpytest("-n1", "--leakguard-faults", "--leakguard-fault-families=call", "-p", "no:randomly")
    result.assert_outcomes(passed=1)
    assert "fault points" not in result.stdout.str()
    assert (project.path / ".pytest_cache" / "v" / CACHE_KEY).read_text("utf-8").count("place") == 4


SLOW = "import os, time\n\ndef work():\n    os.stat('.')\n    time.sleep(0.03)\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")
@pytest.mark.parametrize(("options", "shown"), [((), True), (("-q",), False), (("-s",), False)])
def test_a_long_sweep_tells_how_far_it_is(pytester, monkeypatch, options, shown):
    """On a terminal, in a line that is written over; not when quiet, nor where pytest itself shows no progress."""
    import pty

    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    pytester.mkpydir("app").joinpath("code.py").write_text(SLOW)
    pytester.makepyfile(
        test_slow="from app import code\n\ndef test_it():\n    for _ in range(9):\n        code.work()\n\n"
        "def test_next():\n    pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "leakguard", "--leakguard-fault-families=call", *options]
    printed: list[bytes] = []

    def read(descriptor: int) -> bytes:
        try:
            data = os.read(descriptor, 1024)
        except OSError:  # the other end is closed
            return b""
        printed.append(data)
        return data

    monkeypatch.chdir(pytester.path)
    status = pty.spawn([*command, "--leakguard-faults"], read, lambda descriptor: b"")
    text = b"".join(printed).decode()
    assert status == 0, text
    progress = re.findall(r"\rleakguard: test_slow.py::test_it: (\d+) of (\d+) fault points *\r", text)
    assert bool(progress) is shown, text
    if shown:
        assert {of for _, of in progress} == {"9"}
        numbers = [int(done) for done, _ in progress]
        assert numbers == sorted(set(numbers))
        # erased at the end; one up and past "test_slow.py .", so that the next dot stands beside the first
        assert re.search(r"\r {99}\r\x1b\[1A\x1b\[14C(\x1b\[\d*m)*\.", text), text
