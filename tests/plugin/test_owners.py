"""Who is blamed: tests, fixtures in every guise, and nobody."""

from __future__ import annotations

import select
from functools import partial

import pytest
from twins import line_marked


@pytest.fixture
def run(alone, pytester, monkeypatch):
    """Without patience: nothing here goes by itself. Stray files stay below the test's own folder."""
    monkeypatch.setenv("TMPDIR", str(pytester.mkdir("stray")))
    return partial(alone, "--leakguard-grace=0.05")


@pytest.fixture
def line(pytester):
    """The number of the line that ends with a mark."""

    def line(file: str, mark: str) -> int:
        return line_marked((pytester.path / file).read_text("utf-8"), mark)

    return line


def scopes_of(findings):
    """(owner kind, scope, phase, line) of each, in the order of the lines."""
    return sorted(
        (f["origin"]["line"], f["owner"]["kind"], f["owner"]["scope"], f["phase"], f["kind"]) for f in findings
    )


# -- set-ups in the manner of xunit ------------------------------------------------


def test_xunit_setups_own_what_they_acquire(pytester, run, line):
    """setup_function and setup_method are the test's, setup_class and setup_module are wider fixtures."""
    pytester.makepyfile(
        test_x="""
        import socket
        KEPT = []

        def setup_module():
            KEPT.append(socket.socket())  # module

        def teardown_module():
            KEPT.append(socket.socket())  # module end

        def setup_function():
            KEPT.append(socket.socket())  # function

        def test_plain():
            pass

        class TestIt:
            @classmethod
            def setup_class(cls):
                KEPT.append(socket.socket())  # class

            @classmethod
            def teardown_class(cls):
                KEPT.append(socket.socket())  # class end

            def setup_method(self):
                KEPT.append(socket.socket())  # method

            def teardown_method(self):
                KEPT.append(socket.socket())  # method end

            def test_method(self):
                pass
        """
    )
    ran = run()
    expected = [
        ("module", "fixture", "module", "setup"),
        ("module end", "fixture", "module", "teardown"),
        ("function", "test", "function", "setup"),
        ("class", "fixture", "class", "setup"),
        ("class end", "fixture", "class", "teardown"),
        ("method", "test", "function", "setup"),
        ("method end", "test", "function", "teardown"),
    ]
    assert scopes_of(ran.findings) == sorted((line("test_x.py", mark), *rest, "socket") for mark, *rest in expected)
    tests = {f["origin"]["line"]: f["test"] for f in ran.findings}
    assert tests[line("test_x.py", "function")] == "test_x.py::test_plain"
    assert tests[line("test_x.py", "method")] == "test_x.py::TestIt::test_method"


def test_the_message_names_the_xunit_function_that_the_user_wrote(pytester, run):
    """pytest's internal fixture names and pytest's own file are of no use to the reader."""
    pytester.makepyfile(
        """
        import socket
        import unittest

        KEPT = []

        def setup_module():
            KEPT.append(socket.socket())

        class TestIt:
            def setup_class(cls):
                KEPT.append(socket.socket())

            def test_method(self):
                pass

        class TestUnit(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                KEPT.append(socket.socket())

            def test_method(self):
                pass
        """
    )
    ran = run()
    assert len(ran.findings) == 3
    for name in ("setup_module", "setup_class", "setUpClass"):
        ran.result.stdout.fnmatch_lines([f"LEAK socket *{name}*"])
    section = ran.text.partition("= leaks =")[2]
    assert "_fixture_" not in section
    assert "_pytest" not in section
    assert "`yield`" not in section


def test_xunit_setups_that_are_undone_are_silent(pytester, run):
    """What the matching teardown function closes is no leak, nor what a test leaves for it."""
    pytester.makepyfile(
        """
        import socket
        STATE = {}

        def setup_module():
            STATE["module"] = [socket.socket()]

        def teardown_module():
            for file in STATE["module"]:
                file.close()

        def setup_function(function):
            STATE["function"] = socket.socket()

        def teardown_function(function):
            STATE["function"].close()

        def test_plain():
            STATE["module"].append(socket.socket())

        class TestIt:
            def setup_class(cls):
                cls.files = [socket.socket()]

            def teardown_class(cls):
                for file in cls.files:
                    file.close()

            def setup_method(self, method):
                self.file = socket.socket()

            def teardown_method(self, method):
                self.file.close()

            def test_method(self):
                self.files.append(socket.socket())
        """
    )
    ran = run()
    ran.result.assert_outcomes(passed=2)
    assert ran.report["findings"] == []
    assert ran.result.ret == 0


