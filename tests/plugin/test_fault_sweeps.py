"""Fault sweeps through pytest: leaky error paths are found at the right line, repaired ones are clean."""

from __future__ import annotations

import re

import pytest
from fault_twins import MODULE, TESTS

FAMILIES = "acquire,call,body,interrupt"
LEAKY = re.findall(r"^def (\w+_leaky)", MODULE, re.MULTILINE)
CLEAN = re.findall(r"^def (\w+_clean)", MODULE, re.MULTILINE)


def marks() -> dict[str, tuple[str, str, int]]:
    """Name of a leaky twin -> the fault, the family that shows it, the line that is marked."""
    found, name = {}, ""
    for number, line in enumerate(MODULE.splitlines(), 1):
        if match := re.match(r"(?:def (\w+_leaky)|class (Scratch))", line):
            name = match[1] or "body_leaky"
        if match := re.search(r"# (leak|polluted|unrelated|hang): (\w+)$", line):
            found[name] = (match[1], match[2], number)
    return found


@pytest.fixture(scope="module")
def swept(run_tree, tmp_path_factory):
    """All twins in one process."""
    root = tmp_path_factory.mktemp("twins")
    files = {"app/__init__.py": "", "app/twins.py": MODULE, "test_twins.py": TESTS, "conftest.py": ""}
    return run_tree(root, files, "--leakguard-faults", f"--leakguard-fault-families={FAMILIES}")


def test_every_leaky_twin_is_marked():
    """The table of what is expected is complete."""
    assert sorted(marks()) == sorted(LEAKY)


@pytest.mark.parametrize("name", LEAKY)
def test_a_leaky_twin_is_found(swept, name):
    """With the right fault, line, and a point of the family that shows it; the test itself passes."""
    fault, family, line = marks()[name]
    findings = [f for f in swept.findings if f"[{name}]" in f["test"]]
    assert findings, swept.text
    kinds = {finding["verdict"] if finding["verdict"] != "fault" else finding["kind"] for finding in findings}
    assert ({"leaked", "unclosed"} & kinds) if fault == "leak" else fault in kinds
    assert {finding["origin"]["file"] for finding in findings} == {"app/twins.py"}
    assert line in {finding["origin"]["line"] for finding in findings}
    assert any(finding["point"].startswith(family) for finding in findings)


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_twin_is_not(swept, name):
    """Nothing at all is said of it that fails."""
    assert [f for f in swept.findings if f"[{name}]" in f["test"]] == []


def test_the_tests_themselves_pass(swept):
    """Each test has its own outcome and, where something was found, one more for that."""
    swept.result.assert_outcomes(passed=len(LEAKY) + len(CLEAN))
    assert f"{len(LEAKY)} leaked" in swept.text


def test_the_totals_are_told(swept):
    """Points by family, trials, time and seed."""
    faults = swept.report["faults"]
    assert faults["tests"] == len(LEAKY) + len(CLEAN)
    assert set(faults["points"]) == set(FAMILIES.split(","))
    assert re.search(r"leakguard: faults: \d+ points in \d+ tests .*, \d+ trials, [\d.]+ s, seed \d+", swept.text)


def test_each_family_alone_finds_its_twins(tree, alone):
    """`body` sees the managers that clean up only after a normal exit, and blames no other."""
    found = alone("--leakguard-faults", "--leakguard-fault-families=body", "-k", "body or open", flag=()).findings
    assert [(finding["kind"], finding["origin"]["function"].rpartition(".")[2]) for finding in found] == [
        ("temp", "__enter__")
    ]
    assert found[0]["point"] == "body:app/twins.py:body_leaky:with#1"


@pytest.fixture
def tree(pytester):
    """The twins, to be run with options."""
    pytester.mkpydir("app").joinpath("twins.py").write_text(MODULE)
    pytester.makepyfile(test_twins=TESTS)
    return pytester


