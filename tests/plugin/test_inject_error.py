"""`inject_error`: one run for each error type, which passes when that error comes out and nothing is left."""

from __future__ import annotations

import pytest

NAMES = ["Exception", "KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError", "MemoryError"]

HEAD = """
import asyncio
import contextlib
import os

import pytest

from pytest_leakguard import is_injected


@contextlib.contextmanager
def opened():
    fd = os.open(__file__, os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def careless():
    fd = os.open(__file__, os.O_RDONLY)
    try:
        yield fd
    except Exception:
        os.close(fd)
        raise
    os.close(fd)

"""

PLAIN = (
    HEAD
    + """
def test_clean(inject_error):
    with opened():
        inject_error.here()

def test_leaky(inject_error):
    with careless():
        inject_error.here()

def test_recognizable(inject_error, request):
    try:
        inject_error.here()
    except BaseException as error:
        assert is_injected(error)
        assert type(error) is inject_error.type
        assert f"repeat with pytest '{request.node.nodeid}'" in str(error)
        raise

class TestClass:
    def test_method(self, inject_error):
        with opened():
            inject_error.here()

@pytest.mark.usefixtures("inject_error")
def test_not_reached():
    pass

def test_swallowed(inject_error):
    with contextlib.suppress(BaseException):
        inject_error.here()

def test_another(inject_error):
    try:
        inject_error.here()
    finally:
        raise NameError("in the clean-up")

def test_translated(inject_error):
    try:
        inject_error.here()
    except BaseException as error:
        raise ValueError("made of it") from error

def test_own_failure(inject_error):
    assert not "before it was reached"

def test_skipped(inject_error):
    pytest.skip("not here")

def test_skipped_after_it(inject_error):
    with contextlib.suppress(BaseException):
        inject_error.here()
    pytest.skip("not here either")

class Several(Exception):
    pass

def test_one_of_several(inject_error):
    several = Several("two at once")
    try:
        inject_error.here()
    except BaseException as error:
        several.exceptions = (error, NameError("beside it"))
    raise several

def test_last():
    pass
"""
)


@pytest.fixture(scope="module")
def plain(run_tree, tmp_path_factory):
    """Without --leakguard: that the fixture is named is enough."""
    root = tmp_path_factory.mktemp("plain")
    files = {"test_plain.py": PLAIN, "pytest.ini": "[pytest]\nleakguard = false\n"}
    return run_tree(root, files, "-rA", "-vv", "--leakguard-grace=0.1")


def outcomes(ran, test: str) -> dict[str, str]:
    """Id in brackets -> PASSED, FAILED, LEAKED, SKIPPED."""
    found = {}
    for line in ran.result.outlines:
        name, _, rest = line.partition(" ")
        if f"::{test}[" in name and rest.split()[:1]:
            found[name.partition("[")[2].rstrip("]")] = rest.split()[0]
    return found


@pytest.mark.parametrize("test", ["test_clean", "test_recognizable", "test_method"])
def test_it_passes_for_each_error(plain, test):
    """The ids are the names of the types; a KeyboardInterrupt or SystemExit that was injected stops nothing."""
    assert outcomes(plain, test) == dict.fromkeys(NAMES, "PASSED")


def test_the_session_goes_on(plain):
    """The test after all of them runs."""
    assert "test_last PASSED" in plain.text


def test_what_is_left_is_a_leak(plain):
    """For the errors that `except Exception` does not see, and for no other."""
    leaky = {"KeyboardInterrupt", "SystemExit", "GeneratorExit", "CancelledError"}
    assert {f["test"].partition("[")[2].rstrip("]") for f in plain.findings} == leaky
    assert {(f["kind"], f["origin"]["function"]) for f in plain.findings} == {("fd", "careless")}
    assert outcomes(plain, "test_leaky").get("SystemExit") == "LEAKED"


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("test_not_reached", "inject_error.here() was never reached"),
        ("test_swallowed", "it did not come out of the test: something between swallowed it"),
        ("test_one_of_several", "Several came out of the test in its place"),
        ("test_another", "NameError came out of the test in its place"),
        ("test_translated", "ValueError came out of the test in its place"),
    ],
)
def test_a_clear_failure_when_it_does_not_come_out(plain, test, message):
    """It says what happened in its place, and where it was raised; another error is shown as the cause."""
    assert outcomes(plain, test) == dict.fromkeys(NAMES, "FAILED")
    assert message in plain.text
    assert "inject_error raised SystemExit at test_plain.py:" in plain.text
    assert "NameError: in the clean-up" in plain.text


