"""A leak and the source that it came from -> a patch, or nothing."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

from pytest_leakguard.core.model import Finding
from pytest_leakguard.remedy.block import Doubt, find
from pytest_leakguard.remedy.case import Case, Request, refuse_odd_fixtures
from pytest_leakguard.remedy.children import ended
from pytest_leakguard.remedy.closing import closed
from pytest_leakguard.remedy.edit import Text, unified
from pytest_leakguard.remedy.temporary import removed
from pytest_leakguard.remedy.threads import joined

_MOST_BYTES = 1_000_000
_NO_KEEPERS = ("value of fixture", "module subprocess")
"""Where a chain starts that keeps nothing alive on purpose: Python itself remembers children nobody waited for."""
_PATCHED = ("leaked", "unclosed", "late")
_PATTERNS: dict[str, Callable[[Case], Text]] = {
    "fd": closed,
    "socket": closed,
    "mmap": closed,
    "unclosed": closed,
    "thread": joined,
    "process": ended,
    "temp": removed,
}


def patch_for(finding: Finding, root: str) -> str:
    """A unified diff that ends the leak, for `git apply` in the root folder; empty when in doubt.

    Args:
        root: what the finding's paths are relative to. The file is read, nothing is written.
    """
    origin = finding.origin
    if finding.point or finding.verdict not in _PATCHED or finding.owner.kind not in ("test", "fixture"):
        return ""
    if origin.file is None or not origin.line or not origin.function or origin.via or _is_kept(finding):
        return ""
    file = os.path.join(root, origin.file)
    try:
        status = os.stat(file)
    except (OSError, ValueError):
        return ""
    if (
        os.path.isabs(origin.file)
        or not origin.file.isprintable()
        or " " in origin.file
        or status.st_size > _MOST_BYTES
    ):
        return ""
    request = Request(
        kind=finding.kind,
        verdict=finding.verdict,
        event=origin.event,
        line=origin.line,
        function=origin.function,
        of_fixture=finding.owner.kind == "fixture" and not finding.owner.xunit,
        running=", running" in finding.what if finding.kind == "process" else finding.verdict != "late",
    )
    if finding.owner.kind == "fixture" and finding.owner.xunit:
        return ""
    return _patch(file, origin.file, status.st_mtime_ns, request)


def with_patch(finding: Finding, root: str | os.PathLike[str], errors: list[str]) -> Finding:
    """The finding with its patch; an error of ours costs the patch and is told.

    Args:
        errors: told of it.
    """
    try:
        patch = patch_for(finding, os.fspath(root))
    except Exception as error:
        errors.append(f"no patch for {finding.fingerprint}: {type(error).__name__}: {error}")
        return finding
    return replace(finding, patch=patch) if patch else finding


def _is_kept(finding: Finding) -> bool:
    """Something outside of the function holds the object on: to close it may be wrong."""
    chain = finding.held.chain
    # whoever holds an executor on: the one that made it for a test has to shut it down
    return bool(chain) and finding.origin.event != "ThreadPoolExecutor" and not chain[0].startswith(_NO_KEEPERS)


def _rewritten(case: Case) -> Text:
    """The text without the leak. Raises Doubt."""
    if case.request.of_fixture and not case.gives:
        raise Doubt("a function that the fixture calls acquired it")
    if case.gives:
        refuse_odd_fixtures(case)
    pattern = _PATTERNS.get(case.request.kind)
    if pattern is None:
        raise Doubt("no pattern for this kind")
    return pattern(case)


@lru_cache(maxsize=256)
def _patch(path: str, file: str, changed: int, request: Request) -> str:
    source = _parsed(path, changed)
    if source is None:
        return ""
    before, tree = source
    try:
        after = _rewritten(Case(request, before, tree, find(tree, request.line, request.function)))
        ast.parse("\n".join(after.lines))
    except (Doubt, SyntaxError, RecursionError):
        return ""
    patch = unified(file, before, after)
    return patch if patch.replace("\n", "").isprintable() else ""


@lru_cache(maxsize=8)
def _parsed(path: str, changed: int) -> tuple[Text, ast.Module] | None:
    """A file as it is now; nothing where lines are not what they seem, or it can't be read.

    Args:
        changed: when it was written, so that a changed file is read again.
    """
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            source = stream.read()
        if "\r" in source or "\f" in source or not source.endswith("\n"):
            return None
        return Text(tuple(source[:-1].split("\n"))), ast.parse(source)
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None
