"""Every message that docs/reference/messages.md describes is produced, and the documented ones are all there are."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from late import LINGERS

from pytest_leakguard.report import pages

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "messages.md"

CONFTEST = """
from pytest_leakguard.core.model import Resource

class Probe:
    mechanism = "none"
    def __init__(self, kind): self.kind = kind
    def unavailable(self): return "no lamp here" if self.kind == "dark" else None
    def mark(self): return 0
    def keys(self): raise LookupError("the oil is out")
    def describe(self, key): raise LookupError

def pytest_leakguard_probes(config):
    return [Probe("lantern"), Probe("dark")]
"""

TESTS = (
    """
import os
import threading

import pytest

KEPT = []
NEVER_CLOSED, KEPT_BY_A_FAILED_TEST = [], []


def leak(path, mode="w"):
    KEPT.append(open(path, mode))


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    leak(tmp_path_factory.mktemp("broker") / "b.txt")
    yield


@pytest.fixture(scope="module")
def pool():
    kept = []
    yield kept
    NEVER_CLOSED.extend(kept)


def test_leaked(tmp_path):
    leak(tmp_path / "a.txt")

def test_unknown():
    KEPT.extend(os.pipe())

def test_unclosed(tmp_path):
    open(tmp_path / "a.txt", "w")

def test_late():
    lingers("lingers")

def test_of_a_fixture(broker):
    pass

def test_told_later(tmp_path, pool):
    pool.append(open(tmp_path / "a.txt", "w"))

def test_failing(tmp_path):
    KEPT_BY_A_FAILED_TEST.append(open(tmp_path / "a.txt", "w"))
    assert 0

def test_task():
    import asyncio
    async def main():
        asyncio.create_task(asyncio.sleep(600), name="sleeper")
        await asyncio.sleep(0)
    asyncio.run(main())

@pytest.mark.allow_leaks("fd:*/a.txt", reason="kept on purpose")
def test_allowed(tmp_path):
    leak(tmp_path / "a.txt")

@pytest.mark.allow_leaks("fd:*/b.txt", reason="long gone")
def test_unused():
    pass

class Link:
    def close(self): pass

class Forecast:
    pass

def test_never_closed():
    Link()

@pytest.mark.no_leaks(repeat=2)
def test_grows():
    KEPT.append(Forecast())

@pytest.mark.no_leaks(repeat=2)
def test_only_once(ran=[]):
    ran.append(1)
    assert len(ran) == 1
