"""What the user sees: outcomes, the section, the closing line and the files. Runs where the terminal is."""

from __future__ import annotations

import platform
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from pytest_leakguard import __version__, _real
from pytest_leakguard.core.model import Finding
from pytest_leakguard.plugin import internals, meaning, writing
from pytest_leakguard.plugin.delivery import REPORT_ATTRIBUTE
from pytest_leakguard.plugin.guard import Guard
from pytest_leakguard.plugin.options import Settings
from pytest_leakguard.plugin.parts import PARTS, Part
from pytest_leakguard.plugin.shared_rules import idle_lines
from pytest_leakguard.plugin.tally import Tally
from pytest_leakguard.plugin.unharmed import unharmed
from pytest_leakguard.remedy.patch import with_patch
from pytest_leakguard.report import cleanup_lines, fault_lines, junit, pages, text
from pytest_leakguard.report.data import FORMAT, FORMAT_VERSION, from_dict, to_dict
from pytest_leakguard.report.excerpts import excerpts
from pytest_leakguard.report.plain import clipped

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

STATUS = "leakguard_status"
_TESTS_NAMED = 5


class Outcomes:
    """The hook that runs for each report; registered when there is a first leak to tell."""

    def __init__(self, presenter: Presenter) -> None:
        self._presenter = presenter

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None, object, object]:
        data = report.__dict__.get(REPORT_ATTRIBUTE)
        if not isinstance(data, dict) or "findings" not in data or hasattr(report, "node"):
            return (yield)
        presenter = self._presenter
        presenter.tell(report, data)
        result = yield
        presenter.guard.delivery.sent()
        presenter.tell_all_earlier(report, data)
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        colour = report.__dict__.get(STATUS)
        return None if colour is None else ("leaked", "L", ("LEAKED", {colour: True}))


