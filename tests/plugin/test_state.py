"""State: each watched value, left changed, is told once and rightly; put back, it is never mentioned."""

from __future__ import annotations

import textwrap
from fnmatch import fnmatchcase

import pytest
from state_twins import CHANGES, HEAD, ROWS, of_run, tree
from twins import junit_errors, line_marked


@pytest.fixture(scope="module")
def runs(tmp_path_factory, run_tree):
    """Each run with its JUnit report, by its name."""
    # the filters are watched only where pytest does not put them back itself; the streams likewise
    args = ("--leakguard-probes=state", "-p", "no:warnings", "-s", "--junit-xml=junit.xml")
    found = {}
    for name, files in TREES.items():
        root = tmp_path_factory.mktemp("state")
        ran = run_tree(root, files, *args, GIVEN="before", TZ="UTC", LC_ALL="C")
        found[name] = ran, junit_errors(root / "junit.xml")
    return found


@pytest.fixture
def told(runs, row):
    """The run with the row of a test in it."""
    return runs[of_run(row)][0]


TREES = {name: tree(row for row in ROWS if of_run(row) == name) for name in {of_run(row): None for row in ROWS}}
LEAKY = [row for row in ROWS if row.leaky]
CLEAN = [row for row in ROWS if not row.leaky]


def of(told, row):
    return [f for f in told.report["findings"] if row.name in f"{f['test']} {f['owner']['name']} {f['subject']}"]


@pytest.mark.parametrize("row", LEAKY, ids=lambda row: row.name)
def test_a_leaky_twin_is_told_once_and_rightly(told, row):
    """One finding with before and after, its owner, and its phase; the line where an event tells it."""
    (finding,) = of(told, row)
    assert (finding["kind"], finding["verdict"], finding["disposition"]) == ("state", "leaked", "fails")
    assert (finding["subject"], finding["count"]) == (row.subject, 1)
    assert fnmatchcase(finding["what"], row.told), finding["what"]
    assert {name: finding["owner"][name] for name in row.owner} == row.owner
    assert finding["phase"] == ("call" if row.phase == "plain" else row.phase)
    if "#" in CHANGES[row.change][1]:
        assert (finding["origin"]["file"], finding["origin"]["line"]) == (
            row.where, line_marked(TREES[of_run(row)][row.where], row.name)
        )  # fmt: skip
    else:
        assert finding["origin"]["file"] is None
        assert finding["origin"]["reason"]


@pytest.mark.parametrize("row", CLEAN, ids=lambda row: row.name)
def test_a_clean_twin_is_never_mentioned(told, row):
    """Put back by the end of its owner: not a finding of any kind."""
    assert of(told, row) == []


@pytest.mark.parametrize("name", TREES)
def test_nothing_else_is_told(runs, name):
    """As many findings as leaky twins, in JUnit XML too, all tests pass, and nothing of ours went wrong."""
    told, junit = runs[name]
    leaky = [row for row in LEAKY if of_run(row) == name]
    assert len(told.report["findings"]) == len(leaky)
    for row in leaky:
        (finding,) = of(told, row)
        if finding["owner"]["kind"] == "test":
            assert f"  what      {finding['what']}" in junit[f"test_{row.name}"]
    assert " failed" not in told.text
    assert " error" not in told.text


# -- who is not to blame

