"""Chains of references in words, as a line and as a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from test_text import FD

from pytest_leakguard.core.holding import Edge, EdgeKind, Held, Miss, Path
from pytest_leakguard.report.holding import REASONS, chain, dot, in_words, line
from pytest_leakguard.report.text import lines

WORDS = {
    "global": ("module app.cache", "_SOURCES", "module app.cache, global `_SOURCES`"),
    "class": ("class app.Pool", "shared", "class app.Pool, attribute `shared`"),
    "thread": ("thread 'poller'", "db", "thread 'poller', attribute `db`"),
    "fixture": ("fixture 'bag'", "", "value of fixture 'bag'"),
    "test": ("test_it (t.py:3)", "f", "local 'f' of the test"),
    "exact": ("handler of SIGTERM", "", "handler of SIGTERM"),
    "attribute": ("Pool", "_idle", "Pool._idle"),
    "key": ("dict", "'header'", "dict['header']"),
    "index": ("list", "3", "list[3]"),
    "element": ("set", "", "element of a set"),
    "closure": ("function load", "f", "variable 'f' in function load"),
    "default": ("function load", "seen", "default of argument 'seen' of function load"),
    "local": ("work (app/w.py:12), thread 'x'", "conn", "local 'conn' in work (app/w.py:12), thread 'x'"),
    "traceback": ("ValueError", "", "traceback of ValueError"),
    "argument": ("partial(send)", "0", "argument 0 of partial(send)"),
    "cache": ("function load", "", "cache of function load"),
    "context": ("context", "current", "context variable 'current'"),
    "thread-local": ("threading.local", "conn", "thread-local attribute `conn` of threading.local"),
    "awaits": ("coroutine serve (s.py:3)", "", "coroutine serve (s.py:3), which waits for"),
    "callback": ("ReferenceType", "", "callback of a weak reference"),
    "inside": ("repeat", "", "repeat"),
}


@pytest.mark.parametrize("kind", get_args(EdgeKind))
def test_each_kind_of_reference_has_words(kind):
    """One phrase, in the terms of the field."""
    holder, name, words = WORDS[kind]
    assert in_words(Edge(holder=holder, kind=kind, name=name)) == words


@pytest.mark.parametrize("miss", get_args(Miss))
def test_each_reason_has_words_or_is_not_told(miss):
    """Only what the user can't help is passed over in silence."""
    words = REASONS[miss].format(seconds=0.5)
    assert bool(words) == (miss not in ("ours", "none"))
    assert line(Held(reason=words)) == words


def test_what_has_no_name_is_told_without_one():
    """A key, a running loop, a context variable that can't be told."""
    assert in_words(Edge(holder="dict", kind="element", name="key")) == "key of a dict"
    assert in_words(Edge(holder="generator rows (a.py:3)", kind="local")) == "in use by generator rows (a.py:3)"
    assert in_words(Edge(holder="context", kind="context")) == "context variable"


PATH = Path(
    edges=(
        Edge(holder="module app.cache", kind="global", name="_SOURCES"),
        Edge(holder="dict", kind="key", name="'a\"b\\n'"),
        Edge(holder="Source", kind="attribute", name="stream"),
    ),
    target="TextIOWrapper",
)


def test_a_chain_is_one_line():
    """From the root to the object, and the picture's name where there is one."""
    words = ("module app.cache, global `_SOURCES`", "dict['a\"b\\n']", "Source.stream", "TextIOWrapper")
    assert chain(PATH) == words
    assert line(Held(chain=words)) == " -> ".join(words)
    assert line(Held(chain=words, graph="g/fd-1.dot")) == f"{' -> '.join(words)}  [graph: g/fd-1.dot]"
    assert line(Held()) == ""


def test_the_line_stands_in_its_place():
    """Between where it was acquired and when it was due; left out when there is nothing to tell."""
    held = replace(FD, held=Held(chain=("module app.cache, global `\x1b[31m`", "TextIOWrapper")))
    labels = [row.split()[0] for row in lines(held)[1:]]
    assert labels == ["what", "acquired", "held", "due", "fix", "allow"]
    assert lines(held)[3] == "  held      module app.cache, global `\\x1b[31m` -> TextIOWrapper"
    assert [row.split()[0] for row in lines(FD)[1:]] == ["what", "acquired", "due", "fix", "allow"]


GOLD = r"""digraph held {
  label="fd:\"quoted\"";
  labelloc=t;
  node [shape=box, fontname="sans-serif"];
  edge [fontname="sans-serif"];
  n0 [label="module app.cache", style=bold];
  n1 [label="dict"];
  n2 [label="Source"];
  n3 [label="TextIOWrapper", style=filled, fillcolor="#ffd9d9"];
  n0 -> n1 [label="global _SOURCES"];
  n1 -> n2 [label="['a\"b\\n']"];
  n2 -> n3 [label=".stream"];
}
"""


def test_the_picture_of_a_chain():
    """The DOT text, to the character: quotes and backslashes escaped."""
    assert dot(PATH, 'fd:"quoted"') == GOLD


def test_a_picture_of_hostile_names_is_still_text():
    """Control characters and lone surrogates can't break the file."""
    text = dot(Path(edges=(), target="x\n\x00\udce9\u202e"), "\x1b")
    assert text.encode("utf-8").isascii()
    assert "x????" in text
