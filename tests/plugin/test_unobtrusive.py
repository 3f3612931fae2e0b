"""The plugin changes no result and can't be observed by the tests it watches."""

from __future__ import annotations

from forks import GUARDED, SEE, fork_runs

ACTS = """
import os

KEPT = []

def leak():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))

def use():
    os.close(os.open(os.devnull, os.O_RDONLY))
"""


# -- what a test can see ----------------------------------------------------------

MIRROR = (
    SEE
    + ACTS
    + """
import atexit
import builtins
import gc
import io
import locale
import logging
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings

import pytest

def name_of(value):
    name = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value)}"
    return re.sub("0x[0-9a-f]+", "0x", name)

def state():
    return {
        "active threads": threading.active_count(),
        "threads": [thread.name for thread in threading.enumerate()],
        "running": len(sys._current_frames()),
        "descriptors": sorted(int(name) for name in os.listdir("/dev/fd")),
        "children": "".join(file.read_text() for file in pathlib.Path("/proc/self/task").glob("*/children")),
        "unraisablehook": name_of(sys.unraisablehook),
        "excepthook": name_of(sys.excepthook),
        "threading excepthook": name_of(threading.excepthook),
        "showwarning": name_of(warnings.showwarning),
        "gc callbacks": [name_of(callback) for callback in gc.callbacks],
        "gc frozen": gc.get_freeze_count(),
        "gc enabled": gc.isenabled(),
        "gc threshold": gc.get_threshold(),
        "gc debug": gc.get_debug(),
        "gc garbage": len(gc.garbage),
        "Thread.start": threading.Thread.start.__code__.co_filename == threading.__file__,
        "patched": [
            name_of(function)
            for function in (
                builtins.open, io.open, os.open, os.close, os.dup, os.pipe, os.fork, os.listdir, time.sleep,
                time.monotonic, gc.collect, socket.socket.__init__, socket.socket.close, threading.Thread.__init__,
                threading.Thread.run, threading.Thread._bootstrap_inner, threading.enumerate, warnings.warn,
                tempfile.mkstemp,
            )
        ],
        "trace": [name_of(sys.gettrace()), name_of(sys.getprofile())],
        "tempdir": tempfile.tempdir,
        "cwd": os.getcwd(),
        "environ": sorted(os.environ),
        "umask": os.umask(os.umask(0o22)),
        "signals": [name_of(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        "path": len(sys.path),
        "meta path": [name_of(type(finder)) for finder in sys.meta_path],
        "handlers": [name_of(type(handler)) for handler in logging.getLogger().handlers],
        "loggers": sorted(name for name in logging.root.manager.loggerDict if "leakguard" in name),
        "locale": locale.setlocale(locale.LC_ALL),
        "socket timeout": socket.getdefaulttimeout(),
        "recursion": sys.getrecursionlimit(),
        "atexit": atexit._ncallbacks(),
    }

@pytest.fixture(scope="session", autouse=True)
def around_session():
    see("session setup", state())
    yield
    see("session teardown", state())

@pytest.fixture(autouse=True)
def around(request):
    see(request.node.name, "setup", state())
    yield
    see(request.node.name, "teardown", state())

def test_first():
    see("call", state())

def test_moves(tmp_path):
    use()
    with socket.socket(), open(tmp_path / "a.txt", "w"):
        see("call", state())
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()
    assert os.waitpid(os.posix_spawnp("true", ["true"], os.environ), 0)

def test_no_warning(recwarn):
    use()
    assert [str(warning.message) for warning in recwarn] == []
    see("call", state())

def test_cycle():
    cycle = []
    cycle.append(cycle)
    use()

@pytest.mark.filterwarnings("error")
def test_under_errors():
    use()
    see("call", state())

def test_hook_stays():
    hook = sys.unraisablehook
    use()
    assert sys.unraisablehook is hook
    sys.unraisablehook = sys.__unraisablehook__
    see("call", state())

def test_hook_of_the_test_before():
    see("call", state())

def test_last():
    see("call", state())
"""
)


def differences(seen, plain):
    """Where, what, with the plugin, without."""
    assert [one[:-1] for one in seen] == [one[:-1] for one in plain]
    return [
        (*one[:-1], key, one[-1][key], other[-1][key])
        for one, other in zip(seen, plain, strict=True)
        for key in other[-1]
        if one[-1][key] != other[-1][key]
    ]