QUIET = """
import logging, os, signal, subprocess, sys, tempfile, threading, time, unittest, warnings, weakref
import pytest

@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("first")

def test_first_temporary_folder(folder):
    pass

@pytest.fixture(scope="session")
def wide():
    old = os.getcwd()
    os.chdir("/")
    os.environ["ROOF"] = "wide"
    yield
    os.chdir(old)
    del os.environ["ROOF"]

@pytest.fixture(scope="module")
def narrow(wide, tmp_path_factory):
    old = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("narrow"))
    os.environ["ROOF"] = "narrow"
    yield
    os.chdir(old)
    os.environ["ROOF"] = "wide"

def test_in_both(narrow, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOF", "test")

def test_in_both_again(narrow):
    assert os.environ["ROOF"] == "narrow"

def test_monkeypatch(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOF", "1")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "argv", ["a"])

@pytest.mark.filterwarnings("ignore:roof")
def test_capture_and_logging(capsys, caplog):
    caplog.set_level(logging.DEBUG, logger="roof")
    logging.getLogger("roof").info("frost")
    warnings.simplefilter("error")
    sys.stdout = sys.stderr = None

def test_capfd(capfd, recwarn, tmp_path, tmpdir):
    print("frost")

def test_finalize():
    class Thing: pass
    thing = Thing()
    weakref.finalize(thing, int)

def test_streams_that_capture_puts_back():
    sys.stdout = open(os.devnull, "w")
    sys.stdout.close()

@pytest.fixture
def replaces():
    yield
    sys.stdout = None

def test_streams_in_a_teardown(replaces):
    pass

def test_pytests_own_fixture(pytester):
    pytester.makepyfile("def test_it(): pass")
    pytester.inline_run("-p", "no:leakguard").assertoutcome(passed=1)

class TestCase(unittest.TestCase):
    def setUp(self):
        self.old = os.getcwd()
        os.chdir("/")
    def tearDown(self):
        os.chdir(self.old)
    def test_unittest(self):
        with self.subTest(1):
            os.environ["ROOF"] = "1"
        del os.environ["ROOF"]

def test_loop_policy_and_start_method():
    import asyncio, multiprocessing
    async def nothing(): pass
    asyncio.run(nothing())
    process = multiprocessing.Process(target=int)
    process.start()
    process.join()

def test_rounding():
    import decimal
    decimal.Decimal(1) / 3

def test_an_import_changes_things():
    import brings_changes

def test_a_hook_of_a_plugin():
    assert os.environ["FROM_HOOK"] == "1"

def test_temporary_folder():
    with tempfile.TemporaryDirectory() as folder:
        pass
"""

BRINGS = """
import atexit, decimal, logging, os, signal, sys, warnings

def prepare():
    atexit.register(prepare)
    warnings.filterwarnings("ignore", category=prepare_warning)
    logging.getLogger("brings").addHandler(logging.StreamHandler())
    logging.getLogger("brings").setLevel(10)
    os.environ["BROUGHT"] = "1"
    signal.signal(signal.SIGUSR2, lambda *_: None)
    sys.path.append("/brought")
    sys.setrecursionlimit(sys.getrecursionlimit() + 10)

class prepare_warning(UserWarning):
    pass

prepare()
"""

HOOKS = """
import os, signal
import pytest
pytest_plugins = "pytester"

def pytest_runtest_setup(item):
    os.environ["FROM_HOOK"] = "1"

@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item):
    old = signal.signal(signal.SIGALRM, lambda *_: None)
    try:
        return (yield)
    finally:
        signal.signal(signal.SIGALRM, old)

@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    os.environ["IN_CALL"] = item.name
    return (yield)
"""


@pytest.mark.parametrize(
    "args", [(), ("-o", "log_level=INFO"), ("-p", "no:warnings"), ("-s",)], ids=["plain", "level", "no-warnings", "s"]
)
def test_what_pytest_and_its_fixtures_change_is_never_told(alone, pytester, args):
    """pytest's own streams, handlers, filters, variables and call-backs, imports and hooks of plugins: nobody's."""
    pytester.makeconftest(HOOKS)
    text = QUIET
    if args == ("-s",):  # nobody puts a stream back then
        text = text.replace("sys.stdout = sys.stderr = None", "pass").replace("    sys.stdout = None", "    pass")
        text = text.replace('    sys.stdout = open(os.devnull, "w")\n    sys.stdout.close()', "    pass")
    if args == ("-p", "no:warnings"):
        text = text.replace('    warnings.simplefilter("error")\n', "")
    pytester.makepyfile(brings_changes=BRINGS, test_quiet=text)
    ran = alone("--leakguard-probes=state", *args)
    assert ran.report["findings"] == []
    assert ran.result.ret == 0, ran.text


