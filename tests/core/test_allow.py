"""Allow rules: reading them, what they match, and the words for those that can't be read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_leakguard.core.allow import AllowRule, BadRule, first_match, near, parse_line, parse_rule
from pytest_leakguard.core.model import KINDS, Finding, Origin, Owner

SOURCE = "tox.ini"
KNOWN = f"Known: {', '.join(sorted(KINDS))}."


def leak(kind: str, subject: str) -> Finding:
    return Finding(
        kind=kind, verdict="leaked", test="t", phase="call", owner=Owner(kind="test", scope="function", name="t"),
        what="", subject=subject, origin=Origin(), due="", fix="", allow="", fingerprint="",
    )  # fmt: skip


def rule(kind: str, pattern: str) -> AllowRule:
    return AllowRule(kind=kind, pattern=pattern, reason="r", source=SOURCE)


@pytest.mark.parametrize(
    ("written", "subject", "matches"),
    [
        (("fd", "data/a.csv"), "data/a.csv", True),
        (("fd", "data/a.csv"), "DATA/a.csv", False),  # letter case counts, on every platform
        (("fd", "data/a.csv"), "data/a.csv.bak", False),  # the whole subject
        (("fd", "data/a.csv"), "x/data/a.csv", False),
        (("fd", "data/*.csv"), "data/deep/a.csv", True),  # * crosses folders
        (("fd", "data/?.csv"), "data/a.csv", True),
        (("fd", "data/?.csv"), "data/ab.csv", False),
        (("fd", "data/[ab].csv"), "data/b.csv", True),
        (("fd", "data/[!ab].csv"), "data/b.csv", False),
        (("fd", "[*]"), "*", True),
        (("fd", "[*]"), "x", False),
        (("fd", "*"), "", True),
        (("fd", "*"), "a\nb", True),
    ],
)
def test_a_pattern_is_a_glob_over_the_whole_subject(written, subject, matches):
    """Shell-style, case counts, newlines are characters like others."""
    assert rule(*written).matches(leak("fd", subject)) is matches


def test_the_kind_must_be_the_findings_or_a_star():
    """A rule of one kind lets no other kind pass; the kind * lets any pass."""
    assert not rule("fd", "*").matches(leak("socket", "x"))
    assert all(rule("*", "x").matches(leak(kind, "x")) for kind in (*KINDS, "handle"))


def test_the_text_of_a_rule_is_as_it_was_written():
    """Messages repeat a rule as KIND:GLOB."""
    assert rule("fd", "a:b*").text == "fd:a:b*"


def test_a_rule_is_read_with_its_reason_and_its_source():
    """Blanks around the parts don't count; further colons belong to the pattern."""
    read = parse_rule(" socket : 127.0.0.1:6379 ", reason=" kept by design ", kinds=KINDS, source=SOURCE)
    assert read == AllowRule(kind="socket", pattern="127.0.0.1:6379", reason="kept by design", source=SOURCE)
    assert parse_rule("*:x", reason="r", kinds=(), source=SOURCE).kind == "*"


def test_a_line_is_a_rule_two_dashes_and_a_reason():
    """The ini form; dashes in the reason belong to it, dashes without blanks to the pattern."""
    line = "thread:poller--roof-* -- the stations run to the end -- all of them"
    read = parse_line(line, kinds=KINDS, source=SOURCE)
    assert (read.pattern, read.reason) == ("poller--roof-*", "the stations run to the end -- all of them")


@pytest.mark.parametrize(
    ("text", "kind", "pattern", "is_for_fault"),
    [
        ("fd@acquire:a.py:f:open#1", "fd", "acquire:a.py:f:open#1", True),
        ("hang@acquire:a.py:f:*", "hang", "acquire:a.py:f:*", True),
        ("*@acquire:*", "*", "acquire:*", True),
        ("socket:me@host:22", "socket", "me@host:22", False),
    ],
)
def test_a_rule_may_be_for_a_fault_point(text, kind, pattern, is_for_fault):
    """An @ in place of the first colon; one behind it is a character like others. Its text reads back as the same."""
    read = parse_rule(text, reason="r", kinds=KINDS, source=SOURCE)
    assert (read.kind, read.pattern, read.is_for_fault, read.text) == (kind, pattern, is_for_fault, text)
    at_point = replace(leak("fd", "acquire:a.py:f:open#1"), kind=kind, point="acquire:b.py:f:open#1")
    assert not replace(read, pattern="acquire:a.py:f:open#1", is_for_fault=True).matches(at_point)
    assert replace(read, pattern="acquire:a.py:f:open#1", is_for_fault=False).matches(at_point)
    assert replace(read, pattern="acquire:b.*", is_for_fault=True).matches(at_point)


