"""What was closed only by the garbage collector, told by its ResourceWarning.

The warning is seen under any filter of the user: an entry at the head of
``warnings.filters`` has, in place of the message's regular expression, an object
whose ``match`` notes the text, and as its category a class that is asked whether
the warning's class is a subclass of it. It answers no, and the user's own
filters decide as if the entry were not there.
A filter that a test puts before it (``catch_warnings`` with a new filter,
``pytest.warns``, ``recwarn``) hides warnings from it for as long as it is there.
"""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from types import FrameType
from typing import Any, cast

from pytest_leakguard import _real
from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Key, Resource
from pytest_leakguard.core.steady import numberless
from pytest_leakguard.origins import frames, hook
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.record import Record

_LITERAL = r"""b?(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_FILE_NAME = re.compile(rf"(?<= name=)(?:{_LITERAL})", re.DOTALL)
_FOLDER_NAME = re.compile(rf"(?<=<TemporaryDirectory )(?:{_LITERAL})", re.DOTALL)
_DESCRIPTOR = re.compile(r"\bfd=(\d+)")
_FILE_NUMBER = re.compile(r" name=(\d+)[ >]")
_ADDRESS = re.compile(r" at (0x[0-9a-fA-F]+)")
_PROCESS = re.compile(r"subprocess (\d+) is still running")
_KEPT = 1000
_FINALIZER_DEPTH = 12


@dataclass(slots=True)
class Caught:
    """One ResourceWarning: its text, who was at work, and the acquisition where that could be seen at once."""

    text: str
    context: Context
    count: int
    """How many acquisitions were recorded by then: a later one can't explain it."""
    by_collector: bool = False
    """A collection of ours brought it up: it may be older than what went on."""
    record: Record | None = None

    def settle(self, record: Record) -> None:
        """That record's descriptor is the one that was closed."""
        self.record = record
        record.spent = True


class _Witness:
    """Stands in a filter for the message's pattern; sees every ResourceWarning.

    It matches none but those that our own collections bring up: these point at
    a line of ours, or would be raised there, and are told as findings instead.
    """

    pattern = "pytest-leakguard: notes ResourceWarnings"

    def __init__(self, note: Callable[[str], bool], note_runtime: Callable[[str], bool]) -> None:
        self._note = note
        self._note_runtime = note_runtime
        self._texts: dict[int, str] = {}

    def match(self, text: str, *_: object) -> bool:
        # the category is asked for next, by the same thread; only then is it known what this is
        self._texts[_real.get_ident()] = text
        return True

    def category(self) -> type[Warning]:
        """A class whose subclasses are the warnings to swallow."""

        class Meta(type):
            def __subclasscheck__(cls, category: type) -> bool:
                text = self._texts.pop(_real.get_ident(), None)
                if text is None:
                    return False
                try:
                    if issubclass(category, ResourceWarning):
                        return self._note(text)
                    return issubclass(category, RuntimeWarning) and self._note_runtime(text)
                except Exception as error:  # out of a finalizer it would go nowhere, and nobody would be told
                    hook.note_failure(error)
                    return False

        return cast("type[Warning]", Meta("ResourceWarning", (ResourceWarning,), {}))