"""
    + LINGERS
)

# slug in the reference -> what is printed (or attached) of it, in lines; a line starts with its pattern
PRINTED = {
    "header": [
        r"leakguard: fd, lantern, lock, mmap, object, process, socket, sqlite, task, temp, thread, unclosed; "
        r"every test; action fail, grace 1 s$",
        r"leakguard: dark is not watched: no lamp here$",
    ],
    "leaked": [
        r"=+ leaks =+$",
        r"LEAK fd  test_it.py::test_leaked",
        r"  what      fd \d+, regular file open for writing: .*/a\.txt$",
        r"  acquired  call phase, test_it.py:11 in leak  \[audit: open\]$",
        r"  due       end of function scope; still open after teardown, 1 look in [\d.]+ s$",
        r"  fix       open it in a `with` block, or close it where it is last used$",
        r'  allow     @pytest.mark.allow_leaks\("fd:.*/a.txt", reason="..."\)$',
    ],
    "acquired-unknown": [r"  acquired  unknown: pipe\(\) raises no audit event; try --leakguard-trace$"],
    "unclosed": [
        r"LEAK unclosed  test_it.py::test_unclosed$",
        r"  what      closed only by the garbage collector: unclosed file <_io.TextIOWrapper name='",
        r"  due       end of function scope; nothing closed it, the garbage collector did$",
    ],
    "held": [r"  held      module test_it, global `\w+` -> .*list\[\d+\] -> TextIOWrapper$"],
    "task": [
        r"LEAK task  test_it.py::test_task$",
        r"  what      task 'sleeper' of sleep, waiting at python3\.\d+/asyncio/tasks\.py:\d+ in sleep$",
        r"  due       end of function scope; still pending when its loop stopped; only the runner cancelled it$",
    ],
    "late": [
        r"=+ late: gone, but only within the grace =+$",
        r"LATE thread  test_it.py::test_late$",
        r"  due       end of function scope; gone only after [\d.]+ s, \d+ looks$",
    ],
    "misclosed": [
        r"LEAK fd  test_closed.py::test_twice$",
        r"  what      fd \d+ \(.*/a\.txt\), closed twice: there was nothing to close the second time$",
        r"  closed    call phase, test_closed.py:7 in test_twice  \[trace: os.close\]$",
        r"  due       to be closed once, by its owner$",
        r"  fix       let one place close it and forget the number there: ",
        r"  note      closed: test_closed.py:7 in test_twice$",
        r"  note      closed before: test_closed.py:5 in test_twice$",
        r"  note      opened: test_closed.py:4 in test_twice$",
    ],
    "never-closed": [
        r"LEAK object  test_it.py::test_never_closed$",
        r"  what      test_it.Link was never closed: close\(\) not called, and it is gone$",
        r"  acquired  call phase, test_it.py:\d+ in test_never_closed  \[wrap: Link\(\)\]$",
        r"  due       end of function scope; still not closed after teardown, 1 look in [\d.]+ s$",
        r"  fix       call close\(\) on every path, in a `finally` or at the end of a `with` block$",
    ],
    "growth": [
        r"LEAK object  test_it.py::test_grows$",
        r"  what      test_it.Forecast objects grow with every repetition: \+1, \+1$",
        r"  acquired  unknown: counted by type; name the class in leakguard_track and the line that makes it is known$",
        r"  due       end of each of 2 repetitions; one before them was left out as warm-up$",
        r"leakguard: test_it.py::test_only_once can't be repeated: repetition 1 ended as failed in its call phase, ",
    ],
    "nothing-is-watched": [
        r"leakguard: nothing is watched for 'test_it.Nope' \(leakguard_track \(ini file tox.ini\)\): "
        r"module 'test_it' has no such class$",
    ],
    "leak-of-a-fixture": [
        r"LEAK fd  fixture 'broker' \(module scope\), test_it.py:14$",
        r"  acquired  setup phase, for test_it.py::test_of_a_fixture, test_it.py:11 in leak  \[audit: open\]$",
        r"  due       end of module scope; still open after the fixture's teardown, ",
        r"  fix       after the `yield` of fixture 'broker': .*; the tests that use it are not at fault$",
        r"  allow     in the ini file: leakguard_allow = fd:.*/b.txt -- <reason>$",
    ],
    "leak-told-later": [
        r"LEAK fd  test_it.py::test_told_later$",
        r"  due       end of function scope; fixture 'pool' \(module scope\) might have released it, "
        r"still open after its teardown, ",
    ],
    "note": [
        r"-+ leakguard: left behind after teardown of this failed test -+$",
        r"LEAK fd  test_it.py::test_failing$",
    ],
    "known": [
        r"LEAK fd  test_adopted.py::test_known_twice$",
        r"  note      the baseline knows 1 of these, and there are more: any of them may be the new one$",
        r"leakguard: 4 tests, 1 leak, 1 known, 2 not confirmed, peak ",
    ],
    "gone": [
        r"leakguard: gone from the suite, but still in known.toml:\d+: fd:test_adopted.py:test_gone$",
        r"leakguard: --leakguard-baseline-update takes out of known.toml what is gone$",
    ],
    "leaked-once": [r"=+ leaked once, and not when repeated =+$", r"LEAKED ONCE fd  test_adopted.py::test_once"],
    "isolated": [
        r"leakguard: test_adopted.py::\w+ in a fresh process$",
        r"  note      isolated: leaks alone$",
        r"leakguard: isolated: test_adopted.py::\w+ leaks alone$",
    ],
    "still-there": [
        r"=+ still there after the last teardown =+$",
        r"1 thread$",
        r"may hold the exit: thread 'napper', not daemon, now at .*; started test_exiting.py:4 in test_holds_the_exit",
    ],
    "waiting-to-exit": [
        r"leakguard: the interpreter has been waiting to exit for 1 s:$",
        r"  thread 'napper', not daemon, now at .*; started test_exiting.py:4 in test_holds_the_exit",
    ],
    "allowed": [r"leakguard: 13 tests, .*, 1 in failed tests, 1 allowed, 1 late, "],
    "unused-allow": [
        r"leakguard: allow rule 'fd:\*/b.txt' hides nothing any more: "
        r"@pytest.mark.allow_leaks on test_it.py::test_unused$",
    ],
    "fault": [
        r"FAULT unrelated  test_faulted.py::test_length$",
        r"=+ faults: told, no failure =+$",
        r"swallowed  test_faulted.py::test_exists: acquire:app.py:exists:open#1: ",
    ],
    "swept": [r"leakguard: faults: 2 points in 2 tests \(acquire 2\), \d+ trials, [\d.]+ s, seed \d+$"],
    "cleanup-paths": [
        r"=+ cleanup paths =+$",
        r"kind +paths +normally  under an error   never$",
        r"leakguard: cleanup: \d+ paths, \d+ ran under an error, \d+ only without one, \d+ never$",
    ],
    "explained": [
        r"=+ explained =+$",
        r"EXPLAINED test_faulted.py::test_length$",
        r"  settings  leakguard = True, from the command line",
        r"  verdict   LEAKED$",
    ],
    "trouble": [r"leakguard: hook pytest_leakguard_allow of \S+ gave 3, not a list of strings$"],
    "worker-crashed": [r"leakguard: worker gw0 crashed: what its tests had left before is told"],
    "probe-off": [r"leakguard: probe 'lantern' switched off: LookupError: the oil is out$"],
    "blind": [r"leakguard: blind for socket: a resource leaked on purpose was not seen$"],
    "closing-line": [
        r"leakguard: 13 tests, 9 leaks, 1 in failed tests, 1 allowed, 1 late, "
        r"peak [\d,]+ of [\d,]+ descriptors \(test_it.py::\w+\), \+\d+\.\d s$",
    ],
    "usage-error": [
        r"ERROR: leakguard_probes \(ini file tox.ini\): unknown kind 'fsd'; did you mean 'fd'\?$",
        r"Known: fd, lock, mmap, object, process, socket, sqlite, state, task, temp, thread, "
        r"unclosed\.$",
    ],
}  # fmt: skip

CLOSED = """
import os