class Presenter:
    """Turns findings into outcomes and shows them."""

    def __init__(self, config: pytest.Config, guard: Guard, tally: Tally) -> None:
        self.config = config
        self.guard = guard
        self.tally = tally
        self.settings = guard.settings
        self.findings: list[Finding] = []
        self.apart: list[Finding] = []
        self.parts: list[Part] = []
        self._awake = False
        self._started = _real.clock()
        self._printed: list[str] = []

    def wake(self) -> None:
        """There is something to tell: from now on each report is looked at."""
        if not self._awake:
            self._awake = True
            self.config.pluginmanager.register(Outcomes(self), "leakguard-outcomes")

    # -- hooks ---------------------------------------------------------------

    def pytest_report_header(self) -> list[str]:
        guard, settings = self.guard, self.settings
        watched = [kind for kind in sorted(guard.kinds) if kind in guard.watch.roster.kinds]
        scope = "every test" if settings.every_test else "marked tests"
        mode = ", ".join([f"action {settings.action}", f"grace {settings.grace_seconds:g} s", *_modes(settings)])
        lines = [f"leakguard: {', '.join(watched)}; {scope}; {mode}"]
        lines += [
            f"leakguard: {state.kind} is not watched: {state.note}"
            for state in guard.watch.roster.states()
            if not state.active and state.kind in guard.kinds
        ]
        with self._unharmed("a part of the header is not told"):
            lines += [line for part in self.parts for line in part.header()]
        return lines

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        limit = self.guard.watch.table.limit
        with self._unharmed("the properties of the suite are not told"):
            internals.add_suite_properties(self.config, junit.suite_properties(self.tally.total(), limit))
        result = yield
        if not self.guard.watch.is_own_process():
            return result
        for test, findings in self.guard.finish():
            self.tell_earlier(self.guard.delivery.group(test, findings))
        with self._unharmed("the session could not be ended"):
            self._end(session)
        with self._unharmed("no report is written"):
            self._write_files()
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_terminal_summary(self, terminalreporter: TerminalReporter) -> Generator[None, object, object]:
        result = yield
        if self.guard.watch.is_own_process() and not self.config.option.collectonly:
            errors: list[str] = []  # those of the session may be what can't be told
            with unharmed(errors, "the summary could not be finished"):
                self._summarize(terminalreporter)
            for error in errors:
                terminalreporter.write_line(f"leakguard: {clipped(error)}", red=True)
        return result

    def _end(self, session: pytest.Session) -> None:
        """Every verdict is there: let the parts end, and the session fail where something leaked."""
        fails = any(finding.disposition == "fails" for finding in self.findings)
        total = self.tally.total()
        blind = total["blind"]
        if total["fault_sites"]:
            from pytest_leakguard.plugin.fault_order import remember  # loaded by the sweeps already, if here

            remember(self.config, total["fault_sites"])
        too_bad = [self._close(part, session) for part in self.parts]
        failed = blind or any(too_bad) or (fails and self.settings.action == "fail")
        if session.exitstatus == pytest.ExitCode.OK and failed:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _close(self, part: Part, session: pytest.Session) -> bool:
        try:
            return part.close(session, self.findings)
        except Exception as error:  # an error of ours is told, and the run ends as it would
            self.guard.errors.append(f"{part.name} could not be ended: {type(error).__name__}: {error}")
            return False

    # -- outcomes ------------------------------------------------------------

    def tell(self, report: pytest.TestReport, data: dict[str, Any]) -> None:
        """Show what a report carries on its own test."""
        findings = self._shown(report, data["findings"])
        if data["failed_in_setup"]:
            # pytest shows the sections of a teardown below a failure, not below an error of the setup
            self.apart += [finding for finding in findings if finding.disposition == "note"]

    def tell_all_earlier(self, report: pytest.TestReport, data: dict[str, Any]) -> None:
        """Show what a report carries on tests before it."""
        for group in data["earlier"]:
            self.tell_earlier(group, getattr(report, "node", None))

    def tell_earlier(self, group: dict[str, Any], node: object = None) -> None:
        """A verdict on a test whose own reports are out: a report of its own."""
        self.wake()
        path, line, domain = group["location"]
        report = pytest.TestReport(
            nodeid=group["test"], location=(path, line, domain), keywords={}, outcome="passed", longrepr=None,
            when="teardown",
        )  # fmt: skip
        if node is not None:
            report.node = node  # type: ignore[attr-defined]
        findings = self._shown(report, group["findings"])
        self.apart += [finding for finding in findings if finding.disposition == "note"]
        if report.outcome == "failed" or STATUS in report.__dict__:
            self.config.hook.pytest_runtest_logreport(report=report)

    def _shown(self, report: pytest.TestReport, data: list[dict[str, Any]]) -> list[Finding]:
        """Show findings as they were sent; none where that could not be done, which is told."""
        with self._unharmed(f"what {report.nodeid} left behind could not be told"):
            findings = self._read(data)
            self.show(report, findings)
            return findings
        return []

    def _unharmed(self, what: str) -> AbstractContextManager[None]:
        return unharmed(self.guard.errors, what)

    def _read(self, findings: list[dict[str, Any]]) -> list[Finding]:
        """Findings as they were sent, each with its patch, where there is one."""
        with self.guard.watch.recorder.silence():  # our own reading of the sources
            return [with_patch(from_dict(finding), self.config.rootpath, self.guard.errors) for finding in findings]

    def show(self, report: pytest.TestReport, findings: list[Finding]) -> None:
        """Turn the findings into the outcome of a report."""
        if self.parts:
            worker = worker_of(report)
            for part in self.parts:
                findings = [shown for finding in findings for shown in part.sift(finding, worker)]
        self.findings += findings
        if self.settings.action == "report":
            return
        failing = [finding for finding in findings if finding.disposition == "fails"]
        notes = [finding for finding in findings if finding.disposition == "note"]
        if failing and report.outcome == "failed":
            report.sections.append(("leakguard: left behind after teardown", text.message(failing)))
        elif failing:
            report.outcome = "failed"
            report.longrepr = text.message(failing)
            setattr(report, STATUS, "red")
        elif any(finding.disposition == "warned" for finding in findings):
            setattr(report, STATUS, "yellow")
        if notes:
            report.sections.append(("leakguard: left behind after teardown of this failed test", text.message(notes)))
        for finding in (*failing, *notes):
            report.user_properties += junit.properties(finding)

    # -- summary -------------------------------------------------------------

    def _summarize(self, terminal: TerminalReporter) -> None:
        total = self.tally.total()
        if self.settings.action != "report":
            shown = [finding for finding in self.findings if finding.disposition in ("fails", "warned")]
            if shown:
                terminal.write_sep("=", "leaks", red=True, bold=True)
                terminal.write_line(_message_by_fingerprint(shown))
            if self.apart:
                terminal.write_sep("=", "left behind by failed tests")
                terminal.write_line(_message_by_fingerprint(self.apart))
            late = [finding for finding in self.findings if finding.disposition == "late"]
            if late:
                terminal.write_sep("=", "late: gone, but only within the grace")
                terminal.write_line(_message_by_fingerprint(late))
            once = [finding for finding in self.findings if finding.disposition == "once"]
            if once:
                terminal.write_sep("=", "leaked once, and not when repeated")
                terminal.write_line(_message_by_fingerprint(once))
            told = [finding for finding in self.findings if finding.disposition == "told"]
            if told:
                terminal.write_sep("=", "faults: told, no failure")
                terminal.write_line(fault_lines.told(told))
        if total["cleanup"]:
            terminal.write_sep("=", "cleanup paths")
            for line in (*cleanup_lines.table(total["cleanup"]), f"leakguard: {cleanup_lines.total(total['cleanup'])}"):
                terminal.write_line(line)
        for part in self.parts:
            for title, words in part.sections():
                terminal.write_sep("=", title)
                terminal.write_line(words)
        for line in fault_lines.totals(total["faults"]):
            terminal.write_line(f"leakguard: {text.printable(line)}")
        for part in self.parts:
            for line, colour in part.lines():
                terminal.write_line(f"leakguard: {text.printable(line)}", **({colour: True} if colour else {}))
        for rule, source in total["unused"]:
            terminal.write_line(
                f"leakguard: allow rule {clipped(rule)!r} hides nothing any more: {clipped(source)}", yellow=True
            )
        if self._tells_idle_rules:
            for words in idle_lines(total["idle"]):
                terminal.write_line(f"leakguard: {words}")
        for error in total["errors"]:
            terminal.write_line(f"leakguard: {clipped(error)}", red=True)
        for kind, why in total["blind"].items():
            terminal.write_line(f"leakguard: blind for {clipped(kind)}: {clipped(why)}", red=True)
        explained = meaning.told(self.findings, total, self.parts)
        if explained and self.settings.action != "report":
            terminal.write_line(f"leakguard: {pages.line(explained)}")
        for printed in self._printed:
            terminal.ensure_newline()
            terminal.write(printed)
        terminal.write_line(self._closing_line(total))

    def _closing_line(self, total: dict[str, Any]) -> str:
        counted = _counts(self.findings)
        leaks = counted["leaks"]
        words = [
            f"{total['tests']:,} test{'s' if total['tests'] != 1 else ''}",
            f"{leaks:,} leak{'s' if leaks != 1 else ''}",
        ]
        words += [f"{counted[name]:,} {label}" for name, label in _EXTRA if counted[name]]
        peak = f"peak {total['peak']:,} of {self.guard.watch.table.limit:,} descriptors"
        where = f" ({total['peak_test']})" if total["peak_test"] else ""
        return text.printable(f"leakguard: {', '.join(words)}, {peak}{where}, +{total['seconds']:.1f} s")

    @property
    def _tells_idle_rules(self) -> bool:
        return self.config.get_verbosity() > 0 or bool(self.settings.adoption.explain)

    def _write_files(self) -> None:
        folder = str(self.config.invocation_params.dir)
        self._printed = writing.write_all(self.settings.reports, self.report, folder, self.guard.errors)

    def _of_part(self, name: str) -> dict[str, Any]:
        return next((part.data() for part in self.parts if part.name == name), {})

    def report(self) -> dict[str, Any]:
        """The whole report as plain data."""
        total, counted = self.tally.total(), _counts(self.findings)
        root = str(self.config.rootpath)
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "plugin_version": __version__,
            "python": platform.python_version(),
            "pytest": pytest.__version__,
            "platform": sys.platform,
            "session": {
                "started": datetime.fromtimestamp(self._started, timezone.utc).isoformat(timespec="seconds"),
                "seconds": round(_real.clock() - self._started, 3),
                "folder": writing.folder_in_repository(root),
            },
            "probes": {
                state.kind: {
                    "active": state.active and state.kind in self.guard.kinds,
                    "mechanism": state.mechanism,
                    "note": state.note,
                }
                for state in self.guard.watch.roster.states()
            },
            "summary": {
                "tests": total["tests"],
                "leaks": counted["leaks"],
                "findings": len(self.findings),
                "allowed": counted["allowed"],
                "known": counted["known"],
                "notes": counted["note"],
                "late": counted["late"],
                "once": counted["once"],
                "peak_descriptors": total["peak"],
                "descriptor_limit": self.guard.watch.table.limit,
                "peak_test": total["peak_test"],
                "overhead_seconds": round(total["seconds"], 6),
            },
            "findings": [to_dict(finding) for finding in self.findings],
            "excerpts": excerpts(self.findings, root),
            "timelines": total["timelines"],
            "unused_allows": [{"rule": rule, "source": source} for rule, source in total["unused"]],
            "idle_shared_rules": [{"rule": rule, "source": source} for rule, source in total["idle"]],
            "faults": total["faults"],
            "cleanup": total["cleanup"],
            **{name: self._of_part(name) for name in PARTS},
            "blind": total["blind"],
            "errors": total["errors"],
            "messages": meaning.told(self.findings, total, self.parts),
        }