def test_the_command_that_is_told_repeats_that_trial(tree, alone):
    """One trial, and the same finding."""
    first = alone("--leakguard-faults", "--leakguard-fault-families=call", "-k", "called_leaky", flag=())
    (finding,) = first.findings
    words = [word.strip("'") for word in finding["repeat"].split()]
    assert words[0] == "pytest"
    again = alone(*words[1:], flag=())
    assert [again.findings[0][name] for name in ("point", "origin", "repeat")] == [
        finding[name] for name in ("point", "origin", "repeat")
    ]
    assert len(again.findings) == 1
    assert again.report["faults"]["trials"] == 1


def test_a_marker_asks_for_families(alone, pytester):
    """Without any option; and only for what it names."""
    pytester.mkpydir("app").joinpath("twins.py").write_text(MODULE)
    pytester.makepyfile(
        """
        import pytest
        from app import twins

        @pytest.mark.no_leaks(faults="acquire")
        def test_second():
            twins.second_open_leaky(__file__)

        @pytest.mark.no_leaks(faults=["acquire"])
        def test_called():
            twins.called_leaky(__file__)
        """
    )
    ran = alone(flag=())
    assert [finding["test"] for finding in ran.findings] == ["test_a_marker_asks_for_families.py::test_second"]
    assert ran.report["faults"]["points"] == {"acquire": 3}


def test_a_finding_can_be_allowed(alone, pytester):
    """By the id of its point; any other is still told."""
    pytester.mkpydir("app").joinpath("twins.py").write_text(MODULE)
    pytester.makepyfile(
        """
        import pytest
        from app import twins

        @pytest.mark.no_leaks(faults="acquire")
        @pytest.mark.allow_leaks("fd@acquire:app/twins.py:second_open_leaky:open#*", reason="r")
        @pytest.mark.parametrize("name", ["second_open_leaky", "connect_leaky"])
        def test_it(name):
            getattr(twins, name)(__file__)
        """
    )
    ran = alone(flag=())
    assert [finding["point"] for finding in ran.findings] == ["acquire:app/twins.py:connect_leaky:connect#1"]


def test_wider_fixtures_stay_and_function_fixtures_are_fresh(alone, pytester):
    """A module fixture is set up and torn down once, after the last trial; a function fixture once for each run."""
    pytester.mkpydir("app").joinpath("twins.py").write_text(MODULE)
    pytester.makepyfile(
        """
        import os, pytest
        from app import twins
        NOTES = []

        @pytest.fixture(scope="module")
        def wide():
            NOTES.append("wide")
            yield
            NOTES.append("gone")
            (os.write(1, (" ".join(NOTES) + "\\n").encode()))

        @pytest.fixture
        def narrow():
            NOTES.append("narrow")
            yield
            NOTES.append("end")

        def test_it(wide, narrow):
            twins.second_open_clean(__file__)
        """
    )
    ran = alone("-s", "--leakguard-faults", "--leakguard-fault-families=acquire", flag=())
    # its own run, the count, two trials, and the run after them
    assert "wide " + "narrow end " * 5 + "gone" in ran.text
    ran.result.assert_outcomes(passed=1)


