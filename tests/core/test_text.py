"""The message of one finding of each kind and verdict, fixed to the character."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.core.model import Acquisition, Finding, Origin, Owner, Resource
from pytest_leakguard.core.verdict import Case, judge
from pytest_leakguard.report.text import acquired, headline, lines, message, printable

TEST = Owner(kind="test", scope="function", name="tests/test_import.py::test_header")
BROKER = Owner(kind="fixture", scope="module", name="broker", where="tests/conftest.py:18", serial=1)
NET = Owner(kind="node", scope="package", name="tests/net", where="tests/net", serial=2)

LOADER = Origin(file="app/loader.py", line=42, function="open_source", how="audit", event="open")


def found(
    kind: str, what: str, subject: str, fix: str, origin: Origin, *, owner=TEST, phase="call", rules=(), **case
) -> Finding:
    """The finding for one made-up resource, through the whole core."""
    resource = Resource(kind=kind, key=1, what=what, subject=subject, fix=fix)
    acquisition = Acquisition(owner=owner, test=TEST.name, phase=phase, origin=origin)
    case.setdefault("verdict", "leaked")
    one = Case(resource=resource, acquisition=acquisition, **case)
    (finding,) = judge([one], rules, normal="fails", used=lambda rule: None)
    return finding


FD = found(
    "fd",
    "fd 14, regular file open for reading: data/header.csv",
    "data/header.csv",
    "open it in a `with` block, or close it where it is last used",
    LOADER,
    looks=4,
    seconds=0.25,
)
SOCKET = found(
    "socket",
    "fd 15, TCP socket, 127.0.0.1:40312 to 127.0.0.1:6379, connected",
    "127.0.0.1:6379",
    "close it on every path: a `with` block, or close() in a `finally`",
    Origin(
        file="redis/connection.py",
        line=631,
        function="Connection._connect",
        how="audit",
        event="socket.__new__",
        via="app/cache.py:9 in connect",
    ),
    phase="setup",
)
THREAD = found(
    "thread",
    "thread 'broker-io', not daemon, now at app/broker.py:88 in _poll",
    "broker-io",
    "tell it to stop and join it before the test ends",
    Origin(file="tests/conftest.py", line=21, function="broker", how="wrap", event="thread start"),
    owner=BROKER,
    phase="setup",
    looks=14,
    seconds=1.0,
)
PROCESS = found(
    "process",
    "child process 4711, zombie: sleep 60",
    "sleep 60",
    "it has ended: wait for it (`with Popen(...)`, wait() or communicate())",
    Origin(file="app/helper.py", line=12, function="Helper.start", how="audit", event="process start"),
    phase="teardown",
)
TEMP = found(
    "temp",
    "file, 1,024 bytes: /tmp/station-k2_x9ab0.csv",
    "/tmp/station-k2_x9ab0.csv",
    "delete it on every path, or create it under the `tmp_path` fixture",
    Origin(
        file="app/export.py", line=7, function="export", how="audit", event="open", within=("_mkstemp_inner", "mkstemp")
    ),
)
OBJECT = found(
    "object",
    "app.alarms.Dashboard object, tracked, still alive",
    "app.alarms.Dashboard",
    "drop the reference that keeps it alive (a cache, a callback, a module global)",
    Origin(file="tests/test_import.py", line=8, function="test_header", how="track", event="leak_check.track"),
)
UNCLOSED = found(
    "unclosed",
    "closed only by the garbage collector: unclosed file <_io.TextIOWrapper name='data/a.csv' mode='r'>",
    "data/a.csv",
    "open it in a `with` block, or close it where it is last used",
    LOADER,
    verdict="unclosed",
)
LATE = found(
    "thread",
    "thread 'poller', daemon",
    "poller",
    "tell it to stop and join it before the test ends",
    Origin(file="app/poller.py", line=20, function="Poller.start", how="audit", event="thread start"),
    verdict="late",
    looks=3,
    seconds=0.25,
)
UNKNOWN = found(
    "fd",
    "fd 9, read end of a pipe",
    "pipe",
    "close both ends of the pipe",
    Origin(reason="pipe() raises no audit event; try --leakguard-trace"),
    phase=None,
)
TRACED = found(
    "fd",
    "fd 9, read end of a pipe",
    "pipe",
    "close both ends of the pipe",
    Origin(file="app/pipes.py", line=3, function="make", how="trace", event="pipe"),
)
OF_A_NODE = found("fd", "fd 3, folder open for reading: tests", "tests", "close it", LOADER, owner=NET, phase="setup")
AWAITED = found("fd", FD.what, FD.subject, FD.fix, LOADER, awaited=BROKER, looks=1, seconds=0.0)
ALLOWED = found(
    "thread",
    "thread 'poller', daemon",
    "poller",
    "tell it to stop and join it before the test ends",
    Origin(file="app/poller.py", line=20, function="Poller.start", how="audit", event="thread start"),
    rules=[AllowRule(kind="thread", pattern="poll*", reason="it runs to the end", source="tox.ini")],
)
FOREIGN = found("handle", "handle in slot 0: lantern", "lantern", "", Origin(reason="no acquisition was recorded"))

GOLD = {
    "fd": (
        FD,
        """\
