"""SARIF 2.1.0: the format of static analysis results, read by code scanning services and editors."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import quote

from pytest_leakguard.core.model import FAULT_KINDS, Finding
from pytest_leakguard.report import pages
from pytest_leakguard.report.groups import Group, groups_of, owner_in_words, place
from pytest_leakguard.report.place import Place, in_project, is_inside, under
from pytest_leakguard.report.plain import clipped, counted

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"fails": "error", "warned": "warning", "late": "note", "told": "note", "note": "warning"}
_MOST_RESULTS = 25_000
"""What code scanning takes of one run."""
_MOST_RELATED = 10
_LET_PASS = {"allowed": "let pass by a rule", "known": "known: it stands in the baseline"}

_RULES = {
    "fd": "File descriptor left open",
    "socket": "Socket left open",
    "mmap": "Memory mapping or shared memory left behind",
    "sqlite": "SQLite connection left open",
    "thread": "Thread left running",
    "process": "Child process left behind",
    "task": "Task, coroutine or async generator left unfinished",
    "lock": "Lock left held",
    "temp": "Temporary file or folder left behind",
    "unclosed": "Closed only by the garbage collector",
    "object": "Object left alive, or not closed",
    "state": "State of the process left changed",
    "hang": "A fault makes the test hang",
    "unrelated": "A fault brings up an unrelated error",
    "unraisable": "A fault brings up an error that nothing can catch",
    "swallowed": "A fault is swallowed",
    "polluted": "After a fault the test does not pass any more",
}


def render(report: dict[str, Any]) -> str:
    """One result for each fingerprint; those that a rule lets pass are marked as suppressed."""
    groups = groups_of(report)[:_MOST_RESULTS]
    kinds = list(dict.fromkeys(group.first.kind for group in groups))
    run = {
        "tool": {
            "driver": {
                "name": "pytest-leakguard",
                "version": str(report["plugin_version"]),
                "rules": [_rule(kind) for kind in kinds],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"ROOT": {"description": {"text": "the top of the repository"}}},
        "results": [_result(group, kinds.index(group.first.kind), report) for group in groups],
        "invocations": [
            {
                "executionSuccessful": not report["blind"],
                "startTimeUtc": report["session"]["started"].replace("+00:00", "Z"),
                "toolExecutionNotifications": [
                    {"level": "warning", "message": {"text": clipped(error)}} for error in report["errors"]
                ],
            }
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}) + "\n"


def _rule(kind: str) -> dict[str, Any]:
    short = _RULES.get(kind, f"{clipped(kind, 60)} left behind")
    return {
        "id": f"leakguard/{clipped(kind, 60)}",
        "name": "".join(word.capitalize() for word in clipped(kind, 60).replace("-", " ").split()) or "Leak",
        "shortDescription": {"text": short},
        "fullDescription": {"text": f"{short} by a test or a fixture after its teardown."},
        "defaultConfiguration": {"level": "error"},
        "help": _help(kind),
    }


def _help(kind: str) -> dict[str, Any]:
    """The section of the reference on that kind, whole: it is read where the report is, and needs no address."""
    slug = "fault" if kind in FAULT_KINDS else kind if kind in ("task", "unclosed") else "leaked"
    return {
        "text": f"{pages.plain(slug)}\n\n{pages.line([slug])}",
        "markdown": f"{pages.markdown(slug)}\n\nWhat it means: `{pages.command([slug])}`",
    }


def _result(group: Group, index: int, report: dict[str, Any]) -> dict[str, Any]:
    first = group.first
    excerpts, folder = report["excerpts"], report["session"]["folder"]
    main = in_project(first, excerpts)
    times = f" ({counted(group.count, 'leak')} in {counted(len(group.tests), 'test')})" if group.count > 1 else ""
    sentences = [f"{owner_in_words(first)} left behind: {first.what}{times}", first.due, first.fix]
    text = ". ".join(clipped(sentence) for sentence in sentences if sentence)
    result: dict[str, Any] = {
        "ruleId": f"leakguard/{clipped(first.kind, 60)}",
        "ruleIndex": index,
        "level": _LEVELS.get(group.disposition, "note"),
        "message": {"text": text},
        "partialFingerprints": {"leakguard/v1": _digest(group.fingerprint)},
        "occurrenceCount": max(1, group.count),
        "properties": {
            "fingerprint": clipped(group.fingerprint),
            "verdict": first.verdict,
            "disposition": first.disposition,
            "meaning": pages.command(pages.slugs_of(first)),
            "tests": [clipped(test) for test in group.tests[:_MOST_RELATED]],
        },
    }
    if main is not None:
        result["locations"] = [_location(main, folder, excerpts)]
    flow = _flow(first, folder, excerpts)
    if flow:
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    related = _related(group, main, folder, excerpts)
    if related:
        result["relatedLocations"] = related
    if group.disposition in _LET_PASS:
        reasons = [note.removeprefix("allowed: ") for note in first.notes if note.startswith("allowed: ")]
        reason = reasons[0] if reasons else _LET_PASS[group.disposition]
        result["suppressions"] = [{"kind": "external", "justification": clipped(reason)}]
    return result


def _location(where: Place, folder: str, excerpts: dict[str, Any], text: str = "") -> dict[str, Any]:
    if f"{where.file}:{where.line}" in excerpts and not is_inside(where, excerpts):
        return {"message": {"text": clipped(text)}}  # a dependency's file has no place in the repository
    region: dict[str, Any] = {"startLine": where.line}
    physical: dict[str, Any] = {
        "artifactLocation": {"uri": _uri(under(folder, where.file)), "uriBaseId": "ROOT"},
        "region": region,
    }
    excerpt = excerpts.get(f"{where.file}:{where.line}")
    if excerpt is not None:
        lines = [clipped(line, 400) for line in excerpt["lines"]]
        region["snippet"] = {"text": lines[where.line - excerpt["first"]]}
        physical["contextRegion"] = {
            "startLine": excerpt["first"],
            "endLine": excerpt["first"] + len(lines) - 1,
            "snippet": {"text": "\n".join(lines)},
        }
    location: dict[str, Any] = {"physicalLocation": physical}
    if text:
        location["message"] = {"text": clipped(text)}
    return location


def _flow(finding: Finding, folder: str, excerpts: dict[str, Any]) -> list[dict[str, Any]]:
    """How the acquisition came about, then who holds it: steps of one code flow."""
    steps: list[dict[str, Any]] = []
    origin = finding.origin
    if origin.via:
        led = _place_of(origin.via)
        if led is not None:
            steps.append({"location": _location(led, folder, excerpts, f"leads to the acquisition: {origin.via}")})
    if origin.file is not None and origin.line:
        phase = f"{finding.phase} phase: " if finding.phase else ""
        text = f"{phase}acquired at {place(finding)} [{origin.how}: {origin.event}]"
        steps.append({"location": _location(Place(origin.file, origin.line), folder, excerpts, text)})
    for reference in finding.held.chain:
        steps.append({"location": {"message": {"text": f"held by {clipped(reference)}"}}})
    return steps


def _related(group: Group, main: Place | None, folder: str, excerpts: dict[str, Any]) -> list[dict[str, Any]]:
    """The fixture that owns it and the tests that show it, as far as they are other places."""
    found: list[dict[str, Any]] = []
    seen = {main}
    where = _place_of(group.first.owner.where)
    if where is not None and where not in seen:
        seen.add(where)
        found.append(_location(where, folder, excerpts, f"owned by {owner_in_words(group.first)}"))
    for test in group.tests:
        file = test.partition("::")[0]
        if file.endswith(".py") and Place(file, 1) not in seen and len(found) < _MOST_RELATED:
            seen.add(Place(file, 1))
            found.append(_location(Place(file, 1), folder, excerpts, f"seen in {test}"))
    return [{"id": number, **location} for number, location in enumerate(found)]


def _place_of(text: str) -> Place | None:
    file, _, rest = text.partition(":")
    line = rest.partition(" ")[0]
    return Place(file, int(line)) if file.endswith(".py") and line.isdecimal() and int(line) > 0 else None


def _uri(path: str) -> str:
    return quote(path.encode("utf-8", "surrogateescape" if _is_text(path) else "backslashreplace"))


def _is_text(path: str) -> bool:
    """Whether what is no text in it stands for bytes of a file name, as Python reads them from the system."""
    try:
        path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
