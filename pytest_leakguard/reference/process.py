"""Child processes, threads and executors that are ended and waited for."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, Literal, ParamSpec, TypeVar, overload

from pytest_leakguard.reference._closing import ClosedOnExit
from pytest_leakguard.reference._expect import expect, expect_callable, expect_positive
from pytest_leakguard.reference._unwind import add_note, attach, close_all, undo
from pytest_leakguard.reference.errors import AlreadyOpen, NotOpen, ReleaseTimeout

if TYPE_CHECKING:
    from _typeshed import StrPath
    from typing_extensions import Self

AnyText = TypeVar("AnyText", str, bytes)
E = TypeVar("E", bound=Executor)
P = ParamSpec("P")


class ManagedProcess(ClosedOnExit, Generic[AnyText]):
    """A child process with its pipes; by `with`, or by `open()` and `close()`; usable again.

    Acquires: the process and its pipes; then `ready(process)` is called, if given, as a start-up check.
    Releases: the child is told to terminate if it still runs, killed after a grace, and waited for, so there is no
    zombie; then its pipes are closed.
    Acquisition fails, or the start-up check does: ended and closed as above; the error comes out with a note that
    names the command.
    Body fails: the same; the body's error comes out.
    Release fails (a child that survives a kill, a pipe whose flush fails): the rest is done; the first error comes
    out, each further one is a note on it.
    States: closed → running → closed …; `returncode` is that of the last child.
    One thread at a time, for open and close.

    Args:
        args: the command.
        ready: called with the started `Popen`; raises when the child is not as it must be.
        grace_seconds: between terminate and kill.
        text: pipes of str and not of bytes.
        options: further ones of `subprocess.Popen`: `stdin`, `stdout`, `cwd`, `env` …
    """

    @overload
    def __init__(
        self: ManagedProcess[bytes], args: Sequence[StrPath], *, text: Literal[False] = False,
        ready: Callable[[subprocess.Popen[bytes]], object] | None = None, grace_seconds: float = 5.0, **options: Any,
    ) -> None: ...  # fmt: skip
    @overload
    def __init__(
        self: ManagedProcess[str], args: Sequence[StrPath], *, text: Literal[True],
        ready: Callable[[subprocess.Popen[str]], object] | None = None, grace_seconds: float = 5.0, **options: Any,
    ) -> None: ...  # fmt: skip
    def __init__(
        self, args: Sequence[StrPath], *, text: bool = False,
        ready: Callable[[Any], object] | None = None, grace_seconds: float = 5.0, **options: Any,
    ) -> None:  # fmt: skip
        self.args = list(args)
        self.name = str(self.args[0]) if self.args else "no command"
        if ready is not None:
            expect_callable(ready, f"ready of ManagedProcess {self.name!r}", "a callable that takes a Popen")
        expect_positive(grace_seconds, f"grace_seconds of ManagedProcess {self.name!r}", "seconds")
        self._ready = ready
        self._grace_seconds = grace_seconds
        self._options = {**options, "text": text}
        self._process: subprocess.Popen[AnyText] | None = None
        self.returncode: int | None = None

    @property
    def state(self) -> Literal["closed", "running"]:
        """Which of its two states it is in; `running` until the close, also when the child has ended by itself."""
        return "closed" if self._process is None else "running"

    @property
    def process(self) -> subprocess.Popen[AnyText]:
        """The started process.

        Raises:
            NotOpen: it is closed.
        """
        if self._process is None:
            raise NotOpen(f"process {self.name!r} is not running")
        return self._process

    def open(self) -> subprocess.Popen[AnyText]:
        """Start the child, and check it.

        Raises:
            AlreadyOpen: it is running.
            OSError: as `Popen` does.
            BaseException: what `ready` raised.
        """
        if self._process is not None:
            raise AlreadyOpen(f"process {self.name!r} (pid {self._process.pid}) is running already; close it first")
        try:
            self.returncode = None
            self._process = subprocess.Popen(self.args, **self._options)
            if self._ready is not None:
                self._ready(self._process)
            return self._process
        except BaseException as error:
            add_note(error, f"while starting process {self.name!r}")
            undo(error, self._closing, self.close)
            raise

    def close(self) -> None:
        """End the child, wait for it, close its pipes; nothing when it is closed.

        Raises:
            ReleaseTimeout: it is still there after a kill; it can be closed again.
            OSError: a pipe could not be flushed; it is closed.
        """
        process = self._process
        if process is None:
            return
        pipes = [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None]
        close_all(
            (f"terminating process {self.name!r}", self._terminate),
            (f"killing process {self.name!r}", self._kill),
            *[(f"closing a pipe of {self.name!r}", pipe.close) for pipe in pipes],
            (f"forgetting process {self.name!r}", self._forget_if_ended),
        )

    def _terminate(self) -> None:
        process = self.process
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(self._grace_seconds)
            except subprocess.TimeoutExpired:
                pass  # the kill comes next

    def _kill(self) -> None:
        process = self.process
        if process.poll() is None:
            process.kill()
            try:
                process.wait(self._grace_seconds)
            except subprocess.TimeoutExpired as error:
                raise ReleaseTimeout(
                    f"process {self.name!r} (pid {process.pid}) is there {self._grace_seconds} s after a kill"
                ) from error

    def _forget_if_ended(self) -> None:
        if self._process is not None and self._process.returncode is not None:
            self.returncode = self._process.returncode
            self._process = None

    @property
    def _closing(self) -> str:
        return f"ending process {self.name!r}"

    def __enter__(self) -> subprocess.Popen[AnyText]:
        return self.open()


class WorkerThread(ClosedOnExit):
    """A thread that is told to stop, and joined; by `with`, or by `open()` and `close()`; usable again.

    Acquires: the thread, with a stop event of its own. Releases: the event is set, the thread joined.
    Acquisition fails (no thread can be started): its error comes out, nothing is left.
    Body fails: told and joined all the same; the body's error comes out.
    The thread's own error is not lost: it comes out of the close, or is a note on the body's.
    Release fails: a thread that does not end in time is told by `ReleaseTimeout`; `close()` may be called again.
    States: closed → running → closed …
    Locking: the event is all that the two threads share; the error is read after the join.

    Args:
        target: called with the stop event, in the thread; ends soon after the event is set.
        name: of the thread.
        join_timeout: seconds it gets to end.
    """

    def __init__(
        self, target: Callable[[threading.Event], object], *, name: str = "worker", join_timeout: float = 10.0
    ) -> None:
        expect_callable(target, f"target of WorkerThread {name!r}", "a callable that takes a stop event")
        expect_positive(join_timeout, f"join_timeout of WorkerThread {name!r}", "seconds")
        self.name = name
        self.stop = threading.Event()
        self._target = target
        self._join_timeout = join_timeout
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def state(self) -> Literal["closed", "running"]:
        """Which of its two states it is in; `running` until the close, also when the thread has ended by itself."""
        return "closed" if self._thread is None else "running"

    @property
    def is_alive(self) -> bool:
        """Whether its thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def open(self) -> Self:
        """Start the thread.

        Raises:
            AlreadyOpen: it is running.
            RuntimeError: as `Thread.start` does.
        """
        if self._thread is not None:
            raise AlreadyOpen(f"thread {self.name!r} is running already; close it first")
        try:
            self.stop.clear()
            self._error = None
            self._thread = threading.Thread(target=self._run, name=self.name)
            self._thread.start()
            return self
        except BaseException as error:
            add_note(error, f"while starting thread {self.name!r}")
            undo(error, self._closing, self.close)
            raise

    def _run(self) -> None:
        try:
            self._target(self.stop)
        except BaseException as error:
            # without its traceback the caller could not see where; with it, this frame is dropped by `close`
            self._error = error

    def close(self) -> None:
        """Tell the thread to stop and join it; nothing when it is closed.

        Raises:
            ReleaseTimeout: it did not end in time.
            BaseException: what it raised.
        """
        thread = self._thread
        if thread is None:
            return
        self.stop.set()
        # a thread whose start failed has no ident and can't be joined
        if thread.ident is not None:
            thread.join(self._join_timeout)
            if thread.is_alive():
                raise ReleaseTimeout(f"thread {self.name!r} did not end within {self._join_timeout} s")
        self._thread = None
        error, self._error = self._error, None
        if error is not None:
            add_note(error, f"in thread {self.name!r}")
            try:
                raise error
            finally:
                del error

    @property
    def _closing(self) -> str:
        return f"joining thread {self.name!r}"

    def __enter__(self) -> Self:
        return self.open()


@contextmanager
def managed_executor(make: Callable[P, E], *args: P.args, **kwargs: P.kwargs) -> Iterator[E]:
    """An executor for a block: `with managed_executor(ThreadPoolExecutor, max_workers=4) as executor`.

    Acquires: what `make(*args, **kwargs)` gives. Releases: it is shut down, and its threads or processes joined.
    Body ends well: all pending work is done first.
    Body fails: work that has not begun is cancelled, what has begun is waited for; the body's error comes out.
    Interrupted while it waits: pending work is cancelled, what has begun is waited for; then the interrupt comes out.

    Raises:
        TypeError: `make` is no callable, or gives no executor.
    """
    expect_callable(make, "managed_executor", "an executor class or a callable that gives an executor")
    executor: E | None = None
    try:
        executor = make(*args, **kwargs)
        expect(executor, ("submit", "shutdown"), "managed_executor", "an executor")
        yield executor
        executor.shutdown(wait=True)
    except BaseException as error:
        if isinstance(executor, Executor):
            try:
                executor.shutdown(wait=True, cancel_futures=True)
            except Exception as second:
                attach(error, second, "shutting down the executor")
        raise
