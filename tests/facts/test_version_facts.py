"""The facts about Python that probes and origins rest on hold on the Python that runs this."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from acquisitions import ROWS, Row, at, is_known
from page import PAGE, table

from pytest_leakguard.core.ledger import Ledger
from pytest_leakguard.origins.audit import Recorder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the facts are those of Linux")

rows = pytest.mark.parametrize("row", ROWS, ids=[row.does for row in ROWS])


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any] | None]:
    """What a fresh process saw of each row; None where this Python lacks what the row needs."""
    folder = tmp_path_factory.mktemp("facts")
    ran = subprocess.run(
        [sys.executable, "-X", "dev", str(Path(__file__).with_name("witness.py")), str(folder)],
        input=json.dumps([asdict(row) for row in ROWS]),
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(told) == len(ROWS), ran.stderr
    return dict(zip((row.does for row in ROWS), told, strict=True))


@rows
def test_a_line_raises_the_events_of_the_table(row: Row, seen: Any) -> None:
    """Which audit events tell of the line, how many descriptors it opens, what its object says when it is dropped."""
    got = seen[row.does]
    if got is None:
        pytest.skip(f"no {row.needs} in this Python")
    version = sys.version_info[:2]
    facts = {name: at(getattr(row, name), version) for name in ("events", "descriptors", "dropped")}
    assert {**got, "events": tuple(got["events"]), "refused": ...} == {**facts, "refused": ...}


def test_an_error_of_the_hook_comes_out_of_the_line(seen: Any) -> None:
    """What raises an event can be made to fail there: the fault engine needs it."""
    asked = {does: got["refused"] for does, got in seen.items() if got is not None and got["events"]}
    assert [does for does, came_out in asked.items() if not came_out] == []
    assert len(asked) > 50


def test_only_what_came_later_is_missing(seen: Any) -> None:
    """A row is left out where its facts begin with a later version, and nowhere else."""
    later = {row.does for row in ROWS if isinstance(row.events, dict) and not is_known(row.events)}
    assert {does for does, got in seen.items() if got is None} == later


def test_what_the_record_listens_to_is_in_the_table() -> None:
    """No handler waits for an event that no version raises."""
    raised: set[str] = set()
    for row in ROWS:
        for events in row.events.values() if isinstance(row.events, dict) else [row.events]:
            raised.update(events)
    assert set(Recorder(Ledger())._handlers) <= raised


def test_lines_are_told_apart() -> None:
    """No line stands in the table twice: the second would hide the first."""
    assert len({row.does for row in ROWS}) == len(ROWS)


def test_the_page_holds_the_table() -> None:
    """The documentation says what the data say."""
    assert PAGE.read_text("utf-8").endswith("\n\n" + table()), "run: python tests/facts/page.py"


def test_the_table_behind_the_environment_is_there() -> None:
    """The phase of a test is read from it at each acquisition; without it that works too, but costs more."""
    key = b"PYTEST_CURRENT_TEST" if os.supports_bytes_environ else "PYTEST_CURRENT_TEST"
    assert os.fsdecode(os.environ._data[key]) == os.environ["PYTEST_CURRENT_TEST"]  # type: ignore[attr-defined]


def test_asking_a_frame_for_its_code_raises_an_event_and_for_its_globals_none(tmp_path: Path) -> None:
    """So a stack is cut where the globals say that the user's code ends, before the code is asked for."""
    program = tmp_path / "ask.py"
    program.write_text(
        "import sys\n"
        "frame, told = sys._getframe(), []\n"
        "sys.addaudithook(lambda event, args: told.append(event))\n"
        "frame.f_globals, frame.f_back, frame.f_lasti\n"
        "before = len(told)\n"
        "frame.f_code\n"
        "print(before, told)\n",
        encoding="utf-8",
    )
    ran = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "0 ['object.__getattr__']\n"