def test_setup_module_of_a_package_owns_what_it_acquires(pytester, run, line):
    """setup_module in __init__.py is a set-up of the package, due after the package's last test."""
    source = """
        import socket
        KEPT = []

        def setup_module():
            KEPT.append(socket.socket())  # package

        def teardown_module():
            {end}
        """
    for name, end in (("leaky", "pass"), ("clean", "KEPT.pop().close()")):
        pytester.makepyfile(**{f"{name}/__init__": source.format(end=end)})
        for module in ("one", "two"):
            pytester.makepyfile(**{f"{name}/test_{name}_{module}": "def test_it(): pass"})
    ran = run()
    (finding,) = ran.report["findings"]
    assert (finding["owner"]["kind"], finding["owner"]["scope"]) == ("node", "package")
    assert finding["owner"]["name"] == "leaky"
    assert (finding["phase"], finding["disposition"]) == ("setup", "fails")
    assert finding["test"] == "leaky/test_leaky_one.py::test_it"
    assert finding["origin"]["file"] == "leaky/__init__.py"
    assert finding["origin"]["line"] == line("leaky/__init__.py", "package")


def test_a_package_is_over_when_its_own_teardown_is(pytester, run, line):
    """What it left is told after its last test, though nothing moved in that; its teardown's leaks are its own."""
    pytester.makepyfile(
        **{
            "package/__init__": """
                import socket
                KEPT = []

                def setup_module():
                    KEPT.append(socket.socket())  # first

                def teardown_module():
                    pass
                """,
            "late/__init__": """
                import socket
                KEPT = []

                def setup_module():
                    pass

                def teardown_module():
                    KEPT.append(socket.socket())  # last
                """,
        }
    )
    for package in ("package", "late"):
        pytester.makepyfile(**{f"{package}/test_{package}": "def test_one(): pass\ndef test_two(): pass"})
    pytester.makepyfile(test_z="def test_moves(): open(__file__).close()")
    ran = run("-v")
    for package in ("package", "late"):
        ran.result.stdout.fnmatch_lines_random([f"{package}/test_{package}.py::test_two LEAKED*"])
    assert scopes_of(ran.findings) == [
        (line("package/__init__.py", "first"), "node", "package", "setup", "socket"),
        (line("late/__init__.py", "last"), "node", "package", "teardown", "socket"),
    ]


# -- unittest ----------------------------------------------------------------------


def test_unittest_setups_own_what_they_acquire(pytester, run, line):
    """setUp is the test's, setUpClass the class's, setUpModule the module's."""
    pytester.makepyfile(
        test_u="""
        import socket
        import unittest

        KEPT = []

        def setUpModule():
            KEPT.append(socket.socket())  # module

        class Leaky(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                KEPT.append(socket.socket())  # class

            @classmethod
            def tearDownClass(cls):
                KEPT.append(socket.socket())  # class end

            def setUp(self):
                KEPT.append(socket.socket())  # set-up

            def tearDown(self):
                KEPT.append(socket.socket())  # end

            def test_body(self):
                KEPT.append(socket.socket())  # body
        """
    )
    ran = run()
    # unittest runs setUp and tearDown within what is the call phase for pytest
    expected = [
        ("module", "fixture", "module", "setup"),
        ("class", "fixture", "class", "setup"),
        ("class end", "fixture", "class", "teardown"),
        ("set-up", "test", "function", "call"),
        ("end", "test", "function", "call"),
        ("body", "test", "function", "call"),
    ]
    assert scopes_of(ran.findings) == sorted((line("test_u.py", mark), *rest, "socket") for mark, *rest in expected)


