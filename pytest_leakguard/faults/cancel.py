"""The families ``cancel`` and ``timeout``: a coroutine is cancelled at each of its suspensions in turn.

`AwaitInjector` is for runs that start their loop themselves, such as a test
that calls ``asyncio.run``; `cancel_each` (module `cancel_each`) drives a
coroutine function with a loop of its own.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

from pytest_leakguard import _real
from pytest_leakguard.faults.cancel_asyncio import Session
from pytest_leakguard.faults.cancel_judge import judge
from pytest_leakguard.faults.errors import planned
from pytest_leakguard.faults.model import FaultFinding, FaultPoint, Injector, Mode
from pytest_leakguard.faults.steppers import Tap
from pytest_leakguard.faults.suspensions import AwaitFamily, InjectedCancellation, Observation, Register, Suspension

if TYPE_CHECKING:
    from pytest_leakguard.faults.cancel_trio import TrioSession, TrioTap
    from pytest_leakguard.faults.targets import Targets

# well within the limit that the sweep sets, which knows nothing of tasks and would blame each hang
HANG_FACTOR = 10

_TAP = Tap()  # what it replaces is asyncio's, for the whole process
_TRIO_TAPS: list[TrioTap] = []


@dataclass(slots=True)
class AwaitInjection(Observation):
    """A trial, with what the count before it had shown."""

    without: Observation = field(default_factory=Observation)

    def findings(self, point: FaultPoint, mode: Mode = "transient") -> tuple[FaultFinding, ...]:
        """What only the event loop knows: tasks and generators left, errors nobody asked for, a hang."""
        return judge(self, self.without, point=point, mode=mode)


class AwaitInjector:
    """Cancels, or lets time out, the nth suspension of target code, whoever runs the loop.

    Cancelling is edge triggered, as in asyncio; in trio, and in a coroutine
    function that went through `around` with ``level=True``, level triggered.

    Args:
        is_target: whether code of that file is target code.
        path_of: a file name -> the path that a point tells.
        hang_seconds: after the cancellation the tasks have so long to end, or HANG_FACTOR times as long
            as the count took; then they are ended by force.
    """

    modes: Sequence[Mode] = ("transient",)
    told_modes: Sequence[Mode] = ("persistent",)
    """Cancels once more during the clean-up: for information, never a failure."""

    def __init__(
        self,
        family: AwaitFamily,
        *,
        is_target: Callable[[str], bool],
        path_of: Callable[[str], str],
        hang_seconds: float = 4.0,
    ) -> None:
        self.family: AwaitFamily = family
        self.without = Observation()
        self.suspensions: dict[str, Suspension] = {}
        self._is_target = is_target
        self._path_of = path_of
        self._hang_seconds = hang_seconds
        self._count_seconds = 0.0
        self._sessions: tuple[Session, TrioSession | None] | None = None
        self._undo: list[Callable[[], None]] = []

    # -- for the whole session: tasks that are made while it is not installed can't be cancelled

    def install(self) -> None:
        """Reach tasks from now on; `count` and `inject` do so for their own time."""
        _TAP.install()
        self._undo.append(_TAP.uninstall)
        if "trio" in sys.modules:
            _trio_tap().install()
            self._undo.append(_trio_tap().uninstall)

    def uninstall(self) -> None:
        """Undo `install`."""
        while self._undo:
            self._undo.pop()()

    # -- one run

    @contextmanager
    def count(self) -> Iterator[list[FaultPoint]]:
        """Pass 0: the list fills, in order, while the block runs; nothing is cancelled."""
        register, observation = self._register(None), Observation()
        started = _real.monotonic()
        with self._active(register, observation, again=0):
            yield register.points
        self._count_seconds = _real.monotonic() - started
        self.without, self.suspensions = observation, register.suspensions

    @contextmanager
    def inject(self, point: FaultPoint, mode: Mode = "transient", *, again: int = 0) -> Iterator[AwaitInjection]:
        """While the block runs, the point is cancelled.

        Args:
            mode: ``persistent`` cancels again at the first suspension after that.
            again: at the nth one instead.
        """
        observation = AwaitInjection(without=self.without)
        if mode == "persistent":
            again = again or 1
        with self._active(self._register(point), observation, again=again):
            yield observation

    def around(self, function: Callable[..., Awaitable[Any]], *, level: bool = False) -> Callable[..., Any]:
        """The coroutine function with a scope around it, for a runner that must not be cancelled itself.

        anyio runs tests and fixtures in one task: its scope takes the cancellation
        in, and what comes out is an InjectedCancellation.

        Args:
            level: under asyncio too, cancel through a scope of anyio's.
        """

        @functools.wraps(function)
        async def scoped(*args: Any, **kwargs: Any) -> Any:
            if self._sessions is None:
                return await function(*args, **kwargs)
            session, trio_session = self._sessions
            scope: Any
            if trio_session is not None and _runs_in_trio():
                from pytest_leakguard.faults.cancel_trio import cancellable

                with cancellable(trio_session) as scope:
                    return await function(*args, **kwargs)
            elif level:
                import anyio

                with anyio.CancelScope() as scope:
                    session.scope = scope
                    try:
                        return await function(*args, **kwargs)
                    finally:
                        session.scope = None
            else:
                return await function(*args, **kwargs)
            # only a scope that was cancelled goes on here
            wanted = session.register.wanted or ""
            raise planned(InjectedCancellation(f"cancelled by pytest-leakguard at {wanted}"), wanted)

        return scoped

    def _register(self, wanted: FaultPoint | None) -> Register:
        return Register(self.family, is_target=self._is_target, path_of=self._path_of, wanted=wanted)

    @contextmanager
    def _active(self, register: Register, observation: Observation, *, again: int) -> Iterator[None]:
        hang_seconds = max(self._hang_seconds, HANG_FACTOR * self._count_seconds)
        session = Session(
            register,
            observation,
            background=Counter(stuck.task for stuck in self.without.pending),
            again=again,
            hang_seconds=hang_seconds,
        )
        trio_session = None
        if "trio" in sys.modules and self.family == "cancel":
            from pytest_leakguard.faults.cancel_trio import TrioSession

            trio_session = TrioSession(register, observation, hang_seconds=hang_seconds)
            _trio_tap().install()
            _trio_tap().session = trio_session
        _TAP.install()
        _TAP.session, self._sessions = session, (session, trio_session)
        try:
            yield
        finally:
            session.end()
            _TAP.session = self._sessions = None
            _TAP.uninstall()
            if trio_session is not None:
                _trio_tap().session = None
                _trio_tap().uninstall()


def injectors(targets: Targets) -> list[Injector]:
    """Those of the families of this module, for the sweep."""
    return [
        AwaitInjector(family, is_target=targets.is_target, path_of=targets.path_of) for family in get_args(AwaitFamily)
    ]


def _trio_tap() -> TrioTap:
    from pytest_leakguard.faults.cancel_trio import TrioTap

    if not _TRIO_TAPS:
        _TRIO_TAPS.append(TrioTap())
    return _TRIO_TAPS[0]


def _runs_in_trio() -> bool:
    trio = sys.modules.get("trio")
    try:  # its in_trio_run() is younger than the oldest trio that we accept
        return trio is not None and trio.lowlevel.current_task() is not None
    except RuntimeError:
        return False
