"""--leakguard-isolate: in fresh processes, alone or only after which test."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pytest_leakguard.plugin.isolate import Isolation

SUITE = """
import os

import pytest

import state

def leak():
    state.KEPT.append(os.open(os.devnull, os.O_RDONLY))

@pytest.mark.parametrize("name", ["y z", "x"])
def test_b_switches(name):
    state.ON = state.ON or name == "y z"

def test_a():
    pass

def test_c():
    pass

def test_d_leaks_when_switched():
    if state.ON:
        leak()

def test_e_alone():
    leak()

def test_f_clean(tmp_path):
    open(tmp_path / "x", "w").close()
"""

THIRD = """
import os
import state

def test_g_needs_two():
    state.SEEN += 1

def test_h_needs_two():
    state.SEEN += 1

def test_i_after_both():
    if state.SEEN == 2:
        state.KEPT.append(open(__file__))

def test_j_never_again():
    if not os.path.exists("was-there"):
        open("was-there", "w").close()
        state.KEPT.append(os.open(os.devnull, os.O_RDONLY))
"""


@pytest.fixture
def isolated(pytester, alone):
    """Name of the test -> (answer, names of the tests after which it leaks)."""
    pytester.makepyfile(state="KEPT, ON, SEEN = [], False, 0", test_one=SUITE, test_two=THIRD)
    pytester.syspathinsert()

    def isolated(*args: str, errors: bool = False):
        ran = alone("--leakguard-grace=0", "--leakguard-probes=fd", "--leakguard-isolate", *args, errors=errors)
        answers = {
            one["test"].partition("::")[2]: (one["answer"], [name.partition("::")[2] for name in one["after"]])
            for one in ran.report["isolated"]["leaks"]
        }
        return ran, answers

    return isolated


def test_what_a_leak_needs_is_found(pytester, isolated):
    """Alone, after one test (with its parameters), after several, never; as note, as line and in the JSON report."""
    ran, answers = isolated("--junit-xml=x.xml", "-x", "--maxfail=9", "--strict-markers", "-v")
    assert answers == {
        "test_d_leaks_when_switched": ("after one", ["test_b_switches[y z]"]),
        "test_e_alone": ("alone", []),
        "test_i_after_both": ("after several", ["test_g_needs_two", "test_h_needs_two"]),
        "test_j_never_again": ("never", []),
    }, ran.text
    ran.result.stdout.fnmatch_lines(
        [
            "leakguard: isolated: test_one.py::test_d_* leaks only after test_one.py::test_b_switches[[]y z]",
            "leakguard: isolated: test_one.py::test_e_alone leaks alone",
        ]
    )
    notes = {f["test"].partition("::")[2]: f["notes"] for f in ran.findings}
    assert notes["test_e_alone"] == ["isolated: leaks alone"]
    assert notes["test_d_leaks_when_switched"] == ["isolated: leaks only after test_one.py::test_b_switches[y z]"]
    assert ran.result.ret == 1
    # what this run writes was not written by the others
    assert (pytester.path / "x.xml").read_text("utf-8").count("<testcase") >= 11
    assert not list(pytester.path.glob(".pytest_cache"))


def test_with_workers_and_a_chosen_part(isolated):
    """Before a test ran what its worker ran; -k, a file, an ini file's option and a baseline don't get in the way."""
    pytest.importorskip("xdist")
    _, answers = isolated("-p", "xdist", "-n", "1", "--leakguard-action=warn", "test_one.py")
    assert answers == {
        "test_d_leaks_when_switched": ("after one", ["test_b_switches[y z]"]),
        "test_e_alone": ("alone", []),
    }
    _, answers = isolated("-k", "test_b or test_d", "--leakguard-baseline=b.toml", "--leakguard-baseline-update")
    assert answers == {}
    _, answers = isolated("test_one.py::test_d_leaks_when_switched", "test_one.py::test_e_alone")
    assert answers == {"test_e_alone": ("alone", [])}


def test_a_process_that_gives_no_answer_is_told(pytester, isolated):
    """A test that ends a fresh process, though not this one: not known, with the status."""
    pytester.makepyfile(
        test_two="""
        import os
        import state

        def test_dies():
            if "PYTEST_LEAKGUARD_ISOLATED" in os.environ:
                os._exit(7)
            state.KEPT.append(os.open(os.devnull, os.O_RDONLY))
        """
    )
    ran, answers = isolated("test_two.py")
    assert answers == {"test_dies": ("unknown", [])}
    assert ran.report["isolated"]["leaks"][0]["error"].startswith("it ended with status 7: ")
    ran.result.stdout.fnmatch_lines(["leakguard: isolated: test_two.py::test_dies not known: it ended with status 7*"])


def test_nothing_is_left_of_the_processes(pytester, isolated):
    """A child that the isolated test leaks is ended with it."""
    pytester.makepyfile(
        test_two="""
        import atexit
        import os
        import subprocess
        import sys
        import state

        def test_child():
            child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
            if "PYTEST_LEAKGUARD_ISOLATED" in os.environ:
                with open("pid", "w") as file:
                    file.write(str(child.pid))
            else:
                atexit.register(lambda: (child.kill(), child.wait()))
            state.KEPT.append(child)
        """
    )
    _, answers = isolated("test_two.py", "--leakguard-probes=process")
    assert answers == {"test_child": ("alone", [])}
    import psutil

    pid = int((pytester.path / "pid").read_text("utf-8"))
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


class Asked:
    """Stands for the fresh processes: notes what they would be asked to run."""

    def __init__(self) -> None:
        self.before: list[list[str]] = []

    def leaks(self, before, test):
        self.before.append(list(before))
        return set()


def test_what_other_workers_ran_is_not_before_a_test():
    """In the order of its own worker, each test once though it was run again."""
    config: Any = SimpleNamespace(pluginmanager=SimpleNamespace(get_plugin=lambda name: None))
    isolation, asked = Isolation(config), Asked()
    for worker, test in [("gw0", "a"), ("gw1", "b"), ("gw0", "c"), ("gw0", "c"), ("gw1", "d"), ("gw0", "e")]:
        report: Any = SimpleNamespace(when="setup", nodeid=test, worker_id=worker)
        isolation.pytest_runtest_logreport(report)
    finding: Any = SimpleNamespace(test="e", fingerprint="x")
    runs: Any = asked
    assert isolation._isolate(finding, runs).startswith("isolated: did not leak in a fresh process")
    assert asked.before == [[], ["a", "c"]]
