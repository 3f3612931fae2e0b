"""thread: a background thread that nobody stops."""

from __future__ import annotations

from app.poller import Poller


def test_leaky_poller() -> None:
    poller = Poller("hill")
    poller.start()
    assert poller.take(3.5) == 1


def test_clean_poller() -> None:
    poller = Poller("valley")
    poller.start()
    try:
        assert poller.take(3.5) == 1
    finally:
        poller.stop()