LEAK fd  tests/test_import.py::test_header
  what      fd 14, regular file open for reading: data/header.csv
  acquired  call phase, app/loader.py:42 in open_source  [audit: open]
  due       end of function scope; still open after teardown, 4 looks in 0.25 s
  fix       open it in a `with` block, or close it where it is last used
  allow     @pytest.mark.allow_leaks("fd:data/header.csv", reason="...")""",
    ),
    "socket": (
        SOCKET,
        """\
LEAK socket  tests/test_import.py::test_header
  what      fd 15, TCP socket, 127.0.0.1:40312 to 127.0.0.1:6379, connected
  acquired  setup phase, redis/connection.py:631 in Connection._connect, called from app/cache.py:9 in connect  \
[audit: socket.__new__]
  due       end of function scope; still open after teardown, 1 look in 0 s
  fix       close it on every path: a `with` block, or close() in a `finally`
  allow     @pytest.mark.allow_leaks("socket:127.0.0.1:*", reason="...")""",
    ),
    "thread of a fixture": (
        THREAD,
        """\
LEAK thread  fixture 'broker' (module scope), tests/conftest.py:18
  what      thread 'broker-io', not daemon, now at app/broker.py:88 in _poll
  acquired  setup phase, for tests/test_import.py::test_header, tests/conftest.py:21 in broker  [wrap: thread start]
  due       end of module scope; still alive after the fixture's teardown, 14 looks in 1 s
  fix       after the `yield` of fixture 'broker': tell it to stop and join it before the test ends; \
the tests that use it are not at fault
  allow     in the ini file: leakguard_allow = thread:broker-io -- <reason>""",
    ),
    "process": (
        PROCESS,
        """\
LEAK process  tests/test_import.py::test_header
  what      child process 4711, zombie: sleep 60
  acquired  teardown phase, app/helper.py:12 in Helper.start  [audit: process start]
  due       end of function scope; still there after teardown, 1 look in 0 s
  fix       it has ended: wait for it (`with Popen(...)`, wait() or communicate())
  allow     @pytest.mark.allow_leaks("process:sleep 60", reason="...")""",
    ),
    "temp": (
        TEMP,
        """\
LEAK temp  tests/test_import.py::test_header
  what      file, 1,024 bytes: /tmp/station-k2_x9ab0.csv
  acquired  call phase, app/export.py:7 in export  [audit: open]
  due       end of function scope; still there after teardown, 1 look in 0 s
  fix       delete it on every path, or create it under the `tmp_path` fixture
  allow     @pytest.mark.allow_leaks("temp:/tmp/station-*.csv", reason="...")""",
    ),
    "object": (
        OBJECT,
        """\
LEAK object  tests/test_import.py::test_header
  what      app.alarms.Dashboard object, tracked, still alive
  acquired  call phase, tests/test_import.py:8 in test_header  [track: leak_check.track]
  due       end of function scope; still alive after teardown, 1 look in 0 s
  fix       drop the reference that keeps it alive (a cache, a callback, a module global)
  allow     @pytest.mark.allow_leaks("object:app.alarms.Dashboard", reason="...")""",
    ),
    "unclosed": (
        UNCLOSED,
        """\
LEAK unclosed  tests/test_import.py::test_header
  what      closed only by the garbage collector: unclosed file <_io.TextIOWrapper name='data/a.csv' mode='r'>
  acquired  call phase, app/loader.py:42 in open_source  [audit: open]
  due       end of function scope; nothing closed it, the garbage collector did
  fix       open it in a `with` block, or close it where it is last used
  allow     @pytest.mark.allow_leaks("unclosed:data/a.csv", reason="...")""",
    ),
    "late": (
        LATE,
        """\
LATE thread  tests/test_import.py::test_header
  what      thread 'poller', daemon
  acquired  call phase, app/poller.py:20 in Poller.start  [audit: thread start]
  due       end of function scope; gone only after 0.25 s, 3 looks
  fix       tell it to stop and join it before the test ends""",
    ),
    "unknown origin": (
        UNKNOWN,
        """\
LEAK fd  tests/test_import.py::test_header
  what      fd 9, read end of a pipe
  acquired  unknown: pipe() raises no audit event; try --leakguard-trace
  due       end of function scope; still open after teardown, 1 look in 0 s
  fix       close both ends of the pipe
  allow     @pytest.mark.allow_leaks("fd:pipe", reason="...")""",
    ),
    "traced": (
        TRACED,
        """\