def test_a_test_sees_the_same_process(pytester):
    """Threads, descriptors, hooks, the collector and all other state of the process are as under plain pytest."""
    pytester.makepyfile(test_mirror=MIRROR)
    ran = fork_runs(
        pytester,
        {
            "plain": (),
            "guarded": GUARDED,
            "plain -s": ("-s",),
            "guarded -s": (*GUARDED, "-s"),
            "off": ("-p", "leakguard"),
        },
    )
    assert ran["plain"].status == 0, ran["plain"].text
    assert len(ran["plain"].seen) > 20
    for name, other in (("guarded", "plain"), ("off", "plain"), ("guarded -s", "plain -s")):
        assert ran[name].status == 0, ran[name].text
        assert differences(ran[name].seen, ran[other].seen) == [], name
    assert ran["guarded"].report["findings"] == []


# -- the user's warning filters ---------------------------------------------------

FILTERS = (
    SEE
    + ACTS
    + """
import warnings

import pytest

def warn(text="from the test"):
    use()
    warnings.warn(text, ResourceWarning, stacklevel=2)

@pytest.mark.filterwarnings("error::ResourceWarning")
def test_error_raises_in_the_test():
    with pytest.raises(ResourceWarning, match="from the test"):
        warn()

@pytest.mark.filterwarnings("error:from the:ResourceWarning")
def test_error_by_message():
    with pytest.raises(ResourceWarning):
        warn()
    warn("another")

@pytest.mark.filterwarnings("error::ResourceWarning")
def test_error_not_caught():
    warn()

@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_ignore_hides():
    warn()

@pytest.mark.filterwarnings("default::ResourceWarning")
def test_default_shows_one_a_line():
    for _ in range(3):
        warn("default")

@pytest.mark.filterwarnings("always::ResourceWarning")
def test_always_shows_all():
    for _ in range(3):
        warn("always")

@pytest.mark.filterwarnings("once::ResourceWarning")
def test_once_shows_one():
    for _ in range(3):
        warn("once")
    warn("once")

@pytest.mark.filterwarnings("ignore:hidden")
def test_by_message():
    warn("hidden")
    warn("shown")

def test_recwarn(recwarn):
    warn()
    assert [str(warning.message) for warning in recwarn] == ["from the test"]

def test_warns():
    with pytest.warns(ResourceWarning, match="from the test"):
        warn()
    with pytest.raises(pytest.fail.Exception, match="DID NOT WARN"):
        with pytest.warns(ResourceWarning):
            use()

def test_own_catch():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn()
    assert len(caught) == 1

def test_own_catch_without_a_filter():
    with warnings.catch_warnings(record=True) as caught:
        warn()
    see("caught", len(caught))

def test_own_catch_as_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ResourceWarning):
            warn()

def test_reset():
    warnings.resetwarnings()
    warn("after a reset")
    warnings.simplefilter("error")
    with pytest.raises(ResourceWarning):
        warn("after a reset and an error filter")

def test_deprecation_is_untouched():
    with pytest.warns(DeprecationWarning):
        warnings.warn("old", DeprecationWarning)

def test_tuple_of_filters_is_readable():
    for action, message, category, module, line in warnings.filters:
        assert action in ("default", "error", "ignore", "always", "module", "once", "all")
        assert issubclass(category, Warning)
        assert message is None or message.match("") in (None, True) or hasattr(message, "pattern")
        hash((action, message, category, module, line))
    see("formatted", len([repr(one) for one in warnings.filters]) > 0)
"""
)


def test_the_users_warning_filters_decide(pytester):
    """Every action of a filter does what it does under plain pytest: raise in the test, hide, show one, show all."""
    pytester.makepyfile(test_filters=FILTERS)
    filters = {
        "": (),
        "-W error": ("-W", "error"),
        "-W ignore": ("-W", "ignore"),
        "-W once": ("-W", "once"),
        "-W error::ResourceWarning": ("-W", "error::ResourceWarning"),
        "ini": ("-o", "filterwarnings=error"),
        "no:warnings": ("-p", "no:warnings"),
    }
    runs = {}
    for name, args in filters.items():
        runs[f"plain {name}"] = (*args, "-rA", "-v")
        runs[f"guarded {name}"] = (*args, *GUARDED, "-rA", "-v")
    ran = fork_runs(pytester, runs)
    for name in filters:
        plain, guarded = ran[f"plain {name}"], ran[f"guarded {name}"]
        assert guarded.status == plain.status, (name, guarded.text)
        assert guarded.seen == plain.seen, name
        assert outcomes(guarded.text) == outcomes(plain.text), name
        assert warnings_of(guarded.text) == warnings_of(plain.text), name
        assert guarded.last_line == plain.last_line, (name, guarded.text)
        assert guarded.report["findings"] == [], name
        assert guarded.report["errors"] == [], name