def test_unittest_cleanups_are_waited_for(pytester, run):
    """addCleanup, addClassCleanup and the tearDown methods may release what the test acquired."""
    pytester.makepyfile(
        """
        import socket
        import unittest

        class Clean(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.files = [socket.socket()]
                cls.addClassCleanup(socket.socket().close)

            @classmethod
            def tearDownClass(cls):
                for file in cls.files:
                    file.close()

            def setUp(self):
                self.file = socket.socket()

            def tearDown(self):
                self.file.close()

            def test_cleanup(self):
                self.addCleanup(socket.socket().close)

            def test_class_cleanup(self):
                self.addClassCleanup(socket.socket().close)

            def test_left_for_the_class(self):
                self.files.append(socket.socket())
        """
    )
    ran = run()
    ran.result.assert_outcomes(passed=3)
    assert ran.report["findings"] == []


def test_what_a_unittest_test_leaves_for_its_class_is_waited_for(pytester, run):
    """tearDownClass of a base class may release it; where it doesn't, it is the leak of the test that put it there."""
    pytester.makepyfile(
        """
        import socket
        import unittest

        KEPT = []

        class Base:
            @classmethod
            def setUpClass(cls):
                cls.held = []

        class Leaky(Base, unittest.TestCase):
            @classmethod
            def tearDownClass(cls):
                KEPT.extend(cls.held)

            def test_one(self):
                self.held.append(socket.socket())

            def test_two(self): pass

        class Clean(Base, unittest.TestCase):
            @classmethod
            def tearDownClass(cls):
                for one in cls.held:
                    one.close()

            def test_one(self):
                self.held.append(socket.socket())

            def test_two(self): pass
        """
    )
    ran = run()
    (finding,) = ran.report["findings"]
    assert finding["test"].endswith("Leaky::test_one")
    assert "(class scope) might have released it" in finding["due"]


def test_a_unittest_class_without_setup_delays_no_verdict(pytester, run):
    """The fixture that pytest makes for each unittest class holds nothing: the leak is told at once."""
    pytester.makepyfile(
        """
        import socket
        import unittest

        KEPT = []

        class Bare(unittest.TestCase):
            def test_leaks(self):
                KEPT.append(socket.socket())

            def test_other(self):
                pass
        """
    )
    ran = run()
    (finding,) = ran.findings
    assert finding["test"].endswith("Bare::test_leaks")
    assert "might have released" not in finding["due"]


# -- nobody's ----------------------------------------------------------------------


def test_what_was_there_before_the_first_test_is_nobodys(pytester, run):
    """Acquired by a conftest, a test module or a hook before the tests: never told, however it ends."""
    acquire = """
        import atexit, os, socket, subprocess, sys, tempfile, threading
        KEPT = [open(__file__), *os.pipe()]
        CHILD = subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=-1)
        atexit.register(CHILD.communicate)
        TIMER = threading.Timer(600, int)
        TIMER.daemon = True
        TIMER.start()
        FOLDER = tempfile.mkdtemp()
        DROPPED = [open(__file__), socket.socket()]
        """
    pytester.makeconftest(
        acquire
        + """
        HELD = []

        def pytest_configure(config):
            HELD.append(socket.socket())

        def pytest_sessionstart(session):
            HELD.append(socket.socket())

        def pytest_collection_modifyitems(items):
            HELD.append(socket.socket())
        """
    )
    pytester.makepyfile(
        acquire
        + """
        def test_moves():
            open(__file__).close()

        def test_drops():
            DROPPED.clear()

        def test_closes():
            KEPT[0].close()

        def test_other():
            pass
        """
    )
    ran = run()
    ran.result.assert_outcomes(passed=4)
    assert ran.report["findings"] == []


def test_an_import_inside_a_test_is_nobodys(pytester, run):
    """A module imported for the first time by a test may open files and start threads; its functions may not."""
    pytester.makepyfile(
        library="""
        import socket, tempfile, threading

        LOG = socket.socket()
        PAIR = socket.socketpair()
        FOLDER = tempfile.mkdtemp()
        TIMER = threading.Timer(600, int)
        TIMER.daemon = True
        TIMER.start()
        KEPT = []

        def later():
            KEPT.append(socket.socket())  # later
        """,
        lazy="""
        def first_use():
            import library
            return library
        """,
        test_it="""
        def test_imports():
            import lazy
            lazy.first_use()

        def test_uses():
            import library
            library.later()

        def test_after():
            import library
            library.LOG.close()
        """,
    )
    ran = run()
    (finding,) = ran.report["findings"]
    assert (finding["test"], finding["origin"]["function"]) == ("test_it.py::test_uses", "later")


