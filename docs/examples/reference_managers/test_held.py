"""The examples of docs/reference-managers/held.md: releases a lock that it never got."""

from __future__ import annotations

import threading

import pytest

from pytest_leakguard.reference import held


def leaky_locked(lock, work):
    try:
        if not lock.acquire(timeout=0.01):
            raise TimeoutError
        work()
    finally:
        lock.release()  # after a timeout, this is somebody else's lock


def fixed_locked(lock, work):
    with held(lock, timeout=0.01, name="accounts"):
        work()


@pytest.mark.parametrize(("locked", "is_still_held"), [(leaky_locked, False), (fixed_locked, True)])
def test_a_timeout(locked, is_still_held):
    lock = threading.Lock()
    lock.acquire()  # by somebody else
    with pytest.raises(TimeoutError):
        locked(lock, lambda: None)
    assert lock.locked() is is_still_held
