"""`guard`: the check of `leak_check`, for any program: a block, an async block, or a function."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType, TracebackType
from typing import Any, TypeVar, cast

from pytest_leakguard import _real
from pytest_leakguard.block import Block, Ground, grounds, leave, no_rules, raise_leaks
from pytest_leakguard.core import grace as times
from pytest_leakguard.core.allow import AllowRule, parse_line
from pytest_leakguard.core.kinds import choose
from pytest_leakguard.core.ledger import OUTSIDE, Context
from pytest_leakguard.core.model import KINDS, Owner, Phase
from pytest_leakguard.origins import frames
from pytest_leakguard.watch import Watch

Function = TypeVar("Function", bound=Callable[..., Any])

DEFAULT_GRACE_SECONDS = 1.0


def guard(
    *kinds: str, allow: str | Iterable[str] = (), grace: float = DEFAULT_GRACE_SECONDS, trace: bool = False
) -> Guarded:
    """Check that what a block or a call acquires is released by its end.

    ``with guard():``, ``async with guard():``, and ``@guard()`` on functions, async ones too.

    Args:
        kinds: only these; none means the default set, without tracked objects. ``+state`` adds to that.
        allow: rules ``KIND:GLOB -- reason`` for leaks that may pass.
        grace: seconds to wait for what goes by itself.
        trace: tell the line of every acquisition, and of every close that hits the wrong descriptor: exact and
            slow. Inside a session that checks the test, ``--leakguard-trace`` decides instead.
    Raises:
        LeakError: at the end; an error of the body comes out instead, with the leaks as a
            note (Python 3.11 and later).
        ValueError: an unknown kind, a bad rule or time.
        TypeError: used as ``@guard`` without parentheses, or on a generator function.
    """
    for kind in kinds:
        if not isinstance(kind, str):
            raise TypeError(f"guard(): {kind!r} is no kind. Write @guard() with its parentheses; kinds are strings.")
    known = _known_kinds()
    chosen = choose(",".join(kinds), known, "guard()") if kinds else choose("default", known, "guard()") - {"object"}
    lines = [allow] if isinstance(allow, str) else allow
    rules = tuple(parse_line(line, kinds=known, source="guard()") for line in lines)
    return Guarded(chosen, rules, times.seconds(grace, "guard()"), trace)


class Guarded:
    """What `guard` gives. May be entered again, also by several threads and tasks at once."""

    def __init__(
        self, kinds: frozenset[str], rules: tuple[AllowRule, ...], grace_seconds: float, trace: bool = False
    ) -> None:
        self._kinds = kinds
        self._trace = trace
        self._rules = rules
        self._grace_seconds = grace_seconds
        self._entered: list[tuple[object, Block]] = []

    def __enter__(self) -> None:
        self._enter(*_called(_real.getframe(1)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        raise_leaks(leave(self._left()), error)

    async def __aenter__(self) -> None:
        self._enter(*_called(_real.getframe(1)))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        __tracebackhide__ = True
        # the loop may still release something; a cancelled task is not kept waiting
        patient = error is None or isinstance(error, Exception)
        steps = self._left().leave(patient=patient)
        try:
            while True:
                try:
                    seconds = next(steps)
                except StopIteration as end:
                    raise_leaks(end.value, error)
                    return
                await _pause(seconds)
        finally:
            steps.close()

    def __call__(self, function: Function) -> Function:
        """Guard each call of a function. Raises TypeError for what does its work after the call."""
        name = getattr(function, "__qualname__", repr(function))
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            raise TypeError(
                f"guard() can't decorate the generator function {name}: its body runs after the call has returned. "
                "Put `with guard():` inside it, or around what uses it."
            )
        if inspect.isclass(function) or not callable(cast(Any, function)):
            raise TypeError(f"guard() decorates functions, not {name}. Decorate its methods.")
        code = getattr(inspect.unwrap(function), "__code__", None)
        where = (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_coroutine(*args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                each = self._each(f"guard() of {name}", *where)
                async with each:
                    return await function(*args, **kwargs)

            return cast(Function, guarded_coroutine)

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            each = self._each(f"guard() of {name}", *where)
            with each:
                return function(*args, **kwargs)

        return cast(Function, guarded)

    def _each(self, name: str, file: str, line: int) -> Guarded:
        """One call's own, that tells the function in place of the line that entered."""
        return _OfFunction(self._kinds, self._rules, self._grace_seconds, self._trace, (name, file, line))

    def _enter(self, name: str, file: str, line: int) -> None:
        ground = ground_here()
        rules = self._rules
        place = ground.place
        if ground.own:
            context = _context(name, f"{frames.shorten(file, ground.watch.root)}:{line}" if file else "")
            place = lambda: context  # noqa: E731
        block = Block(
            ground, self._kinds, self._grace_seconds, rules=lambda: [*rules, *ground.rules()], place=place,
            trace=self._trace,
        )  # fmt: skip
        self._entered.append((_flow(), block))
        try:
            block.enter()
        except BaseException:
            self._left()
            raise

    def _left(self) -> Block:
        """The block that this thread or task entered last."""
        flow = _flow()
        index = next((index for index in range(len(self._entered) - 1, -1, -1) if self._entered[index][0] == flow), -1)
        return self._entered.pop(index)[1]