def test_twice(tmp_path):
    number = os.open(tmp_path / "a.txt", os.O_CREAT)
    os.close(number)
    try:
        os.close(number)
    except OSError:
        pass
"""

ADOPTED = """
import os

KEPT = []

def leak(path):
    KEPT.append(open(path, "w"))

def test_known(tmp_path):
    leak(tmp_path / "a.txt")

def test_known_twice(tmp_path):
    if "AGAIN" in os.environ:
        leak(tmp_path / "a.txt")

def test_gone():
    if "AGAIN" not in os.environ:
        KEPT.append(os.open(os.devnull, os.O_RDONLY))

def test_once(ran=[]):
    ran.append(1)
    if "AGAIN" in os.environ and len(ran) == 1:
        KEPT.append(os.pipe())
"""

EXITING = """
import threading, time

def test_holds_the_exit():
    threading.Thread(target=nap, name="napper").start()

def nap():
    while threading.main_thread().is_alive():
        time.sleep(0.02)
    time.sleep(3)  # from here on the interpreter waits
"""

FAULTED = """
import app

def test_length():
    assert app.length(app.__file__)

def test_exists():
    app.exists(app.__file__)
"""

APP = """
def length(path):
    try:
        with open(path) as stream:
            return len(stream.read())
    except OSError:
        return no_such_name

def exists(path):
    try:
        with open(path):
            return True
    except OSError:
        return False
"""

CRASHING = """
import os

KEPT = []

def test_leaks():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))

def test_ends_the_process():
    os._exit(3)
