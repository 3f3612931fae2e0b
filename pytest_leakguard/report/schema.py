"""The JSON report as a JSON schema (draft 2020-12), for programs that read it."""

from __future__ import annotations

import json
from typing import Any, get_args

from pytest_leakguard.core import model
from pytest_leakguard.core.timeline import COLUMNS
from pytest_leakguard.report.data import FORMAT, FORMAT_VERSION

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "number"}
COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
TRUTH: dict[str, Any] = {"type": "boolean"}
TEXTS: dict[str, Any] = {"type": "array", "items": TEXT}


def _object(**properties: Any) -> dict[str, Any]:
    """All of these are there; a reader passes over what it does not know."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _map(values: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _one_of(values: Any) -> dict[str, Any]:
    return {"enum": list(get_args(values))}


def _if_on(**properties: Any) -> dict[str, Any]:
    """As `_object`, or empty where that part was not asked for."""
    return {"anyOf": [_object(**properties), {"type": "object", "maxProperties": 0}]}


def _finding() -> dict[str, Any]:
    owner = _object(kind=_one_of(model.OwnerKind), scope=TEXT, name=TEXT, where=TEXT, xunit=TRUTH)
    origin = _object(
        file=_or_null(TEXT), line=_or_null(COUNT), function=_or_null(TEXT), how=_one_of(model.How), event=TEXT,
        reason=TEXT, via=TEXT,
    )  # fmt: skip
    return _object(
        kind=TEXT, verdict=_one_of(model.Verdict), test=TEXT, phase=_or_null(_one_of(model.Phase)), owner=owner,
        what=TEXT, subject=TEXT, origin=origin, due=TEXT, fix=TEXT, allow=TEXT, fingerprint=TEXT,
        count={"type": "integer", "minimum": 1}, disposition=_one_of(model.Disposition), notes=TEXTS,
        held=_object(chain=TEXTS, reason=TEXT, graph=TEXT), point=TEXT, fault=TEXT, repeat=TEXT, patch=TEXT,
        held_then=TEXTS, cleanups=TEXTS, messages=TEXTS,
    )  # fmt: skip


def _timeline() -> dict[str, Any]:
    row = {"type": "array", "items": NUMBER, "minItems": len(COLUMNS)}
    mark = {"type": "array", "prefixItems": [NUMBER, TEXT, COUNT]}
    return _object(worker=TEXT, columns=TEXTS, rows=_list(row), marks=_list(mark), marks_left_out=COUNT)


def _cleanup_path() -> dict[str, Any]:
    return _object(
        kind=TEXT, path=TEXT, line=COUNT, qualname=TEXT, what=TEXT, entered=COUNT, normal=COUNT, error=COUNT
    )  # fmt: skip


def _faults() -> dict[str, Any]:
    trial = {"type": "array", "prefixItems": [TEXT, TEXT, TEXTS]}
    point = _object(id=TEXT, line=COUNT, trials=_list(trial))
    return _if_on(
        tests=COUNT, points=_map(COUNT), tried=COUNT, trials=COUNT, skipped=_map(COUNT), stopped=TEXTS,
        seconds=NUMBER, seeds=_list(COUNT), points_left_out=COUNT,
        sweeps=_list(_object(test=TEXT, points=_list(point), stopped=TEXT)),
    )  # fmt: skip


def schema() -> dict[str, Any]:
    """The schema of a whole report of this format version."""
    report = _object(
        format={"const": FORMAT},
        format_version={"const": FORMAT_VERSION},
        plugin_version=TEXT,
        python=TEXT,
        pytest=TEXT,
        platform=TEXT,
        session=_object(started={"type": "string", "format": "date-time"}, seconds=NUMBER, folder=TEXT),
        probes=_map(_object(active=TRUTH, mechanism=TEXT, note=TEXT)),
        summary=_object(
            tests=COUNT, leaks=COUNT, findings=COUNT, allowed=COUNT, known=COUNT, notes=COUNT, late=COUNT, once=COUNT,
            peak_descriptors=COUNT, descriptor_limit=COUNT, peak_test=TEXT, overhead_seconds=NUMBER,
        ),
        findings=_list(_finding()),
        excerpts=_map(_object(first=COUNT, lines=TEXTS, inside=TRUTH)),
        timelines=_list(_timeline()),
        unused_allows=_list(_object(rule=TEXT, source=TEXT)),
        idle_shared_rules=_list(_object(rule=TEXT, source=TEXT)),
        faults=_faults(),
        cleanup=_list(_cleanup_path()),
        baseline=_if_on(file=TEXT, entries=COUNT, known=COUNT, new=TEXTS, gone=TEXTS, fewer=TEXTS),
        isolated=_if_on(leaks=_list(_object(test=TEXT, fingerprint=TEXT, answer=TEXT, after=TEXTS)), left_out=COUNT),
        explained=_map(_object(settings=TEXTS, steps=TEXTS)),
        still_there=_if_on(
            counts=_map(COUNT),
            found=_list(_object(kind=TEXT, what=TEXT, acquired=TEXT, owner=TEXT, holds_exit=TRUTH)),
        ),
        blind=_map(TEXT),
        errors=TEXTS,
        messages=TEXTS,
    )  # fmt: skip
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "pytest-leakguard report", **report}


def main() -> int:
    """Print the schema. Returns the exit status."""
    print(json.dumps(schema(), indent=1))
    return 0