def test_hooks_of_a_conftest_are_nobodys(pytester, run):
    """What a plugin opens in a hook around a test is not the test's; a leak of the same test still is."""
    pytester.makeconftest(
        """
        import socket
        import pytest
        KEPT = []

        def pytest_runtest_setup(item):
            KEPT.append(socket.socket())

        def pytest_runtest_call(item):
            KEPT.append(socket.socket())

        def pytest_runtest_teardown(item):
            KEPT.append(socket.socket())

        @pytest.hookimpl(wrapper=True)
        def pytest_runtest_protocol(item):
            KEPT.append(socket.socket())
            return (yield)

        @pytest.hookimpl(wrapper=True)
        def pytest_pyfunc_call(pyfuncitem):
            KEPT.append(socket.socket())
            return (yield)

        def pytest_runtest_logreport(report):
            KEPT.append(socket.socket())
        """
    )
    pytester.makepyfile(
        """
        import socket
        KEPT = []

        def test_one(): pass

        def test_leaks():
            KEPT.append(socket.socket())

        def test_two(): pass
        """
    )
    ran = run()
    assert [finding["test"].partition("::")[2] for finding in ran.report["findings"]] == ["test_leaks"]


# -- fixtures ----------------------------------------------------------------------


def test_autouse_fixtures_own_what_they_acquire(pytester, run, line):
    """An autouse function fixture is each test's, a wider one is a fixture's, once."""
    pytester.makepyfile(
        test_auto="""
        import socket
        import pytest
        KEPT = []

        @pytest.fixture(autouse=True)
        def each():
            KEPT.append(socket.socket())  # each

        @pytest.fixture(autouse=True, scope="module")
        def whole():
            KEPT.append(socket.socket())  # whole

        def test_one(): pass

        def test_two(): pass
        """
    )
    ran = run()
    each, whole = line("test_auto.py", "each"), line("test_auto.py", "whole")
    blamed = sorted((f["origin"]["line"], f["owner"]["name"], f["test"]) for f in ran.findings)
    assert blamed == [
        (each, "test_auto.py::test_one", "test_auto.py::test_one"),
        (each, "test_auto.py::test_two", "test_auto.py::test_two"),
        (whole, "whole", "test_auto.py::test_one"),
    ]


def test_a_parametrized_module_fixture_is_judged_for_each_parameter(pytester, run, line):
    """It is torn down in the next parameter's set-up: each leak is the fixture's, told with its own first user."""
    pytester.makepyfile(
        test_params="""
        import socket
        import pytest
        KEPT = []

        @pytest.fixture(scope="module", params=["leaky", "clean", "late", "last"])
        def resource(request):
            file = socket.socket()  # setup
            yield file
            if request.param == "leaky":
                KEPT.append(file)
                return
            file.close()
            if request.param in ("late", "last"):
                KEPT.append(socket.socket())  # teardown

        def test_one(resource): pass

        def test_two(resource): pass
        """
    )
    ran = run()
    ran.result.assert_outcomes(passed=8)
    assert {(f["owner"]["kind"], f["owner"]["name"]) for f in ran.findings} == {("fixture", "resource")}
    told = sorted((f["test"].partition("::")[2], f["phase"], f["origin"]["line"]) for f in ran.findings)
    assert told == [
        ("test_one[last]", "teardown", line("test_params.py", "teardown")),
        ("test_one[late]", "teardown", line("test_params.py", "teardown")),
        ("test_one[leaky]", "setup", line("test_params.py", "setup")),
    ]


