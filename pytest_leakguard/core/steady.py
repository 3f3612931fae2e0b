"""Texts that hold for the next run too: without what is counted, drawn or computed anew each time.

A baseline finds a leak again by its fingerprint, and a rule that we suggest has to fit the same leak tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pytest_leakguard.core.allow import SELECTORS

_DIGEST = r"(?<![0-9A-Za-z])(?=[a-f]*\d|[A-F]*\d)[0-9a-fA-F]{7,}(?![0-9A-Za-z])"
_UUID = r"(?<![0-9A-Za-z])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9A-Za-z])"
_NUMBERS = re.compile(rf"0x[0-9a-fA-F]+|{_UUID}|{_DIGEST}|\d+")

_PORT = re.compile(r":\d+$")
_NAMED_AT_RANDOM = frozenset({"mkstemp", "mkdtemp", "_mkstemp_inner", "NamedTemporaryFile"})
_RANDOM_NAME = re.compile(r"[a-z0-9_]{8}(?=(\.[^/]*)?$)")
# as tempfile draws them, wherever in a path; with a digit, as nearly all have one and words have none
_IN_RANDOM_FOLDER = re.compile(r"(?<![a-z0-9_])tmp(?=[a-z_]{0,7}\d)[a-z0-9_]{8}")
# the names that threads get when nobody gives them one
_NUMBERED_THREAD = re.compile(r"^(Thread-|Dummy-|ThreadPoolExecutor-|asyncio_)\d+(_\d+)?")

_LOOKS_SELECTED = re.compile(rf"({'|'.join(SELECTORS)})=")
_START = re.compile(r"(?:\[.\]|[^\[]){0,80}", re.DOTALL)
"""So much of a glob, and no half of what is escaped."""
_LONG = 100


def numberless(text: str) -> str:
    """Each number, address, digest and UUID as ``N``."""
    return _NUMBERS.sub("N", text)


def rule_for(kind: str, subject: str, within: Collection[str]) -> str:
    """A rule that lets such a leak pass: its kind, and a glob over its subject.

    Args:
        within: the functions of the standard library that acquired it.
    """
    glob = _escape(subject)
    if kind == "socket":
        glob = _PORT.sub(":*", glob)
    elif kind == "thread":
        glob = _NUMBERED_THREAD.sub(r"\1*", glob)
    elif not _NAMED_AT_RANDOM.isdisjoint(within):
        glob = _RANDOM_NAME.sub("*", glob)
    glob = _IN_RANDOM_FOLDER.sub("tmp*", glob)
    start = _START.match(glob)
    if len(subject) > _LONG and start is not None and " " in start[0]:  # a text; paths often differ at their end only
        glob = f"{start[0]}*"
    return f"{kind}:{glob}"


def _escape(subject: str) -> str:
    """A glob that matches the subject, and that survives a mark's quotes and an ini file's line."""
    glob = re.sub(r"([\[*?])", r"[\1]", subject)
    glob = "".join(char if char.isprintable() and char not in '"\\' else "?" for char in glob)
    glob = glob.replace(" -- ", " ?- ")
    if glob[:1] == " " or _LOOKS_SELECTED.match(glob):
        glob = "?" + glob[1:]
    if glob[-1:] == " ":
        glob = glob[:-1] + "?"
    return glob or "*"
