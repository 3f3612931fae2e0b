"""pytest-xdist: each worker judges its own tests, the controller shows and writes."""

from __future__ import annotations

import json
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_leakguard.plugin.guard import Guard
    from pytest_leakguard.plugin.summary import Presenter, Tally

OUTPUT_KEY = "leakguard"


class Worker:
    """Sends what the reports don't carry when the worker ends."""

    def __init__(self, guard: Guard, tally: Tally) -> None:
        self._guard = guard
        self._tally = tally

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self._guard.delivery.sent()

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        groups = [self._guard.delivery.group(test, findings) for test, findings in self._guard.finish()]
        output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined]
        output[OUTPUT_KEY] = json.dumps({"tally": self._tally.own(), "groups": groups})
        return result


class Controller:
    """Adds up what the workers send."""

    def __init__(self, presenter: Presenter) -> None:
        self._presenter = presenter

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        sent = getattr(node, "workeroutput", {}).get(OUTPUT_KEY)
        if sent is None:
            return  # the worker crashed: what its reports carried is kept
        data = json.loads(sent)
        self._presenter.tally.add(data["tally"])
        for group in data["groups"]:
            self._presenter.tell_earlier(group, node)
