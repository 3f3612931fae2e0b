"""Reports as plain data, made by hand: what the writers are given. Every finding goes through `to_dict`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.core.timeline import COLUMNS
from pytest_leakguard.report.data import FORMAT, FORMAT_VERSION, to_dict

TEST = "tests/test_loader.py::test_header"

LEAK = Finding(
    kind="fd",
    verdict="leaked",
    test=TEST,
    phase="call",
    owner=Owner(kind="test", scope="function", name=TEST),
    what="fd 14, regular file open for reading: data/header.csv",
    subject="data/header.csv",
    origin=Origin(file="app/loader.py", line=42, function="open_source", how="audit", event="open"),
    due="end of function scope; still open after teardown, 4 looks in 0.25 s",
    fix="open it in a `with` block, or close it where it is last used",
    allow='@pytest.mark.allow_leaks("fd:data/header.csv", reason="...")',
    fingerprint="fd:app/loader.py:open_source",
    held=Held(chain=("module app.cache, global `_SOURCES`", "dict['header']", "TextIOWrapper")),
)

OF_FIXTURE = replace(
    LEAK,
    kind="thread",
    owner=Owner(kind="fixture", scope="module", name="broker", where="tests/conftest.py:18"),
    what="thread 'broker-io', not daemon, now at app/broker.py:88 in _poll",
    subject="broker-io",
    origin=Origin(file="tests/conftest.py", line=21, function="broker", how="wrap", event="Thread.start"),
    fix="after the `yield` of fixture 'broker': stop and join it; the tests that use it are not at fault",
    fingerprint="thread:tests/conftest.py:broker",
    held=Held(reason="by nothing but the running thread itself"),
)

UNKNOWN = replace(
    LEAK,
    what="fd 17, epoll instance",
    subject="epoll",
    origin=Origin(reason="epoll_create() raises no audit event; try --leakguard-trace"),
    fingerprint="fd:tests/test_loader.py::test_header:epoll",
    held=Held(),
)

EXCERPTS = {
    "app/loader.py:42": {
        "first": 40,
        "inside": True,
        "lines": ["", "def open_source(name):", "    stream = open(name)", "    return header(stream)", ""],
    },
    "tests/conftest.py:21": {
        "first": 20,
        "inside": True,
        "lines": ["    broker = Broker()", "    broker.start()", "    yield broker"],
    },
    "tests/conftest.py:18": {
        "first": 18,
        "inside": True,
        "lines": ["@pytest.fixture(scope='module')", "def broker():"],
    },
}

SWEEPS = {
    "tests": 2,
    "points": {"acquire": 3, "body": 1},
    "tried": 3,
    "trials": 4,
    "skipped": {"beyond the budget": 1},
    "stopped": [],
    "seconds": 0.5,
    "seeds": [7],
    "points_left_out": 0,
    "sweeps": [
        {
            "test": "tests/test_pair.py::test_pair",
            "points": [
                {
                    "id": "acquire:app/pair.py:Pair.__enter__:socket#2",
                    "line": 15,
                    "trials": [["transient", "raised", ["leak"]], ["persistent", "raised", ["leak", "unrelated"]]],
                },
                {
                    "id": "acquire:app/pair.py:Pair.__enter__:socket#1",
                    "line": 14,
                    "trials": [["transient", "raised", []]],
                },
                {"id": "acquire:app/pair.py:Pair.save:open#1", "line": 30, "trials": []},
            ],
            "stopped": "",
        },
        {
            "test": "tests/test_pair.py::test_other",
            "points": [
                {"id": "body:app/pair.py:use:with#1", "line": 40, "trials": [["transient", "passed", ["swallowed"]]]}
            ],
            "stopped": "2 trials did not end in time",
        },
    ],
}  # fmt: skip

CLEANUP = [
    {"kind": kind, "path": "app/pair.py", "line": line, "qualname": "Pair.close", "what": what, "entered": 3,
     "normal": normal, "error": error}
    for kind, line, what, normal, error in (
        ("with", 10, "open(name)", 2, 1), ("finally", 20, "", 3, 0), ("finally", 30, "", 0, 0),
        ("except", 40, "OSError", 0, 1),
    )
]  # fmt: skip

ENDING = {
    "baseline": {
        "file": "leaks.json", "entries": 5, "known": 3, "new": ["fd:a.py:f"], "gone": ["fd:b.py:g"], "fewer": [],
    },
    "isolated": {
        "leaks": [
            {"test": TEST, "fingerprint": LEAK.fingerprint, "answer": "alone", "after": []},
            {"test": TEST, "fingerprint": "fd:b", "answer": "after one", "after": ["tests/test_a.py::test_it"]},
        ],
        "left_out": 2,
    },
    "explained": {
        TEST: {"settings": ["grace 1 s: default"], "steps": ["fd: fd 14; acquired app/loader.py:42: it fails"]},
    },
    "still_there": {
        "counts": {"thread": 1},
        "found": [
            {"kind": "thread", "what": "thread 'broker-io'", "acquired": "tests/conftest.py:21 in broker",
             "owner": "broker", "holds_exit": True},
        ],
    },
}  # fmt: skip

TIMELINE = {
    "worker": "",
    "columns": list(COLUMNS),
    "rows": [[second / 10, second, 12 + second // 7, 1 + second // 30, second % 3, 50_000_000 + second * 90_000]
             for second in range(100)],
    "marks": [[0.8, TEST, 1], [6.4, "tests/test_loader.py::test_other", 3]],
    "marks_left_out": 0,
}  # fmt: skip


def document(*findings: Finding, **changed: Any) -> dict[str, Any]:
    """A whole report with these findings; top-level names can be replaced."""
    leaks = sum(one.count for one in findings if one.disposition in ("fails", "warned"))
    summary = {
        "tests": 120, "leaks": leaks, "findings": len(findings),
        "allowed": sum(one.count for one in findings if one.disposition == "allowed"),
        "known": sum(one.count for one in findings if one.disposition == "known"),
        "once": sum(one.count for one in findings if one.disposition == "once"),
        "notes": sum(one.count for one in findings if one.disposition == "note"),
        "late": sum(one.count for one in findings if one.disposition == "late"),
        "peak_descriptors": 212, "descriptor_limit": 1024, "peak_test": TEST, "overhead_seconds": 0.4,
    }  # fmt: skip
    report = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "plugin_version": "0.1.0",
        "python": "3.11.7",
        "pytest": "9.2.0",
        "platform": "linux",
        "session": {"started": "2026-01-02T03:04:05+00:00", "seconds": 12.5, "folder": ""},
        "probes": {
            "fd": {"active": True, "mechanism": "listing of the descriptors", "note": ""},
            "state": {"active": False, "mechanism": "", "note": "not asked for"},
        },
        "summary": summary,
        "findings": [to_dict(finding) for finding in findings],
        "excerpts": EXCERPTS,
        "timelines": [TIMELINE],
        "unused_allows": [],
        "idle_shared_rules": [],
        "faults": {},
        "cleanup": [],
        "baseline": {},
        "isolated": {},
        "explained": {},
        "still_there": {},
        "blind": {},
        "errors": [],
        "messages": [],
    }
    return {**report, **changed}


def everything() -> dict[str, Any]:
    """A report with something in each of its parts."""
    patch = (
        "--- a/app/loader.py\n+++ b/app/loader.py\n@@ -42,2 +42,2 @@\n-    stream = open(name)\n"
        "-    return header(stream)\n+    with open(name) as stream:\n+        return header(stream)\n"
    )
    others = [replace(LEAK, test=f"tests/test_loader.py::test_more[{number}]", patch=patch) for number in range(30)]
    return document(
        replace(LEAK, patch=patch),
        *others,
        OF_FIXTURE,
        UNKNOWN,
        replace(UNKNOWN, kind="temp", what="temporary folder /tmp/N", subject="/tmp/N", fingerprint="temp:x",
                disposition="allowed", notes=("allowed: kept for the next job",)),
        replace(LEAK, kind="socket", fingerprint="socket:app/net.py:connect", disposition="note",
                origin=Origin(file="app/net.py", line=7, function="connect", how="audit", event="socket.__new__")),
        replace(LEAK, kind="hang", verdict="fault", fingerprint="hang:app/pair.py:use",
                point="body:app/pair.py:use:with#1",
                fault="with raised OSError (injected) at app/pair.py:40",
                repeat="pytest tests/test_pair.py::test_pair --leakguard-fault=body:app/pair.py:use:with#1"),
        faults=SWEEPS,
        cleanup=CLEANUP,
        **ENDING,
        unused_allows=[{"rule": "fd:*.csv", "source": "tox.ini"}],
        errors=["probe 'x' could not describe a resource"],
    )  # fmt: skip


def many(number: int, fingerprints: int) -> dict[str, Any]:
    """A report with so many leaks of so many fingerprints, each with its own place and excerpt."""
    findings, excerpts = [], {}
    for index in range(number):
        place = index % fingerprints
        file = f"app/part_{place % 97}.py"
        findings.append(
            replace(
                LEAK,
                test=f"tests/test_part_{index % 311}.py::test_it[{index}]",
                owner=Owner(kind="test", scope="function", name=f"tests/test_part_{index % 311}.py::test_it[{index}]"),
                origin=Origin(file=file, line=place + 10, function=f"open_{place}", how="audit", event="open"),
                fingerprint=f"fd:{file}:open_{place}",
            )
        )
        if len(excerpts) < 2000:
            excerpts[f"{file}:{place + 10}"] = {
                "first": place + 7,
                "lines": [f"    step_{n} = {place}" for n in range(7)],
            }
    return document(*findings, excerpts=excerpts)
