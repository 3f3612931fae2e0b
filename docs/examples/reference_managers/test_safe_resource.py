"""The examples of docs/reference-managers/safe-resource.md: an error of the release hides the body's."""

from __future__ import annotations

import pytest

from pytest_leakguard.reference import SafeResource


def leaky_use(acquire, release, work):
    resource = acquire()
    try:
        work(resource)
    except ValueError as error:
        release(resource)  # fails: the caller sees this error, and handles the wrong one
        raise RuntimeError("work failed") from error


def fixed_use(acquire, release, work):
    with SafeResource(acquire, release, name="valve") as resource:
        work(resource)


def fails(resource):
    raise ValueError("work")


def stuck(resource):
    raise OSError("stuck")


def test_leaky():
    with pytest.raises(OSError, match="stuck"):
        leaky_use(object, stuck, fails)


def test_fixed():
    with pytest.raises(ValueError, match="work") as caught:
        fixed_use(object, stuck, fails)
    assert caught.value.__notes__ == ["releasing 'valve' failed too: OSError: stuck"]