def test_an_error_of_a_wider_fixture_that_was_put_off_is_told(alone, pytester):
    """As without a sweep: an error of the last test's teardown."""
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="module")
        def wide():
            yield
            raise ValueError("in teardown")

        def test_it(wide):
            pass
        """
    )
    ran = alone("--leakguard-faults", flag=())
    ran.result.assert_outcomes(passed=1, errors=1)
    assert "ValueError: in teardown" in ran.text


def test_failed_skipped_and_leaking_tests_are_not_swept(alone, pytester):
    """Their outcomes are what they are without us."""
    pytester.makepyfile(
        """
        import pytest
        KEPT = []

        def test_failed():
            assert 0

        def test_skipped():
            pytest.skip()

        @pytest.mark.xfail
        def test_xfailed():
            assert 0

        def test_leaks():
            KEPT.append(open(__file__))
        """
    )
    ran = alone("--leakguard-faults", flag=())
    ran.result.assert_outcomes(passed=1, failed=1, skipped=1, xfailed=1)
    assert ran.report["faults"]["tests"] == 0
    assert len(ran.findings) == 1


def test_the_keyboard_stops_a_sweep(alone, pytester):
    """A KeyboardInterrupt that nobody injected goes through."""
    pytester.mkpydir("app").joinpath("twins.py").write_text(MODULE)
    pytester.makepyfile(
        """
        from app import twins
        RUNS = []

        def test_it():
            RUNS.append(1)
            if len(RUNS) == 3:
                raise KeyboardInterrupt
            twins.second_open_clean(__file__)

        def test_next():
            pass
        """
    )
    ran = alone("--leakguard-faults", flag=())
    assert ran.result.ret == pytest.ExitCode.INTERRUPTED
    assert "KeyboardInterrupt" in ran.text


def test_unittest_and_swallowed_faults(alone, pytester):
    """A unittest case is swept too; a fault that nobody heard of is told, and fails only when strict."""
    pytester.mkpydir("app").joinpath("quiet.py").write_text(
        "def load(path):\n"
        "    try:\n        with open(path) as file:\n            return file.read()\n"
        "    except OSError:\n        return ''\n"
    )
    pytester.makepyfile(
        """
        import unittest
        from app import quiet

        class TestIt(unittest.TestCase):
            def test_it(self):
                quiet.load(__file__)
        """
    )
    options = ("--leakguard-faults", "--leakguard-fault-families=acquire")
    ran = alone(*options, flag=())
    assert ran.findings == []
    (told,) = [f for f in ran.report["findings"] if f["disposition"] == "told"]
    assert (told["kind"], told["origin"]["file"], told["origin"]["line"]) == ("swallowed", "app/quiet.py", 3)
    strict = alone(*options, "--leakguard-fault-strict", flag=())
    assert [finding["kind"] for finding in strict.findings] == ["swallowed"]


def test_targets_can_be_named(alone, pytester):
    """A test file is a target only when it is named; a package by its name."""
    pytester.makepyfile(
        """
        import os

        def test_it():
            os.close(os.open(__file__, os.O_RDONLY))
        """
    )
    options = ("--leakguard-faults", "--leakguard-fault-families=acquire")
    assert alone(*options, flag=()).report["faults"]["points"] == {}
    named = alone(*options, "--leakguard-fault-target=test_targets_can_be_named.py", flag=())
    assert named.report["faults"]["points"] == {"acquire": 1}
    by_name = alone(*options, "--leakguard-fault-target=_pytest", flag=())
    assert by_name.report["faults"]["points"] == {}
    (pytester.path / "test_targets_can_be_named.py").rename(pytester.path / "checks.py")
    assert alone(*options, "-o", "python_files=checks.py", flag=()).report["faults"]["points"] == {}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--leakguard-fault-families=aquire", "unknown family 'aquire'; did you mean 'acquire'?"),
        ("--leakguard-fault=open#2", "bad fault point 'open#2'. Allowed: FAMILY:PATH:QUALNAME:WHAT#N"),
        ("--leakguard-fault-budget=much", "bad budget 'much'. Allowed: a number of trials, or seconds: 50, 2.5s."),
        ("--leakguard-fault-seed=x", "bad seed 'x'. Allowed: a whole number, 0 or more."),
        ("--leakguard-fault-target=no/such", "no such file, folder or package: 'no/such'."),
    ],
)
def test_bad_options_are_refused(pytester, monkeypatch, option, message):
    """With the option's name, what was given and what is allowed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = pytester.runpytest("-p", "leakguard", option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()
    assert option.partition("=")[0] in result.stderr.str()