"""

BLIND = """
from pytest_leakguard.probes.sockets import SocketProbe
SocketProbe.keys = lambda self: frozenset()
"""


_RAN: list[list[list[str]]] = []


@pytest.fixture
def runs(request) -> list[list[str]]:
    """As `_run` gives it to the first test that asks."""
    if not _RAN:
        _RAN.append(_run(*map(request.getfixturevalue, ("alone", "pytester", "monkeypatch"))))
    return _RAN[0]


def _run(alone, pytester, monkeypatch) -> list[list[str]]:
    """The lines of runs that together have everything in them, and of one that is refused, which is the last."""
    pytester.makeconftest(CONFTEST + BLIND)
    pytester.makepyfile(test_it=TESTS)
    pytester.makeini("[pytest]\nleakguard_track =\n    test_it.Link: close\n    test_it.Nope\n")
    ran = alone("--leakguard-late", errors=True)
    pytester.makepyfile(test_closed=CLOSED)
    traced = alone("--leakguard-trace", "test_closed.py", errors=True)
    pytester.makeconftest("")
    pytester.makeini("[pytest]\n")
    pytester.makepyfile(test_adopted=ADOPTED)
    known = ("test_adopted.py", "--leakguard-baseline=known.toml", "--leakguard-grace=0.1")
    alone(*known, "--leakguard-baseline-update", errors=True)
    monkeypatch.setenv("AGAIN", "1")
    adopted = alone(*known, "--leakguard-confirm", "--leakguard-isolate", errors=True)
    pytester.makepyfile(test_exiting=EXITING)
    exiting = alone("test_exiting.py", "--leakguard-action=warn", "--leakguard-grace=0", errors=True)
    pytester.makepyfile(app=APP, test_faulted=FAULTED)
    pytester.makeconftest("def pytest_leakguard_allow(config): return 3")
    swept = alone(
        "test_faulted.py", "--leakguard-faults", "--leakguard-fault-families=acquire", "--leakguard-cleanup-report",
        "--leakguard-explain=test_faulted.py", errors=True,
    )  # fmt: skip
    pytester.makeconftest("")
    crashed = []
    if find_spec("xdist"):
        pytester.makepyfile(test_crashing=CRASHING)
        few = ("-p", "xdist", "-n1", "--max-worker-restart=1", "--leakguard-grace=0")
        crashed = alone(*few, "test_crashing.py", errors=True).result.outlines
    pytester.makeini("[pytest]\nleakguard_probes = fsd\n")
    refused = pytester.runpytest("-p", "leakguard", "--leakguard")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    of_leaks = _without_counts(traced.result.outlines)
    start = adopted.result.outlines.index("collected 4 items")  # what stands above is the header once more
    ended = _without_counts(exiting.result.outlines)
    sweeping = swept.result.outlines.index("collected 2 items")
    told = [line for line in crashed if line.startswith(("leakguard: worker", "leakguard: what"))]
    return [
        ran.result.outlines, of_leaks, adopted.result.outlines[start:], [*ended, *exiting.result.errlines],
        swept.result.outlines[sweeping:-2], told, refused.errlines,
    ]  # fmt: skip


def _without_counts(lines: list[str]) -> list[str]:
    return [line for line in lines if not line.startswith("leakguard: ") or "what it means" in line]


@pytest.fixture
def printed(runs) -> list[str]:
    """The lines of all of them."""
    return [line for lines in runs for line in lines]


def test_every_documented_message_is_produced(printed):
    """For each heading of the reference the lines that it describes, each line whole and in order."""
    documented = re.findall(r"^## (\S+)$", REFERENCE.read_text("utf-8"), re.MULTILINE)
    assert sorted(documented) == sorted(PRINTED)
    for slug, patterns in PRINTED.items():
        if slug == "worker-crashed" and not find_spec("xdist"):
            continue
        rest = list(printed)
        for pattern in patterns:
            while rest and not re.match(pattern, rest[0]):
                rest.pop(0)
            assert rest, f"{slug}: no line {pattern!r} in\n" + "\n".join(printed)


def _linked(lines: list[str]) -> set[str]:
    """The slugs that a run names."""
    links = [line.partition(f"what it means: {pages.COMMAND} ")[2].split() for line in lines]
    return {slug for link in links for slug in link}


def test_each_message_names_its_section(runs):
    """What a run prints of a section, that run names, once and at its end; and there is no section by another name."""
    for lines in runs:
        in_full = {
            slug
            for slug, patterns in PRINTED.items()
            if all(any(re.match(pattern, line) for line in lines) for pattern in patterns)
        }
        named = _linked(lines)
        assert in_full - pages.NOT_NAMED - {"allowed"} <= named
        assert named <= set(PRINTED)
    assert pages.named() - {"allowed"} <= set().union(*map(_linked, runs)) | {"worker-crashed"}
    assert pages.named() | pages.NOT_NAMED == set(pages.sections()) == set(PRINTED)


def test_a_run_without_a_message_names_no_section(alone, pytester):
    """Header and closing line alone are no reason for a further line."""
    pytester.makepyfile("def test_clean(): pass")
    assert "what it means" not in alone().text


def test_no_other_message_is_printed(printed):
    """Every line of ours belongs to a documented message: nothing is said that nobody could look up."""
    known = [re.compile(pattern) for patterns in PRINTED.values() for pattern in patterns]
    known.append(re.compile(re.escape(f"leakguard: what it means: {pages.COMMAND} ")))
    ours = [line for line in printed if line.startswith(("leakguard: ", "LEAK ", "LATE "))]
    assert [line for line in ours if not any(pattern.match(line) for pattern in known)] == [
        "LEAK fd  test_it.py::test_unknown  x2",
        "LEAK thread  test_exiting.py::test_holds_the_exit",
    ]


def test_the_lines_shown_in_the_reference_are_as_they_print(alone, pytester):
    """Header and closing line of the reference are what a run prints, but for its numbers."""

    def shape(line: str) -> str:
        line = re.sub(r"\(\S+\)", "(TEST)", line)
        return re.sub(r"[\d,.]*\d", "N", line)

    shown = re.findall(r"^`(leakguard: .*)`$", REFERENCE.read_text("utf-8"), re.MULTILINE)
    shown = [line for line in shown if "grace" in line or "peak" in line]
    assert len(shown) == 2
    pytester.makepyfile("import pytest\n@pytest.mark.parametrize('n', range(2))\ndef test_clean(n): pass")
    printed = [shape(line) for line in alone().result.outlines if line.startswith("leakguard: ")]
    assert [shape(line) for line in shown] == printed


def test_the_usage_error_of_the_reference_is_as_it_prints(pytester, monkeypatch):
    """The block in the reference is what stands on the terminal."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (block,) = re.findall(r"```text\n(leakguard_probes.*?)\n```", REFERENCE.read_text("utf-8"), re.DOTALL)
    pytester.makeini("[pytest]\nleakguard_probes = fsd\n")
    pytester.makepyfile("def test_it(): pass")
    printed = pytester.runpytest("-p", "leakguard", "--leakguard").errlines
    text = "\n".join(line for line in printed if line).removeprefix("ERROR: ")
    assert text == block


