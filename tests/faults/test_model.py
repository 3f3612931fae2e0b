"""Fault points and injected errors: ids can be read back, errors can be recognized."""

from __future__ import annotations

import errno
import socket
import sqlite3

import pytest

from pytest_leakguard.faults.errors import (
    EVENTS,
    WHAT,
    InjectedFault,
    comes_from_injected,
    error_of,
    fault_of,
    is_injected,
    message,
    planned,
    related,
)
from pytest_leakguard.faults.model import STRICT, BadPoint, FaultFinding, FaultPoint, SweepResult, Trial, site_of


@pytest.mark.parametrize(
    "text",
    [
        "acquire:app/loader.py:load:open#2",
        "interrupt:app/x.py:A.b.<locals>.c:sleep#11",
        "cancel:C:/app/x.py:run:await#1",
    ],
)
def test_an_id_is_read_back(text):
    """What a report prints is what the option takes."""
    assert FaultPoint.parse(text).id == text


@pytest.mark.parametrize(
    "text", ["", "open#2", "acquired:a.py:f:open#1", "acquire:a.py:f:open", "acquire:a.py:f:open#0"]
)
def test_a_bad_id_says_what_is_allowed(text):
    """The message has the form, the families and what was given."""
    with pytest.raises(BadPoint, match=r"FAMILY:PATH:QUALNAME:WHAT#N.*acquire") as caught:
        FaultPoint.parse(text)
    assert repr(text) in str(caught.value)


def test_the_parts_of_an_id():
    """The number is the occurrence; the path may have colons; blanks around don't matter; the line is not known."""
    point = FaultPoint.parse(" custom:C:/app/x y.py:A.b:save#012\n")
    assert (point.family, point.path, point.qualname, point.what) == ("custom", "C:/app/x y.py", "A.b", "save")
    assert (point.occurrence, point.line) == (12, 0)
    assert site_of(point) == "custom:C:/app/x y.py:A.b:save"
    assert FaultPoint.parse("call:a.py:f:open#1").occurrence == 1


def test_a_point_where_no_code_could_bear_a_fault_says_so():
    """By the beginning of its operation."""
    point = FaultPoint(family="interrupt", path="a.py", qualname="f", what="open", occurrence=1)
    assert not point.is_strict
    assert FaultPoint.parse(f"interrupt:a.py:f:{STRICT}open#1").is_strict


def test_what_is_not_told_of_a_sweep_is_nothing():
    """No time, no seed, no findings."""
    point = FaultPoint.parse("call:a.py:f:open#1")
    assert (SweepResult(stopped="x").seconds, SweepResult().seed) == (0, 0)
    finding = FaultFinding(fault="leak", point=point, mode="transient", what="fd 3")
    assert (finding.told, finding.count) == (False, 1)
    assert Trial(point=point, mode="transient", outcome="raised").seconds == 0


def test_an_injected_error_is_recognizable_and_tells_how_to_repeat_it():
    """Also through the errors that were raised because of it."""
    error = error_of("open", ("data.txt", "r", 0), "acquire:a.py:f:open#1")
    assert isinstance(error, OSError)
    assert error.filename == "data.txt"
    assert is_injected(error)
    assert fault_of(error) == "acquire:a.py:f:open#1"
    assert "injected" in str(error)
    assert "--leakguard-fault=acquire:a.py:f:open#1" in str(error)
    other = ValueError("x")
    assert not comes_from_injected(other)
    other.__context__ = error
    assert comes_from_injected(other)
    assert not is_injected(other)


def test_an_error_that_was_asked_for_by_hand_has_no_point():
    """It is marked all the same, and its message offers nothing to repeat."""
    error = planned(InjectedFault(message("open failed", "")), "")
    assert str(error) == "open failed (injected)"
    assert (is_injected(error), fault_of(error)) == (True, "")
    assert (is_injected(None), fault_of(None), comes_from_injected(None)) == (False, "", False)


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("path", ["data.txt", b"data.txt", None])
def test_each_error_is_one_that_the_call_can_give(event, path):
    """With number and file name where the call has one; a descriptor of a pipe or a process id is none."""
    error = error_of("".join(list(event)), (path, 7), "acquire:a.py:f:x#1")
    assert is_injected(error)
    assert fault_of(error) == "acquire:a.py:f:x#1"
    has_path = event in ("open", "os.scandir", "os.listdir", "os.mkdir", "os.rename", "os.link", "os.symlink")
    assert getattr(error, "filename", None) == (path if has_path else None)
    if event.startswith("_thread."):
        assert type(error) is RuntimeError
    elif event == "sqlite3.connect":
        assert type(error) is sqlite3.OperationalError
    elif event == "socket.getaddrinfo":
        assert type(error) is socket.gaierror
        assert error.errno == socket.EAI_AGAIN
    else:
        assert isinstance(error, OSError)
        assert error.errno in (
            errno.EMFILE, errno.EACCES, errno.ENOSPC, errno.EPERM, errno.EAGAIN, errno.ECONNREFUSED, errno.EADDRINUSE,
            errno.EPIPE, errno.ENOMEM, errno.EWOULDBLOCK,
        )  # fmt: skip


def test_opening_what_has_a_descriptor_already_runs_out_of_memory_not_of_descriptors():
    """`open(3)` asks for no new one; a path does, and a flag is no descriptor."""
    assert error_of("".join(list("open")), (3, "r"), "").errno == errno.ENOMEM
    assert error_of("fcntl.flock", (3, 2), "").errno == errno.EWOULDBLOCK
    assert error_of("open", ("a", "r"), "").errno == errno.EMFILE
    assert error_of("open", (True, "r"), "").errno == errno.EMFILE
    assert error_of("os.mkdir", (3, 7), "").errno == errno.ENOSPC
    assert error_of("os.listdir", (3,), "").errno == errno.EACCES


def test_the_short_names_of_events():
    """As points tell them: the called function."""
    assert (WHAT["open"], WHAT["socket.__new__"], WHAT["sqlite3.connect"]) == ("open", "socket", "sqlite3.connect")
    assert WHAT["_thread.start_new_thread"] == WHAT["_thread.start_joinable_thread"] == "thread"


def test_what_an_error_is_related_to():
    """Causes, contexts, the members of groups, in whatever depth; each once, though they go round in a circle."""
    errors = [ValueError(number) for number in range(6)]
    errors[0].__cause__, errors[0].__context__ = errors[1], errors[2]
    errors[2].__context__ = errors[0]
    errors[1].exceptions = (errors[3], "no error")
    errors[3].exceptions = [errors[4]]
    errors[4].exceptions = "no list"
    found = list(related(errors[0]))
    assert sorted(error.args[0] for error in found) == [0, 1, 2, 3, 4]
    assert list(related(None)) == []
    planned(errors[4], "")
    assert comes_from_injected(errors[0])
    assert not comes_from_injected(errors[5])