def test_the_users_filters_show_what_dies_unclosed(pytester):
    """A ResourceWarning that no collection of ours brought up is shown as under plain pytest, beside the finding."""
    pytester.makepyfile(test_drops="def test_drops():\n    open(__file__)\n    open(__file__)\n")
    filters = {"always": ("-W", "always"), "default": ("-W", "default"), "error": ("-W", "error::ResourceWarning")}
    runs = {}
    for name, args in filters.items():
        runs[f"plain {name}"] = args
        runs[f"guarded {name}"] = (*args, *GUARDED, "--leakguard-action=warn")
    ran = fork_runs(pytester, runs)
    for name in filters:
        plain, guarded = ran[f"plain {name}"], ran[f"guarded {name}"]
        assert "unclosed file" in plain.text, name
        assert warnings_of(guarded.text) == warnings_of(plain.text), name
        assert [(f["kind"], f["count"]) for f in guarded.report["findings"]] == [("unclosed", 2)], name


def outcomes(text):
    """The lines of -v."""
    return [line.partition(" [")[0].rstrip() for line in text.splitlines() if "::test_" in line and "%]" in line]


def warnings_of(text):
    """The section with the warnings."""
    _, _, section = text.partition("= warnings summary =")
    return section.partition("\n-- Docs")[0].splitlines()


# -- mocks --------------------------------------------------------------------------

# pytest itself does not survive without os.fstat and os.path.abspath
MOCKS = (
    ACTS
    + """
import builtins
import gc
import socket
import sys
import threading
import time
import warnings

import pytest

TARGETS = [
    (owner, name)
    for owner, names in {
        os: "open close listdir scandir lstat readlink getpid read waitid waitpid kill sysconf getcwd unlink",
        # pytest itself asks for the first between tests since 3.14, where pathlib goes through it
        os.path: "exists " * (sys.version_info < (3, 14)) + "lexists realpath basename dirname",
        builtins: "open",
        time: "sleep monotonic perf_counter time clock_gettime",
        gc: "collect get_objects get_referents get_referrers is_tracked freeze unfreeze",
        threading: "enumerate active_count current_thread get_ident main_thread",
        threading.Thread: "start",
        sys: "_current_frames _getframe",
        socket: "socket",
        warnings: "warn simplefilter showwarning",
    }.items()
    for name in names.split()
]
NAMES = [f"{owner.__name__}.{name}" for owner, name in TARGETS]
MOCKED = []

def refuse(*args, **kwargs):
    raise ZeroDivisionError("called a mock")

@pytest.fixture(autouse=True)
def whole_again():
    while MOCKED:
        setattr(*MOCKED.pop())

def leaky():
    leak()
    KEPT.append(socket.socket())

def clean():
    use()
    socket.socket().close()
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()

@pytest.mark.parametrize("act", [leaky, clean])
@pytest.mark.parametrize("target", TARGETS, ids=NAMES)
def test_undone(monkeypatch, target, act):
    act()
    monkeypatch.setattr(*target, refuse)

@pytest.mark.parametrize("act", [leaky, clean])
@pytest.mark.parametrize("target", TARGETS, ids=NAMES)
def test_left(target, act):
    act()
    owner, name = target
    MOCKED.append((owner, name, getattr(owner, name)))
    setattr(owner, name, refuse)

def test_last():
    pass
"""
)


def test_mocked_functions(pytester):
    """Whatever a test mocks, undone in its teardown or left in place: its own verdict is right and nothing breaks."""
    pytester.makepyfile(test_mocks=MOCKS)
    ran = fork_runs(pytester, {"plain": ("-v",), "guarded": (*GUARDED, "-v")})
    plain, guarded = ran["plain"], ran["guarded"]
    assert plain.status == 0, plain.text
    assert guarded.report["errors"] == []
    tests = [line.partition("::")[2].partition(" ")[0] for line in outcomes(plain.text)]
    leaky = [test for test in tests if test.endswith("leaky]")]
    assert len(leaky) > 80
    assert guarded.told == sorted((test, kind, "fails") for test in leaky for kind in ("fd", "socket"))
    assert [line for line in outcomes(guarded.text) if "LEAKED" not in line] == outcomes(plain.text)
    assert "error" not in guarded.last_line
    lines = {(f["origin"]["file"], f["origin"]["function"]) for f in guarded.report["findings"]}
    assert lines == {("test_mocks.py", "leak"), ("test_mocks.py", "leaky")}


