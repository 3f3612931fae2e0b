"""`inject_error`: the test raises an error where it wants to, and passes when that error comes out of it.

The error is caught around the test function itself, inside the event loop where there
is one: a KeyboardInterrupt that reached the loop would end it before the clean-up. What
ends the loop all the same, raised in a task of the test's own, is caught around the
whole call phase.
"""

from __future__ import annotations

import functools
import inspect
import shlex
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_leakguard import _real
from pytest_leakguard.faults.errors import fault_of, is_injected, planned
from pytest_leakguard.origins import frames
from pytest_leakguard.plugin.inject_types import DEFAULT_NAMES, types_of
from pytest_leakguard.plugin.xdist import usage_errors_of_a_worker

FIXTURE = "inject_error"
INI = "leakguard_inject_errors"
_PLUGIN = "leakguard-inject"


class InjectError:
    """Raises one error where the test asks for it. The fixture ``inject_error`` is one of these.

    Attributes:
        type: of the error that `here` raises.
    """

    def __init__(self, kind: type[BaseException], item: pytest.Item) -> None:
        self.type = kind
        self._test = item.nodeid
        self._mark = f"{FIXTURE}:{item.nodeid}"
        self._root = str(item.config.rootpath)
        self._place = ""
        self._came_out = False
        self._verdict = ""
        self._cause: BaseException | None = None

    def __repr__(self) -> str:
        return f"<inject_error of {self.type.__name__}>"

    def here(self) -> None:
        """Raise the error. Each call raises a new one."""
        __tracebackhide__ = True
        frame = _real.getframe(1)
        self._place = f"{frames.shorten(frame.f_code.co_filename, self._root)}:{frame.f_lineno}"
        del frame
        text = f"injected at {self._place} (repeat with pytest {shlex.quote(self._test)})"
        raise planned(self.type(text), self._mark)

    # -- what came out -------------------------------------------------------

    def is_own(self, error: BaseException) -> bool:
        """Whether it is the error, or a group of nothing else, as task groups and nurseries make it."""
        members = getattr(error, "exceptions", None)
        if isinstance(members, tuple) and members:
            return all(self.is_own(member) for member in members)
        if type(error).__name__ == "CancelledError" and error.__context__ is not None and not is_injected(error):
            return self.is_own(error.__context__)  # Python 3.10 hands a task's cancellation on as a new one
        return fault_of(error) == self._mark

    def takes(self, error: BaseException) -> bool:
        """An error came out of the test: whether the verdict is ours; else it goes on its way."""
        if not self._place or self._came_out or self._verdict:
            return self._came_out and self.is_own(error)
        if self.is_own(error):
            self._came_out = True
        elif _is_pytests(error) or (isinstance(error, KeyboardInterrupt) and not is_injected(error)):
            return False
        else:
            self._cause = error
            self._verdict = f"{type(error).__name__} came out of the test in its place"
        return True

    def returned(self) -> None:
        """The test came to its end, without an error."""
        if self._place:
            self._verdict = "it did not come out of the test: something between swallowed it"
        else:
            self._verdict = "inject_error.here() was never reached"

    def settle(self) -> None:
        """The call phase is over. Raises pytest.fail.Exception, unless the error came out of it."""
        __tracebackhide__ = True
        verdict, cause = self._verdict, self._cause
        self._verdict, self._cause = "", None  # its traceback holds the test's locals
        try:
            if verdict:
                raised = f"{FIXTURE} raised {self.type.__name__} at {self._place}: " if self._place else ""
                raise pytest.fail.Exception(raised + verdict, pytrace=cause is not None) from cause
        finally:
            del cause

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The test function, with what comes out of it taken."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def awaited(*args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    if not self.takes(error):
                        raise
                    return None
                self.returned()
                return result

            return awaited

        @functools.wraps(function)
        def called(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                if not self.takes(error):
                    raise
                return None
            self.returned()
            return result

        return called


def _is_pytests(error: BaseException) -> bool:
    """pytest.skip, fail, xfail and exit: what the test says of itself."""
    return isinstance(error, (pytest.fail.Exception, pytest.skip.Exception, pytest.exit.Exception))


@contextmanager
def injecting(request: pytest.FixtureRequest) -> Iterator[InjectError]:
    """What the fixture does for one test."""
    item: Any = request.node
    kind = getattr(request, "param", None)
    if kind is None or not hasattr(item, "obj"):
        pytest.fail(
            "inject_error runs a test once for each error type, so the test has to name it as an argument or by "
            "@pytest.mark.usefixtures; getfixturevalue() and unittest classes can't do that",
            pytrace=False,
        )
    injections = _injections(request.config)
    injected = InjectError(types_of(kind, f"inject_error of {item.nodeid}")[0], item)
    function = item.obj
    item.obj = injected.wrapped(function)
    injections.running[item.nodeid] = injected
    try:
        yield injected
    finally:
        injections.running.pop(item.nodeid, None)
        item.obj = function


class Injections:
    """Registered when the first test that asks for `inject_error` is collected.

    Attributes:
        running: test id -> what its fixture gave.
    """

    def __init__(self) -> None:
        self.running: dict[str, InjectError] = {}
        self.refused: pytest.UsageError | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        with usage_errors_of_a_worker(config, items):
            if self.refused is not None:
                raise self.refused
            for item in items:
                # "and nothing is left" is part of what it asks
                if FIXTURE in getattr(item, "fixturenames", ()) and item.get_closest_marker("no_leaks") is None:
                    item.add_marker(pytest.mark.no_leaks)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        __tracebackhide__ = True
        injected = self.running.get(item.nodeid)
        if injected is None:
            return (yield)
        result = None
        try:
            result = yield
        except BaseException as error:
            # a task of the test's own may have ended the loop with it
            if not injected.takes(error):
                injected.settle()
                raise
        injected.settle()
        return result


def _injections(config: pytest.Config) -> Injections:
    found = config.pluginmanager.get_plugin(_PLUGIN)
    if found is None:
        found = Injections()
        config.pluginmanager.register(found, _PLUGIN)
    assert isinstance(found, Injections)
    return found


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Run the test once for each error type, unless it names its own by parametrizing the fixture."""
    definition = metafunc.definition
    injections = _injections(metafunc.config)
    if any(FIXTURE in str(mark.args[:1]) for mark in definition.iter_markers("parametrize")):
        return
    kinds: tuple[type[BaseException], ...] = ()
    try:
        kinds = _kinds(definition)
    except pytest.UsageError as error:
        injections.refused = injections.refused or error
    metafunc.parametrize(FIXTURE, [pytest.param(kind, id=kind.__name__) for kind in kinds], indirect=True)


def _kinds(definition: pytest.Item) -> tuple[type[BaseException], ...]:
    """Those of the closest marker that names any, else those of the ini file, else ours. Raises pytest.UsageError."""
    for mark in definition.iter_markers("no_leaks"):
        if mark.kwargs.get("errors") is not None:
            return types_of(mark.kwargs["errors"], f"@pytest.mark.no_leaks on {definition.nodeid}")
    config = definition.config
    where = f"ini file {config.inipath.name}" if config.inipath else "ini settings"
    return types_of(config.getini(INI) or DEFAULT_NAMES, f"{INI} ({where})")
