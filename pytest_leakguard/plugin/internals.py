"""The few places where pytest offers no public name. Each degrades quietly when a name is gone."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from types import FrameType, FunctionType
from typing import Any, cast

import pytest


def finalizer_count(fixturedef: Any) -> int:
    """How many finalizers a fixture has; -1 when that can't be told."""
    finalizers = getattr(fixturedef, "_finalizers", None)
    return len(finalizers) if isinstance(finalizers, list) else -1


def finalizers(fixturedef: Any) -> tuple[Any, ...]:
    """A fixture's finalizers."""
    return tuple(getattr(fixturedef, "_finalizers", None) or ())


def cached_value(fixturedef: Any) -> Any:
    """A fixture's value, or None."""
    cached = getattr(fixturedef, "cached_result", None)
    return cached[0] if cached else None


def fixture_definitions(session: Any) -> list[Any]:
    """All fixtures that were collected."""
    manager = getattr(session, "_fixturemanager", None)
    every = getattr(manager, "_get_all_fixture_defs", None)
    if every is not None:  # pytest 9.1 and later
        return list(every())
    known = getattr(manager, "_arg2fixturedefs", None)
    return [one for definitions in known.values() for one in definitions] if isinstance(known, dict) else []


def is_set_up(session: Any, node: Any) -> bool:
    """Whether a node is set up and not torn down."""
    stack = getattr(getattr(session, "_setupstate", None), "stack", None)
    return stack is None or node in stack


def has_own_teardown(node: Any, before: int) -> bool:
    """Whether the end of a node runs anything: a teardown of its class, or finalizers beyond those of before."""
    if type(node).teardown is not pytest.Collector.teardown:
        return True
    stack = getattr(getattr(node.session, "_setupstate", None), "stack", None) or {}
    return node not in stack or len(stack[node][0]) > before


def node_finalizers(node: Any) -> list[Any]:
    """What is still to be called when a node is torn down, the last one first; it gets shorter while that goes on."""
    stack = getattr(getattr(node.session, "_setupstate", None), "stack", None) or {}
    return stack[node][0] if node in stack else []


def drop_references(item: pytest.Item) -> None:
    """Let go what pytest itself holds of a test that is over, so that its objects can die.

    pytest empties the same places a moment later.
    """
    funcargs = getattr(item, "funcargs", None)
    if isinstance(funcargs, dict):
        funcargs.clear()
    for name in ("last_exc", "last_value", "last_traceback", "last_type"):
        if hasattr(sys, name):
            delattr(sys, name)
    logging = item.config.pluginmanager.get_plugin("logging-plugin")
    for name in ("caplog_handler", "report_handler"):
        # records keep what was logged; pytest starts both anew with the next phase
        reset = getattr(getattr(logging, name, None), "reset", None)
        if reset is not None:
            reset()


def reports_so_far(item: pytest.Item) -> list[pytest.TestReport]:
    """The reports of the phases that a running test has behind it: pytest's loop over the phases has them."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_name != "runtestprotocol":
        frame = frame.f_back
    reports = frame.f_locals.get("reports") if frame is not None else None
    if not isinstance(reports, list):
        return []
    return [report for report in reports if isinstance(report, pytest.TestReport) and report.nodeid == item.nodeid]


def run_test_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> list[pytest.TestReport]:
    """Setup, call and teardown of a test, without logging; as the plugins that rerun tests do it."""
    from _pytest.runner import runtestprotocol

    return runtestprotocol(item, log=False, nextitem=nextitem)


def drain_unraisable(config: pytest.Config) -> None:
    """Have pytest tell now what its hook queued: as a warning, or raised under an error filter."""
    __tracebackhide__ = True
    with contextlib.suppress(ImportError):
        from _pytest import unraisableexception

        collect = getattr(unraisableexception, "collect_unraisable", None)
        key = getattr(unraisableexception, "unraisable_exceptions", None)
        if collect is not None and key is not None and key in config.stash:
            collect(config)


def capture_descriptors(config: pytest.Config) -> frozenset[int]:
    """What pytest's capturing of output sets anew in every phase (1 and 2), and what it does that with."""
    capturing = getattr(config.pluginmanager.get_plugin("capturemanager"), "_global_capturing", None)
    numbers: set[object] = set()
    one: Any
    for one in (getattr(capturing, "out", None), getattr(capturing, "err", None)):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # it captures in another way, or no more
            numbers |= {one.targetfd, one.targetfd_save, one.tmpfile.fileno()}
    return frozenset(number for number in numbers if type(number) is int)


def callers() -> list[FunctionType]:
    """The functions that call tests and fixture functions."""
    modules = (("_pytest.python", "pytest_pyfunc_call"), ("_pytest.fixtures", "call_fixture_func"))
    found = (getattr(sys.modules.get(module), name, None) for module, name in modules)
    return [function for function in found if isinstance(function, FunctionType)]


def tmp_roots(config: pytest.Config) -> tuple[str, ...]:
    """The folders below which pytest keeps tmp_path: cleaned up by pytest's own policy."""
    from pytest_leakguard.probes.tempfiles import temp_folder

    roots: list[str] = []
    given = config.getoption("basetemp", None)
    if given:
        roots.append(os.path.abspath(str(given)) + os.sep)
    top = os.environ.get("PYTEST_DEBUG_TEMPROOT") or temp_folder()
    roots.append(os.path.join(top, "pytest-of-"))
    factory = getattr(config, "_tmp_path_factory", None)
    base = getattr(factory, "_basetemp", None)
    if base is not None:
        roots.append(str(base) + os.sep)
    real = {os.path.realpath(root) + os.sep for root in roots if root.endswith(os.sep)}
    return tuple(sorted(real | set(roots)))


