"""The station's log file."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger("station")


def open_journal(path: Path) -> logging.Handler:
    """Log to `path` from now on. Careless: nobody takes the handler off the logger again."""
    handler = logging.FileHandler(path)
    log.addHandler(handler)
    return handler


@contextlib.contextmanager
def journal(path: Path) -> Iterator[logging.Handler]:
    """Log to `path` inside the `with` block."""
    handler = open_journal(path)
    try:
        yield handler
    finally:
        log.removeHandler(handler)
        handler.close()
