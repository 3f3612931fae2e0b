"""The twins of kind object: each way to be watched, leaky and clean, for each owner scope and phase. Plain data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import twins
from twins import PHASES, SCOPES, Kind, Row

WAYS = {
    "track": Kind(acquire="it = track(app.Plain()) #", release="it = None"),
    "gone": Kind(acquire="it = app.Session() #", release="it = None"),
    "must": Kind(acquire="it = app.Connection() #", release="it.close()"),
    "dead": Kind(acquire="it = app.Connection() #", release="it.abort()", lose="it = None"),
    "sub": Kind(acquire="it = app.Slow() #", release="it.close()"),
    "c": Kind(acquire="it = sqlite3.connect(':memory:') #", release="it.close()"),
}
"""Under `track`; an instance that must go; one that must be closed, kept or collected; of a subclass; of a C type."""

WHAT = {
    "track": "app.Plain object, tracked, still alive",
    "gone": "app.Session object, still alive",
    "must": "app.Connection was never closed: close() or abort() not called",
    "dead": "app.Connection was never closed: close() or abort() not called, and it is gone",
    "sub": "app.Slow was never closed: close() or abort() not called",
    "c": "sqlite3.Connection was never closed: close() not called",
}

APP = """
class Plain:
    pass


class Session:
    pass


class Connection:
    def __init__(self, fail=False):
        if fail:
            raise ValueError("no connection")

    def close(self):
        pass

    def abort(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


class Slow(Connection):
    def __init__(self):
        self.slow = True

    def close(self):
        self.slow = False
"""

INI = """
[pytest]
leakguard_track =
    app.Session
    app.Connection: close|abort
    sqlite3.Connection: close
"""


@dataclass(frozen=True, kw_only=True)
class TrackRow(Row):
    """One twin; its `kind` is the way in which it is watched."""

    @property
    def lines(self) -> Kind:
        """The lines that it is made of."""
        return WAYS[self.kind]


def _rows() -> Iterator[TrackRow]:
    for way in WAYS:
        for leaky in (True, False):
            for scope in SCOPES:
                for phase in PHASES:
                    yield TrackRow(kind=way, scope=scope, phase=phase, leaky=leaky)
            yield TrackRow(kind=way, scope="function", phase="call", leaky=leaky, given="plain")


ROWS = tuple(_rows())


def tree() -> dict[str, str]:
    """The project: relative path -> text."""
    head = "import sqlite3\n\nimport app\nimport pytest\nfrom pytest_leakguard import track\n\nKEPT = []\n"
    files = {path: head for pair in SCOPES.values() for path in pair}
    for row in ROWS:
        fixtures, tests = SCOPES[row.scope]
        files[fixtures] += row.fixture_source()
        files[tests] += row.test_source()
    return {"pytest.ini": INI, "app.py": APP, "pkg/__init__.py": "", **files}


line_marked = twins.line_marked