def test_faults_by_hand(alone, pytester):
    """`leak_faults.fail` fails one operation; `sweep` all of a callable, and raises what it finds."""
    pytester.mkpydir("app").joinpath("twins.py").write_text(MODULE)
    pytester.makepyfile(
        """
        import pytest
        from app import twins
        from pytest_leakguard import LeakError, is_injected

        def test_fail(leak_faults):
            with leak_faults.fail("open", nth=2) as fault, pytest.raises(OSError) as caught:
                open(__file__).close()
                open(__file__)
            assert fault.injected and is_injected(caught.value)
            open(__file__).close()

        def test_own_error(leak_faults):
            with leak_faults.fail("mkdir", error=PermissionError("no")), pytest.raises(PermissionError):
                twins.os.mkdir("x")

        def test_bad(leak_faults):
            with pytest.raises(ValueError, match="did you mean 'open'"), leak_faults.fail("opem"):
                pass

        def test_sweep_clean(leak_faults):
            result = leak_faults.sweep(lambda: twins.called_clean(__file__), families="acquire,call")
            assert [point.family for point in result.points] == ["acquire", "call", "call", "call"]

        def test_sweep_leaky(leak_faults):
            with pytest.raises(LeakError) as caught:
                leak_faults.sweep(lambda: twins.called_leaky(__file__), families=["call"])
            (finding,) = caught.value.findings
            assert finding.origin.function == "called_leaky"
            assert finding.point == "call:app/twins.py:called_leaky:use#1"
        """
    )
    ran = alone(flag=())
    ran.result.assert_outcomes(passed=5)
    assert ran.findings == []


COROUTINES = """
async def never(): pass

def opens(path):
    ring = [never()]
    ring.append(ring)
    open(path).close()
    ring[0].close()
"""


def test_a_coroutine_in_the_garbage_of_a_trial_is_told(alone, pytester):
    """Also where nobody could tell which test made what the test itself left: all was collected before the sweep."""
    pytester.makepyfile(
        app=COROUTINES,
        test_it="""
        import gc
        import pytest
        from app import opens

        gc.disable()  # nothing but the guard collects

        def test_first(): open(__file__).close()

        def test_moves_nothing(): pass

        @pytest.mark.no_leaks(faults="acquire")
        def test_sweeps(): opens(__file__)
        """,
    )
    (finding,) = alone().findings
    assert (finding["test"], finding["kind"]) == ("test_it.py::test_sweeps", "task")
    assert finding["point"] == "acquire:app.py:opens:open#1"


TASKS = """
import asyncio

LOOP, TASKS = asyncio.new_event_loop(), []

async def wait_for(event):
    await event.wait()

def again():
    # something is ready whenever the loop stops
    LOOP.call_soon(again)

async def reads(path):
    event = asyncio.Event()
    task = asyncio.create_task(wait_for(event))
    TASKS.append(task)
    await asyncio.sleep(0)
    try:
        open(path).close()
    except OSError:
        again()
        raise
    event.set()
    await task

async def leaves_one_that_ends(kept):
    event = asyncio.Event()
    kept.append(asyncio.create_task(wait_for(event)))
    await asyncio.sleep(0)
    LOOP.call_soon(LOOP.call_soon, event.set)
"""


def test_a_pending_task_of_a_trial_is_told_by_the_trial(alone, pytester):
    """No next test could tell it, so what stands ready on its loop is not waited for; after a test it is."""
    pytester.makepyfile(
        app=TASKS,
        test_it="""
        import pytest
        from app import LOOP, leaves_one_that_ends, reads

        KEPT = []

        @pytest.mark.no_leaks(faults="acquire")
        def test_sweeps(): LOOP.run_until_complete(reads(__file__))

        def test_later(): LOOP.run_until_complete(leaves_one_that_ends(KEPT))

        def test_goes_on(): LOOP.run_until_complete(KEPT[0])
        """,
    )
    (finding,) = alone().findings
    assert (finding["test"], finding["kind"]) == ("test_it.py::test_sweeps", "task")
    assert finding["point"] == "acquire:app.py:reads:open#1"