SECTION = """\
==================================== leaks =====================================
LEAK fd  test_it.py::test_one  x3
  what      fd N, regular file open for writing: <basetemp>/basetemp/test_one0/a.txt
  acquired  call phase, test_it.py:7 in leak  [audit: open]
  held      module test_it, global `KEPT` -> list[0] -> TextIOWrapper
  due       end of function scope; still open after teardown, 1 look in N s
  fix       open it in a `with` block, or close it where it is last used
  allow     @pytest.mark.allow_leaks("fd:<basetemp>/basetemp/test_one0/a.txt", reason="...")
  note      also in test_it.py::test_two[0], test_it.py::test_two[1]

LEAK thread  test_it.py::test_thread
  what      thread 'roof', daemon, now at LIB/threading.py:N in WAIT
  acquired  call phase, test_it.py:16 in test_thread  [HOW: thread start]
  held      by nothing but the running thread itself
  due       end of function scope; still alive after teardown, 1 look in N s
  fix       tell it to stop and join it before the test ends
  allow     @pytest.mark.allow_leaks("thread:roof", reason="...")
===================== still there after the last teardown ======================
3 fd, 1 thread"""


def test_the_section_of_leaks_to_the_character(alone, pytester):
    """One message for each fingerprint with its count and the other tests, a blank line between, nothing else."""
    pytester.makepyfile(
        test_it="""
        import threading

        import pytest

        KEPT = []

        def leak(tmp_path): KEPT.append(open(tmp_path / "a.txt", "w"))

        def test_one(tmp_path): leak(tmp_path)

        @pytest.mark.parametrize("n", range(2))
        def test_two(tmp_path, n): leak(tmp_path)

        def test_thread():
            thread = threading.Thread(target=threading.Event().wait, name="roof", daemon=True)
            thread.start()
        """
    )
    ran = alone("--leakguard-grace=0")
    lines = ran.result.outlines
    start = next(number for number, line in enumerate(lines) if re.match("=+ leaks =+$", line))
    end = next(number for number, line in enumerate(lines) if number > start and line.startswith("leakguard: "))
    section = "\n".join(lines[start:end])
    for pattern, instead in (
        (r"fd \d+", "fd N"),
        (r"in [\d.]+ s$", "in N s"),
        (r"at \S+/threading\.py:\d+ in \S+", "at LIB/threading.py:N in WAIT"),
        (r"\[\w+: thread start\]", "[HOW: thread start]"),
    ):
        section = re.sub(pattern, instead, section, flags=re.MULTILINE)
    assert section == SECTION


