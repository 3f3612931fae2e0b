"""Allow rules: reading them, what they match, and the words for those that can't be read."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.allow import AllowRule, BadRule, first_match, near, parse_line, parse_rule
from pytest_leakguard.core.model import KINDS, Finding, Origin, Owner

SOURCE = "tox.ini"


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
            "tox.ini: unknown kind 'fsd' in 'fsd:*'; did you mean 'fd'?\n"
            "Known: fd, object, process, socket, state, temp, thread, unclosed.",
        ),
        (
            ":*", "r",
            "tox.ini: unknown kind '' in ':*'.\nKnown: fd, object, process, socket, state, temp, thread, unclosed.",
        ),
        (
            "zzz:*", "r",
            "tox.ini: unknown kind 'zzz' in 'zzz:*'.\n"
            "Known: fd, object, process, socket, state, temp, thread, unclosed.",
        ),
        ("fd: ", "r", "tox.ini: empty pattern in 'fd: '. Allowed: a glob; 'fd:*' allows every fd leak."),
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
