"""Leaky and clean twins of the families that the table of `fault_twins` leaves out, and interrupts in full."""

from __future__ import annotations

import pytest

MODULE = """
import asyncio
import contextlib
import os


class Slot:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)  # release

    def close(self):
        os.close(self.fd)


def release_leaky(path):
    first, second = Slot(path), Slot(path)
    first.close()
    second.close()


def release_clean(path):
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.callback(Slot(path).close)


async def cancel_leaky(path):
    fd = os.open(path, os.O_RDONLY)  # cancel
    try:
        await asyncio.sleep(0)
    except Exception:
        os.close(fd)
        raise
    os.close(fd)


async def cancel_clean(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        await asyncio.sleep(0)
    finally:
        os.close(fd)


async def timeout_leaky(path):
    fd = os.open(path, os.O_RDONLY)  # timeout
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        os.close(fd)
        raise
    os.close(fd)


timeout_clean = cancel_clean


def look(path):
    return os.stat(path)


def interrupt_clean(path):
    with open(path) as file:
        look(path)
        text = file.read()
    return text
"""
TESTS = """
import asyncio
import pytest
from app import twins


def case(family, how):
    return pytest.param(family, how, marks=pytest.mark.no_leaks(faults=family), id=f"{family}_{how}")


@pytest.mark.parametrize(("family", "how"), [case(f, h) for f in ("cancel", "timeout") for h in ("leaky", "clean")])
def test_await(family, how):
    asyncio.run(getattr(twins, f"{family}_{how}")(__file__))


@pytest.mark.parametrize(("family", "how"), [case("release", h) for h in ("leaky", "clean")])
def test_release(family, how):
    getattr(twins, f"{family}_{how}")(__file__)


@pytest.mark.no_leaks(faults="interrupt=strict")
def test_interrupt():
    twins.interrupt_clean(__file__)
"""
FILES = {"app/__init__.py": "", "app/twins.py": MODULE, "test_twins.py": TESTS, "conftest.py": ""}
FAMILIES = ("release", "cancel", "timeout")


@pytest.fixture(scope="module")
def swept(run_tree, tmp_path_factory):
    """As it is by default."""
    return run_tree(tmp_path_factory.mktemp("twins"), FILES)


@pytest.fixture(scope="module")
def strict(run_tree, tmp_path_factory):
    """What is only told fails too."""
    return run_tree(tmp_path_factory.mktemp("strict"), FILES, "--leakguard-fault-strict")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_leaky_twin_is_one_finding_at_its_line(strict, family):
    """Of the kind of the resource, with a point of the family."""
    (finding,) = [one for one in strict.findings if f"[{family}_leaky]" in one["test"]]
    line = next(number for number, text in enumerate(MODULE.splitlines(), 1) if text.endswith(f"# {family}"))
    assert (finding["kind"], finding["origin"]["line"]) == ("fd", line)
    assert finding["point"].startswith(f"{family}:app/twins.py:")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_clean_twin_is_none(strict, family):
    """Not even where everything counts."""
    assert [one for one in strict.report["findings"] if f"[{family}_clean]" in one["test"]] == []


def test_what_a_failing_release_leaves_is_told_by_default(swept):
    """Few libraries promise more; cancellations and time-outs fail all the same."""
    assert sorted(one["test"].partition("[")[2] for one in swept.findings) == ["cancel_leaky]", "timeout_leaky]"]
    told = [one for one in swept.report["findings"] if "[release_leaky]" in one["test"]]
    assert [(one["kind"], one["disposition"]) for one in told] == [("fd", "told")]


def test_interrupts_in_full_are_told(swept, strict):
    """A correct `with` leaks when it is interrupted on its way out: said, and a failure only where all is one."""
    (told,) = [one for one in swept.report["findings"] if one["test"].endswith("::test_interrupt")]
    assert (told["kind"], told["disposition"]) == ("unclosed", "told")
    assert told["point"] == "interrupt:app/twins.py:interrupt_clean:strict-with#1"
    (failing,) = strict.of("::test_interrupt")
    assert failing["point"] == told["point"]


def test_the_command_repeats_a_point_that_only_strict_has(alone, pytester):
    """Without naming the family again."""
    for name, text in FILES.items():
        (pytester.path / name).parent.mkdir(exist_ok=True)
        (pytester.path / name).write_text(text)
    point = "interrupt:app/twins.py:interrupt_clean:strict-with#1"
    ran = alone("test_twins.py::test_interrupt", f"--leakguard-fault={point}", flag=())
    assert ran.report["faults"]["trials"] == 1
    assert [one["point"] for one in ran.report["findings"]] == [point]


def test_a_family_that_is_unknown_is_refused(pytester, monkeypatch):
    """The strict one is among those that are named."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    result = pytester.runpytest("-p", "leakguard", "--leakguard-fault-families=body=strict")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "interrupt, cancel, timeout, custom, interrupt=strict, all." in result.stderr.str()
