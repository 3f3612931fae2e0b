"""The twins of `state`: each watched value changed and left so, or put back, in each phase and scope. Plain data."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# name -> (subject, lines that change it and bind `old`, line that puts it back, what is told)
CHANGES: dict[str, tuple[str, str, str, str]] = {
    "cwd": ("cwd", "old = os.getcwd()\nos.chdir(os.sep) #", "os.chdir(old)", "cwd: '*' -> '/'"),
    "environ": (
        "environ ROW", "old = None\nos.environ['ROW'] = 'roof' #", "del os.environ['ROW']",
        "environ ROW: not set -> 'roof'",
    ),
    "variable gone": (
        "environ GIVEN", "old = os.environ.pop('GIVEN') #", "os.environ['GIVEN'] = old",
        "environ GIVEN: 'before' -> not set",
    ),
    "secret": (
        "environ ROW_TOKEN", "old = None\nos.environ['ROW_TOKEN'] = 'hush' #", "del os.environ['ROW_TOKEN']",
        "environ ROW_TOKEN: not set -> '[*][*][*]'",
    ),
    "umask": ("umask", "old = os.umask(0o027)", "os.umask(old)", "umask: 0o022 -> 0o027"),
    "signal": (
        "signal SIGUSR1", "old = signal.signal(signal.SIGUSR1, ignore)", "signal.signal(signal.SIGUSR1, old)",
        "signal SIGUSR1: SIG_DFL -> *.ignore",
    ),
    "path": ("sys.path", "old = None\nsys.path.append('/ROW')", "sys.path.remove('/ROW')", "sys.path: + '/ROW'"),
    "filters": (
        "warning filters",
        "old = list(warnings.filters)\nwarnings.filterwarnings('ignore', 'ROW', UserWarning)",
        "warnings.filters[:] = old",
        "warning filters: + ignore:ROW:UserWarning",
    ),
    "handler": (
        "logging ROW handlers",
        "old = logging.StreamHandler()\nlogging.getLogger('ROW').addHandler(old)",
        "logging.getLogger('ROW').removeHandler(old)",
        "logging ROW handlers: + logging.StreamHandler object",
    ),
    "level": (
        "logging ROW level", "old = 0\nlogging.getLogger('ROW').setLevel(10)", "logging.getLogger('ROW').setLevel(0)",
        "logging ROW level: NOTSET -> DEBUG",
    ),
    "root": (
        "logging root level", "old = logging.root.level\nlogging.root.setLevel('ERROR')", "logging.root.setLevel(old)",
        "logging root level: WARNING -> ERROR",
    ),
    "propagate": (
        "logging ROW propagate", "old = logging.getLogger('ROW')\nold.propagate = False", "old.propagate = True",
        "logging ROW propagate: True -> False",
    ),
    "disabled": (
        "logging ROW disabled", "old = logging.getLogger('ROW')\nold.disabled = True", "old.disabled = False",
        "logging ROW disabled: False -> True",
    ),
    "disable": (
        "logging disable", "old = None\nlogging.disable(logging.INFO)", "logging.disable(logging.NOTSET)",
        "logging disable: NOTSET -> INFO",
    ),
    "locale": (
        "locale LC_TIME", "old = locale.setlocale(locale.LC_TIME)\nlocale.setlocale(locale.LC_TIME, 'C.UTF-8')",
        "locale.setlocale(locale.LC_TIME, old)", "locale LC_TIME: 'C' -> 'C.UTF-8'",
    ),
    "timeout": (
        "socket timeout", "old = socket.getdefaulttimeout()\nsocket.setdefaulttimeout(7)",
        "socket.setdefaulttimeout(old)", "socket timeout: None -> 7.0",
    ),
    "excepthook": (
        "sys.excepthook", "old, sys.excepthook = sys.excepthook, ignore", "sys.excepthook = old",
        "sys.excepthook: * -> *.ignore",
    ),
    "threads hook": (
        "threading.excepthook", "old, threading.excepthook = threading.excepthook, ignore",
        "threading.excepthook = old", "threading.excepthook: * -> *.ignore",
    ),
    "unraisable hook": (
        "sys.unraisablehook", "old, sys.unraisablehook = sys.unraisablehook, ignore",
        "sys.unraisablehook = old", "sys.unraisablehook: * -> *.ignore",
    ),
    "atexit": ("atexit", "old = atexit.register(lambda: None)", "atexit.unregister(old)", "atexit: + *<lambda>"),
    "recursion": (
        "recursion limit", "old = sys.getrecursionlimit()\nsys.setrecursionlimit(old + 77)",
        "sys.setrecursionlimit(old)", "recursion limit: * -> *77",
    ),
    "decimal": (
        "decimal prec", "old = decimal.getcontext().prec\ndecimal.getcontext().prec = 9",
        "decimal.getcontext().prec = old", "decimal prec: 28 -> 9",
    ),
    "traps": (
        "decimal traps", "old = decimal.Inexact\ndecimal.getcontext().traps[old] = True",
        "decimal.getcontext().traps[old] = False", "decimal traps: + 'Inexact'",
    ),
    "gc threshold": (
        "gc threshold", "old = gc.get_threshold()\ngc.set_threshold(901, 11, 12)", "gc.set_threshold(*old)",
        "gc threshold: * -> (901, 11, 12)",
    ),
    "gc": ("gc enabled", "old = gc.disable()", "gc.enable()", "gc enabled: True -> False"),
    "policy": (
        "event loop policy", "old = asyncio.events._event_loop_policy\nset_policy(Policy())", "set_policy(old)",
        "event loop policy: the default -> *.Policy object",
    ),
    "start method": (
        "multiprocessing start method", "old = None\nmultiprocessing.set_start_method('spawn', force=True)",
        "multiprocessing.set_start_method(None, force=True)", "multiprocessing start method: not set -> 'spawn'",
    ),
    "stdin": (
        "sys.stdin", "old, sys.stdin = sys.stdin, STREAM", "sys.stdin = old", "sys.stdin: * -> _io.StringIO object"
    ),
    "stdout": (
        "sys.stdout", "old, sys.stdout = sys.stdout, STREAM", "sys.stdout = old",
        "sys.stdout: _io.TextIOWrapper object -> _io.StringIO object",
    ),
    "stderr": (
        "sys.stderr", "old, sys.stderr = sys.stderr, STREAM", "sys.stderr = old",
        "sys.stderr: _io.TextIOWrapper object -> _io.StringIO object",
    ),
    "argv": ("sys.argv", "old = None\nsys.argv.append('--ROW')", "sys.argv.remove('--ROW')", "sys.argv: + '--ROW'"),
    "time zone": (
        "time zone", "old = os.environ['TZ']\nos.environ['TZ'] = 'Asia/Tokyo'\ntime.tzset()\nos.environ['TZ'] = old",
        "time.tzset()", "time zone: 'UTC/UTC' -> 'JST/JST'",
    ),
    "modules": (
        "sys.modules", "old = None\nsys.modules['ROW'] = types.ModuleType('ROW')", "del sys.modules['ROW']",
        "sys.modules: + 'ROW'",
    ),
}  # fmt: skip

HEAD = """
import asyncio, atexit, decimal, gc, io, locale, logging, multiprocessing, os, signal, socket, sys, threading
import time, types, warnings
import pytest