@pytest.mark.parametrize("scope", ["function", "module"])
def test_a_fixture_that_fails_half_way_owns_what_it_had_acquired(pytester, run, line, scope):
    """The test has failed by itself, so it is a note, on the fixture, once; what is released is no leak."""
    pytester.makepyfile(
        test_half=f"""
        import socket
        import pytest
        KEPT = []

        @pytest.fixture(scope="{scope}")
        def leaky():
            KEPT.append(socket.socket())  # leaky
            raise RuntimeError("half-way")
            yield

        @pytest.fixture(scope="{scope}")
        def clean():
            file = socket.socket()
            try:
                raise RuntimeError("half-way")
            finally:
                file.close()
            yield

        @pytest.fixture(scope="{scope}")
        def cleared(request):
            request.addfinalizer(socket.socket().close)
            raise RuntimeError("half-way")

        def test_leaky(leaky): pass

        def test_clean(clean): pass

        def test_cleared(cleared): pass

        def test_innocent(): pass
        """
    )
    ran = run()
    ran.result.assert_outcomes(errors=3, passed=1)
    (finding,) = ran.report["findings"]
    assert (finding["test"], finding["disposition"]) == ("test_half.py::test_leaky", "note")
    assert (finding["phase"], finding["origin"]["line"]) == ("setup", line("test_half.py", "leaky"))
    name = {"function": "test_half.py::test_leaky", "module": "leaky"}[scope]
    assert (finding["owner"]["scope"], finding["owner"]["name"]) == (scope, name)
    assert "half-way" in ran.text


def test_each_of_nested_fixtures_owns_its_own(pytester, run):
    """A wider fixture set up by another, by name or from the middle of a test, owns what it acquires itself."""
    pytester.makepyfile(
        test_nested="""
        import socket
        import pytest
        KEPT = []

        def acquire():
            KEPT.append(socket.socket())

        @pytest.fixture(scope="session")
        def outermost():
            acquire()

        @pytest.fixture(scope="module")
        def middle(request):
            acquire()
            request.getfixturevalue("outermost")
            acquire()

        @pytest.fixture(scope="class")
        def dynamic():
            acquire()

        def test_it(middle, request):
            request.getfixturevalue("dynamic")
            acquire()
        """
    )
    ran = run()
    told = sorted((f["owner"]["scope"], f["owner"]["name"], f["phase"], f["count"]) for f in ran.findings)
    assert told == [
        ("class", "dynamic", "setup", 1),
        ("function", "test_nested.py::test_it", "call", 1),
        ("module", "middle", "setup", 2),
        ("session", "outermost", "setup", 1),
    ]


def test_what_no_event_tells_in_a_set_up_is_the_fixtures(pytester, run):
    """A pipe that a wider fixture makes; the one that its first test makes is the test's."""
    pytester.makepyfile(
        test_pipes="""
        import os
        import pytest

        @pytest.fixture(scope="module")
        def leaky():
            os.pipe()

        @pytest.fixture(scope="module")
        def clean():
            numbers = os.pipe()
            yield
            for number in numbers:
                os.close(number)

        def test_uses(clean, leaky):
            os.pipe()

        def test_last():
            pass
        """
    )
    ran = run()
    told = sorted((f["owner"]["name"].rpartition("::")[2], f["phase"], f["count"]) for f in ran.findings)
    assert told == [("leaky", "setup", 2), ("test_uses", None, 2)]


