"""A fixture that ends what the package leaves to its caller."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "site-packages"))


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[object]:
    import vendor_broker

    connection = vendor_broker.Connection(str(tmp_path / "broker.log"))
    yield connection
    connection.close()
