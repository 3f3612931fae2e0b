"""What the user asks of the instances of a class: to be gone, or to have been closed, when their owner is over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

ALLOWED = (
    "MODULE.CLASS, or MODULE.CLASS: METHOD|METHOD; CLASS may be a glob. "
    "E.g. 'mypkg.db.Session', 'mypkg.db.Connection: close|abort', 'mypkg.db.*'"
)
_NAME = re.compile(r"[^\W\d]\w*(\.[\w*?\[\]!-]+)+")
_METHOD = re.compile(r"[^\W\d]\w*")


class BadDemand(ValueError):
    """A line that can't be understood; the text says where it stands and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One line of ``leakguard_track``.

    Attributes:
        pattern: module and class, with a dot between; a glob, as in allow rules, may stand for the class.
        methods: one of these must have been called; empty means that the instance must be gone.
        source: where the line stands.
    """

    pattern: str
    methods: tuple[str, ...] = ()
    source: str = ""

    @property
    def text(self) -> str:
        """The line in its plain form."""
        return self.pattern + (f": {'|'.join(self.methods)}" if self.methods else "")

    @property
    def is_glob(self) -> bool:
        """Whether it may stand for several classes."""
        return any(char in self.pattern for char in "*?[")

    @property
    def fixed(self) -> str:
        """What each matching name begins with."""
        return re.split(r"[*?\[]", self.pattern)[0]

    def may_be_in(self, module: str) -> bool:
        """Whether a module of that name could hold a class that is meant."""
        fixed = self.fixed
        return fixed.startswith(module + ".") or (self.is_glob and f"{module}.".startswith(fixed))

    def matches(self, name: str) -> bool:
        """Whether the class of that full name is meant."""
        return fnmatchcase(name, self.pattern)


def parse_demand(line: object, source: str) -> Demand:
    """Read one line. Raises BadDemand."""
    if not isinstance(line, str):
        raise BadDemand(f"{source}: bad class {line!r}. Allowed: strings, {ALLOWED}.")
    pattern, colon, rest = (part.strip() for part in line.partition(":"))
    if not _NAME.fullmatch(pattern):
        raise BadDemand(f"{source}: bad class {pattern!r} in {line!r}. Allowed: {ALLOWED}.")
    methods = tuple(method.strip() for method in rest.split("|")) if colon else ()
    for method in methods:
        if not _METHOD.fullmatch(method):
            raise BadDemand(f"{source}: bad method {method!r} in {line!r}. Allowed: {ALLOWED}.")
    return Demand(pattern=pattern, methods=methods, source=source)
