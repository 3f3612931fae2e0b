"""state: a setting of the whole process that the next test finds changed. Watched on request, so it is marked."""

from __future__ import annotations

import pytest
from app import climate


@pytest.mark.no_leaks(add="state")
def test_leaky_move() -> None:
    climate.move_carelessly("cellar")
    assert climate.place() == "cellar"


@pytest.mark.no_leaks(add="state")
def test_clean_move() -> None:
    with climate.moved("attic"):
        assert climate.place() == "attic"
