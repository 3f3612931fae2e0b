"""Cases -> findings -> the report that is being made; nothing is lost on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pytest_leakguard.core.allow import AllowRule
from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import Disposition, Finding
from pytest_leakguard.core.verdict import Case, fold, is_part, judge
from pytest_leakguard.plugin.judged import Judged
from pytest_leakguard.report.data import to_dict

REPORT_ATTRIBUTE = "leakguard"
Location = tuple[str, int | None, str]


def call_each(hooks: Any, name: str, errors: list[str], **arguments: Any) -> list[Any]:
    """Call each implementation of a hook of ours; one that raises is told and passed over."""
    results = []
    for implementation in getattr(hooks, name).get_hookimpls():
        try:
            result = implementation.function(*(arguments[argument] for argument in implementation.argnames))
        except Exception as error:
            line = f"hook {name} of {implementation.plugin_name}: {type(error).__name__}: {error}"
            if line not in errors:
                errors.append(line)
        else:
            if result is not None:
                results.append((implementation.plugin_name, result))
    return results


class Delivery:
    """Puts findings on teardown reports, as plain data that an xdist worker can send.

    A report may never be logged (rerunfailures drops those of an attempt that is
    run again), so what was attached is kept until it is known to have gone out.

    Attributes:
        unsent: what was attached to an earlier report and is still to go out.
    """

    def __init__(
        self, config: pytest.Config, rules: tuple[AllowRule, ...], action: str, holder: Callable[[Case], Held]
    ) -> None:
        self._config = config
        self._rules = rules
        self._action = action
        self.holder = holder
        self.unsent: dict[str, list[Finding]] = {}
        self._locations: dict[str, Location] = {}
        self.used_rules: set[AllowRule] = set()
        self.errors: list[str] = []

    def sent(self) -> None:
        """The report has been logged, and with it what was attached."""
        self.unsent = {}

    def findings(self, judged: list[Judged]) -> list[Finding]:
        """Fold the cases, apply the rules, group by fingerprint; others are told of each."""
        kept = fold([one.case for one in judged], is_part)
        groups: dict[tuple[tuple[AllowRule, ...], bool], list[Case]] = {}
        for one in judged:
            if one.case in kept and one.case.resource.kind in one.test.kinds:
                # what belongs to a fixture is not a single test's to allow
                rules = one.test.rules if one.case.acquisition.owner.kind == "test" else ()
                groups.setdefault((rules, one.test.failed), []).append(one.case)
        found: list[Finding] = []
        for (rules, failed), cases in groups.items():
            normal: Disposition = "note" if failed else "warned" if self._action == "warn" else "fails"
            found += judge(cases, [*rules, *self._rules], normal=normal, used=self.used_rules.add, holder=self.holder)
        for finding in found:
            call_each(self._config.hook, "pytest_leakguard_leak", self.errors, finding=to_dict(finding))
        return found

    def attach(self, item: pytest.Item, report: pytest.TestReport, findings: list[Finding], **more: Any) -> None:
        """Put findings on a report: those of this test, and apart from them those of earlier ones."""
        here: list[Finding] = []
        earlier, self.unsent = self.unsent, {}
        for finding in findings:
            if finding.owner.kind == "test" and finding.test not in ("", item.nodeid):
                earlier.setdefault(finding.test, []).append(finding)
            else:
                here.append(finding)
        self._locations[item.nodeid] = item.location
        data = {
            "findings": [to_dict(finding) for finding in here],
            "earlier": [self.group(test, findings) for test, findings in earlier.items()],
            **more,
        }
        setattr(report, REPORT_ATTRIBUTE, data)
        self.unsent = earlier
        if here:
            self.unsent.setdefault(item.nodeid, []).extend(here)

    def add(self, item: pytest.Item, report: pytest.TestReport, findings: list[Finding]) -> None:
        """Put further findings on a report that may carry some already."""
        data = report.__dict__.get(REPORT_ATTRIBUTE)
        if data is None:
            self.attach(item, report, findings, failed_in_setup=False)
        else:
            data["findings"] += [to_dict(finding) for finding in findings]
            self.unsent.setdefault(item.nodeid, []).extend(findings)

    def exchange(self, item: pytest.Item, report: pytest.TestReport, findings: list[Finding]) -> None:
        """Put others in the place of the findings on this very test that a report carries."""
        getattr(report, REPORT_ATTRIBUTE)["findings"] = [to_dict(finding) for finding in findings]
        self.unsent[item.nodeid] = findings

    def take_unsent(self) -> list[tuple[str, list[Finding]]]:
        """What no report has brought out."""
        unsent, self.unsent = self.unsent, {}
        return list(unsent.items())

    def group(self, test: str, findings: list[Finding]) -> dict[str, Any]:
        """Findings on one test whose own reports are out, as plain data."""
        path, _, name = test.partition("::")
        location = self._locations.get(test, (path, None, name))
        return {
            "test": test,
            "location": list(location),
            "findings": [to_dict(finding) for finding in findings],
        }


def by_test(findings: list[Finding]) -> dict[str, list[Finding]]:
    """Findings by the test they are told for."""
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.test, []).append(finding)
    return groups
