"""Run a coroutine function once for each of its suspensions, cancelled there; no pytest needed."""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.faults.cancel import AwaitInjector
from pytest_leakguard.faults.cancel_judge import Evidence, fold, judge, key_of
from pytest_leakguard.faults.managers import Backend
from pytest_leakguard.faults.model import FaultPoint, Mode, Moment, Outcome, SweepResult, Trial
from pytest_leakguard.faults.suspensions import AwaitFamily, Observation
from pytest_leakguard.faults.witness import Witness
from pytest_leakguard.origins import frames

Check = Callable[[], AbstractContextManager[list[str]]]
"""Goes around each run, loop included; its list has a line for each resource that was left."""

AsyncFunction = Callable[[], Awaitable[Any]]
_SHUTDOWN_SECONDS = 1.0


def cancel_each(
    function: AsyncFunction,
    *,
    backend: Backend = "asyncio",
    families: Sequence[AwaitFamily] = ("cancel",),
    twice: bool = True,
    is_target: Callable[[str], bool] | None = None,
    root: str = "",
    check: Check | None = None,
    witness: Callable[[], Witness] | None = None,
    hang_seconds: float = 5.0,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> SweepResult:
    """Cancel a coroutine at every suspension of its own and of every task it spawns, one at a time.

    Args:
        function: takes nothing; each call gives a fresh coroutine, run in a fresh loop.
        families: ``cancel``; ``timeout`` (asyncio only) lets the await time out instead.
        twice: under asyncio also cancel once more at each suspension of the clean-up; told, never a failure.
        is_target: file name -> whether suspensions of its code count. Default: all but the standard
            library, installed packages and pytest.
        root: points tell paths relative to it. Default: the working directory.
        witness: makes one for a trial that found something and is looked at again; None: none is.
        hang_seconds: after a cancellation the run has so long to end.
        loop_factory: makes the asyncio loop of a run.
    Raises: what the coroutine raises when nothing is cancelled; RuntimeError in a thread where a loop runs.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("cancel_each() runs loops of its own: call it from a plain function, not from a coroutine")
    if backend != "asyncio" and "timeout" in families:
        raise ValueError("the family 'timeout' is for the backend 'asyncio'; a timeout of trio or anyio is a 'cancel'")
    started = _real.monotonic()
    folder = root or os.getcwd()
    points: list[FaultPoint] = []
    trials: list[Trial] = []
    for family in families:
        injector = AwaitInjector(
            family,
            is_target=is_target or _is_project,
            path_of=lambda filename: frames.shorten(filename, folder),
            hang_seconds=hang_seconds,
        )
        runner = _Runner(injector, function, backend, loop_factory, check or (lambda: nullcontext([])), witness)
        found = runner.count()
        points += found
        for point in found:
            trials += runner.trials(point, twice=twice and backend == "asyncio" and family == "cancel")
    return SweepResult(
        points=tuple(points),
        trials=tuple(trials),
        findings=fold(finding for trial in trials for finding in trial.findings),
        seconds=_real.monotonic() - started,
    )


class _Runner:
    """Runs one coroutine function again and again."""

    def __init__(
        self,
        injector: AwaitInjector,
        function: AsyncFunction,
        backend: Backend,
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
        check: Check,
        witness: Callable[[], Witness] | None,
    ) -> None:
        self._injector = injector
        self._backend = backend
        self._loop_factory = loop_factory or asyncio.new_event_loop
        self._check = check
        self._witness = witness
        self._looked_at: set[tuple[object, ...]] = set()
        self._function = function if backend == "asyncio" else injector.around(function, level=backend == "anyio")
        self._leaks: frozenset[str] = frozenset()
        self._unawaited: frozenset[str] = frozenset()

    def count(self) -> list[FaultPoint]:
        """Pass 0. What it leaves behind is no trial's."""
        if self._backend == "trio":
            import trio  # noqa: F401 - the injector reaches what is imported
        with self._check() as leaks, _never_awaited() as unawaited:
            with self._injector.count():
                self._run()
            _collect_young()
        self._leaks, self._unawaited = frozenset(leaks), frozenset(unawaited)
        return [suspension.point for suspension in self._injector.suspensions.values()]

    def trials(self, point: FaultPoint, *, twice: bool) -> Iterator[Trial]:
        """One trial at a point; then one for each suspension of the clean-up that it showed."""
        trial, seen = self._trial(point, "transient", 0)
        yield trial
        if twice and seen.end == "cancelled":
            for again in range(1, seen.after + 1):
                yield self._trial(point, "persistent", again)[0]

    def _trial(self, point: FaultPoint, mode: Mode, again: int) -> tuple[Trial, Observation]:
        """One trial, and the same once more under a witness when it has found something new."""
        trial, seen = self._once(point, mode, again)
        new = {key_of(finding) for finding in trial.findings} - self._looked_at
        if not new or self._witness is None:
            return trial, seen
        self._looked_at |= new
        witness = self._witness()
        with witness.watching():
            self._once(point, mode, again, witness.moment)
        findings = (witness.explain(one) if key_of(one) in new else one for one in trial.findings)
        return replace(trial, findings=tuple(findings)), seen

    def _once(
        self, point: FaultPoint, mode: Mode, again: int, moment: Moment | None = None
    ) -> tuple[Trial, Observation]:
        started = _real.monotonic()
        outcome: Outcome = "passed"
        with (
            self._check() as leaks,
            _never_awaited() as unawaited,
            self._injector.inject(point, mode, again=again) as seen,
        ):
            seen.moment = moment
            try:
                self._run()
            except KeyboardInterrupt:
                raise
            except BaseException:
                outcome = "raised"
            _collect_young()
        if seen.stuck:
            outcome = "hung"
        if again:
            seen.told = "asyncio gives no way to be safe from a second cancellation during the clean-up"
        evidence = Evidence(
            leaks=tuple(leak for leak in leaks if leak not in self._leaks),
            unawaited=tuple(name for name in unawaited if name not in self._unawaited),
        )
        trial = Trial(
            point=point,
            mode=mode,
            outcome=outcome if seen.injected else "not reached",
            findings=judge(seen, self._injector.without, evidence, point=point, mode=mode),
            seconds=_real.monotonic() - started,
        )
        return trial, seen

    def _run(self) -> None:
        if self._backend == "trio":
            import trio

            trio.run(self._function)
            return
        loop = self._loop_factory()
        loop.set_exception_handler(lambda loop, context: None)  # the session has noted it
        try:
            asyncio.set_event_loop(loop)
            loop.run_until_complete(self._function())
        finally:
            try:
                _shut_down(loop)
            finally:
                asyncio.set_event_loop(None)
                loop.close()


def _collect_young() -> None:
    """Let what this run made and dropped die: it is young, and a whole heap would cost more than the run."""
    _real.gc_collect(1)


def _shut_down(loop: asyncio.AbstractEventLoop) -> None:
    """As asyncio.run does, but a task that will not end is left behind."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=_SHUTDOWN_SECONDS))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())


@contextmanager
def _never_awaited() -> Iterator[list[str]]:
    """The coroutines that are collected unawaited in the block; all other warnings go where they would."""
    names: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", "coroutine .* was never awaited", RuntimeWarning)
        yield names
    others: Iterable[warnings.WarningMessage] = caught
    for warning in others:
        text = str(warning.message)
        if text.startswith("coroutine ") and "was never awaited" in text:
            names.append(text.split("'")[1])
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _is_project(filename: str) -> bool:
    return frames.region(filename) == "project"