# -- descriptors --------------------------------------------------------------------

DESCRIPTORS = (
    ACTS
    + """
import io
import resource
import socket
import tempfile

import pytest

HERE = os.path.dirname(__file__)
EARLY = [os.open(os.devnull, os.O_RDONLY) for _ in range(3)]

def test_closes_what_is_nobodys():
    os.close(EARLY.pop())

def test_closes_what_is_nobodys_and_leaks_by_its_number():
    os.close(EARLY.pop())
    KEPT.append(os.open(__file__, os.O_RDONLY))

def test_clean_after_that():
    use()

def test_closes_the_leak_of_another_test():
    os.close(KEPT.pop())

def test_leaks_by_that_number_again():
    KEPT.append(os.open(__file__, os.O_RDONLY))

def test_closes_twice():
    stream = open(os.devnull)
    os.close(stream.fileno())
    with pytest.raises(OSError):
        stream.close()

def test_replaces_what_is_nobodys():
    # the number is as old as before, what it leads to is new and left
    os.dup2(os.open(HERE, os.O_RDONLY), EARLY[-1])
    os.close(max(int(name) for name in os.listdir("/dev/fd") if os.path.exists(f"/dev/fd/{name}")))

def exhaust(acquire):
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, LIMIT[1]))
    held = []
    with pytest.raises(OSError, match="Too many open files"):
        while True:
            held.append(acquire())
    return held

LIMIT = resource.getrlimit(resource.RLIMIT_NOFILE)

@pytest.fixture
def limit():
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, LIMIT)

@pytest.mark.parametrize("acquire", [lambda: open(os.devnull), socket.socket], ids=["file", "socket"])
def test_exhausts_and_releases(limit, acquire):
    for one in exhaust(acquire):
        one.close()

@pytest.fixture
def release():
    # before a test, so that the one before was judged with no descriptor left to look with
    while KEPT:
        held = KEPT.pop()
        for one in held if isinstance(held, list) else [io.FileIO(held)]:
            one.close()

def test_exhausts_with_files(release):
    KEPT.append(exhaust(lambda: open(os.devnull)))

def test_exhausts_with_sockets(release):
    KEPT.append(exhaust(socket.socket))

def test_clean_with_none_left():
    with pytest.raises(OSError):
        os.open(os.devnull, os.O_RDONLY)

def test_leaky_with_none_left():
    KEPT[-1].pop().close()
    leak()

def test_releases_all(limit, release):
    pass

def test_leaky_afterwards():
    leak()
"""
)


def test_descriptors_of_others_and_none_left(pytester):
    """Closing what belongs to others confuses no verdict, nor does a process that has no descriptor left."""
    pytester.makepyfile(test_descriptors=DESCRIPTORS)
    ran = fork_runs(pytester, {"plain": ("-v",), "guarded": (*GUARDED, "-v")})
    assert ran["plain"].status == 0, ran["plain"].text
    guarded = ran["guarded"]
    assert guarded.report["errors"] == []
    found = {}
    for test, kind, disposition in guarded.told:
        found.setdefault((test, kind, disposition), []).append(kind)
    counts = {test: (kind, len(kinds)) for (test, kind, _), kinds in found.items()}
    kind, count = counts.pop("test_exhausts_with_files")
    assert (kind, count > 20) == ("fd", True)
    assert counts.pop("test_exhausts_with_sockets") == ("socket", count)
    assert counts == {
        "test_closes_what_is_nobodys_and_leaks_by_its_number": ("fd", 1),
        "test_leaks_by_that_number_again": ("fd", 1),
        "test_replaces_what_is_nobodys": ("fd", 1),
        "test_leaky_with_none_left": ("fd", 1),
        "test_leaky_afterwards": ("fd", 1),
    }
    assert [line for line in outcomes(guarded.text) if "LEAKED" not in line] == outcomes(ran["plain"].text)
    assert guarded.report["summary"]["peak_descriptors"] == 40


# -- objects that resist ------------------------------------------------------------

