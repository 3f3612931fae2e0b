"""Process state that a test changes and leaves changed: cwd, environ, signal handlers, logging and the like.

State is no set of resources, but a *change* of it is one: acquired when a value becomes
another, released when it is put back. So each changed value has a stack of changes. A value
that is found lower in the stack releases all changes above it; a new one is a new change on
top. With this a session fixture may set the working folder, a module fixture inside it may
set another and put the first back, and neither that nor anything a test does in between
makes one of them look like the other's leak. A change has an owner and a verdict like any
resource, so nothing else of the plugin has to know about state.

The values are read at the boundaries of phases and fixtures, where `Boundaries` says so; in a
checked block at its start and end. Between phases pytest and plugins put their own things in
place, so there the probe only looks whether a change is gone by now, and never finds a new one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, cast

from pytest_leakguard.core.ledger import Context
from pytest_leakguard.core.model import Acquisition, Key, Origin, Resource
from pytest_leakguard.origins import frames
from pytest_leakguard.origins.audit import Recorder
from pytest_leakguard.origins.hook import Handlers
from pytest_leakguard.origins.record import Record
from pytest_leakguard.probes.state_digest import PYTESTS, UNSET, Digest, keep_originals
from pytest_leakguard.probes.state_value import Value

_NONE: frozenset[Key] = frozenset()
_DEEPEST = 16
"""Changes of one value that are kept at most; the oldest that were told go first."""
_REMEMBERED = 500
"""Changes that can still be described after they are gone."""


@dataclass(slots=True)
class Change:
    """One value that became another.

    Attributes:
        context: who was at work when it was first seen.
        record: the event of it, where there was one.
        counted: it is to be judged; what an import, a plugin or pytest itself changed is not.
        told: it was judged. Who undoes it later is not to blame for that.
    """

    serial: int
    value: Value
    part: str
    before: Digest
    after: Digest
    context: Context
    record: Record | None
    counted: bool
    told: bool = False

    @property
    def subject(self) -> str:
        """What allow rules match: ``cwd``, ``environ TZ``, ``logging app.db level``."""
        return f"{self.value.name} {self.part}".strip()


class StateProbe:
    """Watches nothing until it is asked to: then by `watch`, or for a block by `watching`.

    Attributes:
        live: whether new changes are looked for at the moment.
        errors: what could not be read or put back.
    """

    kind = "state"
    mechanism = "the values are compared at the boundaries of phases and fixtures"

    def __init__(self, recorder: Recorder, root: str = "") -> None:
        self._recorder = recorder
        self._root = root
        self._values: tuple[Value, ...] = ()
        self._last: dict[int, Mapping[str, Digest]] = {}
        self.kept = self._last
        """Empty while nothing is watched."""
        self._stacks: dict[tuple[int, str], list[Change]] = {}
        self._changes: dict[int, Change] = {}
        self._events: dict[str, Record] = {}
        self._imported: set[str] = set()
        self._keys = _NONE
        self._next = 0
        self._blocks = 0
        self._for_blocks = False
        self._lock = threading.RLock()  # blocks in several threads look at the same values
        self.live = True
        self.errors: list[str] = []
        self._handlers: Handlers = {
            "os.chdir": lambda args, frame: self._heard("cwd", frame),
            "os.putenv": lambda args, frame: self._heard(_variable(args[0]), frame),
            "os.unsetenv": lambda args, frame: self._heard(_variable(args[0]), frame),
            "exec": self._heard_exec,
        }

    # -- switched on and off

    @property
    def watches(self) -> bool:
        """Whether anything is watched."""
        return bool(self._values)

    def watch(self, *, modules: bool = False, filters: bool = True, keep: bool = False) -> None:
        """Read all values, and look for changes from now on.

        Args:
            modules: modules that are added to sys.modules count as a change.
            filters: the warning filters count; not where pytest puts them back itself.
            keep: hold what is to be put back.
        """
        from pytest_leakguard.probes.state_interpreter import INTERPRETER_VALUES, MODULES
        from pytest_leakguard.probes.state_libraries import LIBRARY_VALUES
        from pytest_leakguard.probes.state_process import PROCESS_VALUES

        keep_originals(keep)
        every = (*PROCESS_VALUES, *INTERPRETER_VALUES, *LIBRARY_VALUES, *((MODULES,) if modules else ()))
        self._values = tuple(value for value in every if filters or value.name != "warning filters")
        self._recorder.listen(self._handlers)
        with self._recorder.silence():
            last = {index: self._read(index) for index in range(len(self._values))}
            self._last.clear()
            self._last.update(last)

    def unwatch(self) -> None:
        """Forget all of it."""
        self._recorder.unlisten(self._handlers)
        self._values = ()
        self._last.clear()
        self._stacks, self._events = {}, {}
        self._keys = _NONE

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside a block, also where nothing is watched around it."""
        with self._lock:
            if not self.watches:
                self._for_blocks = True
                self.watch()
            self._blocks += 1
            live, self.live = self.live, True
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                self.live = live or self._blocks > 0
                if self._for_blocks and not self._blocks:
                    self._for_blocks = False
                    self.unwatch()

    # -- the protocol of a probe

    @property
    def moves_are_recorded(self) -> bool:
        """Whether there is nothing to ask for after each test."""
        return not self._values

    def unavailable(self) -> str | None:
        return None

    def mark(self) -> frozenset[Key]:
        return self.keys()

    def keys(self) -> frozenset[Key]:
        if not self._values:
            return _NONE
        if self.live:
            self.note()
        elif self._keys:
            self._forgive()
        return self._keys

    def describe(self, key: Key) -> Resource:
        change = self._changes[cast(int, key)]
        words = change.value.say(change.part, change.before, change.after)
        return Resource(
            kind=self.kind, key=key, what=f"{change.subject}: {words}", subject=change.subject, fix=change.value.fix,
            reason=change.value.reason,
        )  # fmt: skip

    def acquisition(self, key: Key) -> Acquisition:
        """Who changed it, in which phase, and where if that is known."""
        change = self._changes[cast(int, key)]
        origin = Origin(reason=change.value.reason)
        if change.record is not None:
            origin = frames.origin_of(change.record.stack, root=self._root, how="audit", event=change.record.event)
        context = change.context
        return Acquisition(owner=context.owner, test=context.test, phase=context.phase, origin=origin)

    # -- boundaries

    def begin(self) -> None:
        """A test begins: what was changed since the last one is nobody's, and how things are now is how they were."""
        self.live = True
        self.note(counted=False)
        for place in [
            place for place, stack in self._stacks.items() if not any(one.counted or one.told for one in stack)
        ]:
            del self._stacks[place]
        self._imported.clear()

    def pause(self) -> None:
        """A phase ends; what is changed from now on is not the test's doing."""
        self.note()
        self.live = False

    def resume(self) -> None:
        """The next phase begins; what pytest and plugins changed for it is theirs."""
        self.live = True
        self.note(counted=False)

    def note(self, *, counted: bool = True) -> None:
        """Read all values and keep what has changed since the last time.

        Args:
            counted: the changes are to be judged.
        """
        if not self._values:
            return
        before = self._recorder.hush()
        try:
            with self._lock:
                for index in range(len(self._values)):
                    now = self._read(index)
                    if now != self._last[index]:
                        self._compare(index, now, counted)
        except Exception as error:  # this runs inside the user's hooks: it is told, and never becomes theirs
            self._tell(f"state: could not be compared: {type(error).__name__}: {error}")
        finally:
            self._recorder.unhush(before)
        # one that explains nothing now was undone in between
        self._events.clear()

    def told(self, key: Key) -> None:
        """Judged; never told again."""
        change = self._changes.get(cast(int, key))
        if change is not None:
            change.counted, change.told = False, True
            self._recount()

    def put_back(self, subject: str) -> None:
        """Set a value to what it was before its last change, if that change still stands."""
        for (index, part), stack in tuple(self._stacks.items()):
            change = stack[-1]
            if change.subject != subject or self._current(index, part) != change.after:
                continue
            before = self._recorder.hush()
            try:
                if change.value.put_back is None or change.before is PYTESTS:
                    raise LookupError("there is no way to do it")
                change.value.put_back(part, change.before)
                self._last[index] = {**self._last[index], part: change.before}
                self._drop(index, part, change)
            except Exception as error:
                self.errors.append(f"state: could not put back {subject}: {error}")
            finally:
                self._recorder.unhush(before)

    # -- inside

    def _read(self, index: int) -> Mapping[str, Digest]:
        """What a value is now; one that can't be read counts as unchanged, and that is told."""
        try:
            return self._values[index].read()
        except Exception as error:
            name = self._values[index].name or "a hook"
            self._tell(f"state: {name} can't be read: {type(error).__name__}: {error}")
            return self._last.get(index, {})

    def _tell(self, line: str) -> None:
        if line not in self.errors:
            self.errors.append(line)

    def _current(self, index: int, part: str) -> Digest:
        before = self._recorder.hush()
        try:
            return self._read(index).get(part, UNSET)
        finally:
            self._recorder.unhush(before)

    def _compare(self, index: int, now: Mapping[str, Digest], counted: bool) -> None:
        last = self._last[index]
        settled = dict(now)
        for part in now.keys() | last.keys():
            new, old = now.get(part, UNSET), last.get(part, UNSET)
            if new is PYTESTS:
                stack = self._stacks.get((index, part))
                new = settled[part] = stack[0].before if stack else old
            if new != old:
                self._moved(index, part, old, new, counted)
        self._last[index] = {part: digest for part, digest in settled.items() if digest is not UNSET}

    def _moved(self, index: int, part: str, old: Digest, new: Digest, counted: bool) -> None:
        value = self._values[index]
        stack = self._stacks.setdefault((index, part), [])
        depth = next((depth for depth, change in enumerate(stack) if change.before == new), None)
        if depth is not None:
            del stack[depth:]
        else:
            record = self._events.get(f"{value.name} {part}".strip())
            innocent = frames.is_import(record.stack) or frames.is_plugin_hook(record.stack) if record else (
                not value.set_by.isdisjoint(self._imported)
            )  # fmt: skip
            context = record.context if record else self._recorder.ledger.now
            self._next += 1
            change = Change(self._next, value, part, old, new, context, record, counted and not innocent)
            self._changes[self._next] = change
            stack.append(change)
            if len(stack) > _DEEPEST:
                self._drop(index, part, next((one for one in stack if not one.counted), stack[0]))
        if not stack:
            del self._stacks[index, part]
        self._recount()

    def _forgive(self) -> None:
        """Between phases: what is no longer so was put back by what is around the test, and outlives nothing."""
        for (index, part), stack in tuple(self._stacks.items()):
            while stack and stack[-1].counted and self._current(index, part) != stack[-1].after:
                self._drop(index, part, stack[-1])

    def _drop(self, index: int, part: str, change: Change) -> None:
        stack = self._stacks[index, part]
        stack.remove(change)
        if not stack:
            del self._stacks[index, part]
        self._recount()

    def _recount(self) -> None:
        self._keys = frozenset(one.serial for stack in self._stacks.values() for one in stack if one.counted)
        while len(self._changes) > _REMEMBERED:
            oldest = next((serial for serial in self._changes if serial not in self._keys), None)
            if oldest is None:
                break
            del self._changes[oldest]

    def _heard(self, subject: str, frame: FrameType | None) -> None:
        event = "os.chdir" if subject == "cwd" else "os.putenv or os.unsetenv"
        self._events[subject] = Record(event, None, frames.walk(frame), self._recorder.context())

    def _heard_exec(self, args: Any, frame: FrameType | None) -> None:
        """The code of a module that is being imported: which values could it change?"""
        code = args[0]
        if not self._recorder.ledger.test or type(code) is not CodeType or code.co_name != "<module>":
            return
        if frames.is_import(frames.walk(frame)):
            self._imported.update(_names(code))


def _variable(name: object) -> str:
    return f"environ {name.decode('utf-8', 'surrogateescape') if isinstance(name, bytes) else name}"


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from _names(constant)
