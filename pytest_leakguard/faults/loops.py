"""Faults of the other families in code that runs in an event loop: tasks that outlive the run are a leak too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from pytest_leakguard.faults.cancel import AwaitInjector
from pytest_leakguard.faults.cancel_judge import judge
from pytest_leakguard.faults.model import Family, FaultFinding, FaultPoint, Injection, Injector, Mode, Moment
from pytest_leakguard.faults.suspensions import Observation
from pytest_leakguard.faults.targets import Targets


@dataclass(slots=True)
class LoopWatched:
    """An injector with an eye on the event loops that are started while it is at work. An `Injector`."""

    inner: Injector
    observer: AwaitInjector
    _without: Observation = field(default_factory=Observation)

    @property
    def family(self) -> Family:
        """That of the injector."""
        return self.inner.family

    @property
    def modes(self) -> Sequence[Mode]:
        """Those of the injector."""
        return self.inner.modes

    @contextmanager
    def count(self) -> Iterator[list[FaultPoint]]:
        """See `Injector`."""
        with self.observer.count(), self.inner.count() as points:
            yield points
        self._without = self.observer.without

    @contextmanager
    def inject(self, point: FaultPoint, mode: Mode) -> Iterator[Injection]:
        """See `Injector`."""
        with self.inner.inject(point, mode) as injection:
            if not self._without.has_loop:
                yield injection  # what the run does not do without a fault it is not expected to do with one
                return
            watched = _Watched(injection, self._without)
            with self.observer.count():
                yield watched
            watched.seen = self.observer.without


@dataclass(slots=True)
class _Watched:
    """An injection, with what the loops showed. An `Injection`."""

    inner: Injection
    without: Observation
    seen: Observation = field(default_factory=Observation)

    @property
    def moment(self) -> Moment | None:
        """See `Injection`."""
        return self.inner.moment

    @moment.setter
    def moment(self, moment: Moment | None) -> None:
        self.inner.moment = moment

    @property
    def injected(self) -> int:
        """See `Injection`."""
        return self.inner.injected

    @property
    def later(self) -> int:
        """See `Injection`."""
        return self.inner.later

    @property
    def error(self) -> str:
        """See `Injection`."""
        return self.inner.error

    @property
    def stack(self) -> tuple[str, ...]:
        """See `Injection`."""
        return self.inner.stack

    @property
    def apart(self) -> bool:
        """See `Injection`."""
        return self.inner.apart

    def findings(self, point: FaultPoint, mode: Mode) -> tuple[FaultFinding, ...]:
        """Tasks, generators and lost errors that only this trial left; the rest is for the sweep to judge."""
        seen = replace(self.seen, injected=self.inner.injected, stack=self.inner.stack)
        found = judge(seen, self.without, point=point, mode=mode)
        kept = (finding for finding in found if finding.fault == "leak" or self._is_lost(finding))
        return tuple(replace(finding, error=self.inner.error) for finding in kept)

    def _is_lost(self, finding: FaultFinding) -> bool:
        """Whether it is the error of a task that nobody asked; one of a bare future is often only a signal.

        The injected error itself was swallowed then, which is told as that.
        """
        if finding.fault != "unraisable" or "(injected" in finding.what:
            return False
        return any(finding.what.endswith(text) for text in self.seen.of_tasks)


def watched(injector: Injector, targets: Targets) -> Injector:
    """The injector, with an eye on event loops."""
    observer = AwaitInjector("cancel", is_target=targets.is_target, path_of=targets.path_of)
    return LoopWatched(injector, observer)