class _OfFunction(Guarded):
    """Guards one call of a decorated function."""

    def __init__(
        self, kinds: frozenset[str], rules: tuple[AllowRule, ...], grace_seconds: float, trace: bool,
        called: tuple[str, str, int],
    ) -> None:  # fmt: skip
        super().__init__(kinds, rules, grace_seconds, trace)
        self._called = called

    def _enter(self, name: str, file: str, line: int) -> None:
        super()._enter(*self._called)


# -- where a block stands


_own: list[Ground] = []
_making = threading.Lock()


def ground_here() -> Ground:
    """That of the session that runs, else the process's own."""
    session = _session_ground()
    if session is not None:
        return session
    root, tmp_roots, others = _project()
    with _making:  # two would take each other's events
        return _own_ground(root, tmp_roots, others)


def _own_ground(root: str, tmp_roots: tuple[str, ...], others: list[Any]) -> Ground:
    if _own and _own[-1].watch.is_own_process() and (_own[-1].is_used or _own[-1].watch.root == root):
        return _own[-1]
    watch = Watch(root=root, tmp_roots=tmp_roots, others=others)
    ground = Ground(watch, rules=no_rules, place=watch.recorder.context, own=True)
    _own[:] = [ground]
    return ground


def _session_ground() -> Ground | None:
    """That of a session which checks the test that runs; outside of tests what is acquired is nobody's there."""
    for ground in reversed(grounds):
        watch = ground.watch
        if watch.recorder.active and watch.is_own_process() and watch.ledger.now is not OUTSIDE:
            return ground
    return None


def _known_kinds() -> list[str]:
    session = _session_ground()
    if session is not None:
        return [state.kind for state in session.watch.roster.states()]
    return [*KINDS, *(str(getattr(probe, "kind", "")) for probe in _project()[2])]


def _project() -> tuple[str, tuple[str, ...], list[Any]]:
    """The folder that reports start from; where pytest runs, the folders it cleans up and the probes of plugins."""
    entry = sys.modules.get("pytest_leakguard.plugin.entry")
    config = entry.configs[-1] if entry is not None and entry.configs else None
    if config is None:
        return os.getcwd(), (), []
    from pytest_leakguard.plugin import internals

    assert entry is not None
    return str(config.rootpath), internals.tmp_roots(config), entry.other_probes(config)


def _called(frame: FrameType) -> tuple[str, str, int]:
    """The name, file and line of a block that is entered there."""
    return f"guard() in {frames.name_of(frame.f_code)}", frame.f_code.co_filename, frame.f_lineno


def _context(name: str, where: str) -> Context:
    """The owner of what a block acquires: the test that runs it, else the block."""
    test, _, phase = _real.environ_get("PYTEST_CURRENT_TEST", "").rpartition(" ")
    # a child process of a test inherits the variable, and runs no test
    if test and "_pytest.runner" in sys.modules:
        of_test = Owner(kind="test", scope="function", name=test)
        return Context(of_test, test, cast("Phase", phase.strip("()")))
    return Context(Owner(kind="block", scope="block", name=name, where=where), "", None)


# -- threads and tasks


def _flow() -> object:
    """What runs now, so that the same guard may be entered by several at once."""
    task = _asyncio_task() or _trio_task()
    return (_real.get_ident(), id(task) if task is not None else 0)


def _asyncio_task() -> object | None:
    asyncio = sys.modules.get("asyncio")
    try:
        return asyncio.current_task() if asyncio is not None else None
    except RuntimeError:
        return None


def _trio_task() -> object | None:
    trio = sys.modules.get("trio")
    try:
        return cast("object", trio.lowlevel.current_task()) if trio is not None else None
    except RuntimeError:
        return None


async def _pause(seconds: float) -> None:
    """Wait, and let the loop that runs go on."""
    if _asyncio_task() is not None:
        await sys.modules["asyncio"].sleep(seconds)
    elif _trio_task() is not None:
        await sys.modules["trio"].sleep(seconds)
    else:
        _real.sleep(seconds)
