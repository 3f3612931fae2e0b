"""What is watched of the process: how each value is read, told and put back. Nothing here changes what it reads.

Each value is read as parts: name of the part -> digest, an ordinary value that can be compared.
A part that is not there is UNSET. The values are in `state_process`, `state_interpreter` and
`state_libraries`.

Source: the list of what to compare is that of CPython's own test runner (save_env of libregrtest).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_leakguard.probes.state_digest import Digest, Handle, short


def say_plainly(_: str, before: Digest, after: Digest) -> str:
    """Before and after as they are."""
    return f"{short(before)} -> {short(after)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One thing that a test may change and the next one finds changed.

    Attributes:
        read: name of part -> digest; cheap and without any effect.
        say: name of part, before and after -> short words.
        put_back: sets a part to an earlier digest; None when that can't be done.
        set_by: names in code that changes it. Code that an import brings along and that
            has one of them may have changed it, then nobody is blamed.
        reason: why it is not known who changed it, where that is not known.
    """

    name: str
    read: Callable[[], Mapping[str, Digest]]
    fix: str
    set_by: frozenset[str]
    reason: str
    say: Callable[[str, Digest, Digest], str] = say_plainly
    put_back: Callable[[str, Digest], object] | None = None


def original(digest: Digest) -> Any:
    """What a digest stands for. Raises LookupError when it is gone."""
    return digest.original() if isinstance(digest, Handle) else digest


def say_list(_: str, before: Digest, after: Digest) -> str:
    """What came and what went."""
    was, now = items(before), items(after)
    came = [f"+ {short(one)}" for one in now if one not in was]
    went = [f"- {short(one)}" for one in was if one not in now]
    changes = [*came, *went]
    if not changes:
        return "in another order" if len(was) == len(now) else f"{len(was)} -> {len(now)} entries"
    more = f" and {len(changes) - 4} more" if len(changes) > 4 else ""
    return ", ".join(changes[:4]) + more


def items(digest: Digest) -> tuple[Digest, ...]:
    """The items of a list's digest; none where there is no list."""
    return digest if isinstance(digest, tuple) else ()