def test_the_end_of_pytests_folders_is_pytests_own(tmp_path, run_tree):
    """The first fixture that asks for a temporary folder has pytest register a call-back; its own is told still."""
    text = """
        import atexit, contextlib
        import pytest

        @pytest.fixture(scope="module")
        def folder(tmp_path_factory):
            return tmp_path_factory.mktemp("first")

        def test_clean(folder):
            pass

        def test_leaky(folder):
            stack = contextlib.ExitStack()
            stack.callback(int)
            atexit.register(stack.close)
    """
    ran = run_tree(
        tmp_path, {"test_it.py": textwrap.dedent(text), "pytest.ini": "[pytest]"}, "--leakguard-probes=state"
    )
    assert [(f["test"], f["what"]) for f in ran.report["findings"]] == [
        ("test_it.py::test_leaky", "atexit: + contextlib.ExitStack.close")
    ]


def test_a_value_that_cannot_be_read_is_told_and_does_no_harm(alone, pytester):
    """What a test puts in the place of a module's name breaks the reading of that value only, for as long."""
    pytester.makepyfile(
        """
        import gc, os, time

        def test_broken(monkeypatch):
            monkeypatch.delattr(time, "tzname")
            monkeypatch.setattr(os, "environ", {"a": "b"})

        def test_others_go_on():
            os.umask(0o077)
        """
    )
    ran = alone("--leakguard-probes=state", errors=True)
    ran.result.assert_outcomes(passed=2)
    assert ran.report["errors"] == [
        "state: time zone can't be read: AttributeError: module 'time' has no attribute 'tzname'"
    ]
    assert [finding["subject"] for finding in ran.findings] == ["umask"]


def test_a_leak_beside_what_is_forgiven_is_told(alone, pytester):
    """An import forgives only what its code could have changed, a fixture of pytest only what it changed itself."""
    pytester.makeconftest("pytest_plugins = 'pytester'")
    pytester.makepyfile(
        harmless="import json\nVALUE = json.dumps({})",
        test_one="""
        import atexit, os, socket, sys
        import pytest

        def test_beside_an_import():
            import harmless
            atexit.register(int)
            socket.setdefaulttimeout(3)

        def test_beside_a_fixture(tmp_path, monkeypatch, capsys):
            os.chdir(tmp_path)

        @pytest.fixture(scope="module")
        def wide():
            old = os.getcwd()
            os.chdir("/")
            yield
            os.chdir(old)

        def test_within_a_fixture_that_puts_back(wide, tmp_path):
            os.chdir(tmp_path)

        def test_after_it():
            pass

        def test_of_the_same_test_again():
            os.environ["ROOF"] = "1"

        def test_another_value():
            os.environ["ROOF"] = "2"

        def test_back_again():
            del os.environ["ROOF"]
        """,
    )
    ran = alone("--leakguard-probes=state")
    told = [(finding["test"].partition("::")[2], finding["what"].partition(":")[0]) for finding in ran.findings]
    assert sorted(told) == [
        ("test_another_value", "environ ROOF"),
        ("test_beside_a_fixture", "cwd"),
        ("test_beside_an_import", "atexit"),
        ("test_beside_an_import", "socket timeout"),
        ("test_of_the_same_test_again", "environ ROOF"),
        ("test_within_a_fixture_that_puts_back", "cwd"),
    ]


# -- ways to ask


def test_it_is_watched_only_on_request(alone, pytester):
    """Neither by default nor with other kinds; with `all`, `+state`, the marker and a block."""
    pytester.makepyfile(
        """
        import os
        import pytest
        from pytest_leakguard import LeakError

        def test_plain():
            os.environ["PLAIN"] = "1"

        @pytest.mark.no_leaks("state")
        def test_marked():
            os.environ["MARKED"] = "1"

        @pytest.mark.no_leaks(add="state")
        def test_added():
            os.environ["ADDED"] = "1"

        @pytest.mark.no_leaks("state", allow="state:environ ALLOWED -- on purpose")
        def test_allowed():
            os.environ["ALLOWED"] = "1"

        def test_block(leak_check):
            with pytest.raises(LeakError) as raised:
                with leak_check("state"):
                    os.environ["BLOCK"] = "1"
            (finding,) = raised.value.findings
            assert (finding.kind, finding.subject) == ("state", "environ BLOCK")

        def test_block_puts_back_what_one_inside_it_saw(leak_check):
            with leak_check("state"):
                os.environ["OUTER"] = "1"
                with leak_check("state"):
                    pass
                del os.environ["OUTER"]
        """
    )
    for args, flag, told in (
        ((), ("--leakguard",), ["environ ADDED", "environ MARKED"]),
        ((), (), ["environ ADDED", "environ MARKED"]),
        (("--leakguard-probes=+state",), ("--leakguard",), ["environ ADDED", "environ MARKED", "environ PLAIN"]),
        (("--leakguard-probes=all",), ("--leakguard",), ["environ ADDED", "environ MARKED", "environ PLAIN"]),
    ):
        ran = alone(*args, flag=flag)
        assert sorted(finding["subject"] for finding in ran.findings) == told
        assert ran.result.parseoutcomes().get("failed") is None, ran.text