@pytest.mark.parametrize(
    ("given", "reason", "message"),
    [
        (
            "data/a.csv", "r",
            "tox.ini: bad leak pattern 'data/a.csv'. "
            "Allowed: 'KIND:GLOB', the glob matched against the leak's subject, e.g. 'fd:data/*.csv'.",
        ),
        (
            None, "r",
            "tox.ini: bad leak pattern None. "
            "Allowed: 'KIND:GLOB', the glob matched against the leak's subject, e.g. 'fd:data/*.csv'.",
        ),
        (
            7, "r",
            "tox.ini: bad leak pattern 7. "
            "Allowed: 'KIND:GLOB', the glob matched against the leak's subject, e.g. 'fd:data/*.csv'.",
        ),
        (
            "fsd:*", "r",
            "tox.ini: unknown kind 'fsd' in 'fsd:*'; did you mean 'fd'?\n" + KNOWN,
        ),
        (
            ":*", "r",
            "tox.ini: unknown kind '' in ':*'.\n" + KNOWN,
        ),
        (
            "zzz:*", "r",
            "tox.ini: unknown kind 'zzz' in 'zzz:*'.\n" + KNOWN,
        ),
        ("fd: ", "r", "tox.ini: empty pattern in 'fd: '. Allowed: a glob; 'fd:*' allows every fd leak."),
        ("hang:*", "r", "tox.ini: unknown kind 'hang' in 'hang:*'.\n" + KNOWN),
        ("zzz@a:f", "r", "tox.ini: unknown kind 'zzz' in 'zzz@a:f'.\n" + KNOWN),
        (
            "fd:a", None,
            "tox.ini: the rule 'fd:a' has no reason. Every allowed leak says why it is accepted.",
        ),
        (
            "fd:a", " \t",
            "tox.ini: the rule 'fd:a' has no reason. Every allowed leak says why it is accepted.",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said_with_source_value_and_what_is_allowed(given, reason, message):
    """Each bad rule is told in the same words every time."""
    with pytest.raises(BadRule) as told:
        parse_rule(given, reason=reason, kinds=KINDS, source=SOURCE)
    assert str(told.value) == message


@pytest.mark.parametrize("line", ["fd:a", "fd:a --", "fd:a -- ", "fd:a-- x", "fd:a --x"])
def test_a_line_without_a_reason_is_refused(line):
    """A reason stands after two dashes with blanks around them, or it is none."""
    with pytest.raises(BadRule, match="has no reason"):
        parse_line(line, kinds=KINDS, source=SOURCE)


def test_the_first_rule_that_matches_counts():
    """Rules are asked in order; without a match there is none."""
    narrow, wide = rule("fd", "a"), rule("*", "*")
    assert first_match(leak("fd", "a"), [narrow, wide]) is narrow
    assert first_match(leak("fd", "b"), [narrow, wide]) is wide
    assert first_match(leak("fd", "b"), [narrow]) is None
    assert first_match(leak("fd", "b"), []) is None


@pytest.mark.parametrize(
    ("word", "offered"), [("sockt", "; did you mean 'socket'?"), ("threads", "; did you mean 'thread'?"), ("qq", ".")]
)
def test_a_near_match_is_offered_if_there_is_one(word, offered):
    """The end of a sentence: an offer, or just its point."""
    assert near(word, KINDS) == offered


# -- rules by origin, owner and name


def leak_at(file: str | None, function: str | None, owner: str = "t.py::test_a") -> Finding:
    return Finding(
        kind="fd", verdict="leaked", test="t", phase="call", owner=Owner(kind="test", scope="function", name=owner),
        what="", subject="data.csv", origin=Origin(file=file, line=3, function=function), due="", fix="", allow="",
        fingerprint="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("origin=app/pool.py:Pool.connect", True),
        ("origin=app/pool.py:*", True),
        ("origin=*:Pool.connect", True),
        ("origin=app/pool.py:Pool", False),  # the whole name
        ("origin=pool.py:Pool.connect", False),
        ("origin=app/pool.py:Other.connect", False),
        ("owner=t.py::test_a", True),
        ("owner=t.py::*", True),
        ("owner=test_a", False),
        ("name=data.*", True),
        ("name=t.py::test_a", False),
        ("data.csv", True),
        ("orign=app/pool.py:*", False),  # no word that selects: a subject
    ],
)
def test_a_word_selects_what_is_matched(pattern, matches):
    """File and qualified name of the acquiring function, the owner, the name; the rest is the subject."""
    assert rule("fd", pattern).matches(leak_at("app/pool.py", "Pool.connect")) is matches


def test_an_origin_that_is_not_known_matches_no_rule():
    """Not even a star: whoever wrote the rule had a place in mind."""
    assert not rule("fd", "origin=*").matches(leak_at(None, None))
    assert not rule("socket", "origin=*").matches(leak_at("a.py", "f"))


def test_python_3_10_has_bare_names_only(monkeypatch):
    """There a rule for a method matches its bare name in that file; on later ones it does not."""
    import sys

    found, method = leak_at("app/pool.py", "connect"), rule("fd", "origin=app/pool.py:Pool.connect")
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert method.matches(found)
    assert not method.matches(leak_at("app/other.py", "connect"))
    assert not method.matches(leak_at("app/pool.py", "close"))
    for selector in ("name", "owner"):
        found_by_name = replace(
            found, subject="app/pool.py:connect", owner=replace(found.owner, name="app/pool.py:connect")
        )
        assert not rule("fd", f"{selector}=app/pool.py:Pool.connect").matches(found_by_name)
    for version in ((3, 11, 0, "alpha", 1), (3, 13, 0, "final", 0)):
        monkeypatch.setattr(sys, "version_info", version)
        assert not method.matches(found)
