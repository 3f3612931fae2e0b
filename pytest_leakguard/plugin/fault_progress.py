"""One line in the terminal that tells how far a long sweep is; by the rules of pytest's own progress."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_leakguard import _real
from pytest_leakguard.plugin import internals
from pytest_leakguard.report.text import printable

FIRST_AFTER_SECONDS = 1.0
"""A sweep that is over by then says nothing."""
REWRITTEN_EVERY_SECONDS = 0.2
WRITTEN_EVERY_SECONDS = 30.0
"""Where a line can't be written over, as in a log of CI: a new one, so that nobody takes the run for dead."""


class ProgressLine:
    """The line of one process; workers of xdist have no terminal, so they have none."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._terminal: Any = None
        self._shows = False
        self._below: internals.LineBelow | None = None
        self._test = ""
        self._due = 0.0

    def begin(self, test: str) -> None:
        """A sweep starts."""
        # made late: pytest's own reporter may be younger than this
        self._terminal = self._config.pluginmanager.get_plugin("terminalreporter")
        self._shows = self._config.get_verbosity() >= 0 and internals.shows_progress(self._terminal)
        self._below = internals.line_below(self._terminal) if self._shows else None
        self._test = test
        self._due = _real.monotonic() + (FIRST_AFTER_SECONDS if self._below is not None else WRITTEN_EVERY_SECONDS)

    def __call__(self, done: int, of: int) -> None:
        """So many points are done."""
        now = _real.monotonic()
        if not self._shows or now < self._due:
            return
        self._due = now + (REWRITTEN_EVERY_SECONDS if self._below is not None else WRITTEN_EVERY_SECONDS)
        line = printable(f"leakguard: {self._test}: {done:,} of {of:,} fault points")
        if self._below is not None:
            self._below.write(line)
        else:
            self._terminal.write_line(line)

    def end(self) -> None:
        """The sweep is over: the line goes."""
        if self._below is not None:
            self._below.end()