def test_nothing_runs_where_it_is_not_watched(alone, pytester):
    """No hooks of it are registered and its table is not loaded; watching it imports no module that it reads."""
    pytester.makepyfile(
        """
        import sys

        def test_off(pytestconfig):
            assert not pytestconfig.pluginmanager.has_plugin("leakguard-boundaries")
            assert "pytest_leakguard.probes.state_libraries" not in sys.modules

        def test_on(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("leakguard-boundaries")
            # pdb, which pytest loads, brings asyncio with it since 3.14
            unwanted = {"multiprocessing.context"} | ({"asyncio"} if sys.version_info < (3, 14) else set())
            assert not unwanted & set(sys.modules)
        """
    )
    assert alone("-k", "off").result.ret == 0
    assert alone("-k", "on", "--leakguard-probes=state").result.ret == 0


# -- putting back


AT_EXIT = """
class Census:
    def __init__(self): self.callbacks = []
    def __eq__(self, callback): self.callbacks.append(callback)

def called_at_exit():
    census = Census()
    atexit.unregister(census)
    return census.callbacks
"""


def test_every_value_is_put_back(alone, pytester):
    """With `leakguard_restore_state` the next test finds each value as it was, and the leak is told."""
    lines = [HEAD, AT_EXIT, "def shot():\n    return (os.getcwd(), dict(os.environ), list(sys.path), list(sys.argv),"]
    lines.append(
        "        {n: signal.getsignal(n) for n in (signal.SIGUSR1, signal.SIGTERM)}, list(warnings.filters),\n"
        "        logging.root.level, logging.root.manager.disable, locale.setlocale(locale.LC_TIME),\n"
        "        socket.getdefaulttimeout(), sys.excepthook, threading.excepthook, sys.unraisablehook,\n"
        "        sys.getrecursionlimit(), decimal.getcontext().prec, decimal.getcontext().traps[decimal.Inexact],\n"
        "        gc.get_threshold(), gc.isenabled(), type(asyncio.events._event_loop_policy),\n"
        "        multiprocessing.get_start_method(allow_none=True), sys.stdin, sys.stdout, sys.stderr, time.tzname,\n"
        "        {n: (l.level, l.disabled, l.propagate, tuple(l.handlers))\n"
        "         for n, l in logging.root.manager.loggerDict.items() if n.startswith('R_') and hasattr(l, 'level')},\n"
        "        called_at_exit())\n"
        "for n in range(40):\n    logging.getLogger(f'R_{n}')\nBEFORE = shot()[1:]\n"
    )
    names = []
    for number, (name, (_, change, _, _)) in enumerate(CHANGES.items()):
        if name == "modules":
            continue
        body = change.replace("ROW", f"R_{number}").replace("\n", "\n    ")
        lines.append(f"def test_{number:02}_leaky():\n    {body}\n")
        lines.append(
            f"def test_{number:02}_next():\n    now = shot()[1:]\n    now[0].pop('PYTEST_CURRENT_TEST')\n"
            "    BEFORE[0].pop('PYTEST_CURRENT_TEST', None)\n"
            "    assert now == BEFORE\n"
        )
        names.append(name)
    pytester.makepyfile(test_one="\n".join(lines))
    pytester._monkeypatch.setenv("GIVEN", "before")
    pytester._monkeypatch.setenv("TZ", "UTC")
    ran = alone("--leakguard-probes=state", "-p", "no:warnings", "-s", "-o", "leakguard_restore_state=true")
    ran.result.assert_outcomes(passed=2 * len(names))
    assert len(ran.findings) == len(names)


