"""The examples of docs/howto/cancel-at-every-await.md."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator

import connection

from pytest_leakguard.faults.cancel_each import cancel_each
from pytest_leakguard.faults.cancel_text import text_of


@contextlib.contextmanager
def no_open_connections() -> Iterator[list[str]]:
    left: list[str] = []
    yield left
    while connection.OPEN:
        os.close(connection.OPEN.pop())
        left.append("a connection is still open")


async def use_safe_connection() -> None:
    async with connection.SafeConnection():
        await asyncio.sleep(0)


def test_safe_connection_is_closed_wherever_it_is_cancelled() -> None:
    result = cancel_each(use_safe_connection, check=no_open_connections)
    assert not [finding for finding in result.findings if not finding.told], text_of(result)


async def use_connection() -> None:
    async with connection.Connection():
        await asyncio.sleep(0)


def test_connection_is_lost_when_cancelled_at_its_greeting() -> None:
    result = cancel_each(use_connection, check=no_open_connections)
    assert "cancelled at sleep" in text_of(result)


def test_timeouts_too() -> None:
    result = cancel_each(use_safe_connection, families=("cancel", "timeout"), check=no_open_connections)
    assert not [finding for finding in result.findings if not finding.told], text_of(result)