STREAM = io.StringIO()

def ignore(*_):
    pass

class Policy(asyncio.DefaultEventLoopPolicy):
    pass

def set_policy(policy):
    asyncio.set_event_loop_policy(policy)
"""

# in every module: what a leaky twin before left is put right, by nobody's hand, before the next test
RESET = """
import asyncio, decimal, gc, locale, logging, multiprocessing, os, signal, socket, sys, threading, time
import pytest

BEFORE = (os.getcwd(), sys.excepthook, sys.getrecursionlimit(), gc.get_threshold(), sys.stdin)
REAL = (sys.__stdout__, sys.__stderr__)
HOOKS = []

@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(nextitem):
    if not HOOKS:
        HOOKS.extend((threading.excepthook, sys.unraisablehook))
    try:
        return (yield)
    finally:
        if nextitem is None or not nextitem.name.endswith("_again"):
            put_right()

def put_right():
    threading.excepthook, sys.unraisablehook = HOOKS
    os.chdir(BEFORE[0]), os.umask(0o022), signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    os.environ["GIVEN"] = "before"
    sys.excepthook, sys.stdin = BEFORE[1], BEFORE[4]
    sys.stdout, sys.stderr = REAL
    sys.setrecursionlimit(BEFORE[2]), gc.set_threshold(*BEFORE[3]), gc.enable()
    logging.disable(0), logging.root.setLevel(30)
    locale.setlocale(locale.LC_TIME, "C"), socket.setdefaulttimeout(None)
    decimal.setcontext(decimal.Context()), asyncio.set_event_loop_policy(None)
    multiprocessing.set_start_method(None, force=True), time.tzset()
"""

FUNCTION = {
    "plain": """
def test_ROW():
    {change}
    {end}