LEAK fd  tests/test_import.py::test_header
  what      fd 9, read end of a pipe
  acquired  call phase, app/pipes.py:3 in make  [trace: pipe]
  due       end of function scope; still open after teardown, 1 look in 0 s
  fix       close both ends of the pipe
  allow     @pytest.mark.allow_leaks("fd:pipe", reason="...")""",
    ),
    "of a node": (
        OF_A_NODE,
        """\
LEAK fd  set-up of tests/net (package scope)
  what      fd 3, folder open for reading: tests
  acquired  setup phase, for tests/test_import.py::test_header, app/loader.py:42 in open_source  [audit: open]
  due       end of package scope; still open after the node's teardown, 1 look in 0 s
  fix       close it
  allow     in the ini file: leakguard_allow = fd:tests -- <reason>""",
    ),
    "awaited": (
        AWAITED,
        """\
LEAK fd  tests/test_import.py::test_header
  what      fd 14, regular file open for reading: data/header.csv
  acquired  call phase, app/loader.py:42 in open_source  [audit: open]
  due       end of function scope; fixture 'broker' (module scope) might have released it, \
still open after its teardown, 1 look in 0 s
  fix       open it in a `with` block, or close it where it is last used
  allow     @pytest.mark.allow_leaks("fd:data/header.csv", reason="...")""",
    ),
    "allowed": (
        ALLOWED,
        """\
ALLOWED LEAK thread  tests/test_import.py::test_header
  what      thread 'poller', daemon
  acquired  call phase, app/poller.py:20 in Poller.start  [audit: thread start]
  due       end of function scope; still alive after teardown, 1 look in 0 s
  fix       tell it to stop and join it before the test ends
  note      allowed: it runs to the end""",
    ),
    "foreign, without a fix": (
        FOREIGN,
        """\
LEAK handle  tests/test_import.py::test_header
  what      handle in slot 0: lantern
  acquired  unknown: no acquisition was recorded (call phase)
  due       end of function scope; still open after teardown, 1 look in 0 s
  allow     @pytest.mark.allow_leaks("handle:lantern", reason="...")""",
    ),
}


@pytest.mark.parametrize(("finding", "gold"), GOLD.values(), ids=GOLD.keys())
def test_the_message_of_one_finding(finding, gold):
    """Headline and labelled lines, to the character."""
    assert message([finding]) == gold


def test_a_count_and_notes_are_shown():
    """Equal leaks are one message with a count; notes are the last lines."""
    many = replace(FD, count=12, notes=("also in t.py::test_y", "and so on"))
    assert headline(many) == "LEAK fd  tests/test_import.py::test_header  x12"
    assert lines(many)[-2:] == ["  note      also in t.py::test_y", "  note      and so on"]


def test_several_findings_stand_apart():
    """One blank line between messages, none at the ends."""
    assert message([FD, TEMP]) == f"{message([FD])}\n\n{message([TEMP])}"
    assert message([]) == ""


def test_a_fixture_without_a_place_has_no_empty_one():
    """A fixture whose code can't be found (a builtin) is told without a place."""
    owner = replace(BROKER, where="")
    assert headline(replace(THREAD, owner=owner)) == "LEAK thread  fixture 'broker' (module scope)"


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (replace(FD, phase=None), "app/loader.py:42 in open_source  [audit: open]"),
        (
            replace(FD, origin=replace(LOADER, function=None)),
            "call phase, app/loader.py:42  [audit: open]",
        ),
        (replace(THREAD, test=""), "setup phase, tests/conftest.py:21 in broker  [wrap: thread start]"),
        (replace(UNKNOWN, phase="setup"), "unknown: pipe() raises no audit event; try --leakguard-trace (setup phase)"),
    ],
)
def test_what_is_not_known_of_an_acquisition_is_left_out(finding, text):
    """No phase, no function, no first user: the line is shorter, never wrong."""
    assert acquired(finding) == text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain é 漢字", "plain é 漢字"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x00\x07\x7f", "\\x00\\x07\\x7f"),
        ("\udce9", "\\udce9"),
        ("\u202egnp", "\\u202egnp"),
        ("\u2028\u2029\x85", "\\u2028\\u2029\\x85"),
        ("\U000e0001", "\\U000e0001"),
        ("back\\slash 'and' \"quotes\"", "back\\slash 'and' \"quotes\""),
        ("", ""),
    ],
)
def test_nothing_can_move_the_cursor_or_break_the_encoding(given, shown):
    """What is not printable is shown escaped, everything else as it is."""
    assert printable(given) == shown


def test_a_path_of_ten_thousand_characters_is_told_whole():
    """Nothing is cut: the pattern of the allow line must stay complete."""
    path = "data/" + "x" * 10_000
    long = found("fd", f"fd 9, regular file: {path}", path, "close it", LOADER)
    assert lines(long)[1] == f"  what      fd 9, regular file: {path}"
    assert lines(long)[-1] == f'  allow     @pytest.mark.allow_leaks("fd:{path}", reason="...")'