HOSTILE = (
    ACTS
    + """
import functools
import io
import socket
import threading
import types
import weakref
from unittest import mock

import pytest

class Hostile:
    '''Raises whatever it is asked, and says it is something else.'''

    def _refuse(self, *args, **kwargs):
        raise ZeroDivisionError("looked at an object of the user")

    __eq__ = __ne__ = __lt__ = __hash__ = __repr__ = __str__ = __bool__ = __len__ = __iter__ = __contains__ = _refuse
    __getitem__ = __call__ = __index__ = __fspath__ = __format__ = __dir__ = __reduce_ex__ = _refuse
    __getattr__ = _refuse
    __class__ = property(_refuse)

class Liar:
    '''Says it is a string, or a thread, or a file.'''

    def __init__(self, claimed):
        object.__setattr__(self, "claimed", claimed)

    @property
    def __class__(self):
        return object.__getattribute__(self, "claimed")

class Meta(type):
    def __eq__(cls, other):
        raise ZeroDivisionError("compared a class of the user")

    def __hash__(cls):
        raise ZeroDivisionError("hashed a class of the user")

    def __instancecheck__(cls, other):
        raise ZeroDivisionError("asked a class of the user")

    __subclasscheck__ = __instancecheck__

    def __getattribute__(cls, name):
        if name in ("__module__", "__qualname__", "__name__"):
            raise ZeroDivisionError("named a class of the user")
        return super().__getattribute__(name)

class Odd(metaclass=Meta):
    pass

KINDS = [str, type, threading.Thread, socket.socket, io.FileIO, weakref.ref, functools.partial, types.ModuleType]

class Stream(socket.socket):
    def fileno(self):
        raise ZeroDivisionError("asked a socket of the user")

    __repr__ = __eq__ = fileno
    __hash__ = None

class HostileThread(threading.Thread):
    armed = False

    def __getattribute__(self, name):
        if name in ("_target", "_args", "_kwargs") and HostileThread.armed:
            raise ZeroDivisionError("asked a thread of the user")
        return super().__getattribute__(name)

def crowd():
    liars = [Liar(kind) for kind in KINDS]
    mocks = [mock.MagicMock(spec=kind) for kind in KINDS]
    return [Hostile(), Odd(), Odd, *liars, *mocks, mock.create_autospec(Stream)]

@pytest.fixture(scope="module")
def wide():
    things = crowd()
    yield things
    leak()

@pytest.fixture(scope="session", autouse=True)
def wider():
    yield crowd()

@pytest.fixture
def narrow():
    yield crowd()

def test_clean(wide, narrow):
    use()

def test_leaky(wide, narrow):
    leak()

def test_leaky_socket(wide, narrow):
    wide.append(Stream())
    KEPT.append(Stream())
    del wide[-1]

def test_leaky_cycle(wide):
    things = crowd()
    things.append(things)
    things.append(open(os.devnull))

def test_tracked(leak_check, wide, narrow):
    KEPT.append(leak_check.track(Hostile()))
    leak_check.track(Hostile())
    KEPT.append(leak_check.track(Liar(str)))
    KEPT.append(leak_check.track(Odd()))

def test_thread(wide):
    started, stop = threading.Event(), threading.Event()

    def run():
        started.set()
        threading.Event().wait()

    KEPT.append(HostileThread(target=run, daemon=True, name="hostile"))
    KEPT[-1].start()
    started.wait()
    HostileThread.armed = True

def test_path_object(tmp_path):
    class Odd(type(tmp_path)):
        def __str__(self):
            raise ZeroDivisionError("asked a path of the user")

        __repr__ = __str__

        def __fspath__(self):
            return str(tmp_path / "a.txt")

    KEPT.append(open(Odd(tmp_path), "w"))

def test_clean_again(wide):
    use()
"""
)


def test_objects_that_resist(pytester):
    """No code of a user's object is run: not its comparison, hash, representation, class or attributes."""
    pytester.makepyfile(test_hostile=HOSTILE)
    ran = fork_runs(
        pytester, {"plain": ("-v", "-p", "leakguard", "--leakguard-action=report"), "guarded": (*GUARDED, "-v")}
    )
    assert ran["plain"].status == 0, ran["plain"].text
    guarded = ran["guarded"]
    assert guarded.report["errors"] == []
    assert guarded.told == sorted(
        [
            ("test_clean", "fd", "fails"),  # the first user of the module's fixture
            ("test_leaky", "fd", "fails"),
            ("test_leaky_cycle", "unclosed", "fails"),
            ("test_leaky_socket", "socket", "fails"),
            ("test_path_object", "fd", "fails"),
            ("test_thread", "thread", "fails"),
            *[("test_tracked", "object", "fails")] * 3,
        ]
    )
    assert "ZeroDivisionError" not in guarded.text
    assert [line for line in outcomes(guarded.text) if "LEAKED" not in line] == outcomes(ran["plain"].text)