""",
    "setup": """
@pytest.fixture
def fixture_ROW():
    {change}
    yield
    {end}

def test_ROW(fixture_ROW): pass
""",
    "call": """
@pytest.fixture
def fixture_ROW():
    held = []
    yield held
    old = held.pop()
    {end}

def test_ROW(fixture_ROW):
    {change}
    fixture_ROW.append(old)
""",
    "teardown": """
@pytest.fixture
def fixture_ROW():
    yield
    {change}
    {end}

def test_ROW(fixture_ROW): pass
""",
}

# a wider owner's change stands for a second test, which is not at fault, and is judged with its end
WIDER = {
    "setup": """
@pytest.fixture(scope="SCOPE")
def fixture_ROW():
    {change}
    yield
    {end}
""",
    "teardown": """
@pytest.fixture(scope="SCOPE")
def fixture_ROW():
    yield
    {change}
    {end}
""",
}
USERS = """
def test_ROW(fixture_ROW): pass

def test_ROW_again(fixture_ROW): pass
"""
IN_CLASS = """
class Test_ROW:
    def test_ROW(self, fixture_ROW): pass

    def test_ROW_again(self, fixture_ROW): pass
"""
WIDER_SCOPES = ("class", "module", "package", "session")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One twin."""

    change: str
    scope: str
    phase: str
    leaky: bool

    @property
    def name(self) -> str:
        """Unique, and fit for an identifier."""
        end = "leaky" if self.leaky else "clean"
        return f"{self.change.replace(' ', '_')}_{self.scope}_{self.phase}_{end}"

    @property
    def subject(self) -> str:
        """Of the finding."""
        return CHANGES[self.change][0].replace("ROW", self.name)

    @property
    def told(self) -> str:
        """A glob that the words of the finding match."""
        return CHANGES[self.change][3].replace("ROW", self.name)

    @property
    def owner(self) -> dict[str, str]:
        """Of the finding."""
        if self.scope == "function":
            return {"kind": "test", "scope": "function", "name": f"{self.file}::test_{self.name}"}
        return {"kind": "fixture", "scope": self.scope, "name": f"fixture_{self.name}"}

    @property
    def file(self) -> str:
        """Wider fixtures end with their module or package, so each has one of its own."""
        name = f"test_{self.name}.py" if self.scope in ("module", "package") else "test_state.py"
        return f"{self.folder}/{name}" if self.folder else name

    @property
    def folder(self) -> str:
        """The package that holds it, or nothing."""
        return f"pkg_{self.name}" if self.scope == "package" else ""

    @property
    def where(self) -> str:
        """The file with the fixture: one of package scope is the session's for pytest, unless the conftest has it."""
        return f"{self.folder}/conftest.py" if self.folder else self.file

    @property
    def sources(self) -> tuple[str, str]:
        """The fixture and its tests, or the test alone."""
        if self.scope == "function":
            fixture, tests = "", FUNCTION[self.phase]
        else:
            fixture, tests = (
                WIDER[self.phase].replace("SCOPE", self.scope),
                IN_CLASS if self.scope == "class" else USERS,
            )
        return self._fill(fixture), self._fill(tests)

    def _fill(self, text: str) -> str:
        _, change, undo, _ = CHANGES[self.change]
        text = text.replace("{change}", textwrap.indent(change.replace("#", f"# {self.name}"), " " * 4).strip())
        return text.replace("{end}", "pass" if self.leaky else undo).replace("ROW", self.name)


def _rows() -> Iterator[Row]:
    for change in CHANGES:
        for scope, phases in (("function", FUNCTION), *((scope, WIDER) for scope in WIDER_SCOPES)):
            for phase in phases:
                for leaky in (True, False):
                    yield Row(change=change, scope=scope, phase=phase, leaky=leaky)


ROWS = tuple(_rows())


def of_run(row: Row) -> str:
    """The run it is part of: what a session fixture changed stands to the end, so there each value is changed once."""
    return f"session {row.phase} {'leaky' if row.leaky else 'clean'}" if row.scope == "session" else row.scope


def tree(rows: Iterable[Row]) -> dict[str, str]:
    """The project with some rows: relative path -> text."""
    files = {"pytest.ini": "[pytest]\nleakguard_state_modules = true\n"}
    for row in rows:
        if row.folder:
            files[f"{row.folder}/__init__.py"] = ""
        if row.scope != "session":
            files["conftest.py"] = RESET
        for file, source in zip((row.where, row.file), row.sources, strict=True):
            files[file] = files.get(file, HEAD) + source
    return files