def test_what_the_test_says_of_itself_stands(plain):
    """A failure before it was reached, and a skip, are what they are without us."""
    assert outcomes(plain, "test_own_failure") == dict.fromkeys(NAMES, "FAILED")
    assert "AssertionError: assert not 'before it was reached'" in plain.text
    assert outcomes(plain, "test_skipped") == dict.fromkeys(NAMES, "SKIPPED")
    assert outcomes(plain, "test_skipped_after_it") == dict.fromkeys(NAMES, "SKIPPED")


LOOPS = (
    HEAD
    + """
import anyio

@pytest.mark.asyncio
async def test_asyncio(inject_error):
    await asyncio.sleep(0)
    with opened():
        await asyncio.sleep(0)
        inject_error.here()

class TestClass:
    @pytest.mark.asyncio
    async def test_method(self, inject_error):
        async with asyncio.Lock():
            inject_error.here()

@pytest.mark.asyncio
async def test_in_a_task(inject_error):
    async def child():
        await asyncio.sleep(0)
        inject_error.here()

    with opened():
        await asyncio.create_task(child())

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param

@pytest.fixture
async def wide(anyio_backend):
    yield
    await anyio.sleep(0)

@pytest.mark.anyio
async def test_anyio(inject_error, wide):
    await anyio.sleep(0)
    with opened():
        inject_error.here()

@pytest.mark.anyio
@pytest.mark.no_leaks(errors=["OSError", KeyError])
async def test_grouped(inject_error, wide):
    async with anyio.create_task_group():
        with opened():
            inject_error.here()

@pytest.mark.anyio
@pytest.mark.no_leaks(errors=KeyboardInterrupt)
async def test_leaky(inject_error, wide):
    with careless():
        inject_error.here()
"""
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "xdist"])
def test_under_event_loops(run, pytester, options):
    """pytest-asyncio and anyio on both backends; also where the error ends the loop; the same under pytest-xdist."""
    pytest.importorskip("pytest_asyncio")
    pytest.importorskip("trio")
    if options:
        pytest.importorskip("xdist")
    pytester.makeini("[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(LOOPS)
    ran = run(*options, flag=())
    assert len(ran.findings) == 2
    # pytest may put either parameter first
    ids = {frozenset(f["test"].partition("[")[2].rstrip("]").split("-")) for f in ran.findings}
    assert ids == {frozenset({"KeyboardInterrupt", backend}) for backend in ("asyncio", "trio")}
    ran.result.assert_outcomes(passed=3 * 6 + 2 * 6 + 2 * 2 + 2)


def test_the_ini_file_and_the_marker_name_the_errors(alone, pytester):
    """The closest marker that names any wins; a type of the project's own is named by its path."""
    pytester.makeini("[pytest]\nleakguard_inject_errors = OSError, shop.Refused\n")
    pytester.makepyfile(
        shop="class Refused(Exception): pass",
        test_it="""
        import pytest

        def test_ini(inject_error):
            inject_error.here()

        @pytest.mark.no_leaks(errors=["SystemExit"])
        class TestClass:
            def test_class(self, inject_error):
                inject_error.here()

            @pytest.mark.no_leaks("fd")
            def test_kinds(self, inject_error):
                inject_error.here()

            @pytest.mark.no_leaks(errors=(KeyError,))
            def test_own(self, inject_error):
                inject_error.here()
        """,
    )
    ran = alone("-v", flag=())
    assert outcomes(ran, "test_ini") == dict.fromkeys(["OSError", "Refused"], "PASSED")
    assert outcomes(ran, "test_class") == outcomes(ran, "test_kinds") == {"SystemExit": "PASSED"}
    assert outcomes(ran, "test_own") == {"KeyError": "PASSED"}


def test_it_can_be_parametrized_by_hand(alone, pytester):
    """As any fixture; the test is checked all the same."""
    pytester.makepyfile(
        test_it="""
        import os
        import pytest

        @pytest.mark.parametrize("inject_error", [KeyboardInterrupt, "OSError"], indirect=True)
        @pytest.mark.parametrize("leaks", [False, True])
        def test_it(inject_error, leaks):
            fd = os.open(__file__, os.O_RDONLY)
            try:
                inject_error.here()
            finally:
                if not leaks:
                    os.close(fd)
        """
    )
    ran = alone("--leakguard-grace=0.05", flag=())
    ran.result.assert_outcomes(passed=4)
    assert len(ran.findings) == 2
    assert all("True" in finding["test"] for finding in ran.findings)


@pytest.mark.parametrize(
    ("ini", "mark", "message"),
    [
        (
            "KeybordInterrupt",
            "",
            "leakguard_inject_errors (ini file tox.ini): unknown error 'KeybordInterrupt'; did you",
        ),
        ("shop.Refused", "", "leakguard_inject_errors (ini file tox.ini): can't find the error 'shop.Refused'"),
        ("", "errors=['OSErorr']", "no_leaks on test_it.py::test_it: unknown error 'OSErorr'; did you mean 'OSError'?"),
        ("", "errors=int", "no_leaks on test_it.py::test_it: <class 'int'> is no error type."),
        ("", "errors=UnicodeDecodeError", "UnicodeDecodeError can't be made of a message alone"),
        ("", "errors=()", "no_leaks on test_it.py::test_it: no error given."),
    ],
)
def test_bad_errors_are_refused(pytester, monkeypatch, ini, mark, message):
    """With the place, what was given and what is allowed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeini(f"[pytest]\nleakguard_inject_errors = {ini}\n" if ini else "[pytest]\n")
    pytester.makepyfile(
        test_it=f"import pytest\n@pytest.mark.no_leaks({mark})\ndef test_it(inject_error): inject_error.here()\n"
    )
    result = pytester.runpytest("-p", "leakguard")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert "Allowed: error types, or their names: KeyboardInterrupt" in result.stderr.str()


def test_the_keyboard_stops_everything(alone, pytester):
    """A KeyboardInterrupt that nobody injected, after the injected one and before it."""
    pytester.makepyfile(
        test_it="""
        import os

        def test_it(inject_error):
            if inject_error.type.__name__ == os.environ["LATE"]:
                try:
                    inject_error.here()
                finally:
                    raise KeyboardInterrupt
            inject_error.here()

        def test_next():
            pass
        """
    )
    for late in ("Exception", "KeyboardInterrupt"):
        pytester._monkeypatch.setenv("LATE", late)
        ran = alone(flag=())
        assert ran.result.ret == pytest.ExitCode.INTERRUPTED
        assert "test_next" not in ran.text


def test_only_a_test_that_names_it_gets_it(alone, pytester):
    """A dynamic request and a unittest class can't be run once for each error, and are told so."""
    pytester.makepyfile(
        test_it="""
        import unittest
        import pytest

        def test_dynamic(request):
            request.getfixturevalue("inject_error")

        @pytest.mark.usefixtures("inject_error")
        class TestCase(unittest.TestCase):
            def test_it(self):
                pass
        """
    )
    ran = alone()
    ran.result.assert_outcomes(failed=1, errors=1)
    assert "has to name it as an argument" in ran.text


def test_it_is_not_swept_as_well(alone, pytester):
    """It injects by itself, as leak_faults does."""
    pytester.mkpydir("app").joinpath("code.py").write_text("def load(p):\n    with open(p) as f: return f.read()\n")
    pytester.makepyfile(
        """
        from app import code

        def test_it(inject_error):
            code.load(__file__)
            inject_error.here()
        """
    )
    ran = alone("--leakguard-faults", flag=())
    ran.result.assert_outcomes(passed=6)
    assert ran.report["faults"]["tests"] == 0
