"""The example of docs/howto/track-objects.md: passes, with the flag and without."""

from __future__ import annotations

from pytest_leakguard import track


class Listener:
    def __init__(self) -> None:
        track(self)


def test_listener() -> None:
    assert Listener()