# -- finalizers ---------------------------------------------------------------------

FINALIZERS = (
    ACTS
    + """
import threading

import pytest

class Breaks:
    def __init__(self):
        self.itself = self

    def __del__(self):
        raise LookupError("broke in a finalizer")

def test_before():
    use()

def test_makes_the_cycle():
    use()
    Breaks()

def test_innocent():
    use()

def test_makes_it_and_leaks():
    leak()
    Breaks()

def test_innocent_too():
    use()

def test_makes_it_and_fails():
    use()
    Breaks()
    assert not "own failure"

def test_innocent_after_a_failure():
    use()

@pytest.fixture
def breaks_in_teardown():
    yield
    use()
    Breaks()

def test_makes_it_in_teardown(breaks_in_teardown):
    pass

def test_last():
    use()
"""
)


def test_an_error_in_a_finalizer_lands_on_its_test(pytester):
    """What a cycle's __del__ raises is told on the test that made the cycle, and under -W error fails only that."""
    pytester.makepyfile(test_finalizers=FINALIZERS)
    ran = fork_runs(
        pytester,
        {
            "shown": (*GUARDED, "-v"),
            "error": (*GUARDED, "-v", "-W", "error"),
            "ini": (*GUARDED, "-v", "-o", "filterwarnings=error::pytest.PytestUnraisableExceptionWarning"),
            "ignored": (*GUARDED, "-v", "-W", "ignore"),
        },
    )
    makers = ["test_makes_it_and_fails", "test_makes_it_and_leaks", "test_makes_it_in_teardown", "test_makes_the_cycle"]
    shown = ran["shown"]
    assert shown.told == [("test_makes_it_and_leaks", "fd", "fails")]
    named = [
        line.strip().partition("::")[2] for line in warnings_of(shown.text) if line.startswith("test_finalizers.py::")
    ]
    assert sorted(named) == makers
    assert "LookupError: broke in a finalizer" in shown.text
    assert shown.last_line == "1 failed, 8 passed, 4 warnings, 1 leaked"
    for name in ("error", "ini"):
        lines = [line.partition("::")[2] for line in outcomes(ran[name].text)]
        errors = [line.partition(" ")[0] for line in lines if line.endswith("ERROR")]
        failed = [line.partition(" ")[0] for line in lines if line.endswith("FAILED")]
        assert sorted({*errors, *failed}) == makers, ran[name].text
        assert failed == ["test_makes_it_and_fails"]
        assert ran[name].told == [("test_makes_it_and_leaks", "fd", "note")]
        assert "LEAKED" not in ran[name].text
        assert "broke in a finalizer" in ran[name].text
    assert ran["ignored"].told == shown.told
    assert ran["ignored"].last_line == "1 failed, 8 passed, 1 leaked"


LIVES = (
    SEE
    + ACTS
    + """
import gc
import sys
import weakref

import pytest

WATCHED = {}

class Thing:
    pass

def thing(name):
    made = Thing()
    WATCHED[name] = weakref.ref(made)
    return made

def alive():
    return sorted(name for name, reference in WATCHED.items() if reference() is not None)

def look(where):
    # a traceback is a cycle: when the collector comes by itself to free what it holds is not for us to say
    see(where, [name for name in alive() if "error" not in name and "fail" not in name])
    gc.collect()
    see(where + ", collected", alive())

@pytest.fixture(autouse=True)
def around(request):
    look(f"setup of {request.node.name}")
    yield
    look(f"teardown of {request.node.name}")

@pytest.fixture
def value():
    return thing("value of a fixture")

@pytest.fixture
def yielded():
    yield thing("value that is yielded")

@pytest.fixture(scope="module")
def shared():
    yield thing("value of the module")

@pytest.fixture(params=[1])
def parameter(request):
    return thing("made from a parameter")

def test_locals(value, yielded, parameter):
    kept = thing("a local")
    use()
    look("call")

def test_untouched():
    kept = thing("a local of a test in which nothing moves")

def test_failed():
    kept = thing("a local of a failed test")
    use()
    assert not "own failure"

def test_after_the_failure():
    use()

@pytest.mark.xfail
def test_xfailed():
    kept = thing("a local of an xfailed test")
    use()
    assert 0

def test_after_the_xfail():
    use()

def test_raises():
    kept = thing("a local beside a caught error")
    with pytest.raises(ValueError) as info:
        inner = thing("a local of the caught error")
        use()
        raise ValueError

def test_logs(caplog):
    import logging
    logging.getLogger().warning("%s", thing("in a log record"))
    use()

def test_module(shared):
    use()

def test_leaky():
    kept = thing("beside a leak")
    leak()

class TestClass:
    def test_method(self):
        self.kept = thing("on the instance")
        use()

    def test_next(self):
        use()

def test_last():
    look("last")
"""
)


