"""What `leak_faults` gives: one fault by hand, or a sweep of anything that can be called."""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Any

import pytest

from pytest_leakguard.block import Block, leave
from pytest_leakguard.core.allow import near
from pytest_leakguard.core.model import Finding
from pytest_leakguard.errors import LeakError
from pytest_leakguard.faults import errors
from pytest_leakguard.faults.custom import listening
from pytest_leakguard.faults.families import injectors_for
from pytest_leakguard.faults.model import FaultFinding, SweepResult
from pytest_leakguard.faults.operations import MakeError, error_of
from pytest_leakguard.faults.remedies import remedy
from pytest_leakguard.faults.sweep import Budget, Sweep
from pytest_leakguard.faults.targets import Targets, places_of
from pytest_leakguard.faults.witness import HeldThen, Witness
from pytest_leakguard.held_then import held_then
from pytest_leakguard.origins import frames, hook
from pytest_leakguard.plugin.fault_operations import operations_of
from pytest_leakguard.plugin.fault_options import families_of
from pytest_leakguard.plugin.fault_words import told
from pytest_leakguard.plugin.fixtures import LeakCheck, block_of
from pytest_leakguard.plugin.meaning import usage_errors_name_their_page
from pytest_leakguard.subject import CallableSubject

if TYPE_CHECKING:
    from pytest_leakguard.faults.managers import Backend
    from pytest_leakguard.faults.suspensions import AwaitFamily
    from pytest_leakguard.plugin.guard import Guard

OPERATIONS = tuple(sorted(set(errors.WHAT.values())))