def _modes(settings: Settings) -> list[str]:
    """What this run does beside looking after each test, in words for the header."""
    adoption = settings.adoption
    return [
        *(["trace"] if settings.trace else []),
        *([f"repeat {settings.repeat}"] if settings.repeat else []),
        *(["faults"] if settings.faults.every_test else []),
        *(["confirm"] if adoption.confirm else []),
        *(["isolate"] if adoption.isolate else []),
    ]


_EXTRA = (
    ("known", "known"),
    ("note", "in failed tests"),
    ("allowed", "allowed"),
    ("late", "late"),
    ("once", "not confirmed"),
    ("told", "told"),
)


def worker_of(report: pytest.TestReport) -> str:
    """The worker of pytest-xdist that a report comes from, or nothing."""
    return str(getattr(getattr(getattr(report, "node", None), "gateway", None), "id", ""))


def _counts(findings: list[Finding]) -> dict[str, int]:
    counts = {"leaks": 0, "known": 0, "note": 0, "allowed": 0, "late": 0, "once": 0, "told": 0}
    for finding in findings:
        name = "leaks" if finding.disposition in ("fails", "warned") else finding.disposition
        counts[name] += finding.count
    return counts


def _message_by_fingerprint(findings: list[Finding]) -> str:
    """One message for each fingerprint, with a count and the other tests' names."""
    groups: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        owner = "" if finding.owner.kind == "test" else finding.owner.name
        groups.setdefault((finding.fingerprint, owner), []).append(finding)
    messages = []
    for group in groups.values():
        first = replace(group[0], count=sum(finding.count for finding in group))
        others = [finding.test for finding in group[1:] if finding.test != first.test]
        others = list(dict.fromkeys(others))
        if others:
            named = ", ".join(others[:_TESTS_NAMED])
            more = f" and {len(others) - _TESTS_NAMED} more" if len(others) > _TESTS_NAMED else ""
            first = replace(first, notes=(*first.notes, f"also in {named}{more}"))
        messages.append(text.message([first]))
    return "\n\n".join(messages)
