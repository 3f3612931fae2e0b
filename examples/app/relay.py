"""Sends readings to the relay station."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Link:
    """A radio link. The channel is taken until `close` or `abort` is called."""

    def __init__(self, channel: int) -> None:
        self.channel = channel
        self.sent: list[float] = []

    def send(self, reading: float) -> None:
        if reading > 60:
            raise ValueError(f"{reading} degrees: the sensor is broken")
        self.sent.append(reading)

    def close(self) -> None:
        self.sent.clear()

    def abort(self) -> None:
        self.sent.clear()


def report_carelessly(readings: list[float]) -> int:
    """Careless: a reading that is refused leaves the link as it is."""
    link = Link(channel=4)
    for reading in readings:
        link.send(reading)
    count = len(link.sent)
    link.close()
    return count


@contextmanager
def linked(channel: int) -> Iterator[Link]:
    """A link for the length of a `with` block."""
    link = Link(channel)
    try:
        yield link
    except BaseException:
        link.abort()
        raise
    link.close()


def report(readings: list[float]) -> int:
    with linked(channel=4) as link:
        for reading in readings:
            link.send(reading)
        return len(link.sent)


class Session:
    """One operator at the desk."""

    def __init__(self, operator: str) -> None:
        self.operator = operator


_by_operator: dict[str, Session] = {}


def sign_in(operator: str) -> Session:
    """Careless: a session stays in the table until its operator signs out."""
    return _by_operator.setdefault(operator, Session(operator))


def sign_out(operator: str) -> None:
    del _by_operator[operator]


class Forecast:
    """What the models say for one hour."""


_history: list[Forecast] = []
_latest: dict[str, Forecast] = {}


def forecast_with_history() -> Forecast:
    """Careless: the history has no end."""
    _history.append(Forecast())
    return _history[-1]


def forecast() -> Forecast:
    """Keeps the latest one only."""
    return _latest.setdefault("latest", Forecast())
