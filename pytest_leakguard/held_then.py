"""What a run holds at the moment of a fault, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_leakguard.faults.witness import HeldThen
from pytest_leakguard.suspects import Suspect


def held_then(
    suspects: Sequence[Suspect], in_hands: Callable[[Suspect], bool] = lambda suspect: False
) -> list[HeldThen]:
    """Each resource with the line it came from; parts of one and the same thing once.

    Args:
        in_hands: whether the code under test has given it out.
    """
    whole = {one.item if one.mark is None else one.mark: one for one in reversed(suspects)}
    return [_in_words(one, in_hands(one)) for one in reversed(whole.values())]


def _in_words(suspect: Suspect, in_hands: bool) -> HeldThen:
    origin = suspect.acquisition.origin
    place = f", from {origin.file}:{origin.line} in {origin.function}" if origin.file is not None else ""
    return HeldThen(text=f"{suspect.resource.what}{place}", file=origin.file, line=origin.line, in_hands=in_hands)
