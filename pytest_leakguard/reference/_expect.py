"""One form for the errors of an argument that is not what it must be."""

from __future__ import annotations

from collections.abc import Iterable


def expect(given: object, names: Iterable[str], where: str, expected: str) -> None:
    """Ask that `given` has these attributes, before anything is acquired.

    Raises:
        TypeError: one is missing; tells what was given and what is expected.
    """
    missing = [name for name in names if not hasattr(type(given) if name.startswith("__") else given, name)]
    if missing:
        lacks = " and ".join(f"{name}()" for name in missing)
        raise TypeError(
            f"{where}: {given!r} is of type {type(given).__name__}; expected {expected} (it has no {lacks})"
        )


def expect_callable(given: object, where: str, expected: str) -> None:
    """Ask that `given` can be called. Raises TypeError otherwise."""
    if not callable(given):
        raise TypeError(f"{where}: {given!r} is of type {type(given).__name__}; expected {expected}")


def expect_manager(given: object, where: str) -> None:
    """Ask for a context manager. Raises TypeError otherwise."""
    expect(given, ("__enter__", "__exit__"), where, "a context manager")


def expect_async_manager(given: object, where: str) -> None:
    """Ask for an async context manager. Raises TypeError otherwise."""
    expect(given, ("__aenter__", "__aexit__"), where, "an async context manager")


def expect_positive(given: float, where: str, unit: str) -> None:
    """Ask for a number above zero. Raises ValueError otherwise."""
    if not given > 0:
        raise ValueError(f"{where}: {given!r} is not above zero {unit}")
