"""The expression that chooses kinds, wherever it is given."""

from __future__ import annotations

import re
from collections.abc import Collection

from pytest_leakguard.core.allow import near
from pytest_leakguard.core.model import OPT_IN


class BadKinds(ValueError):
    """An expression that can't be understood; the text says why and what is allowed."""


def choose(text: str, known: Collection[str], source: str) -> frozenset[str]:
    """The kinds that an expression names: ``default``, ``all``, lists, ``+kind``, ``-kind``.

    Starts from nothing when a plain kind is named, else from the default set:
    everything this version knows, less what is opt-in, and every third party's kind.
    Raises: BadKinds.
    """
    listed = ", ".join(sorted(known))
    default = set(known) - OPT_IN
    words = [word for word in re.split(r"[,\s]+", text.strip()) if word]
    if not words:
        raise BadKinds(f"{source}: no kind given.\nKnown: {listed}.")
    chosen: set[str] = set() if any(word[0] not in "+-" for word in words) else set(default)
    for word in words:
        sign, kind = (word[0], word[1:]) if word[0] in "+-" else ("", word)
        if kind in ("default", "all") and sign == "-":
            raise BadKinds(f"{source}: {word!r} leaves nothing to watch.\nKnown: {listed}.")
        if kind in ("default", "all"):
            chosen |= set(known) if kind == "all" else default
        elif kind not in known:
            raise BadKinds(f"{source}: unknown kind {kind!r}{near(kind, [*known, 'default', 'all'])}\nKnown: {listed}.")
        elif sign == "-":
            chosen.discard(kind)
        else:
            chosen.add(kind)
    if not chosen:
        raise BadKinds(f"{source}: {text!r} leaves nothing to watch.\nKnown: {listed}.")
    return frozenset(chosen)