def test_a_note_that_comes_later_is_shown(alone, pytester):
    """The leak of a failed test that waited for a wider fixture is told in words, not only counted."""
    pytester.makepyfile(
        test_it="""
        import pytest
        NEVER_CLOSED = []

        @pytest.fixture(scope="module")
        def pool():
            kept = []
            yield kept
            NEVER_CLOSED.extend(kept)

        def test_failing(tmp_path, pool):
            pool.append(open(tmp_path / "a.txt", "w"))
            assert 0

        def test_last(pool): pass
        """
    )
    ran = alone()
    assert [finding["disposition"] for finding in ran.report["findings"]] == ["note"]
    ran.result.stdout.fnmatch_lines(["*left behind*", "LEAK fd  test_it.py::test_failing", "  what *a.txt"])


def test_many_tests_with_one_leak_are_not_all_named(alone, pytester):
    """The note names some of them and counts the rest."""
    pytester.makepyfile(
        test_it="""
        import pytest
        KEPT = []

        @pytest.mark.parametrize("n", range(9))
        def test_it(tmp_path, n): KEPT.append(open(tmp_path / "a.txt", "w"))
        """
    )
    ran = alone()
    named = ", ".join(f"test_it.py::test_it[{n}]" for n in range(1, 6))
    assert f"  note      also in {named} and 3 more" in ran.result.outlines
    assert "LEAK fd  test_it.py::test_it[0]  x9" in ran.result.outlines


def test_outcomes_have_a_letter_and_a_word(alone, pytester):
    """L and LEAKED, counted apart from failed ones; with --leakguard-action=report nothing of it is shown."""
    pytester.makepyfile(
        test_it="KEPT = []\ndef test_it(tmp_path): KEPT.append(open(tmp_path / 'a', 'w'))\ndef test_ok(): pass"
    )
    assert "test_it.py .L.                                                           [100%]" in alone().result.outlines
    long = alone("-v").result
    long.stdout.fnmatch_lines(
        ["test_it.py::test_it PASSED*", "test_it.py::test_it LEAKED*", "*= 2 passed, 1 leaked in *"]
    )
    quiet = alone("--leakguard-action=report").result
    assert quiet.ret == 0
    assert [line for line in quiet.outlines if "LEAK" in line or (line.startswith("=") and "leak" in line)] == []
    quiet.stdout.fnmatch_lines(["leakguard: 2 tests, 1 leak, *"])
    warned = alone("--leakguard-action=warn").result
    assert warned.ret == 0
    warned.stdout.fnmatch_lines(["test_it.py .L. *", "=* leaks =*", "LEAK fd  *", "*= 2 passed, 1 leaked in *"])


def test_a_hostile_name_can_do_nothing_to_the_terminal(alone, pytester):
    """Escapes, newlines, surrogates and quotes in the names of files and threads stay harmless text."""
    pytester.makepyfile(
        test_it=r"""
        import threading
        KEPT = []
        NAMES = ["\x1b[31mred", "new\nLEAK fd  another::test", "\udce9", "quo\"te's", "x" * 200]

        def test_files(tmp_path):
            for name in NAMES:
                KEPT.append(open(str(tmp_path) + "/" + name, "w"))

        def test_threads():
            for name in NAMES + ["y" * 10_000]:
                threading.Thread(target=threading.Event().wait, name=name, daemon=True).start()
        """
    )
    ran = alone("--leakguard-grace=0")
    assert [(f["test"], f["count"]) for f in ran.findings] == [
        ("test_it.py::test_files", 5),
        ("test_it.py::test_threads", 6),
    ]
    raw = ran.result.stdout.str()
    assert "\x1b[31mred" not in raw
    assert [line for line in ran.result.outlines if line.startswith("LEAK fd  another")] == []
    assert all(line.isprintable() for line in ran.result.outlines)
