"""Names that tell what a call does: what gives something back, what only moves things about."""

from __future__ import annotations

import builtins


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


RELEASES = words(
    """
    abort aclose cancel cleanup close close_all disconnect dispose discard done exit join kill poll put putconn
    quit release remove removeHandler rmdir rmtree rollback server_close shutdown stop terminate uninstall unlink
    unlock unregister unsubscribe wait wait_closed waitpid checkin destroy detach deregister __exit__ __aexit__
    __del__ _close _stop _release _unlock _terminate close_idle
    """
)
"""Names of what gives something back. One that does not happen is a leak by itself and proves nothing."""

_RELEASING_VERBS = words(
    """
    aclose cleanup close destroy disconnect dispose kill release rollback shutdown stop terminate unlink unlock
    unregister unsubscribe
    """
)
# not here: what as often does something else, as in remove_duplicates, join_words, wait_for_ready, put_item


def is_release(name: str) -> bool:
    """Whether a call of that name gives something back: one of `RELEASES`, or a part of one, as `_close_listener`."""
    if name in RELEASES:
        return True
    bare = name.lstrip("_")
    verb, _, thing = bare.partition("_")
    return not name.startswith("__") and (bare in RELEASES or (bool(thing) and verb in _RELEASING_VERBS))


BOOKKEEPING = words(
    """
    add append appendleft callback clear extend insert items keys pop popitem popleft pop_all push register
    setdefault update values enter_context enter_async_context push_async_exit push_async_callback addfinalizer
    addCleanup enterContext addHandler notify notify_all set set_result set_exception exception call_soon
    call_later call_at done cancelled fileno settimeout setblocking gettimeout getsockname getpeername fspath
    fsencode fsdecode getpid get_ident locked is_alive is_set is_closed closed setsockopt setFormatter setLevel
    fault_point
    """
)
"""Names of what only moves things about in memory: no error of theirs has to be borne."""

BUILTINS_THAT_FAIL = frozenset({"open", "int", "float", "next", "compile", "exec", "eval", "__import__"})
"""Of the built-in functions, those that fail for bad data or do something outside memory."""

PURE_BUILTINS = frozenset(name for name in vars(builtins) if name not in BUILTINS_THAT_FAIL)
"""The others: `len`, `range`, `isinstance`, the types, the exceptions."""
