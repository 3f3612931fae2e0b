"""What is known as a release: a fault does not keep it from beginning, and everything beside it still fails."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

from pytest_leakguard import LeakError
from pytest_leakguard.faults.steps import body_injector, call_injector, interrupt_injector, release_injector
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.reference import files

MODULE = """
import asyncio
import contextlib
import io
import socket

class Stack(contextlib.ExitStack): pass
class Configured(io.StringIO):
    def __init__(self): super().__init__()
class Connection(socket.socket): pass

class Pair:
    def __init__(self, path):
        with contextlib.ExitStack() as stack:
            self.first = stack.enter_context(open(path))  # leaks
            self.second = stack.enter_context(open(path))  # leaks
            stack.pop_all()
    def flush(self): pass
    def wait_until_empty(self): pass
    def _close_first(self): self.first.close()
    def _close_second(self): self.second.close()

def steps_clean(path):
    with contextlib.ExitStack() as stack:
        pair = Pair(path)
        stack.callback(pair._close_first)
        stack.callback(pair._close_second)

def flush_first_leaky(path):
    pair = Pair(path)
    pair.flush()
    pair._close_first()
    pair._close_second()

def wait_first_leaky(path):
    pair = Pair(path)
    pair.wait_until_empty()
    pair._close_first()
    pair._close_second()

class Flushing(Pair):
    def _close_first(self):
        self.flush()
        self.first.close()

def flush_inside_leaky(path):
    pair = Flushing(path)
    pair._close_first()
    pair._close_second()

def made():
    Stack()
    Configured().close()
    Connection().close()

class Account:
    closed = 0
    async def close(self):
        await asyncio.sleep(0)
        Account.closed += 1
    async def __aenter__(self): return self
    async def __aexit__(self, *details): await self.close()

async def use():
    await Account().close()

async def enter():
    async with Account():
        pass
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    file = tmp_path_factory.mktemp("releasing") / "releasing.py"
    file.write_text(MODULE, "utf-8")
    spec = importlib.util.spec_from_file_location("releasing", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def targets_of(module):
    return Targets(root=str(Path(module.__file__).parent), given=(module.__file__,))


def test_steps_that_release_are_not_kept_from_it(module, leak_faults):
    """Correct code is clean: no code can close what the fault does not let it close."""
    result = leak_faults.sweep(lambda: module.steps_clean(__file__), "call", targets=[module.__file__])
    assert [point.what for point in result.points if point.qualname == "steps_clean"] == ["Pair"]


@pytest.mark.parametrize("name", ["flush_first_leaky", "wait_first_leaky", "flush_inside_leaky"])
def test_what_fails_before_a_release_is_still_found(name, module, leak_faults):
    """Also inside of one: the rule is for the call of the release alone."""
    with pytest.raises(LeakError) as caught:
        leak_faults.sweep(lambda: getattr(module, name)(__file__), "call", targets=[module.__file__])
    lines = MODULE.splitlines()
    assert all(lines[finding.origin.line - 1].endswith("# leaks") for finding in caught.value.findings)


def test_a_constructor_is_that_of_the_class_that_has_it(module):
    """One that only stores is no point, also when a class of the project inherits it; its own and the system's are."""
    with call_injector(targets_of(module)).count() as points:
        module.made()
    made = [point.what for point in points if point.qualname == "made"]
    # before 3.12 no event tells of a constructor in C
    assert made == (["Configured", "Connection"] if sys.version_info >= (3, 12) else made)
    assert "Configured" in made
    assert "Stack" not in made


def test_the_release_of_a_coroutine_fails_after_its_effect(module):
    """Not when its coroutine is made, nor when it waits."""
    injector = release_injector(targets_of(module))
    with injector.count() as points:
        asyncio.run(module.use())
    assert [point.id for point in points] == ["release:releasing.py:use:close#1"]
    module.Account.closed = 0
    with injector.inject(points[0], "transient"), pytest.raises(Exception, match="injected"):
        asyncio.run(module.use())
    assert module.Account.closed == 1


def test_the_end_of_an_async_with_fails_after_its_effect(module):
    """Likewise, where no call stands in the source; and each point is reached again."""
    injector = release_injector(targets_of(module))
    with injector.count() as points:
        asyncio.run(module.enter())
    for point in points:
        module.Account.closed = 0
        with injector.inject(point, "transient"), pytest.raises(Exception, match="injected"):
            asyncio.run(module.enter())
        assert module.Account.closed == 1


def test_the_bundled_managers_are_targets_when_they_are_named(tmp_path):
    """Never when a folder happens to hold them, nor any other part of this plugin."""
    package = Path(files.__file__).parent
    named = Targets(root=str(tmp_path), given=(str(package),))
    assert named.is_target(files.__file__)
    assert not named.is_target(str(package.parent / "watch.py"))
    assert Targets(root=str(tmp_path), given=(files.__file__,)).is_target(files.__file__)
    for given in ((), (str(package.parent),), (str(package.parent.parent),)):
        assert not Targets(root=str(package.parent.parent), given=given).is_target(files.__file__)


BODIES = """
import threading

class Door:
    lock = threading.Lock()
    def count(self): return 1
    def _close_lock(self):
        with self.lock:
            self.count()
    def close_account(self):
        with self.lock:
            self.count()
    def _remove_duplicates(self):
        with self.lock:
            self.count()

def use():
    door = Door()
    door._close_lock()
    door.close_account()
    door._remove_duplicates()
"""


@pytest.mark.parametrize("make_injector", [body_injector, interrupt_injector])
def test_the_lines_of_a_private_release_are_left_alone(make_injector, tmp_path):
    """An error there, before it has released, is that the release did not happen; any other function has its points."""
    file = tmp_path / "bodies.py"
    file.write_text(BODIES, "utf-8")
    spec = importlib.util.spec_from_file_location("bodies", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with make_injector(targets_of(module)).count() as points:
        module.use()
    inside = {point.qualname.rpartition(".")[2] for point in points if point.what in ("with", "count")}
    assert inside == {"close_account", "_remove_duplicates"}
