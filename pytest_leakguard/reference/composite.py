"""Several named resources as one: acquired in order, released in reverse."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from types import MappingProxyType, TracebackType
from typing import Any, Generic, Literal, TypeVar, cast

from pytest_leakguard.reference._expect import expect_async_manager, expect_manager
from pytest_leakguard.reference._unwind import AsyncUnwind, Unwind, add_note, attach, outranks
from pytest_leakguard.reference.errors import AlreadyOpen

T = TypeVar("T")
M = TypeVar("M")

Action = Literal["acquired", "acquire failed", "released", "release failed"]


@dataclass(frozen=True, slots=True)
class GroupEvent:
    """One step in the life of a group.

    Attributes:
        error: what came with a failed step, as type and text; the error itself would keep frames alive.
    """

    action: Action
    name: str
    error: str | None = None


class _Group:
    """What the group and its async sister have in common: the names, the state, the events."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = ", ".join(map(repr, names))
        self._events: list[GroupEvent] = []
        self._state: Literal["closed", "opening", "open"] = "closed"

    @property
    def state(self) -> Literal["closed", "opening", "open"]:
        """Which of its three states it is in."""
        return self._state

    @property
    def events(self) -> tuple[GroupEvent, ...]:
        """What happened since it was last opened, oldest first."""
        return tuple(self._events)

    def _begin(self) -> None:
        if self._state != "closed":
            raise AlreadyOpen(f"group of {self._names} is {self._state} already; close it first")
        self._state = "opening"
        self._events.clear()

    def _accepts(self, suppressed: bool) -> bool:
        """A member may suppress an error of the body, but not another's acquisition: there would be nothing to give."""
        return suppressed and self._state == "open"

    def _done(self, action: Action, name: str) -> None:
        self._events.append(GroupEvent(action, name))

    def _failed(self, action: Action, name: str, error: BaseException) -> None:
        self._events.append(GroupEvent(action, name, f"{type(error).__name__}: {error}"))
        if action == "acquire failed":
            add_note(error, f"while acquiring {name!r} of the group {self._names}")

    def _comes_out(self, name: str, second: BaseException, error: BaseException | None) -> bool:
        """Whether the error of a release comes out; otherwise it is attached to the one under way."""
        if second is error:
            return False
        if error is None or outranks(second, error):
            add_note(second, f"while releasing {name!r} of the group {self._names}")
            return True
        attach(error, second, f"releasing {name!r}")
        return False


class ResourceGroup(_Group, Generic[T]):
    """Several named context managers, acquired in the order given and released in strict reverse.

    Acquires: each manager's `__enter__`, in order. Releases: each `__exit__`, in reverse.
    Acquisition of one fails: those before it are released in reverse; its error comes out, with a note that names it.
    Body fails: each manager is told; one may suppress the error, as in nested `with` blocks; else it comes out.
    Release fails: the others are released all the same; the first error comes out, each further one is a note on it.
    States: closed → opening → open → closed …, as often as the managers themselves allow.
    One thread at a time.

    Args:
        named: pairs of name and context manager.
        more: the same as keywords, acquired after those.
    Raises:
        TypeError: one is no pair or no context manager; nothing was acquired.
        ValueError: a name is given twice.
    """

    def __init__(
        self, *named: tuple[str, AbstractContextManager[T, Any]], **more: AbstractContextManager[T, Any]
    ) -> None:
        pairs = _pairs("ResourceGroup", named, more, expect_manager)
        super().__init__([name for name, _ in pairs])
        self._members = [_Member(self, name, manager) for name, manager in pairs]
        self._unwind = Unwind()

    def open(self) -> Mapping[str, T]:
        """Acquire all; gives what each manager's `__enter__` gave, by name.

        Raises:
            AlreadyOpen: it is open; nothing is touched.
            BaseException: the error of the manager that failed, with a note that names it.
        """
        self._begin()
        try:
            for member in self._members:
                self._unwind.push(member.leave)
                member.enter()
            resources = MappingProxyType({member.name: member.resource for member in self._members})
            self._state = "open"
            return resources
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def close(self) -> None:
        """Release all; nothing when it is closed.

        Raises:
            BaseException: the first error of a release, further ones as notes; each was tried.
        """
        self.__exit__(None, None, None)

    def __enter__(self) -> Mapping[str, T]:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            return bool(self._unwind.__exit__(kind, error, traceback))
        finally:
            self._state = "closed"


