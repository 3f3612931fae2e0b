"""The examples of docs/reference-managers/database-connection.md: __exit__ closes only when there was no exception."""

from __future__ import annotations

import sqlite3

import pytest

from pytest_leakguard.reference import DatabaseConnection


class LeakyDatabase:
    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.connection = sqlite3.connect(self.path)
        return self.connection

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.connection.close()


def fixed_query(path, sql):
    with DatabaseConnection(path) as connection:
        return connection.execute(sql).fetchall()


def is_open(connection):
    try:
        connection.execute("select 1")
    except sqlite3.ProgrammingError:
        return False
    return True


def test_leaky(tmp_path):
    with pytest.raises(sqlite3.OperationalError), LeakyDatabase(tmp_path / "db") as connection:
        connection.execute("select no sense")
    assert is_open(connection)
    connection.close()


def test_fixed(leak_check, tmp_path):
    with leak_check(), pytest.raises(sqlite3.OperationalError):
        fixed_query(tmp_path / "db", "select no sense")
