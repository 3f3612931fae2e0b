"""asyncio's own awaits: those that are made to suspend, and those where nothing is cancelled.

Whether ``await loop.sock_recv(...)`` suspends is up to the peer: with the data
there already it returns at once, and a cancellation could not arrive. The next
run may be less lucky. So during a count or a trial each such await of code
outside the standard library gives control away once before it starts.
"""

from __future__ import annotations

import functools
import itertools
import sys
import types
from asyncio import base_events, proactor_events, selector_events, streams
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from pytest_leakguard import _real
from pytest_leakguard.origins import frames

_SOCKET_CALLS = (
    "sock_recv",
    "sock_recv_into",
    "sock_recvfrom",
    "sock_sendall",
    "sock_sendto",
    "sock_connect",
    "sock_accept",
)
_SERVERS: list[tuple[type[Any], str]] = [(base_events.BaseEventLoop, "create_server")]
if sys.platform != "win32":
    from asyncio import unix_events

    _SERVERS.append((unix_events._UnixSelectorEventLoop, "create_unix_server"))
_PLACES: tuple[tuple[type[Any], str], ...] = (
    *((selector_events.BaseSelectorEventLoop, name) for name in _SOCKET_CALLS),
    *((proactor_events.BaseProactorEventLoop, name) for name in _SOCKET_CALLS),
    *((streams.StreamReader, name) for name in ("read", "readline", "readexactly", "readuntil")),
    (streams.StreamWriter, "drain"),
    *_SERVERS,
)
# these have a round of the loop at their end, with the server made and not handed out yet: cancelled there, it is
# lost, and no caller can do anything about it (3.10 to 3.13). They are cancelled at their start instead.
_LOSE_THEIR_RESULT = frozenset(name for _, name in _SERVERS)


def loses_its_result(within: tuple[tuple[str, str], ...]) -> bool:
    """Whether a function of asyncio's own is suspended where a cancellation can't be answered for by any caller.

    Args:
        within: the files and qualified names below the target code, outermost first.
    """
    names = [name.rpartition(".")[2] for filename, name in within if frames.region(filename) == "stdlib"]
    return any(name in _LOSE_THEIR_RESULT and below == "sleep" for name, below in itertools.pairwise(names))


@types.coroutine
def _one_round() -> Generator[None, None, None]:
    yield


async def _suspended(call: Callable[[], Awaitable[Any]]) -> Any:
    await _one_round()
    return await call()


def _suspending(original: Any, name: str, is_wanted: Callable[[], bool]) -> Any:
    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Awaitable[Any]:
        if not is_wanted() or (name not in _LOSE_THEIR_RESULT and _is_called_by_asyncio()):
            return original(*args, **kwargs)  # type: ignore[no-any-return]
        coroutine: Any = _suspended(functools.partial(original, *args, **kwargs))
        coroutine.__name__, coroutine.__qualname__ = original.__name__, original.__qualname__
        return coroutine  # type: ignore[no-any-return]

    return call


def _is_called_by_asyncio() -> bool:
    # its functions use each other: one suspension is enough
    return frames.region(_real.getframe(2).f_code.co_filename) == "stdlib"


def make_suspend(is_wanted: Callable[[], bool]) -> list[Callable[[], None]]:
    """Put the replacements in place; they act while `is_wanted` says so. Gives what takes them out again."""
    undo: list[Callable[[], None]] = []
    for place, name in _PLACES:
        if name in vars(place):
            original = vars(place)[name]
            ours = _suspending(original, name, is_wanted)
            setattr(place, name, ours)
            undo.append(functools.partial(put_back, place, name, ours, original))
    return undo


def put_back(place: type[Any], name: str, ours: Any, original: Any) -> None:
    """Undo the replacement of an attribute of a class."""
    # another may have wrapped ours meanwhile; it goes on through it, and ours does nothing any more
    if vars(place).get(name) is ours:
        setattr(place, name, original)
