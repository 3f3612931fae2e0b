"""Makes the steps of asyncio's tasks come by.

While a tap is installed, each new task of each loop runs through a `Stepper`
that stands for its coroutine. Without a session it hands every step through.
"""

from __future__ import annotations

import asyncio
import functools
from asyncio import base_events
from collections.abc import Callable, Coroutine, Generator, Iterator
from types import CoroutineType, GeneratorType
from typing import Any, Protocol

from pytest_leakguard.faults import asyncio_awaits
from pytest_leakguard.faults.await_chain import Place
from pytest_leakguard.faults.timeouts import Timeout


class Steps(Protocol):
    """A session: what a count or a trial does with the steps."""

    def step(self, stepper: Stepper, progress: Progress, value: Any, error: BaseException | None) -> Any:
        """One step of a task: what its coroutine yields. Raises what ends it."""
        ...

    def note_context(self, context: dict[str, Any]) -> None:
        """What a loop tells its exception handler."""
        ...

    def note_collected(self, closer: object) -> None:
        """A task is made of something that is no coroutine."""
        ...


class Tap:
    """Makes the tasks of all loops go through steppers; what happens there is for the session, if there is one."""

    def __init__(self) -> None:
        self.session: Steps | None = None
        self._users = 0
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        """Begin; counts its callers. Tasks that exist already are not reached."""
        self._users += 1
        if self._users > 1:
            return
        create_task = base_events.BaseEventLoop.create_task
        call_handler = base_events.BaseEventLoop.call_exception_handler
        tap = self

        def create_stepped_task(loop: Any, coro: Any, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
            if tap._users and isinstance(coro, (CoroutineType, GeneratorType)):
                coro = Stepper(coro, tap, is_root=asyncio._get_running_loop() is None)
            elif tap.session is not None:
                tap.session.note_collected(coro)
            return create_task(loop, coro, *args, **kwargs)

        def call_noting_handler(loop: Any, context: dict[str, Any]) -> None:
            if tap.session is not None:
                tap.session.note_context(context)
            call_handler(loop, context)

        for name, original, ours in (
            ("create_task", create_task, create_stepped_task),
            ("call_exception_handler", call_handler, call_noting_handler),
        ):
            setattr(base_events.BaseEventLoop, name, ours)
            self._undo.append(
                functools.partial(asyncio_awaits.put_back, base_events.BaseEventLoop, name, ours, original)
            )
        self._undo += asyncio_awaits.make_suspend(lambda: self.session is not None)

    def uninstall(self) -> None:
        """End, when all callers of `install` have."""
        self._users -= 1
        while not self._users and self._undo:
            self._undo.pop()()


class Stepper(Coroutine[Any, Any, Any]):
    """Stands for a task's coroutine and is taken for it: what is asked of it, the coroutine answers."""

    def __init__(self, coroutine: Any, tap: Tap, *, is_root: bool) -> None:
        self.stepped = coroutine
        self.is_root = is_root
        self.progress: Progress | None = None
        self._tap = tap

    def send(self, value: Any) -> Any:
        session = self._tap.session
        if session is None and self.progress is None:
            return self.stepped.send(value)
        return self._step(session, value, None)

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> Any:
        if not isinstance(error, BaseException):
            error = error() if value is None else value if isinstance(value, BaseException) else error(value)
        session = self._tap.session
        if session is None and self.progress is None:
            return self.stepped.throw(error)
        return self._step(session, None, error)

    def _step(self, session: Steps | None, value: Any, error: BaseException | None) -> Any:
        progress = self.progress
        if progress is None or progress.session is not session:
            if progress is not None and progress.outcome is not None:
                raise progress.outcome
            progress = self.progress = None if session is None else Progress(session)
        if progress is None:
            return self.stepped.send(value) if error is None else self.stepped.throw(error)
        try:
            return progress.session.step(self, progress, value, error)
        except BaseException:
            self.progress = None
            raise

    def close(self) -> None:
        self.stepped.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self.stepped.__await__())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stepped, name)


class Progress:
    """What a session keeps of one task."""

    __slots__ = ("doomed", "ending", "future", "injected", "loop", "outcome", "place", "session", "timeout", "was_told")

    def __init__(self, session: Steps) -> None:
        self.session = session
        self.place: Place | None = None
        self.future: Any = None
        self.was_told = False  # a CancelledError came in
        self.injected = 0
        self.timeout: Timeout | None = None
        self.outcome: BaseException | None = None  # of a coroutine that ended, while its loop runs on for a moment
        self.ending: Iterator[Any] | None = None
        self.doomed = 0
