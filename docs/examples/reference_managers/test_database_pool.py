"""The examples of docs/reference-managers/database-pool.md: a creation that fails eats its place."""

from __future__ import annotations

import functools
import sqlite3
import threading

import pytest

from pytest_leakguard.reference import DatabasePool


class LeakyPool:
    def __init__(self, connect, size):
        self.connect = connect
        self.places = threading.Semaphore(size)

    def acquire(self):
        if not self.places.acquire(timeout=0.1):
            raise TimeoutError("exhausted")
        return self.connect()  # fails: the place is never given back


def fixed_query(pool, sql):
    with pool.connection() as connection:
        return connection.execute(sql).fetchall()


def test_leaky(tmp_path):
    pool = LeakyPool(functools.partial(sqlite3.connect, tmp_path / "no" / "db"), size=1)
    with pytest.raises(sqlite3.OperationalError):
        pool.acquire()
    (tmp_path / "no").mkdir()
    with pytest.raises(TimeoutError):
        pool.acquire()


def test_fixed(leak_check, tmp_path):
    connect = functools.partial(sqlite3.connect, tmp_path / "no" / "db", check_same_thread=False)
    with leak_check(), DatabasePool(connect, max_size=1, timeout=0.1) as pool:
        with pytest.raises(sqlite3.OperationalError):
            fixed_query(pool, "select 1")
        (tmp_path / "no").mkdir()
        assert fixed_query(pool, "select 1") == [(1,)]
