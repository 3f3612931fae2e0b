"""Work of ours inside a hook that others share: an error of it is told, and goes no further."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def unharmed(errors: list[str], what: str) -> Iterator[None]:
    """Keep an error of ours out of the user's run.

    Args:
        errors: told of it, each line once.
        what: what could not be done, in words.
    """
    try:
        yield
    except Exception as error:
        line = f"{what}: {type(error).__name__}: {error}"
        if line not in errors:
            errors.append(line)