class UnclosedProbe:
    """Keeps the ResourceWarnings it saw until they are judged."""

    kind = "unclosed"
    moves_are_recorded = True
    mechanism = "a passive entry at the head of the warning filters"

    def __init__(self, recorder: Recorder, shorten: Callable[[str], str] = str) -> None:
        self._recorder = recorder
        self._shorten = shorten
        self._caught: dict[int, Caught] = {}
        self.kept = self._caught
        """Empty while there is nothing to judge."""
        self._next = 0
        self._witness = _Witness(self._note, lambda text: self.on_runtime_warning(text, self.by_collector))
        self.on_runtime_warning: Callable[[str, Context | None], bool] = lambda text, by_collector: False
        """Told of each RuntimeWarning, through the same entry; says whether it is to go no further."""
        self._category = self._witness.category()
        self._entry = ("ignore", self._witness, self._category, None, 0)
        self.whose: Callable[[], Context] | None = None
        """Gives who is judged while a collection of ours runs; what comes up then is told by us alone."""

    def watch(self, *, fresh: bool = False) -> None:
        """Put the entry in front of the filters; leaving ``catch_warnings`` takes it away again.

        Args:
            fresh: a ``catch_warnings`` was entered just now: nothing was warned of since.
        """
        filters: list[Any] = warnings.filters  # type: ignore[assignment]
        if fresh and self._entry not in filters:
            # entering has made Python forget what it remembered of the filters
            filters.insert(0, self._entry)
        elif not filters or filters[0] is not self._entry:
            # without it the entry is still there, behind what came since, or the test before took it away
            self.unwatch()
            # through the public function, so that Python forgets what it had remembered of the filters;
            # with a class of our own, so that it takes no equal entry of the user's away
            _real.simplefilter("ignore", self._category)
            warnings.filters[0] = self._entry  # type: ignore[index]

    def unwatch(self) -> None:
        """Take the entry out of the filters."""
        filters = cast("list[Any]", warnings.filters)
        if self._entry in filters:
            filters[:] = [entry for entry in filters if entry is not self._entry]

    def unavailable(self) -> str | None:
        return None if isinstance(warnings.filters, list) else "the warning filters are not a list here"

    def mark(self) -> int:
        return self._next

    @property
    def by_collector(self) -> Context | None:
        """Who is judged, while a collection of ours runs."""
        return None if self.whose is None else self.whose()

    def keys(self) -> frozenset[Key]:
        return frozenset(self._caught)

    def caught(self, key: Key) -> Caught:
        """The warning behind a key."""
        return self._caught[cast(int, key)]

    def forget(self, key: Key) -> None:
        """Judged; not told again."""
        self._caught.pop(cast(int, key), None)

    def describe(self, key: Key) -> Resource:
        text = self._caught[cast(int, key)].text
        clues = tuple(_clues(text))
        path = next((str(value) for clue, value in clues if clue in ("name", "created")), "")
        what = _ADDRESS.sub("", _without_names(text) if path else text).replace("\n", " ")
        if path:
            what = what.replace(_PLACEHOLDER, repr(self._shorten(path)))
        return Resource(
            kind=self.kind,
            key=key,
            what=f"closed only by the garbage collector: {what}",
            subject=self._shorten(path) if path else numberless(what),
            fix=_remedy(text),
            clues=clues,
            reason="no event tells where it was made",
        )

    def _note(self, text: str) -> bool:
        """Keep a warning; says whether it is to go no further."""
        if len(self._caught) >= _KEPT or not self._recorder.active:
            return False
        self._recorder.resolve()  # a dying socket still tells its number now
        stack = frames.walk(_real.getframe(0))
        if frames.is_import(stack) or not _is_finalizer(text, stack):
            return False
        self._next += 1
        self._recorder.moves += 1
        judged = self.by_collector
        context = judged or self._recorder.context()
        caught = self._caught[self._next] = Caught(str(text), context, self._recorder.count, judged is not None)
        if "unclosed event loop" in text:
            record = self._record_of_dying_loop(_real.getframe(0))
            if record is not None:
                caught.settle(record)
        named = next((str(value) for clue, value in _clues(text) if clue == "name"), None)
        if named is not None:
            self._recorder.ask_which_closed(named, caught.settle)
        return judged is not None

    def _record_of_dying_loop(self, frame: FrameType | None) -> Record | None:
        """The acquisition of the loop that warns of itself in one of the frames: it still has its sockets."""
        for _ in range(_FINALIZER_DEPTH):
            if frame is None:
                return None
            if frame.f_code.co_name == "__del__":
                sock = getattr(frame.f_locals.get("self"), "_ssock", None)
                # by id, the latest: the collector has cleared the weak references already
                every = (*self._recorder.before, *self._recorder.records) if sock is not None else ()
                return next((record for record in reversed(every) if record.object_id == id(sock)), None)
            frame = frame.f_back
        return None


_PLACEHOLDER = "\0"


def _without_names(text: str) -> str:
    """The text with the names in it taken out: they may look like anything."""
    return _FOLDER_NAME.sub(_PLACEHOLDER, _FILE_NAME.sub(_PLACEHOLDER, text))


def _is_finalizer(text: str, stack: frames.Stack) -> bool:
    """Whether something died unclosed, rather than live code warned of something.

    A finalizer in C leaves no frame, but its words are known; one in Python, or a
    weakref's, is on the stack.
    """
    if text[:9].lower() == "unclosed ":
        return True
    return any(
        code.co_name == "__del__" or (code.co_name == "__call__" and code.co_filename.endswith("weakref.py"))
        for code, _ in stack[:_FINALIZER_DEPTH]
    )


def _clues(text: str) -> list[tuple[str, Hashable]]:
    """What the text says of the thing's identity, strongest first."""
    clues: list[tuple[str, Hashable]] = []
    named = _FILE_NAME.search(text) if text.startswith("unclosed file") else None
    if named:
        name = _literal(named[0])
        clues += [("name", name), ("path", os.path.abspath(name))]
    folder = _FOLDER_NAME.search(text)
    if folder:
        clues.append(("created", _literal(folder[0])))
    rest = _without_names(text)
    numbered = _DESCRIPTOR.search(rest) or _FILE_NUMBER.search(rest)
    if numbered:
        clues.append(("closed fd", int(numbered[1])))
    running = _PROCESS.search(rest)
    if running:
        clues.append(("pid", int(running[1])))
    address = _ADDRESS.search(rest)
    if address:
        clues.append(("id", int(address[1], 16)))
    if "socket.socket" in rest:
        clues.append(("dead socket", 0))
    if "scandir iterator" in rest:
        clues.append(("scandir", 0))
    if "unclosed event loop" in rest:
        clues.append(("event loop", 0))
    return clues


def _literal(text: str) -> str:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return os.fsdecode(value) if isinstance(value, bytes) else str(value)


def _remedy(text: str) -> str:
    for sign, words in (
        ("TemporaryDirectory", "use it in a `with` block, or call cleanup()"),
        ("subprocess", "wait for the process: `with Popen(...)`, wait() or communicate()"),
        ("event loop", "close the loop, or use asyncio.run or asyncio.Runner"),
        ("socket", "close it on every path: a `with` block, or close() in a `finally`"),
        ("file", "open it in a `with` block, or close it where it is last used"),
        ("database", "close the connection: contextlib.closing, or close() in a `finally`"),
    ):
        if sign in text.lower() or sign in text:
            return words
    return "close it explicitly; do not leave that to the garbage collector"
