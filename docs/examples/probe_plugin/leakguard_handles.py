"""A pytest plugin that teaches leakguard a new kind of resource: `handle`."""

from __future__ import annotations

from collections.abc import Hashable

import handles
import pytest

from pytest_leakguard.core.model import Resource


class HandleProbe:
    """Sees the open handles of the toy library. No base class: the Probe protocol is enough."""

    @property
    def kind(self) -> str:
        return "handle"  # the name in --leakguard-probes and in allow rules

    @property
    def mechanism(self) -> str:
        return "the library's own table"  # for the header and the doctor

    def unavailable(self) -> str | None:
        return None  # or one sentence: why handles can't be seen on this machine

    def mark(self) -> Hashable:
        # Runs after every test, so it must be cheap. A count of what is open would not do:
        # one closed and one opened would look as if nothing had happened.
        return handles.opened_in_all

    def keys(self) -> frozenset[Hashable]:
        # The slot alone is no identity, since it is used again; the serial makes it one.
        return frozenset((slot, serial) for slot, (serial, _) in handles.table().items())

    def describe(self, key: Hashable) -> Resource:
        # Runs for a suspect only, and may cost. The handle may be gone by now.
        assert isinstance(key, tuple)
        slot, serial = key
        found_serial, name = handles.table().get(slot, (serial, "?"))
        if found_serial != serial:
            name = "?"
        return Resource(
            kind=self.kind,
            key=key,
            what=f"handle in slot {slot}: {name}",
            subject=name,  # what allow rules match: handle:NAME
            fix="call close_handle() in a `finally`",
        )


# optionalhook: without it, pytest stops with "unknown hook" where leakguard is not installed.
@pytest.hookimpl(optionalhook=True)
def pytest_leakguard_probes(config: pytest.Config) -> list[HandleProbe]:
    return [HandleProbe()]


@pytest.hookimpl(optionalhook=True)
def pytest_leakguard_allow(config: pytest.Config) -> list[str]:
    return ["handle:system-* -- the library keeps its own handles to the end"]
