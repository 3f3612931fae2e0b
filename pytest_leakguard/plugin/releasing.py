"""What `leak_check.releases` does: one context manager, every way of leaving it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from typing import Any

from pytest_leakguard.block import leave, raise_leaks
from pytest_leakguard.core.model import Finding
from pytest_leakguard.errors import LeakError
from pytest_leakguard.faults.families import injectors_for
from pytest_leakguard.faults.limit import Hung, limited
from pytest_leakguard.faults.managers import Backend, files_of, is_async_manager, run_in_loop
from pytest_leakguard.faults.model import FaultFinding, SweepResult
from pytest_leakguard.faults.sweep import SHORTEST_LIMIT_SECONDS, Budget, Sweep
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.plugin.fault_operations import operations_of
from pytest_leakguard.plugin.fault_options import families_of
from pytest_leakguard.plugin.fault_words import told
from pytest_leakguard.plugin.fixtures import LeakCheck, block_of
from pytest_leakguard.plugin.meaning import usage_errors_name_their_page
from pytest_leakguard.subject import CallableSubject

Manager = AbstractContextManager[Any] | AbstractAsyncContextManager[Any]

_BODY = "leak_check.releases raised this in the body"


class BodyError(Exception):
    """Raised in the body by `LeakCheck.releases`."""


class Releasing:
    """One call of `LeakCheck.releases`; see there."""

    def __init__(
        self, check: LeakCheck, factory: Callable[[], Manager], *, faults: str | Collection[str], backend: Backend
    ) -> None:
        words = faults if isinstance(faults, str) else ",".join(faults)
        with usage_errors_name_their_page():
            self._families = families_of(words, f"leak_check.releases in {check._item.nodeid}") if words else ()
        self._check = check
        self._factory = factory
        self._backend: Backend = backend
        self._is_async: bool | None = None
        self._files = files_of(factory)
        self._found: dict[str, tuple[Finding, list[str]]] = {}

    def run(self, *, nested: bool) -> SweepResult:
        """All ways; what was left is raised at the end, each leak with the ways that left it."""
        __tracebackhide__ = True
        self._leave("a normal exit", None)
        self._raise("no other way was tried: each would leave it too")
        try:
            for way, error in _body_errors():
                self._leave(way, error)
            self._use_again("a second use", self._twice, self._twice_async)
            if nested:
                self._use_again("a nested use", self._nested, self._nested_async)
            result = self._sweep() if self._families else SweepResult()
        except Exception as error:
            self._raise(f"then it raised {type(error).__name__}: {error}")  # which what was left may have led to
            raise
        self._raise()
        return result

    def _raise(self, *more: str) -> None:
        """Raise LeakError when something was found, with further notes."""
        __tracebackhide__ = True
        if self._found:
            raise LeakError(
                [
                    replace(finding, notes=(*finding.notes, *more, f"left behind after {', '.join(ways)}"))
                    for finding, ways in self._found.values()
                ]
            )

    # -- one way -------------------------------------------------------------

    def _leave(self, way: str, error: BaseException | None) -> None:
        """Through it once. An error that is not the body's own goes on, with what was left as a note."""
        __tracebackhide__ = True
        block = block_of(self._check)
        block.enter()
        try:
            self._pass(error)
        except BaseException as raised:
            raise_leaks(leave(block), raised)
            raise
        self._note(way, leave(block))

    def _pass(self, error: BaseException | None) -> None:
        __tracebackhide__ = True
        first = self._first() if self._is_async is None else None
        if self._is_async:
            run_in_loop(lambda: _pass_async(first or self._factory, error), self._backend)
        else:
            _pass(first or self._factory, error)

    def _first(self) -> Callable[[], Manager] | None:
        """Makes the first one, which tells what it is; none when it can only be made inside a loop."""
        try:
            manager = self._factory()
        except RuntimeError as error:
            if "no running event loop" not in str(error):
                raise
            self._is_async = True
            return None
        self._is_async = is_async_manager(manager)
        self._files |= files_of(manager)
        made = [manager]
        return made.pop

    def _note(self, way: str, findings: Iterable[Finding]) -> None:
        for finding in findings:
            key = f"{finding.kind} {finding.fingerprint}"
            known, ways = self._found.get(key, (None, []))
            if known is not None:
                finding = replace(known, count=known.count + finding.count)
            self._found[key] = (finding, list(dict.fromkeys([*ways, way])))

    # -- the same one again --------------------------------------------------

    def _use_again(self, way: str, use: Callable[[], None], use_async: Callable[[], Any]) -> None:
        """It may refuse, by any error; it has to come to an end, and to leave nothing."""
        block = block_of(self._check)
        block.enter()
        stacks: list[str] = []
        try:
            with limited(SHORTEST_LIMIT_SECONDS) as alarm:
                stacks = alarm.stacks
                if self._is_async:
                    run_in_loop(use_async, self._backend)
                else:
                    use()
        except (Exception, Hung):
            pass
        self._note(way, leave(block))
        if stacks:
            seconds = f"{SHORTEST_LIMIT_SECONDS:g} s"
            raise AssertionError("\n".join([f"leak_check.releases: {way} did not end within {seconds}", *stacks]))

    def _twice(self) -> None:
        manager: Any = self._factory()
        for _ in range(2):
            with manager:
                pass

    async def _twice_async(self) -> None:
        manager: Any = self._factory()
        for _ in range(2):
            async with manager:
                pass

    def _nested(self) -> None:
        manager: Any = self._factory()
        with manager, manager:
            pass

    async def _nested_async(self) -> None:
        manager: Any = self._factory()
        async with manager, manager:
            pass

    # -- each operation failing ----------------------------------------------

    def _sweep(self) -> SweepResult:
        __tracebackhide__ = True
        item, settings = self._check._item, self._check._guard.settings.faults
        targets = Targets(root=str(item.config.rootpath), given=settings.places, also=self._files)
        swept = CallableSubject(lambda: block_of(self._check), lambda: self._pass(None), targets)
        result = Sweep(
            swept,
            injectors_for(self._families, targets, operations_of(self._check._guard)),
            budget=Budget(trials=settings.trials, seconds=settings.seconds),
            seed=settings.seed or 0,
            strict=settings.strict,
            witness=swept.witness,
        ).run()
        if result.stopped.startswith("without a fault"):
            raise AssertionError(f"leak_check.releases: {result.stopped}")
        # not those of the whole sweep, which are one where one repair would do: here each way is named
        for trial in result.trials:
            for finding in trial.findings:
                if not finding.told or _is_asked_for(finding):
                    failing = replace(told(finding, item.nodeid, ()), disposition="fails")
                    way = f"{finding.point.what} failed ({finding.point.id})"
                    self._note(way, [replace(failing, repeat=f"pytest {shlex.quote(item.nodeid)}")])
        return result


def _is_asked_for(finding: FaultFinding) -> bool:
    """A sweep only tells what a failing release leads to. Who asks whether all is released on every path wants it."""
    return finding.point.family == "release" and finding.fault != "swallowed"


def _body_errors() -> Iterator[tuple[str, BaseException]]:
    from asyncio import CancelledError  # not before it is asked for: half of pytest's own start-up time

    yield "an error in the body", BodyError(_BODY)
    for kind in (KeyboardInterrupt, GeneratorExit, CancelledError):
        yield f"{kind.__name__} in the body", kind(_BODY)


def _pass(make: Callable[[], Any], error: BaseException | None) -> None:
    """Make, enter and leave one, with the error in the body. Raises any error but that one."""
    __tracebackhide__ = True
    try:
        with make():
            if error is not None:
                raise error
    except BaseException as raised:
        if raised is not error:
            raise


async def _pass_async(make: Callable[[], Any], error: BaseException | None) -> None:
    """The same for an async one; in the loop, which some errors would end."""
    __tracebackhide__ = True
    try:
        async with make():
            if error is not None:
                raise error
    except BaseException as raised:
        if raised is not error:
            raise
