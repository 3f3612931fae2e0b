"""Fault points and injected errors: ids can be read back, errors can be recognized."""

from __future__ import annotations

import pytest

from pytest_leakguard.faults.errors import comes_from_injected, error_of, fault_of, is_injected
from pytest_leakguard.faults.model import BadPoint, FaultPoint


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
