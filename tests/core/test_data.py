"""Findings as plain data and back, and the JSON file: whole or not there."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.report import jsonfile
from pytest_leakguard.report.data import FORMAT, FORMAT_VERSION, from_dict, to_dict

FINDING = Finding(
    kind="fd",
    verdict="leaked",
    test="tests/test_a.py::test_x",
    phase="call",
    owner=Owner(kind="fixture", scope="module", name="db", where="conftest.py:8"),
    what="fd 14, regular file open for reading: data/header.csv",
    subject="data/header.csv",
    origin=Origin(
        file="app/loader.py", line=42, function="open_source", how="audit", event="open", via="t.py:3 in test_x"
    ),
    due="end of module scope",
    fix="close it",
    allow="in the ini file: leakguard_allow = fd:data/header.csv -- <reason>",
    fingerprint="fd:app/loader.py:open_source",
    count=2,
    disposition="note",
    notes=("also in t.py::test_y",),
    held=Held(chain=("module app.cache, global `S`", "dict['a']", "TextIOWrapper"), graph="graphs/fd-1.dot"),
    point="acquire:app/loader.py:load:open#2",
    fault="open raised OSError (injected) at app/loader.py:50 in load",
    held_then=("fd 3, open file: a.txt, app/loader.py:49 in load",),
    cleanups=("finally at app/loader.py:60 in load ran",),
    repeat="pytest t.py --leakguard-fault=acquire:app/loader.py:load:open#2",
    patch="--- a/app/loader.py\n",
)

GOLD = {
    "kind": "fd",
    "verdict": "leaked",
    "test": "tests/test_a.py::test_x",
    "phase": "call",
    "owner": {"kind": "fixture", "scope": "module", "name": "db", "where": "conftest.py:8", "xunit": False},
    "what": "fd 14, regular file open for reading: data/header.csv",
    "subject": "data/header.csv",
    "origin": {
        "file": "app/loader.py",
        "line": 42,
        "function": "open_source",
        "how": "audit",
        "event": "open",
        "reason": "",
        "via": "t.py:3 in test_x",
    },
    "due": "end of module scope",
    "fix": "close it",
    "allow": "in the ini file: leakguard_allow = fd:data/header.csv -- <reason>",
    "fingerprint": "fd:app/loader.py:open_source",
    "count": 2,
    "disposition": "note",
    "notes": ["also in t.py::test_y"],
    "held": {
        "chain": ["module app.cache, global `S`", "dict['a']", "TextIOWrapper"],
        "reason": "",
        "graph": "graphs/fd-1.dot",
    },
    "point": "acquire:app/loader.py:load:open#2",
    "fault": "open raised OSError (injected) at app/loader.py:50 in load",
    "held_then": ["fd 3, open file: a.txt, app/loader.py:49 in load"],
    "cleanups": ["finally at app/loader.py:60 in load ran"],
    "repeat": "pytest t.py --leakguard-fault=acquire:app/loader.py:load:open#2",
    "patch": "--- a/app/loader.py\n",
}


def test_a_finding_as_plain_data_is_what_the_schema_says():
    """Every field under its documented name, with plain values only; and the messages that explain it."""
    assert to_dict(FINDING) == {**GOLD, "messages": ["note", "fault", "held"]}


def test_the_format_has_a_name_and_a_number():
    """Readers tell by these two what they read."""
    assert (FORMAT, FORMAT_VERSION) == ("pytest-leakguard", 1)


def test_every_field_of_a_finding_travels():
    """A field added to the model later must be added to the data too."""
    assert set(GOLD) == {field.name for field in fields(Finding)}
    assert set(GOLD["owner"]) == {field.name for field in fields(Owner)} - {"serial"}
    assert set(GOLD["origin"]) == {field.name for field in fields(Origin)} - {"within"}
    assert set(GOLD["held"]) == {field.name for field in fields(Held)}


@pytest.mark.parametrize(
    "finding",
    [
        FINDING,
        replace(FINDING, phase=None, notes=(), origin=Origin(reason="nobody tells")),
        replace(FINDING, subject="\x1b[31m\n\udce9\"'", what="\u202e\x00", test="t.py::test[\udcff]"),
        replace(FINDING, subject="x" * 10_000),
    ],
    ids=["plain", "unknown", "hostile", "long"],
)
def test_there_and_back_again_through_json(finding):
    """A finding survives the way from a worker to the controller unchanged, hostile names too."""
    assert from_dict(json.loads(json.dumps(to_dict(finding)))) == finding


@pytest.mark.parametrize(
    "name", [*GOLD, *(f"{part}.{name}" for part in ("owner", "origin", "held") for name in GOLD[part])]
)
def test_a_missing_field_is_an_error_not_a_guess(name):
    """Data of another format is refused by name of what it lacks."""
    data = json.loads(json.dumps(GOLD))
    part = data
    *outer, last = name.split(".")
    for key in outer:
        part = part[key]
    del part[last]
    with pytest.raises(KeyError, match=last):
        from_dict(data)


def test_the_file_is_ascii_json_with_a_newline_at_its_end(tmp_path):
    """Any tool can read it; lone surrogates are escaped, not an error."""
    jsonfile.write(str(tmp_path / "r.json"), {"findings": [to_dict(replace(FINDING, subject="\udce9é"))]})
    raw = (tmp_path / "r.json").read_bytes()
    assert raw.isascii()
    assert raw.endswith(b"}\n")
    assert json.loads(raw)["findings"][0]["subject"] == "\udce9é"


def test_missing_folders_are_made(tmp_path):
    """A report into a folder that is not there yet makes it."""
    jsonfile.write(str(tmp_path / "a" / "b" / "r.json"), {})
    assert json.loads((tmp_path / "a" / "b" / "r.json").read_text()) == {}


def test_a_bare_name_goes_into_the_current_folder(tmp_path, monkeypatch):
    """Without a folder the file lies where pytest was called."""
    monkeypatch.chdir(tmp_path)
    jsonfile.write("r.json", {"a": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path):
    """Never half a file: the old report stays, and nothing lies beside it."""
    file = tmp_path / "r.json"
    file.write_text("old")
    with pytest.raises(TypeError):
        jsonfile.write(str(file), {"a": 1, "b": object()})
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_in_the_place_of_the_file_is_an_os_error(tmp_path):
    """What can't be replaced is told as OSError, and the part beside it is taken away."""
    (tmp_path / "r.json").mkdir()
    with pytest.raises(OSError):
        jsonfile.write(str(tmp_path / "r.json"), {})
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]
