"""The examples of docs/reference-managers/transaction.md: except Exception misses an interrupt and a cancellation."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from pytest_leakguard.reference import transaction


def leaky_transfer(connection, work):
    try:
        work(connection)
        connection.commit()
    except Exception:  # neither KeyboardInterrupt nor CancelledError is one
        connection.rollback()
        raise


def fixed_transfer(connection, work):
    with transaction(connection):
        work(connection)


def interrupted(connection):
    connection.execute("insert into account values (1)")
    raise KeyboardInterrupt


@pytest.mark.parametrize(("transfer", "is_open"), [(leaky_transfer, True), (fixed_transfer, False)])
def test_an_interrupt(transfer, is_open):
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("create table account (amount)")
        with pytest.raises(KeyboardInterrupt):
            transfer(connection, interrupted)
        assert connection.in_transaction is is_open
