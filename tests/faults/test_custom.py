"""The family ``custom``: operations that the user names are points, and each fails once."""

from __future__ import annotations

import importlib.util
import linecache
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from pytest_leakguard import fault_point, fault_points, is_injected
from pytest_leakguard.faults.custom import CustomInjector
from pytest_leakguard.faults.errors import InjectedFault, fault_of
from pytest_leakguard.faults.operations import BadOperation, Operation
from pytest_leakguard.faults.steps import call_injector
from pytest_leakguard.faults.targets import Targets

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "fault_points"


@pytest.fixture
def generated(tmp_path):
    """Make a module of the given text; gives it and the targets that hold nothing else."""

    def make(text):
        file = tmp_path / "generated.py"
        file.write_text("from pytest_leakguard import fault_point\n" + text)
        linecache.checkcache(str(file))
        spec = importlib.util.spec_from_file_location("generated", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module, Targets(root=str(tmp_path), given=(str(file),))

    return make


def sweep(injector, run):
    """The ids of the points, in order; each has failed once, with its own id in the error."""
    with injector.count() as points:
        run()
    for point in points:
        with injector.inject(point, "transient") as injection, pytest.raises(BaseException) as caught:
            run()
        assert fault_of(caught.value) == point.id
        assert injection.injected == 1
        assert injection.stack[0].startswith(f"generated.py:{point.line} in ")
    return [point.id for point in points]


@pytest.mark.parametrize("count", [1, 5])
def test_each_fault_point_is_one(generated, count):
    """As many as are reached; a name with characters that ids use for themselves is spelled without."""
    module, targets = generated(
        f"def f():\n    for _ in range({count}):\n        fault_point('db.commit')\n    fault_point('a b:c#d')\n"
    )
    points = sweep(CustomInjector(targets), module.f)
    assert points == [
        *(f"custom:generated.py:f:db.commit#{number + 1}" for number in range(count)),
        "custom:generated.py:f:a_b_c_d#1",
    ]


def test_the_error_is_the_one_that_was_named(generated):
    """A type, a function of the message, and a plain fault where neither is given or it can't be made."""
    module, targets = generated(
        "def make(text): return OSError(5, text)\n"
        "def f():\n"
        "    fault_point('a', ConnectionError)\n"
        "    fault_point('b', make)\n"
        "    fault_point('c')\n"
        "    fault_point('d', UnicodeDecodeError)\n"
    )
    injector = CustomInjector(targets)
    with injector.count() as points:
        module.f()
    for point, kind in zip(points, [ConnectionError, OSError, InjectedFault, InjectedFault], strict=True):
        with (
            injector.inject(point, "transient"),
            pytest.raises(kind, match="repeat with --leakguard-fault=custom:") as c,
        ):
            module.f()
        assert is_injected(c.value)


def test_persistent_fails_again(generated):
    """What is down stays down, wherever it is tried again."""
    module, targets = generated(
        "def f(seen):\n"
        "    for _ in range(4):\n"
        "        try:\n            fault_point('db')\n"
        "        except Exception:\n            seen.append(1)\n"
    )
    injector = CustomInjector(targets)
    with injector.count() as points:
        module.f([])
    for mode, count in (("transient", 1), ("persistent", 3)):
        seen = []
        with injector.inject(points[1], mode):
            module.f(seen)
        assert len(seen) == count


def test_code_that_is_no_target_has_none(generated):
    """This test file, for one; and what runs while a module is imported."""
    _, targets = generated("fault_point('at import')\n")
    with CustomInjector(targets).count() as points:
        fault_point("here")
        generated("fault_point('at import')\n")
    assert points == []


def test_it_is_no_call_that_fails(generated):
    """The family ``call`` leaves it to this one."""
    module, targets = generated("def f():\n    fault_point('db')\n")
    with call_injector(targets).count() as points:
        module.f()
    assert points == []


def test_nothing_is_left_when_no_sweep_runs(generated):
    """The hook for the engine is empty, also after a sweep and an error in it."""
    module, targets = generated("def f():\n    fault_point('db')\n")
    sweep(CustomInjector(targets), module.f)
    assert fault_points._reached is None
    assert module.f() is None


OPERATIONS = """
import sqlite3

class Session:
    def __init__(self, name):
        self.name = name
    def commit(self):
        return "done"

class Sub(Session):
    pass

def send(*words):
    return words

def f(connection):
    session = Sub("s")
    session.commit()
    send(1)
    send(*(2, 3))
    connection.commit()
    Session("other")
"""


def test_operations_that_are_named_from_outside(generated):
    """A method, also of a subclass; a function, also called with a star; a method in C; a class."""
    module, targets = generated(OPERATIONS)
    operations = (
        Operation(call="generated:Session.commit", name="db.commit", error=ConnectionError),
        Operation(call="generated:send"),
        Operation(call="sqlite3:Connection.commit", error=sqlite3.OperationalError),
        Operation(call="generated:Session"),
    )
    connection = sqlite3.connect(":memory:")
    points = sweep(CustomInjector(targets, operations), lambda: module.f(connection))
    connection.close()
    assert points == [
        "custom:generated.py:f:db.commit#1",
        "custom:generated.py:f:send#1",
        "custom:generated.py:f:send#2",
        "custom:generated.py:f:Connection.commit#1",
        "custom:generated.py:f:Session#1",
    ]


@pytest.mark.parametrize("call", ["", "send", "shop:", ":send", "shop:a b", "shop:a:b"])
def test_a_bad_operation_is_refused(call):
    """With what was given and what is allowed."""
    with pytest.raises(BadOperation, match=r"Allowed: MODULE:QUALNAME"):
        Operation(call=call)
    with pytest.raises(BadOperation, match="bad name 'a#b'"):
        Operation(call="shop:send", name="a#b")


# -- through pytest


@pytest.fixture
def shop(pytester):
    """The example of the docs, to be run."""
    for file in EXAMPLE.iterdir():
        if file.is_file():
            shutil.copy(file, pytester.path)
    return pytester


def test_the_example_goes_as_its_page_says(shop, alone):
    """Two points in each payment; the hasty one leaks at both, and its report stands on the page."""
    ran = alone(flag=())
    ran.result.assert_outcomes(passed=3)
    assert ran.report["faults"]["points"] == {"custom": 4}
    (finding,) = ran.findings
    assert (finding["test"], finding["count"]) == ("test_shop.py::test_pay", 2)
    page = (EXAMPLE.parents[1] / "howto" / "name-a-fault-point.md").read_text("utf-8")
    (block,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    printed = [line.rstrip() for line in ran.result.outlines]
    for line in block.splitlines():
        assert line in printed
    again = alone(*(word.strip("'") for word in finding["repeat"].split()[1:]), flag=())
    assert [f["point"] for f in again.findings] == [finding["point"]] == ["custom:shop.py:pay:journal.sync#1"]
    assert again.report["faults"]["trials"] == 1


def test_all_families_include_it(shop, alone):
    """And `--leakguard-fault` repeats the trial of an operation that the hook named."""
    ran = alone("--leakguard-faults", "-k", "test_pay", flag=())
    assert ran.report["faults"]["points"]["custom"] == 4
    point = "custom:shop.py:pay:till.book#1"
    again = alone(f"--leakguard-fault={point}", "-k", "test_pay", flag=())
    assert [finding["point"] for finding in again.findings] == [point]
    assert "till.book raised TillError: till.book failed (injected) at shop.py:24 in pay" in again.text


def test_a_broken_hook_is_told(shop, alone):
    """The run goes on with the operations that are some."""
    (shop.path / "conftest.py").write_text(
        "def pytest_leakguard_fault_points(config): return ['shop:Till.book', 'nothing', 7]\n"
    )
    ran = alone(flag=(), errors=True)
    ran.result.assert_outcomes(passed=3)
    assert ran.report["faults"]["points"] == {"custom": 4}
    assert [error.partition("conftest.py: ")[2].partition(". ")[0] for error in ran.report["errors"]] == [
        "bad operation 'nothing'",
        "7 is no operation",
    ]