class _Member(Generic[T]):
    """One manager of a group; `leave` does nothing when it was not entered."""

    def __init__(self, group: ResourceGroup[T], name: str, manager: AbstractContextManager[T, Any]) -> None:
        self.name = name
        self._manager = manager
        self._group = group
        self._given: list[T] = []

    @property
    def resource(self) -> T:
        return self._given[0]

    def enter(self) -> None:
        try:
            # into the list in one step: entered, and known to be entered
            self._given[:] = [self._manager.__enter__()]
        except BaseException as error:
            self._group._failed("acquire failed", self.name, error)
            raise
        self._group._done("acquired", self.name)

    def leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not self._given:
            return False
        try:
            suppressed = bool(self._manager.__exit__(kind, error, traceback))
        except BaseException as second:
            self._group._failed("release failed", self.name, second)
            if self._group._comes_out(self.name, second, error):
                raise
            return False
        else:
            self._group._done("released", self.name)
            return self._group._accepts(suppressed)
        finally:
            self._given.clear()
            del error, traceback


class AsyncResourceGroup(_Group, Generic[T]):
    """`ResourceGroup` for async context managers: the same order, the same errors, the same states.

    A cancellation during an acquisition or in the body is an error like any other: everything is released, and it
    comes out. Whether a release outlives a second cancellation is up to the manager; `AsyncResource` does.
    One task at a time.
    """

    def __init__(
        self, *named: tuple[str, AbstractAsyncContextManager[T, Any]], **more: AbstractAsyncContextManager[T, Any]
    ) -> None:
        pairs = _pairs("AsyncResourceGroup", named, more, expect_async_manager)
        super().__init__([name for name, _ in pairs])
        self._members = [_AsyncMember(self, name, manager) for name, manager in pairs]
        self._unwind = AsyncUnwind()

    async def open(self) -> Mapping[str, T]:
        """Acquire all. As `ResourceGroup.open`."""
        self._begin()
        try:
            for member in self._members:
                self._unwind.push_async_exit(member.leave)
                await member.enter()
            resources = MappingProxyType({member.name: member.resource for member in self._members})
            self._state = "open"
            return resources
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def close(self) -> None:
        """Release all; nothing when it is closed. As `ResourceGroup.close`."""
        await self.__aexit__(None, None, None)

    async def __aenter__(self) -> Mapping[str, T]:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        try:
            return bool(await self._unwind.__aexit__(kind, error, traceback))
        finally:
            self._state = "closed"


class _AsyncMember(Generic[T]):
    """One manager of an async group; `leave` does nothing when it was not entered."""

    def __init__(self, group: AsyncResourceGroup[T], name: str, manager: AbstractAsyncContextManager[T, Any]) -> None:
        self.name = name
        self._manager = manager
        self._group = group
        self._given: list[T] = []

    @property
    def resource(self) -> T:
        return self._given[0]

    async def enter(self) -> None:
        try:
            self._given[:] = [await self._manager.__aenter__()]
        except BaseException as error:
            self._group._failed("acquire failed", self.name, error)
            raise
        self._group._done("acquired", self.name)

    async def leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not self._given:
            return False
        try:
            suppressed = bool(await self._manager.__aexit__(kind, error, traceback))
        except BaseException as second:
            self._group._failed("release failed", self.name, second)
            if self._group._comes_out(self.name, second, error):
                raise
            return False
        else:
            self._group._done("released", self.name)
            return self._group._accepts(suppressed)
        finally:
            self._given.clear()
            del error, traceback


def _pairs(
    where: str, named: tuple[object, ...], more: Mapping[str, M], expect: Callable[[object, str], None]
) -> list[tuple[str, M]]:
    """Names and managers, checked before anything is acquired."""
    for pair in named:
        if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)):
            raise TypeError(
                f"{where}: {pair!r} is of type {type(pair).__name__}; expected a pair of a name and a context manager"
            )
    pairs = [*cast("tuple[tuple[str, M], ...]", named), *more.items()]
    seen: set[str] = set()
    for name, manager in pairs:
        expect(manager, f"{where}, resource {name!r}")
        if name in seen:
            raise ValueError(f"{where}: the name {name!r} is given twice")
        seen.add(name)
    return pairs