def test_objects_die_as_soon_as_without_it(pytester):
    """Whatever a test made is gone at the latest when it is under plain pytest."""
    pytester.makepyfile(test_lives=LIVES)
    ran = fork_runs(pytester, {"plain": (), "guarded": GUARDED})
    plain, guarded = ran["plain"].seen, ran["guarded"].seen
    assert len(plain) > 20
    assert any(alive for _, alive in plain)
    assert "a local of a failed test" in {name for _, alive in plain for name in alive}
    assert [where for where, _ in guarded] == [where for where, _ in plain]
    longer = [
        (where, sorted(set(alive) - set(before)))
        for (where, alive), (_, before) in zip(guarded, plain, strict=True)
        if set(alive) - set(before)
    ]
    assert longer == []


# -- the results of a whole suite ---------------------------------------------------

RECORDER = """
import json
import os

def pytest_runtest_logreport(report):
    told = [report.nodeid, report.when, report.outcome, hasattr(report, "wasxfail"), len(report.sections)]
    os.write(int(os.environ["SEEN"]), json.dumps(told).encode() + b"\\n")
"""

MIXED = (
    ACTS
    + """
import logging
import sys
import unittest
import warnings

import pytest

def test_passes(tmp_path):
    use()
    print("some output")
    logging.getLogger().warning("a record")
    (tmp_path / "a.txt").write_text("a")

def test_fails():
    use()
    print("some output")
    assert not "own failure"

@pytest.mark.xfail
def test_xfails():
    use()
    assert 0

@pytest.mark.xfail(strict=True)
def test_xpasses_strictly():
    use()

def test_skips():
    use()
    pytest.skip("in call")

@pytest.fixture
def broken():
    use()
    raise RuntimeError("own setup error")

@pytest.fixture
def breaks():
    yield
    use()
    raise RuntimeError("own teardown error")

def test_error_in_setup(broken):
    pass

def test_error_in_teardown(breaks):
    use()

def test_both(breaks):
    assert not "own failure"

def test_warns():
    use()
    warnings.warn("a warning", UserWarning)

@pytest.mark.parametrize("number", range(3))
def test_parametrized(number):
    use()

def test_maybe_leaks():
    (leak if os.environ.get("LEAKS") else use)()

class TestUnit(unittest.TestCase):
    def test_passes(self):
        use()

    def test_fails(self):
        use()
        self.fail("own failure")

    @unittest.skip("by mark")
    def test_skipped(self):
        pass

def test_exits_within():
    use()
    with pytest.raises(SystemExit):
        sys.exit(3)

def documented():
    '''
    >>> use()
    >>> 1 + 1
    2
    '''
"""
)


def test_results_are_those_of_plain_pytest(pytester, monkeypatch):
    """Reports, output, counts and exit status of a mixed suite are the same with it off, and on except for a leak."""
    pytester.makeconftest(RECORDER)
    pytester.makepyfile(test_mixed=MIXED)
    args = ("--doctest-modules", "-v", "-rA", "--junit-xml=junit.xml")
    runs = {
        "plain": args,
        "off": (*args, "-p", "leakguard"),
        "on": (*args, *GUARDED),
        "only passing": ("-k", "parametrized or exits"),
        "only passing, on": ("-k", "parametrized or exits", *GUARDED),
        "nothing": ("-k", "no_such_test"),
        "nothing, on": ("-k", "no_such_test", *GUARDED),
    }
    ran = fork_runs(pytester, runs)
    plain = ran["plain"]
    assert plain.status == 1
    for name in ("off", "on"):
        assert ran[name].seen == plain.seen, name
        assert ran[name].status == plain.status, name
        assert ran[name].last_line == plain.last_line, name
        assert outcomes(ran[name].text) == outcomes(plain.text), name
        # all that is printed but our own lines, and the times
        assert printed(ran[name].text) == printed(plain.text), name
    assert ran["on"].report["findings"] == []
    assert (ran["only passing"].status, ran["only passing, on"].status) == (0, 0)
    assert (ran["nothing"].status, ran["nothing, on"].status) == (5, 5)
    monkeypatch.setenv("LEAKS", "1")
    leaky = fork_runs(pytester, {"fail": (*args, *GUARDED), "report": (*args, *GUARDED, "--leakguard-action=report")})
    assert leaky["report"].seen == plain.seen
    assert leaky["report"].last_line == plain.last_line
    changed = [(one, other) for one, other in zip(leaky["fail"].seen, plain.seen, strict=True) if one != other]
    assert [(one[:3], other[:3]) for one, other in changed] == [
        (
            ["test_mixed.py::test_maybe_leaks", "teardown", "failed"],
            ["test_mixed.py::test_maybe_leaks", "teardown", "passed"],
        )
    ]
    assert leaky["fail"].last_line == plain.last_line + ", 1 leaked"