def test_what_is_allowed_is_not_put_back(alone, pytester):
    """A rule says that it is wanted so; a wider fixture's is put back only after its teardown."""
    pytester.makepyfile(
        """
        import os
        import pytest

        @pytest.mark.allow_leaks("state:environ KEPT", reason="on purpose")
        def test_allowed():
            os.environ["KEPT"] = "1"

        @pytest.fixture(scope="class")
        def wide():
            os.environ["WIDE"] = "1"
            yield

        class Test:
            def test_first(self, wide):
                assert os.environ["KEPT"] == "1"

            def test_second(self, wide):
                assert os.environ["WIDE"] == "1"

        def test_after():
            assert "WIDE" not in os.environ
            assert os.environ["KEPT"] == "1"
        """
    )
    ran = alone("--leakguard-probes=state", "-o", "leakguard_restore_state=true")
    ran.result.assert_outcomes(passed=4)
    assert [finding["subject"] for finding in ran.findings] == ["environ WIDE"]


def test_what_cannot_be_put_back_is_told(alone, pytester):
    """Of a callback that is gone nobody knows the arguments; a new one beside it is taken away all the same."""
    text = (
        HEAD
        + AT_EXIT
        + """
def early(*_): pass
def other(*_): pass
def late(*_): pass

atexit.register(early, 1)
atexit.register(other, 2)

def test_registers():
    atexit.register(late, 3)

def test_is_put_back():
    assert late not in called_at_exit()

def test_removes():
    atexit.unregister(early)
    atexit.register(late, 4)

def test_is_partly_put_back():
    assert not {early, late} & set(called_at_exit())
    assert other in called_at_exit()

def test_registers_twice():
    atexit.register(other, 5)

def test_both_are_there():
    assert called_at_exit().count(other) == 2
"""
    )
    pytester.makepyfile(test_it=text)
    ran = alone("--leakguard-probes=state", "-o", "leakguard_restore_state=true", errors=True)
    ran.result.assert_outcomes(passed=6)
    assert [f["test"].partition("::")[2] for f in ran.findings] == [
        "test_registers", "test_removes", "test_registers_twice"
    ]  # fmt: skip
    (error,) = ran.report["errors"]  # the same words twice
    assert error.startswith("state: could not put back atexit: ")


def test_handlers_of_pytest_and_such_as_do_nothing_are_no_state(alone, pytester):
    """A test may take pytest's away: they are back in the next phase. A handler that is left is told by itself."""
    pytester.makepyfile(
        """
        import logging
        import logging.config

        def test_configures():
            logging.config.dictConfig({"version": 1, "root": {"handlers": []}})

        def test_clears():
            logging.root.handlers.clear()

        def test_does_nothing():
            logging.getLogger("library").addHandler(logging.NullHandler())

        def test_leaves_one():
            logging.basicConfig(force=True)
        """
    )
    (finding,) = alone("--leakguard-probes=state").report["findings"]
    assert finding["test"].endswith("::test_leaves_one")
    assert finding["what"] == "logging root handlers: + logging.StreamHandler object"


def test_a_change_that_no_event_tells_is_the_fixtures_that_made_it(alone, pytester):
    """In its set-up or its teardown; also in what pytest makes a fixture of."""
    pytester.makepyfile(
        """
        import logging
        import pytest

        def setup_module():
            logging.getLogger("xunit").setLevel(10)

        @pytest.fixture(scope="module")
        def early():
            logging.getLogger("early").setLevel(10)
            yield

        @pytest.fixture(scope="module")
        def late():
            yield
            logging.getLogger("late").setLevel(10)

        def test_it(early, late): pass
        """
    )
    findings = alone("--leakguard-probes=state").report["findings"]
    told = {f["subject"]: (f["owner"]["kind"], f["owner"]["name"].split()[0], f["phase"]) for f in findings}
    assert told == {
        "logging xunit level": ("fixture", "setup_module", "setup"),
        "logging early level": ("fixture", "early", "setup"),
        "logging late level": ("fixture", "late", "teardown"),
    }