class LeakFaults:
    """Makes operations fail. The fixture ``leak_faults`` is one of these."""

    def __init__(self, guard: Guard, item: pytest.Item) -> None:
        self._guard = guard
        self._item = item
        self._running: Block | None = None

    @contextmanager
    def fail(self, what: str, nth: int = 1, error: BaseException | None = None) -> Iterator[Fault]:
        """While the block runs, the nth operation of that name fails, whoever asks for it.

        Args:
            what: ``open``, ``socket``, ``connect``, ``mkdir``, ... as fault points name them;
                ``custom:NAME`` for the `fault_point` of that name.
            error: raised instead of one that the operation can really give.
        Yields: tells by `injected` whether it came to that.
        Raises: ValueError: no such operation, or `nth` below 1.
        """
        own = what.removeprefix("custom:")
        if own == what and what not in OPERATIONS:
            raise ValueError(f"unknown operation {what!r}{near(what, OPERATIONS)} Known: {', '.join(OPERATIONS)}.")
        if nth < 1:
            raise ValueError(f"nth is {nth}. Allowed: 1 or more.")
        fault = Fault()
        if own != what:
            with fault.at_points(own, nth, error):
                yield fault
            return
        with hook.sabotage(fault.plan(what, nth, error), errors.EVENTS):
            yield fault

    def sweep(
        self,
        subject: Callable[[], object],
        families: str | Collection[str] = "all",
        *,
        targets: Collection[str] = (),
    ) -> SweepResult:
        """Call `subject` once for each fault point it goes through, with that point failing.

        Args:
            subject: called without arguments; what it leaves behind must be gone when it returns or raises.
            families: names of fault families.
            targets: paths and packages, the code that is made to fail; default is that of `--leakguard-fault-target`.
        Raises:
            LeakError: something was left behind, or another oracle found something.
            AssertionError: it does not pass, or leaks, without a fault.
            pytest.UsageError: an unknown family.
            ValueError: a target that is neither a path nor a package.
        """
        __tracebackhide__ = True
        item, settings = self._item, self._guard.settings.faults
        words = families if isinstance(families, str) else ",".join(families)
        with usage_errors_name_their_page():
            chosen = families_of(words, f"leak_faults.sweep in {item.nodeid}")
        root = str(item.config.rootpath)
        code = Targets(root=root, given=places_of(targets, folder=root) or settings.places)
        swept = CallableSubject(lambda: block_of(LeakCheck(self._guard, item)), subject, code)
        result = Sweep(
            swept,
            injectors_for(chosen, code, operations_of(self._guard)),
            budget=Budget(trials=settings.trials, seconds=settings.seconds),
            seed=settings.seed or 0,
            strict=settings.strict,
            witness=swept.witness,
        ).run()
        if result.stopped.startswith("without a fault"):
            raise AssertionError(f"leak_faults.sweep: {result.stopped}")
        self._raise(result.findings)
        return result

    def cancel_each(
        self,
        function: Callable[[], Awaitable[object]],
        *,
        backend: Backend = "asyncio",
        families: Sequence[AwaitFamily] = ("cancel",),
    ) -> SweepResult:
        """Run a coroutine function once for each of its awaits, cancelled there, each time in a fresh loop.

        Args:
            function: called without arguments; what its coroutine leaves behind must be gone when that ends.
            backend: ``asyncio``, ``trio``, or ``anyio`` for asyncio with anyio's level-triggered cancellation.
            families: ``cancel``, and for asyncio ``timeout``.
        Raises:
            LeakError: something was left behind, or another oracle found something.
            RuntimeError: called while a loop runs in this thread.
            Whatever the coroutine raises when nothing is cancelled.
        """
        __tracebackhide__ = True
        from pytest_leakguard.faults.cancel_each import cancel_each  # which needs asyncio

        item = self._item
        root = str(item.config.rootpath)
        own = getattr(getattr(function, "__code__", None), "co_filename", "")  # also where that is a test file
        targets = Targets(root=root, given=self._guard.settings.faults.places, also=frozenset({own}))
        leaks: dict[str, Finding] = {}
        result = cancel_each(
            function,
            backend=backend,
            families=families,
            is_target=targets.is_target,
            root=root,
            check=lambda: self._left(leaks),
            witness=lambda: Witness(targets, self._held),
        )
        found = (replace(finding, leak=leaks.get(finding.what)) for finding in result.findings)
        self._raise(replace(finding, fix=remedy(finding, root) or finding.fix) for finding in found)
        return result

    def _raise(self, findings: Iterable[FaultFinding]) -> None:
        __tracebackhide__ = True
        name = self._item.nodeid
        # the test itself sweeps: to run it again is to repeat the trial
        failing = [
            replace(told(one, name, ()), repeat=f"pytest {shlex.quote(name)}") for one in findings if not one.told
        ]
        if failing:
            raise LeakError(failing)

    @contextmanager
    def _left(self, leaks: dict[str, Finding]) -> Iterator[list[str]]:
        """A line for each resource that the block left behind; what is in an event loop is another's to tell."""
        check = LeakCheck(self._guard, self._item)
        block = block_of(check, *sorted(check._kinds(()) - {"task", "object"}))
        lines: list[str] = []
        block.enter()
        self._running = block
        try:
            yield lines
        finally:
            self._running = None
            found = {f"{finding.kind}: {finding.what}": finding for finding in leave(block)}
            leaks.update(found)
            lines += found

    def _held(self, now: Sequence[FrameType]) -> list[HeldThen]:
        return [] if self._running is None else held_then(self._running.held())


class Fault:
    """Attributes: injected: the operation was reached and failed."""

    def __init__(self) -> None:
        self.injected = False

    def plan(self, what: str, nth: int, error: BaseException | None) -> hook.Plan:
        """Decides at each event."""
        left = nth

        def plan(event: str, args: Any, frame: FrameType) -> BaseException | None:
            nonlocal left
            code = frame.f_code
            if errors.WHAT.get(event) != what or frames.region(code.co_filename) in ("runner", "self"):
                return None
            if code.co_filename.startswith("<frozen importlib"):
                return None
            left -= 1
            if left:
                return None
            self.injected = True
            return errors.planned(error, "") if error is not None else errors.error_of(event, args, "")

        return plan

    @contextmanager
    def at_points(self, name: str, nth: int, error: BaseException | None) -> Iterator[None]:
        """While the block runs, the nth `fault_point` of that name raises."""
        left = nth

        def reached(reached_name: str, make: MakeError | None) -> None:
            nonlocal left
            if reached_name == name:
                left -= 1
                if not left:
                    self.injected = True
                    raise errors.planned(error, "") if error is not None else error_of(name, make, "")

        with listening(reached):
            yield
