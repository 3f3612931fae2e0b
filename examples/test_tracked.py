"""object: instances of classes that are named, and what grows when a test is repeated."""

from __future__ import annotations

import pytest
from app import relay

links_are_closed = pytest.mark.no_leaks(track=["app.relay.Link: close|abort"])
sessions_go = pytest.mark.no_leaks(track=["app.relay.Session"])


@links_are_closed
def test_leaky_link() -> None:
    """The error path: the third reading is refused, and the link is never closed."""
    with pytest.raises(ValueError, match="broken"):
        relay.report_carelessly([3.5, 4.0, 99.0])


@links_are_closed
def test_clean_link() -> None:
    assert relay.report([3.5, 4.0]) == 2
    with pytest.raises(ValueError, match="broken"):
        relay.report([3.5, 4.0, 99.0])


@sessions_go
def test_leaky_session() -> None:
    """Nobody signs out, so the table keeps the session."""
    assert relay.sign_in("ada").operator == "ada"


@sessions_go
def test_clean_session() -> None:
    assert relay.sign_in("grace").operator == "grace"
    relay.sign_out("grace")


@pytest.mark.no_leaks(repeat=3)
def test_leaky_history() -> None:
    """Each run of the test adds one forecast for good."""
    assert relay.forecast_with_history()


@pytest.mark.no_leaks(repeat=3)
def test_clean_history() -> None:
    """A cache that is filled once is no growth."""
    assert relay.forecast()