@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_what_no_event_tells_in_a_teardown_is_the_fixtures(pytester, run, scope):
    """A pipe that a wider fixture's teardown makes; the one that the test made before it stays the test's."""
    pytester.makepyfile(
        test_pipes=f"""
        import os
        import pytest

        @pytest.fixture(scope="{scope}")
        def leaky():
            yield
            os.pipe()

        @pytest.fixture(scope="{scope}")
        def clean():
            yield
            for number in os.pipe():
                os.close(number)

        class TestIt:
            def test_pipe(self, clean, leaky):
                os.pipe()
        """
    )
    told = sorted((f["owner"]["kind"], f["owner"]["name"], f["phase"], f["count"]) for f in run().report["findings"])
    assert told == [("fixture", "leaky", "teardown", 2), ("test", "test_pipes.py::TestIt::test_pipe", None, 2)]


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="a descriptor without an event or an inode of its own")
def test_a_number_that_is_used_again_is_its_new_owners(pytester, run):
    """Classes that open and close the same descriptor in turn: none is blamed for one of a later class."""
    pytester.makepyfile(
        base="""
        import select

        class Polls:
            @classmethod
            def setup_class(cls):
                cls.epoll = select.epoll()

            @classmethod
            def teardown_class(cls):
                cls.epoll.close()
        """,
        test_1="""
        import base

        class TestFirst(base.Polls):
            def test_it(self): pass

        class TestSecond(base.Polls):
            def test_it(self): pass
        """,
        test_2="""
        import base

        class TestThird(base.Polls):
            def test_it(self): pass
            def test_other(self): pass

        class TestLeaky(base.Polls):
            teardown_class = classmethod(lambda cls: None)
            def test_it(self): pass
            def test_other(self): pass
        """,
    )
    pytester.syspathinsert()
    assert [f["owner"]["name"] for f in run().report["findings"]] == ["setup_class of TestLeaky"]


def test_finalizers_count_as_the_fixtures_teardown(pytester, run, line):
    """What an addfinalizer callback acquires is the fixture's, what it releases is no leak."""
    pytester.makepyfile(
        test_final="""
        import socket
        import pytest
        KEPT = []

        @pytest.fixture(scope="module")
        def leaky(request):
            request.addfinalizer(lambda: KEPT.append(socket.socket()))  # leaky

        @pytest.fixture(scope="module")
        def clean(request):
            files = [socket.socket()]
            request.addfinalizer(lambda: [file.close() for file in files])
            return files

        def test_it(leaky, clean):
            clean.append(socket.socket())

        def test_other(): pass
        """
    )
    ran = run()
    (finding,) = ran.report["findings"]
    assert (finding["owner"]["name"], finding["phase"]) == ("leaky", "teardown")
    assert finding["origin"]["line"] == line("test_final.py", "leaky")


def test_an_inherited_class_fixture_is_judged_for_each_class(pytester, run, line):
    """Two classes set it up twice: two findings of the fixture, each with the first test of its class."""
    pytester.makepyfile(
        test_base="""
        import pytest, socket
        KEPT = []

        class Base:
            @pytest.fixture(scope="class", autouse=True)
            def resource(self):
                KEPT.append(socket.socket())  # inherited
                yield

            def test_one(self): pass

            def test_two(self): pass

        class TestA(Base): pass

        class TestB(Base): pass
        """
    )
    ran = run()
    told = [(f["test"], f["owner"]["name"], f["owner"]["scope"], f["origin"]["line"]) for f in ran.findings]
    mark = line("test_base.py", "inherited")
    assert told == [
        ("test_base.py::TestA::test_one", "resource", "class", mark),
        ("test_base.py::TestB::test_one", "resource", "class", mark),
    ]


def test_a_package_fixture_is_judged_at_the_end_of_its_package(pytester, run):
    """Sub-packages are part of the package; a second package with the same fixture has its own finding."""
    conftest = """
        import pytest, socket
        KEPT = []

        @pytest.fixture(scope="package")
        def resource():
            KEPT.append(socket.socket())
            yield
        """
    for package in ("one", "two"):
        for place in (package, f"{package}/sub"):
            pytester.makepyfile(**{f"{place}/__init__": ""})
            name = place.replace("/", "_")
            pytester.makepyfile(**{f"{place}/test_{name}": "def test_it(resource): pass\n\ndef test_last(): pass"})
        pytester.makepyfile(**{f"{package}/conftest": conftest})
    ran = run()
    told = sorted((f["test"], f["owner"]["name"], f["owner"]["scope"]) for f in ran.report["findings"])
    assert [finding["owner"]["name"] for finding in ran.findings] == ["resource"] * len(told)
    assert {scope for *_, scope in told} == {"package"}
    assert {test.partition("/")[0] for test, *_ in told} == {"one", "two"}


