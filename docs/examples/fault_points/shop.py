"""Orders go to a database and to a till; either may fail."""

from __future__ import annotations

import os

from pytest_leakguard import fault_point


class TillError(Exception):
    """The till does not answer."""


class Till:
    def book(self, cents: int) -> int:
        return cents


def pay(path: str, till: Till) -> int:
    """Note a payment in the journal, then book it."""
    journal = os.open(path, os.O_WRONLY | os.O_CREAT)
    fault_point("journal.sync", OSError)
    os.fsync(journal)
    booked = till.book(350)
    os.close(journal)
    return booked


def pay_carefully(path: str, till: Till) -> int:
    """The same, and the journal is closed whatever happens."""
    journal = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        fault_point("journal.sync", OSError)
        os.fsync(journal)
        return till.book(350)
    finally:
        os.close(journal)
