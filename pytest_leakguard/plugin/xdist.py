"""pytest-xdist: each worker judges its own tests, the controller shows and writes."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_leakguard.plugin.guard import Guard
    from pytest_leakguard.plugin.summary import Presenter
    from pytest_leakguard.plugin.tally import Tally

OUTPUT_KEY = "leakguard"
ERROR_KEY = "leakguard_usage_error"


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is a worker of pytest-xdist."""
    return hasattr(config, "workerinput")


def worker_of(config: pytest.Config) -> str:
    """The id of the worker that this process is; empty when it is none."""
    return str(getattr(config, "workerinput", {}).get("workerid", ""))


@contextmanager
def usage_errors_of_a_worker(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """A worker that raises ends in xdist's own error: let it run nothing, and have the controller raise."""
    from pytest_leakguard.plugin.meaning import usage_errors_name_their_page

    try:
        with usage_errors_name_their_page():
            yield
    except pytest.UsageError as error:
        if not is_worker(config):
            raise
        items[:] = []
        config.workeroutput[ERROR_KEY] = str(error)  # type: ignore[attr-defined]


class Worker:
    """Sends what the reports don't carry when the worker ends."""

    def __init__(self, guard: Guard, tally: Tally) -> None:
        self._guard = guard
        self._tally = tally
        from pytest_leakguard.plugin.put_off import Sending  # it needs the guard's own modules

        self._put_off = Sending(guard.judge)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self._guard.delivery.sent()
            self._put_off.put_on(report)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        result = yield
        groups = [self._guard.delivery.group(test, findings) for test, findings in self._guard.finish()]
        self._guard.remains.look()
        output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined]
        output[OUTPUT_KEY] = json.dumps({"tally": self._tally.own(), "groups": groups})
        return result


class Controller:
    """Adds up what the workers send.

    Args:
        presenter: gives the presenter, made when a worker has something to tell.
    """

    def __init__(self, presenter: Callable[[], Presenter]) -> None:
        self._presenter = presenter
        from pytest_leakguard.plugin.put_off import Open

        self._open = Open()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        from pytest_leakguard.plugin.delivery import REPORT_ATTRIBUTE

        node = getattr(report, "node", None)
        if node is not None:
            self._open.take(node.gateway.id, report)
        data = report.__dict__.get(REPORT_ATTRIBUTE)
        if not isinstance(data, dict) or "findings" not in data:
            return (yield)
        presenter = self._presenter()
        presenter.tell(report, data)
        result = yield
        presenter.tell_all_earlier(report, data)
        return result

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        output = getattr(node, "workeroutput", {})
        if ERROR_KEY in output:
            raise pytest.UsageError(output[ERROR_KEY])
        if OUTPUT_KEY not in output:
            # it judged nothing, or crashed: what its reports carried is kept
            if error and node.config.pluginmanager.has_plugin("leakguard-presenter"):
                presenter = self._presenter()
                presenter.guard.errors += self._open.lines(node.gateway.id)
                if presenter.settings.every_test:  # else nobody here knows which of them were checked
                    presenter.tally.tests_of_crashed += self._open.tests(node.gateway.id)
            return
        data = json.loads(output[OUTPUT_KEY])
        presenter = self._presenter()
        presenter.tally.add(data["tally"])
        for group in data["groups"]:
            presenter.tell_earlier(group, node)