def test_owners_of_one_file_that_many_open_are_told_apart(pytester, run, line):
    """Fixtures and tests that have the same file open at the same time: each is blamed for its own descriptor only."""
    pytester.makepyfile(
        test_same="""
        import pytest
        KEPT = []

        @pytest.fixture(scope="module")
        def clean():
            with open(__file__) as file:
                yield file

        @pytest.fixture(scope="module")
        def leaky():
            KEPT.append(open(__file__))  # fixture
            with open(__file__):
                yield

        @pytest.fixture
        def each():
            with open(__file__) as file:
                yield file

        def test_reads(clean, leaky, each):
            with open(__file__) as file:
                file.read()

        def test_leaks(clean, each):
            KEPT.append(open(__file__))  # test
            with open(__file__) as file:
                file.read()

        def test_leaks_the_second(clean, each):
            first, second, third = open(__file__), None, None
            second = open(__file__)  # second
            third = open(__file__)
            first.close(), third.close()
            KEPT.append(second)

        def test_drops(clean, each):
            file = open(__file__)
            lost = open(__file__)  # dropped
            file.close()

        def test_after(clean, each):
            with open(__file__) as file:
                file.read()
        """
    )
    ran = run()
    told = sorted((f["origin"]["line"], f["kind"], f["owner"]["name"].partition("::")[2] or f["owner"]["name"],
                   f["test"].partition("::")[2]) for f in ran.report["findings"])  # fmt: skip
    assert told == sorted(
        (line("test_same.py", mark), kind, owner, test)
        for mark, kind, owner, test in (
            ("fixture", "fd", "leaky", "test_reads"),
            ("test", "fd", "test_leaks", "test_leaks"),
            ("second", "fd", "test_leaks_the_second", "test_leaks_the_second"),
            ("dropped", "unclosed", "test_drops", "test_drops"),
        )
    )


# -- threads -----------------------------------------------------------------------


def test_what_a_fixtures_thread_tracks_is_the_fixtures(pytester, run):
    """Whatever test is running when a server thread of a module fixture makes it."""
    pytester.makepyfile(
        test_server="""
        import pytest, queue, threading
        from pytest_leakguard import track

        KEPT = []

        class Connection:
            pass

        @pytest.fixture(scope="module")
        def server():
            asked, answered = queue.Queue(), queue.Queue()

            def serve():
                while asked.get():
                    KEPT.append(track(Connection()))
                    answered.put(True)

            def ask():
                asked.put(True)
                answered.get()

            thread = threading.Thread(target=serve)
            thread.start()
            yield ask
            asked.put(None)
            thread.join()

        def test_first(server):
            pass

        def test_asks(server):
            server()

        def test_makes_its_own(server):
            KEPT.append(track(Connection()))
        """
    )
    ran = run()
    told = sorted((f["owner"]["kind"], f["owner"]["name"].rpartition("::")[2], f["kind"]) for f in ran.findings)
    assert told == [("fixture", "server", "object"), ("test", "test_makes_its_own", "object")]


def test_what_the_threads_of_a_test_acquire_is_the_tests(pytester, run, line):
    """A thread of its own, a pool's worker that an earlier test left at work, and a thread of a thread."""
    pytester.makepyfile(
        test_threads="""
        import pytest, socket, threading
        from concurrent.futures import ThreadPoolExecutor
        KEPT = []

        def acquire():
            KEPT.append(socket.socket())  # acquire

        def in_thread(target):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()

        @pytest.fixture(scope="module")
        def executor():
            with ThreadPoolExecutor(1) as executor:
                yield executor

        def test_own():
            in_thread(acquire)

        def test_nested():
            in_thread(lambda: in_thread(acquire))

        def test_starts_worker(executor):
            executor.submit(int).result()

        def test_uses_worker(executor):
            executor.submit(acquire).result()

        def test_last(): pass
        """
    )
    ran = run()
    told = [(f["test"].partition("::")[2], f["owner"]["kind"], f["kind"]) for f in ran.report["findings"]]
    assert sorted(told) == [
        ("test_nested", "test", "socket"),
        ("test_own", "test", "socket"),
        ("test_uses_worker", "test", "socket"),
    ]
    assert {f["origin"]["line"] for f in ran.findings} == {line("test_threads.py", "acquire")}


# -- once --------------------------------------------------------------------------


