"""A leak that is known and accepted, with its reason; it is counted, and fails nothing."""

from __future__ import annotations

import pytest
from app.poller import Poller


@pytest.mark.allow_leaks("thread:poller-roof", reason="the roof station runs to the end")
def test_allowed_poller() -> None:
    poller = Poller("roof")
    poller.start()
    assert poller.take(3.5) == 1
