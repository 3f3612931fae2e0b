"""Generated programs: a test module that acquires, hands on and releases, and the plain model of what it leaks.

A program is a plan (tests and the fixtures they use) and a list of steps. Steps
are numbers, taken modulo what there is to choose from, so that any list of them
is a program: that is what lets a failing one be made smaller.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

WIDE = ("session", "package", "module", "class")
Step = tuple[str, int, int, int]
"""What is done, and three numbers that choose with what."""
Plan = tuple[tuple[bool, frozenset[str]], ...]
"""For each test: whether it is in the class, and the wide scopes whose fixture it uses."""
Expected = Counter[tuple[str, str, str]]
"""(kind, verdict, owner) -> how many. The owner is the name of a test or a fixture."""


@dataclass(frozen=True)
class Kind:
    """How a kind of resource is acquired by a line and closed."""

    kind: str
    acquire: str
    close: str = "{it}.close()"
    is_number: bool = False
    has_warning: bool = True
    fileno: str = "{it}.fileno()"


KINDS = (
    # no copies of what open() gave: which of several descriptors of one file dies with the object can't be told
    Kind("fd", "open(OWN)", fileno=""),
    Kind("fd", "open(COMMON)", fileno=""),
    Kind("fd", "os.open(OWN, os.O_RDONLY)", "os.close({it})", is_number=True, fileno="{it}"),
    Kind("socket", "socket.socket()"),
    Kind("socket", "socket.create_server(('127.0.0.1', 0))"),
    Kind("thread", "started(Worker())", has_warning=False, fileno=""),
    Kind("fd", "pipe({other})", "os.close({it})", is_number=True, fileno="{it}"),
)
DUP = Kind("fd", "os.dup({fileno})", "os.close({it})", is_number=True, fileno="{it}")
SOCKET_DUP = Kind("socket", "{it}.dup()")
HOW = ("{line}", "in_thread(lambda: {call})", "asyncio.run(in_task(lambda: {call}))")


@dataclass
class Resource:
    """One resource of the model.

    Attributes:
        place: the dict that holds it: "KEPT" or the name of a fixture.
        owner: the test or fixture that acquired it.
        awaits: the wide fixtures that may still release it; None before its test has ended.
    """

    number: int
    made_by: Kind
    place: str
    owner: str
    state: Literal["open", "closed", "dropped"] = "open"
    is_judged: bool = False
    awaits: set[str] | None = None

    def name(self, here: str) -> str:
        """How code at `here` calls it."""
        return f"{'held' if here == self.place and here != 'KEPT' else self.place}[{self.number}]"


@dataclass
class Place:
    """Where code is written: a test, or a fixture before or after its yield."""

    phase: Literal["setup", "call", "teardown"]
    name: str
    test: int
    lines: list[str] = field(default_factory=list)


class Program:
    """The text of a program and what is expected of it, built step by step."""

    def __init__(self, plan: Plan) -> None:
        # the tests of the class come last, as they stand in the file
        self.plan = sorted(plan, key=lambda test: test[0])
        self.places = list(self._timeline())
        self._at = 0
        self._alive: set[str] = set()
        self._resources: list[Resource] = []
        self.expected: Expected = Counter()
        self.warnings = 0
        self.steps = 0
        self._kept: set[str] = set()
        self._arrive()

    # -- the timeline --------------------------------------------------------

    def wide_of(self, test: int) -> list[str]:
        """The wide fixtures that a test uses, in the order of their set-up."""
        in_class, scopes = self.plan[test]
        return [f"f_{scope}" for scope in WIDE if scope in scopes and (scope != "class" or in_class)]

    def _timeline(self):  # type: ignore[no-untyped-def]
        up: list[str] = []
        for test in range(len(self.plan)):
            for name in self.wide_of(test):
                if name not in up:
                    up.append(name)
                    yield Place("setup", name, test)
            yield Place("setup", f"f_{test}", test)
            yield Place("call", f"test_{test}", test)
            yield Place("teardown", f"f_{test}", test)
            if test == len(self.plan) - 1:
                for name in ("f_class", "f_module", "f_package"):
                    if name in up:
                        yield Place("teardown", name, test)
        if "f_session" in up:
            yield Place("teardown", "f_session", len(self.plan))

    @property
    def is_over(self) -> bool:
        """Whether the timeline has come to its end."""
        return self._at >= len(self.places)

    @property
    def here(self) -> Place:
        """Where the next line goes."""
        return self.places[self._at]

    def _arrive(self) -> None:
        if not self.is_over and self.here.phase == "setup":
            self._alive.add(self.here.name)

    def go_on(self) -> None:
        """To the next place; a test that has been torn down is judged."""
        left = self.here
        if left.phase == "teardown":
            self._alive.discard(left.name)
            if left.name not in self._kept:
                self._die(left.name)
        self._at += 1
        if self.is_over or self.here.test != left.test:
            self._judge(left.test)
        self._arrive()

    def _die(self, name: str) -> None:
        """A fixture's dict is gone with it, and what is only in there."""
        for resource in self._resources:
            if resource.place == name and resource.state == "open":
                self._lose(resource)

    def _lose(self, resource: Resource) -> None:
        """Nothing names it any more: it is closed by that, unless it is a number or a thread that runs."""
        resource.place = ""
        if resource.made_by.has_warning and not resource.made_by.is_number:
            resource.state = "dropped"
            self.warnings += 1
            if not resource.is_judged:
                self._tell(resource, "unclosed")

    def finish(self) -> None:
        """To the end, without another line."""
        while not self.is_over:
            self.go_on()

    # -- the verdict ---------------------------------------------------------

    def _judge(self, test: int) -> None:
        for resource in self._resources:
            if resource.state == "open" and not resource.is_judged and not self._may_still_go(resource, test):
                self._tell(resource, "leaked")

    def _may_still_go(self, resource: Resource, test: int) -> bool:
        if not resource.owner.startswith("test_"):
            return resource.owner in self._alive
        if resource.awaits is None:
            wide = set(self.wide_of(min(test, len(self.plan) - 1)))
            resource.awaits = wide & self._alive if resource.made_by.is_number else {resource.place}
        resource.awaits &= self._alive
        if not resource.awaits and not resource.made_by.is_number:
            resource.awaits = {resource.place} & self._alive
        return bool(resource.awaits)

    def _tell(self, resource: Resource, verdict: str) -> None:
        resource.is_judged = True
        kind = "unclosed" if verdict == "unclosed" else resource.made_by.kind
        self.expected[kind, verdict, resource.owner] += 1

    @property
    def open_descriptors(self) -> int:
        """How many are open when all is over, threads' stacks and the like left out."""
        return sum(r.state == "open" and r.made_by.kind != "thread" for r in self._resources)

    # -- steps ---------------------------------------------------------------

    def do(self, step: Step) -> None:
        """One step, if there is anything that it could be done with."""
        if not self.is_over:
            self.steps += 1
            what, a, b, c = step
            getattr(self, f"_{what}")(a, b, c)

    def _next(self, a: int, b: int, c: int) -> None:
        self.go_on()

    def _dicts(self) -> list[str]:
        """The dicts that code here may use."""
        if self.here.phase == "call":
            return ["KEPT", f"f_{self.here.test}", *self.wide_of(self.here.test)]
        return [self.here.name]

    def _keep(self, a: int, b: int, c: int) -> None:
        """A test keeps a fixture's dict for good."""
        name = self._dicts()[a % len(self._dicts())]
        if self.here.phase == "call" and name != "KEPT":
            self._kept.add(name)
            self._write(f"KEPT[{name!r}] = {name}")

    def _choose(self, number: int, *, numbers: bool | None = None, state: str = "open") -> Resource | None:
        """One of the resources that code here may use."""
        there = [
            resource
            for resource in self._resources
            if resource.place in self._dicts()
            and resource.state == state
            and (numbers is None or resource.made_by.is_number == numbers)
        ]
        return there[number % len(there)] if there else None

    def _name(self, resource: Resource) -> str:
        return resource.name(self.here.name)

    def _write(self, line: str) -> None:
        self.here.lines.append(line)

    def _new(self, kind: Kind, dest: int) -> Resource:
        dicts = self._dicts()
        here = self.here
        wide = not here.name.removeprefix("f_").removeprefix("test_").isdigit()
        owner = here.name if wide else f"test_{here.test}"
        resource = Resource(len(self._resources), kind, dicts[dest % len(dicts)], owner)
        self._resources.append(resource)
        return resource

    def _acquire(self, a: int, b: int, c: int) -> None:
        kind = KINDS[a % len(KINDS)]
        resource = self._new(kind, b)
        other = f"{self._name(self._new(kind, b))}" if "{other}" in kind.acquire else ""
        value = kind.acquire.replace("OWN", f"own({resource.number})")
        how = HOW[c % len(HOW)]
        if other:
            self._write(f"{self._name(resource)}, {other} = os.pipe()")
            return
        name = self._name(resource)
        place, _, key = name.partition("[")
        call = f"{place}.__setitem__({key[:-1]}, {value})"
        self._write(how.format(line=f"{name} = {value}", call=call))

    def _dup(self, a: int, b: int, c: int) -> None:
        source = self._choose(a)
        if source is None or not source.made_by.fileno:
            return
        it = self._name(source)
        kind = SOCKET_DUP if source.made_by.kind == "socket" and c % 2 else DUP
        if kind is DUP and source.made_by.kind == "socket":
            kind = Kind("socket", DUP.acquire, DUP.close, is_number=True, fileno="{it}")
        if source.made_by.is_number and kind is SOCKET_DUP:
            return
        value = kind.acquire.format(it=it, fileno=source.made_by.fileno.format(it=it))
        self._write(f"{self._name(self._new(kind, b))} = {value}")

    def _close(self, a: int, b: int, c: int) -> None:
        resource = self._choose(a)
        if resource is not None:
            line = resource.made_by.close.format(it=self._name(resource))
            self._write(line if c % 4 else f"in_thread(lambda: {line})")
            resource.state = "closed"
            if b % 3 == 0:  # a number is closed again at once, or it may be another's by then
                self._write(f"again(lambda: {line})")

    def _twice(self, a: int, b: int, c: int) -> None:
        resource = self._choose(a, numbers=False, state="closed")
        if resource is not None:
            self._write(resource.made_by.close.format(it=self._name(resource)))

    def _drop(self, a: int, b: int, c: int) -> None:
        resource = self._choose(a)
        if resource is None:
            return
        self._write(f"del {self._name(resource)}")
        self._lose(resource)

    def _give(self, a: int, b: int, c: int) -> None:
        resource = self._choose(a)
        if resource is not None:
            before = self._name(resource)
            dicts = self._dicts()
            resource.place = dicts[b % len(dicts)]
            self._write(f"{self._name(resource)} = {before.replace('[', '.pop(')[:-1]})")

    def _fork(self, a: int, b: int, c: int) -> None:
        self._write("fork()")

    # -- the text ------------------------------------------------------------

    def files(self) -> dict[str, str]:
        """The package: a test module, and the fixture of the package where pytest wants it."""
        before = {place.name: place.lines for place in self.places if place.phase == "setup"}
        after = {place.name: place.lines for place in self.places if place.phase == "teardown"}
        conftest, module = [HEAD], [HEAD, "KEPT = {}\n"]
        for name in before:
            (conftest if name == "f_package" else module).append(_fixture(name, before[name], after[name]))
        for place in self.places:
            if place.phase == "call":
                in_class = self.plan[place.test][0]
                if in_class and "class TestOne:" not in module:
                    module.append("class TestOne:")
                module.append(self._test(place, in_class))
        return {"__init__.py": "", "conftest.py": "\n".join(conftest), "test_it.py": "\n".join(module)}

    def _test(self, place: Place, in_class: bool) -> str:
        names = ", ".join((["self"] if in_class else []) + [f"f_{place.test}", *self.wide_of(place.test)])
        lines = [f"def {place.name}({names}):", *(f"    {line}" for line in place.lines or ["pass"])]
        return "\n".join(f"    {line}" if in_class else line for line in lines) + "\n"


def _fixture(name: str, before: list[str], after: list[str]) -> str:
    scope = name.removeprefix("f_")
    scope = "function" if scope.isdigit() else scope
    lines = [f'@pytest.fixture(scope="{scope}")', f"def {name}():", "    held = {}"]
    return "\n".join([*lines, *(f"    {line}" for line in [*before, "yield held", *after])]) + "\n"


HEAD = """
import asyncio
import os
import socket

import pytest
from support import COMMON, Worker, again, fork, in_task, in_thread, own, started

"""

SUPPORT = """
import os
import pathlib
import threading

DATA = pathlib.Path(__file__).parent / "data"
COMMON = str(DATA / "common")


def own(number):
    path = DATA / str(number)
    if not path.exists():
        os.mknod(path)
    return path


class Worker(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.may_end = threading.Event()

    def run(self):
        self.may_end.wait()

    def close(self):
        self.may_end.set()
        self.join()


def started(thread):
    thread.start()
    return thread


def in_thread(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


async def in_task(function):
    function()


def again(function):
    try:
        function()
    except OSError:
        pass


def fork():
    pid = os.fork()
    if pid == 0:
        os.closerange(3, 100)
        os._exit(0)
    os.waitpid(pid, 0)
"""