def test_two_tests_that_leak_in_one_line_are_two_findings(pytester, run):
    """Each test is told; the fingerprint is the same, and the section prints it once with a count."""
    pytester.makepyfile(
        test_line="""
        import socket
        KEPT = []

        def acquire():
            KEPT.append(socket.socket())

        def test_one(): acquire()

        def test_two(): acquire()
        """
    )
    ran = run()
    assert [finding["test"].partition("::")[2] for finding in ran.findings] == ["test_one", "test_two"]
    assert len({finding["fingerprint"] for finding in ran.findings}) == 1
    section = ran.text.partition("= leaks =")[2]
    assert section.count("LEAK socket") == 1
    ran.result.stdout.fnmatch_lines(["LEAK socket*test_one*x2", "*also in*test_two*"])


@pytest.mark.parametrize(
    ("kind", "acquire", "drop"),
    [
        ("fd", "open(__file__)", "KEPT.clear()"),
        ("fd", "open(__file__)", "KEPT.pop().close()"),
        ("socket", "socket.socket()", "KEPT.clear()"),
        ("thread", "timer()", "KEPT.pop().cancel()"),
        ("process", "child()", "KEPT.clear()"),
        ("process", "child()", "KEPT.pop().communicate()"),
        ("temp", "tempfile.TemporaryDirectory()", "KEPT.clear()"),
    ],
)
def test_a_leak_is_blamed_once_and_never_on_later_tests(pytester, run, kind, acquire, drop):
    """Later tests with leaks of their own, and one that drops or closes it, hear nothing of it."""
    pytester.makepyfile(
        f"""
        import socket, subprocess, sys, tempfile, threading
        KEPT = []
        OTHERS = []

        def timer():
            timer = threading.Timer(600, int)
            timer.daemon = True
            timer.start()
            return timer

        def child():
            return subprocess.Popen([sys.executable, "-S", "-c", "import sys; sys.stdin.read()"], stdin=-1)

        def test_leaks():
            KEPT.append({acquire})

        def test_after(): pass

        def test_opens():
            with open(__file__):
                pass

        def test_leaks_other():
            OTHERS.append(open(__file__))

        def test_drops():
            {drop}

        def test_last():
            with open(__file__):
                pass
        """
    )
    ran = run()
    told = [(finding["test"].partition("::")[2], finding["kind"]) for finding in ran.report["findings"]]
    assert told == [("test_leaks", kind), ("test_leaks_other", "fd")]


def test_a_file_that_a_later_test_drops_unclosed_is_its_owners(pytester, run, line):
    """Opened by a module fixture or by an earlier test, dropped by a later one: the later one is not at fault."""
    pytester.makepyfile(
        test_drop="""
        import socket
        import pytest

        @pytest.fixture(scope="module")
        def files():
            files = [open(__file__)]  # fixture
            yield files
            for file in files:
                file.close()

        def test_first(files): pass

        def test_hands_over(files):
            files.append(open(pytest.__file__))  # test

        def test_drops(files):
            files.clear()

        def test_last(files): pass
        """
    )
    ran = run()
    told = {f["origin"]["line"]: f for f in ran.findings}
    assert sorted(told) == sorted(line("test_drop.py", mark) for mark in ("fixture", "test"))
    assert {finding["kind"] for finding in ran.findings} == {"unclosed"}
    fixture, test = told[line("test_drop.py", "fixture")], told[line("test_drop.py", "test")]
    assert (fixture["owner"]["kind"], fixture["owner"]["name"]) == ("fixture", "files")
    assert fixture["test"] == "test_drop.py::test_first"
    assert (test["owner"]["kind"], test["test"]) == ("test", "test_drop.py::test_hands_over")


def test_what_a_later_test_closes_in_time_is_no_leak(pytester, run):
    """The twin: a later test that takes it from the fixture and closes it."""
    pytester.makepyfile(
        """
        import socket
        import pytest

        @pytest.fixture(scope="module")
        def files():
            yield [socket.socket()]

        def test_hands_over(files):
            files.append(socket.socket())

        def test_closes(files):
            while files:
                files.pop().close()
        """
    )
    ran = run()
    assert ran.report["findings"] == []