def printed(text):
    """The lines that are pytest's own, without times and numbers in brackets."""
    return [
        line.partition(" in 0.")[0]
        for line in text.splitlines()
        if not line.startswith(("leakguard: ", "plugins: ", "rootdir: ", "generated xml"))
    ]


WITHIN = (
    ACTS
    + """
import threading

import pytest

pytest_plugins = ["pytester"]

INNER = '''
import os

import pytest

KEPT = []

@pytest.fixture(autouse=True, scope="session")
def at_the_end():
    yield
    while KEPT:
        os.close(KEPT.pop())

@pytest.mark.no_leaks
def test_leaks():
    KEPT.append(os.open(os.devnull, os.O_RDONLY))
    os.close(KEPT.pop())
    open(os.devnull)
'''

@pytest.mark.parametrize("flags", ["-p leakguard --leakguard", "-p leakguard", ""], ids=["on", "off", "no"])
def test_inner(pytester, flags):
    pytester.makepyfile(test_inner=INNER)
    result = pytester.inline_run(*flags.split())
    assert result.ret == (1 if flags else 0)

def test_leaks_afterwards():
    leak()

def test_unclosed_afterwards():
    open(os.devnull)

def test_temp_afterwards():
    os.mkdir(f"left-by-{os.getpid()}")

def test_thread_afterwards():
    threading.Thread(target=threading.Event().wait, daemon=True).start()

def test_clean_afterwards():
    use()
"""
)


def test_a_session_within_a_test(pytester):
    """A test that runs pytest in its own process, guarded or not, leaves the outer session as seeing as before."""
    pytester.makepyfile(test_outer=WITHIN)
    (ran,) = fork_runs(pytester, {"guarded": (*GUARDED, "-v")}).values()
    assert "failed" not in ran.last_line, ran.text
    assert ran.report["errors"] == []
    found = {
        finding["test"].partition("::")[2]: (finding["kind"], finding["origin"]["function"], finding["phase"])
        for finding in ran.report["findings"]
        if "test_inner" not in finding["test"]
    }
    assert found == {
        "test_leaks_afterwards": ("fd", "leak", "call"),
        "test_unclosed_afterwards": ("unclosed", "test_unclosed_afterwards", "call"),
        "test_temp_afterwards": ("temp", "test_temp_afterwards", "call"),
        "test_thread_afterwards": ("thread", "test_thread_afterwards", "call"),
    }
    # what the inner session keeps is its own to tell; an inner one that is off leaves all to the outer
    inner = {finding["test"].partition("::")[2] for finding in ran.report["findings"]} - set(found)
    assert inner <= {"test_inner[on]", "test_inner[off]", "test_inner[no]"}
    assert ran.last_line.startswith("8 passed")


def test_nodes_are_left_as_they_were(pytester, alone):
    """The set-up of a package is watched from outside: afterwards its node has no attribute more than before."""
    pytester.mkpydir("package").joinpath("test_it.py").write_text("def test_one(): pass\ndef test_two(): pass\n")
    pytester.makeconftest(
        """
        import pytest

        def above(item):
            return [node for node in item.listchain() if isinstance(node, (pytest.Package, pytest.Session))]

        def pytest_collection_finish(session):
            session.attributes = {node: set(vars(node)) for item in session.items for node in above(item)}

        def pytest_runtest_logfinish(nodeid):
            pass

        @pytest.fixture
        def seen(request):
            yield

        def pytest_sessionfinish(session):
            for node, before in session.attributes.items():
                assert "setup" not in set(vars(node)) - before, node
        """
    )
    ran = alone()
    ran.result.assert_outcomes(passed=2)
    assert ran.result.ret == 0
