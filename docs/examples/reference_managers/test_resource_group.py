"""The examples of docs/reference-managers/resource-group.md: stops at the first release that fails."""

from __future__ import annotations

import io

import pytest

from pytest_leakguard.reference import ResourceGroup


def leaky_close(resources):
    for resource in reversed(resources):
        resource.close()  # one fails: those before it stay open


def fixed_use(resources, work):
    with ResourceGroup(**resources) as opened:
        work(opened)


class Stuck(io.StringIO):
    def close(self):
        super().close()
        raise OSError("stuck")


def test_leaky():
    first = io.StringIO()
    with pytest.raises(OSError):
        leaky_close([first, Stuck()])
    assert not first.closed


def test_fixed():
    first = io.StringIO()
    with pytest.raises(OSError) as caught:
        fixed_use({"first": first, "stuck": Stuck()}, lambda opened: opened["first"].write("x"))
    assert first.closed
    assert caught.value.__notes__ == ["while releasing 'stuck' of the group 'first', 'stuck'"]
