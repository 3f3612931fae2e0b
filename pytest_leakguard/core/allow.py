"""Allow rules: read, match, and tell which were never of use."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pytest_leakguard.core.model import FAULT_KINDS, Finding


class BadRule(ValueError):
    """A rule that can't be read; the text says why and what is allowed."""


def _origin(finding: Finding) -> str:
    origin = finding.origin
    return "" if origin.file is None else f"{origin.file}:{origin.function}"


SELECTORS: dict[str, Callable[[Finding], str]] = {
    "origin": _origin,
    "owner": lambda finding: finding.owner.name,
    "name": lambda finding: finding.subject,
}
"""What a rule's glob is matched against: ``origin=app/pool.py:Pool.connect``, ``owner=broker``, ``name=poller-*``."""

_SELECTED = re.compile(rf"({'|'.join(SELECTORS)})=(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowRule:
    """Lets leaks of one kind pass whose subject, origin or owner matches a glob.

    Attributes:
        kind: of the leak, or ``*``.
        pattern: shell-style, letter case counts; over the subject of the leak, or behind ``origin=`` over the file
            and the qualified name of the function that acquired it, behind ``owner=`` over the id of its test or the
            name of its fixture, behind ``name=`` over the subject again, which for a thread is its name.
        reason: why this leak is accepted; required.
        source: where the rule stands, for messages: a file, a test id, a plugin.
        is_for_fault: the pattern is over the id of a fault point: what is left when that one fails.
    """

    kind: str
    pattern: str
    reason: str
    source: str
    is_for_fault: bool = False

    def matches(self, finding: Finding) -> bool:
        """Whether the finding is one this rule lets pass."""
        if self.kind not in ("*", finding.kind):
            return False
        if self.is_for_fault:
            return fnmatchcase(finding.point, self.pattern)
        selected = _SELECTED.fullmatch(self.pattern)
        if selected is None:
            return fnmatchcase(finding.subject, self.pattern)
        selector, glob = selected.groups()
        value = SELECTORS[selector](finding)
        return bool(value) and (fnmatchcase(value, glob) or (selector == "origin" and _is_bare_match(value, glob)))

    @property
    def text(self) -> str:
        """The rule as it is written."""
        return f"{self.kind}{'@' if self.is_for_fault else ':'}{self.pattern}"


def _is_bare_match(origin: str, glob: str) -> bool:
    """Python 3.10 tells a method by its bare name: there only the last part of the rule's name counts."""
    if sys.version_info >= (3, 11):
        return False
    file, colon, function = glob.rpartition(":")
    return bool(colon) and fnmatchcase(origin, f"{file}:{function.rpartition('.')[2]}")


def near(word: str, known: Collection[str]) -> str:
    """The start of a sentence that offers a near match, or nothing."""
    close = difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else "."


def parse_rule(text: object, *, reason: str | None, kinds: Collection[str], source: str) -> AllowRule:
    """Read ``KIND:GLOB``, or ``KIND@GLOB`` where the glob is over the id of a fault point.

    Raises:
        BadRule: no kind, an unknown kind, an empty pattern, or no reason.
    """
    if not isinstance(text, str) or ":" not in text:
        raise BadRule(
            f"{source}: bad leak pattern {text!r}. "
            "Allowed: 'KIND:GLOB', the glob matched against the leak's subject, e.g. 'fd:data/*.csv'."
        )
    is_for_fault = "@" in text.partition(":")[0]
    kind, _, pattern = text.partition("@" if is_for_fault else ":")
    kind, pattern = kind.strip(), pattern.strip()
    if kind != "*" and kind not in kinds and not (is_for_fault and kind in FAULT_KINDS):
        raise BadRule(
            f"{source}: unknown kind {kind!r} in {text!r}{near(kind, kinds)}\nKnown: {', '.join(sorted(kinds))}."
        )
    if not pattern:
        raise BadRule(f"{source}: empty pattern in {text!r}. Allowed: a glob; '{kind}:*' allows every {kind} leak.")
    if not reason or not reason.strip():
        raise BadRule(f"{source}: the rule {text!r} has no reason. Every allowed leak says why it is accepted.")
    return AllowRule(kind=kind, pattern=pattern, reason=reason.strip(), source=source, is_for_fault=is_for_fault)


def parse_line(line: str, *, kinds: Collection[str], source: str) -> AllowRule:
    """Read ``KIND:GLOB -- reason``, the form of the ini setting. Raises BadRule."""
    text, _, reason = line.partition(" -- ")
    return parse_rule(text.strip(), reason=reason, kinds=kinds, source=source)


def first_match(finding: Finding, rules: Iterable[AllowRule]) -> AllowRule | None:
    """The first rule that lets the finding pass."""
    return next((rule for rule in rules if rule.matches(finding)), None)