def raw_ini(config: pytest.Config, name: str) -> object:
    """What the ini file or `-o` says, unconverted; None when neither sets it."""
    given = _ini_settings(config).get(name)
    return getattr(given, "value", given)


def ini_names(config: pytest.Config) -> tuple[str, ...]:
    """The names that the ini file or `-o` sets; empty when pytest does not tell."""
    return tuple(_ini_settings(config))


def _ini_settings(config: pytest.Config) -> Mapping[str, object]:
    # the public `inicfg` warns since pytest 9.1
    settings = getattr(config, "_inicfg", None)
    if settings is not None:
        return cast("Mapping[str, object]", settings)
    if hasattr(type(config), "inicfg"):
        return {}
    # pytest 8 has plain values there, and keeps those of `-o` apart
    overrides = (line.partition("=") for line in getattr(config, "_override_ini", ()))
    return {**getattr(config, "inicfg", {}), **{name: value for name, _, value in overrides}}


def renew_request(item: pytest.Item) -> None:
    """Give an item that has run fresh function fixtures, as pytest does before each run."""
    renew = getattr(item, "_initrequest", None)
    if renew is not None:
        renew()


def end_request(item: Any) -> None:
    """Let go what `renew_request` made, as pytest does after each run."""
    if hasattr(item, "_request"):
        item._request = False
        item.funcargs = None


def take_stored_error(item: pytest.Item) -> BaseException | None:
    """The error that a unittest item keeps instead of raising it."""
    stored = getattr(item, "_excinfo", None)
    if not stored:
        return None
    error: BaseException = stored[0].value
    stored.clear()
    return error


def note_outcome(item: pytest.Item, when: str, passed: bool) -> None:
    """What pytest's `tmp_path` looks up in its teardown; it notes that when a report is made."""
    with contextlib.suppress(ImportError):
        from _pytest import tmpdir

        key = getattr(tmpdir, "tmppath_result_key", None)
        if key is not None:
            item.stash.setdefault(key, {})[when] = passed


def report_sections(item: pytest.Item) -> list[Any]:
    """What was captured of an item so far; a list that grows."""
    sections = getattr(item, "_report_sections", None)
    return sections if isinstance(sections, list) else []


class WiderFixturesHeld:
    """While it holds, the teardown of an item ends with its function fixtures; `end` makes up for the rest.

    pytest tears wider scopes down when the next item has no use for them. Trials
    come in between, and are to find them as the test did.
    """

    def __init__(self, session: Any, instead: pytest.Item) -> None:
        self._state = getattr(session, "_setupstate", None)
        self._asked: list[Any] = []
        if self._state is not None:
            real = self._state.teardown_exact

            def teardown_exact(nextitem: Any) -> None:
                self._asked.append(nextitem)
                real(instead)

            self._state.teardown_exact = teardown_exact

    def let_go(self) -> bool:
        """Pytest's own way again. Gives whether a teardown was put off."""
        if self._state is not None:
            self._state.__dict__.pop("teardown_exact", None)
        return bool(self._asked)

    def end(self) -> None:
        """The teardown that was put off. Raises whatever the fixtures raise."""
        if self.let_go() and self._state is not None:
            self._state.teardown_exact(self._asked[0])  # the later ones were asked by trials


def shows_progress(terminal: Any) -> bool:
    """Whether pytest shows how far it is; not with ``-s``, ``--setup-show`` or the classic style."""
    return bool(getattr(terminal, "_show_progress_info", False))


def line_below(terminal: Any) -> LineBelow | None:
    """A line of its own below the one that pytest is in; None where the terminal can't be told to go back to that."""
    writer = getattr(terminal, "_tw", None)
    file = getattr(writer, "_file", None)
    can_move = os.name != "nt" and os.environ.get("TERM", "dumb") != "dumb"
    if not can_move or not getattr(terminal, "isatty", False) or file is None:
        return None
    return LineBelow(writer, file)


class LineBelow:
    """Written past the terminal writer, which counts how much of a line is used and would lose count."""

    def __init__(self, writer: Any, file: Any) -> None:
        self._writer = writer
        self._file = file
        self._is_open = False

    def write(self, text: str) -> None:
        """Write over what is there."""
        width = self._writer.fullwidth - 1
        self._file.write(f"{'' if self._is_open else chr(10)}\r{text[:width]:<{width}}\r")
        self._file.flush()
        self._is_open = True

    def end(self) -> None:
        """Erase it, and go back to where pytest was."""
        if self._is_open:
            self.write("")
            used = self._writer.width_of_current_line
            self._file.write("\x1b[1A" + (f"\x1b[{used}C" if used else ""))
            self._file.flush()
            self._is_open = False


def end_wider_fixtures(item: pytest.Item, report: pytest.TestReport, held: WiderFixturesHeld) -> None:
    """The teardown that was put off; an error of theirs is the report's, as without us."""
    call = pytest.CallInfo.from_call(held.end, "teardown")
    if call.excinfo is not None and report.outcome == "passed":
        ended = pytest.TestReport.from_item_and_call(item, call)
        report.outcome, report.longrepr = ended.outcome, ended.longrepr


def cancel_timeout(item: pytest.Item) -> None:
    """The timer of pytest-timeout is for the test, which is over."""
    cancel: Any = getattr(item.config.hook, "pytest_timeout_cancel_timer", None)
    if cancel is not None:
        cancel(item=item)


def add_suite_properties(config: pytest.Config, properties: list[tuple[str, str]]) -> None:
    """Put properties on the suite in JUnit XML, if it is written; pytest offers that to fixtures only."""
    try:
        from _pytest.junitxml import xml_key
    except ImportError:
        return
    add = getattr(config.stash.get(xml_key, None), "add_global_property", None)
    if add is not None:
        for name, value in properties:
            add(name, value)
