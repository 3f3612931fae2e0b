"""The baseline as text: read strictly, written so that it merges well.

A small part of TOML, read here because Python 3.10 has no reader for it and
none keeps comments. One block a leak, sorted, with an empty line between: two
branches that change different leaks touch lines that are not neighbours, so
git merges them by itself.

    # accepted until the pool is rewritten
    [[leak]]
    fingerprint = "fd:app/pool.py:Pool.connect"
    count = 3
    tests = [
      "tests/test_pool.py::test_reconnect",
    ]
    reason = "the pool is rewritten in the next release"
    expires = 2027-01-31
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from pytest_leakguard.core.allow import near


class BadBaseline(ValueError):
    """A baseline that can't be read; the text names file and line, and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One known leak.

    Attributes:
        count: how often it may occur in a run.
        tests: where it was seen: test ids without parameters, classes, files, or folders that end in ``/``.
        reason: why it is accepted, in the words of whoever wrote it.
        expires: the last day on which it is accepted.
        needs: what has to be asked for to see it at all: ``faults`` or ``repeat``; empty for nothing.
        comments: the lines of comment above and in its block.
        line: where its block begins.
    """

    fingerprint: str
    count: int = 1
    tests: tuple[str, ...] = ()
    reason: str = ""
    expires: date | None = None
    needs: str = ""
    comments: tuple[str, ...] = ()
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineText:
    """A whole file: what stands above the first block, and the blocks."""

    head: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()


HEAD = (
    "# The leaks of this suite that are known: they pass, and any other one fails. This list should only shrink.",
    "# --leakguard-baseline-update writes it anew, and keeps reasons, dates and comments.",
)

NEEDS = ("faults", "repeat")
_KEYS = ("fingerprint", "count", "tests", "reason", "expires", "needs")
_TOKEN = re.compile(
    r"""
      (?P<comment>\#.*)
    | (?P<header>\[\[[^\]\n]*\]\])
    | (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<literal>'[^'\n]*')
    | (?P<date>\d{4}-\d{2}-\d{2})
    | (?P<number>\d+)
    | (?P<word>[A-Za-z_][\w-]*)
    | (?P<sign>[\[\],=])
    """,
    re.VERBOSE,
)
_CONFLICT = re.compile(r"^(<{7}|={7}|>{7}|\|{7})(?= |$)")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


class _Reader:
    """Walks over the tokens of a file; each complaint names file and line."""

    def __init__(self, text: str, source: str) -> None:
        self._source = source
        self._tokens = list(self._split(text))
        self._at = 0
        self.line = 1

    def bad(self, problem: str, line: int | None = None) -> BadBaseline:
        return BadBaseline(f"{self._source}, line {line or self.line}: {problem}")

    def next(self) -> _Token | None:
        """The next token, or None at the end."""
        if self._at == len(self._tokens):
            return None
        token = self._tokens[self._at]
        self._at += 1
        self.line = token.line
        return token

    def need(self, what: str, *kinds: str) -> _Token:
        """The next token of the line, which must be of one of these kinds. Raises BadBaseline."""
        token = self.next()
        if token is None or (token.kind not in kinds and token.text not in kinds):
            found = "the end" if token is None or token.kind == "newline" else repr(token.text)
            raise self.bad(f"{found} where {what} is expected.")
        return token

    def _split(self, text: str) -> Iterator[_Token]:
        for number, line in enumerate(text.split("\n"), 1):
            if _CONFLICT.match(line):
                raise self.bad(
                    f"a merge conflict that is not resolved: {line!r}. Keep the blocks of both sides, each fingerprint "
                    "once with the higher count, and take the marks out.",
                    number,
                )
            at = 0
            while at < len(line):
                if line[at].isspace():
                    at += 1
                    continue
                found = _TOKEN.match(line, at)
                if found is None:
                    raise self.bad(
                        f"can't be read: {line[at:]!r}. Allowed: [[leak]], `name = value` with a string in double "
                        "quotes, a number, a date (2027-01-31) or a list of strings, and comments after #.",
                        number,
                    )
                yield _Token(str(found.lastgroup), found[0], number)
                at = found.end()
            yield _Token("newline", "\n", number)


def parse(text: str, source: str) -> BaselineText:
    """Read a file.

    Args:
        source: its name, for messages.
    Raises:
        BadBaseline: names file and line, what is wrong and what is allowed.
    """
    reader = _Reader(text, source)
    head: list[str] = []
    comments: list[str] = []  # those that the next block or value takes
    blocks: list[dict[str, Any]] = []
    is_empty = True  # nothing stands on this line so far
    has_gap = True  # an empty line since the last value
    while (token := reader.next()) is not None:
        if token.kind == "newline":
            has_gap |= is_empty
            if is_empty and not blocks and comments:
                head += [*comments, ""]
                comments = []
            is_empty = True
            continue
        is_empty = False
        if token.kind == "comment":
            (comments if has_gap else blocks[-1]["comments"]).append(token.text)
        elif token.kind == "header":
            if token.text.strip("[] ") != "leak":
                raise reader.bad(f"unknown table {token.text}. Allowed: [[leak]].")
            blocks.append({"line": token.line, "comments": comments})
            comments, has_gap = [], False
        elif token.kind == "word":
            if not blocks:
                raise reader.bad(f"{token.text!r} stands in no block. Allowed: a line [[leak]] above it.")
            blocks[-1]["comments"] += comments
            _read_value(reader, blocks[-1], token.text)
            comments, has_gap, is_empty = [], False, True
        else:
            raise reader.bad(f"{token.text!r} can't begin a line. Allowed: [[leak]], `name = value`, or a comment.")
    (blocks[-1]["comments"] if blocks else head).extend(comments)
    return BaselineText(head=_trimmed(head), entries=_entries(reader, blocks))


def _trimmed(lines: list[str]) -> tuple[str, ...]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    return tuple(lines)


def _read_value(reader: _Reader, block: dict[str, Any], name: str) -> None:
    if name not in _KEYS:
        raise reader.bad(f"unknown name {name!r}{near(name, _KEYS)} Known: {', '.join(_KEYS)}.")
    if name in block:
        raise reader.bad(f"{name!r} is given twice in one block.")
    reader.need("'='", "=")
    block[name] = _READ[name](reader, block)
    token = reader.next()
    if token is not None and token.kind == "comment":
        block["comments"].append(token.text)
        token = reader.next()
    if token is not None and token.kind != "newline":
        raise reader.bad(f"{token.text!r} after the value of {name!r}. Allowed: one value a line.")


def _string(reader: _Reader, block: dict[str, Any]) -> str:
    return _unquoted(reader, reader.need("a string in double quotes", "string", "literal"))


def _unquoted(reader: _Reader, token: _Token) -> str:
    if token.kind == "literal":
        return token.text[1:-1]
    try:
        # a string of TOML is one of JSON, but for one long escape
        return str(json.loads(re.sub(r"(?<!\\)((?:\\\\)*)\\U([0-9a-fA-F]{8})", _long_escape, token.text)))
    except ValueError as error:
        raise reader.bad(f"bad string {token.text}: {error}. Allowed: escapes as in JSON.") from None


def _long_escape(found: re.Match[str]) -> str:
    return found[1] + json.dumps(chr(min(int(found[2], 16), 0x110000)))[1:-1]  # chr() refuses: no such character


def _count(reader: _Reader, block: dict[str, Any]) -> int:
    number = int(reader.need("a whole number, 1 or more,", "number").text)
    if number < 1:
        raise reader.bad("bad count 0. Allowed: a whole number, 1 or more; delete the block of a leak that is gone.")
    return number


def _date(reader: _Reader, block: dict[str, Any]) -> date:
    text = reader.need("a date as 2027-01-31, without quotes,", "date").text
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise reader.bad(f"bad date {text}: {error}. Allowed: year-month-day, as 2027-01-31.") from None


def _needs(reader: _Reader, block: dict[str, Any]) -> str:
    word = _string(reader, block)
    if word not in NEEDS:
        raise reader.bad(f"bad needs {word!r}{near(word, NEEDS)} Allowed: {', '.join(NEEDS)}.")
    return word


def _strings(reader: _Reader, block: dict[str, Any]) -> tuple[str, ...]:
    reader.need("a list of strings", "[")
    strings: list[str] = []
    may_follow = True
    while True:
        token = reader.next()
        if token is None:
            raise reader.bad("a list without its end. Allowed: strings in double quotes, separated by commas, then ].")
        if token.text == "]":
            return tuple(strings)
        if token.kind == "comment":
            block["comments"].append(token.text)
        elif token.text == "," and not may_follow:
            may_follow = True
        elif token.kind in ("string", "literal") and may_follow:
            strings.append(_unquoted(reader, token))
            may_follow = False
        elif token.kind != "newline":
            raise reader.bad(
                f"{token.text!r} in a list. Allowed: strings in double quotes, separated by commas, then ]."
            )


_READ: dict[str, Callable[[_Reader, dict[str, Any]], Any]] = {
    "fingerprint": _string,
    "count": _count,
    "tests": _strings,
    "reason": _string,
    "expires": _date,
    "needs": _needs,
}


def _entries(reader: _Reader, blocks: list[dict[str, Any]]) -> tuple[Entry, ...]:
    first: dict[str, int] = {}
    entries = []
    for block in blocks:
        line, name = block["line"], block.get("fingerprint", "")
        if not name:
            raise reader.bad(
                'a block without a fingerprint. Allowed: fingerprint = "KIND:...", as reports tell it.', line
            )
        if name in first:
            raise reader.bad(
                f"fingerprint {name!r} stands in line {first[name]} too. Keep one block, with the higher count.",
                line,
            )
        first[name] = line
        entries.append(Entry(**{**block, "comments": tuple(block["comments"])}))
    return tuple(entries)


def render(head: Iterable[str], entries: Iterable[Entry]) -> str:
    """The text of a file: the same entries always give the same text."""
    blocks = ["\n".join(head)]
    blocks += [_block(entry) for entry in sorted(entries, key=lambda entry: entry.fingerprint)]
    return "\n\n".join(blocks) + "\n"


def _block(entry: Entry) -> str:
    rows = [*entry.comments, "[[leak]]", f"fingerprint = {_quoted(entry.fingerprint)}", f"count = {entry.count}"]
    if entry.tests:
        rows += ["tests = [", *(f"  {_quoted(test)}," for test in sorted(entry.tests)), "]"]
    if entry.needs:
        rows.append(f"needs = {_quoted(entry.needs)}")
    if entry.reason:
        rows.append(f"reason = {_quoted(entry.reason)}")
    if entry.expires is not None:
        rows.append(f"expires = {entry.expires.isoformat()}")
    return "\n".join(rows)


def plain(text: str) -> str:
    """The same, or with escapes for what no file in UTF-8 can hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _quoted(text: str) -> str:
    quoted = json.dumps(plain(text), ensure_ascii=False)
    # what splits lines, or what TOML wants escaped and JSON does not
    return "".join(char if char.isprintable() else _escape(char) for char in quoted)


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\U{ord(char):08x}"
