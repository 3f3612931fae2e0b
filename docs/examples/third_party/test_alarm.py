"""Tests of code that uses the package."""

from __future__ import annotations

from pathlib import Path

import vendor_broker

kept: list[object] = []


def test_alarm() -> None:
    vendor_broker.publish("frost")


def test_leaky_connection(tmp_path: Path) -> None:
    connection = vendor_broker.Connection(str(tmp_path / "broker.log"))
    kept.append(connection)


def test_connection(connection: vendor_broker.Connection) -> None:
    assert connection is not None
