"""Command line, ini settings and markers -> frozen, checked settings. Every UsageError is born here."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import pytest

from pytest_leakguard.core import demands as tracking
from pytest_leakguard.core import grace
from pytest_leakguard.core.allow import AllowRule, BadRule, near, parse_line, parse_rule
from pytest_leakguard.core.demands import Demand
from pytest_leakguard.core.kinds import BadKinds, choose
from pytest_leakguard.plugin import adoption_options, fault_options, inject_types, internals
from pytest_leakguard.plugin.adoption_options import AdoptionSettings
from pytest_leakguard.plugin.declare import ACTIONS, DEFAULT_GRACE_SECONDS, FORMATS, INI_NAMES, unread_key
from pytest_leakguard.plugin.fault_options import FaultSettings, families_of

Action = Literal["fail", "warn", "report"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user asked for, checked.

    Attributes:
        every_test: the flag is on; else only marked tests are checked.
        probes: the expression as given, and where it was given.
        reports: (format, file) pairs.
        graph: the folder for pictures of holders, as given; empty for none.
    """

    every_test: bool = False
    probes: str = "default"
    probes_source: str = "default"
    action: Action = "fail"
    grace_seconds: float = DEFAULT_GRACE_SECONDS
    late: bool = False
    reports: tuple[tuple[str, str], ...] = ()
    trace: bool = False
    graph: str = ""
    allow_lines: tuple[str, ...] = ()
    restore_state: bool = False
    state_modules: bool = False
    source: str = "ini file"
    track: tuple[Demand, ...] = ()
    repeat: int = 0
    faults: FaultSettings = field(default_factory=FaultSettings)
    adoption: AdoptionSettings = field(default_factory=AdoptionSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemSettings:
    """What holds for one test: marker over command line over ini file.

    Attributes:
        faults: the families that its marker asks for; none when it asks for none.
    """

    kinds: frozenset[str]
    grace_seconds: float
    rules: tuple[AllowRule, ...] = ()
    track: tuple[Demand, ...] = ()
    repeat: int = 0
    own_types: bool = False
    faults: tuple[str, ...] = ()


def read(config: pytest.Config) -> Settings:
    """Check and freeze what was asked for.

    Raises:
        pytest.UsageError: says where it came from, what was given, what is allowed.
    """
    ini = f"ini file {config.inipath.name}" if config.inipath else "ini settings"
    _refuse_unknown_ini(config, ini)
    _refuse_unread_table(config)

    def setting(name: str) -> Any:
        try:
            return config.getini(name)
        except (ValueError, TypeError, pytest.UsageError) as error:
            given = internals.raw_ini(config, name)
            if name in ("leakguard_grace", "leakguard_repeat") and isinstance(given, (int, float)):
                return given
            raise pytest.UsageError(
                f"{name} ({ini}): bad value {given!r}: {error}. Allowed: {_ALLOWED[name]}."
            ) from None

    def pick(name: str) -> tuple[Any, str]:
        option = config.getoption(f"leakguard_{name}")
        if option is None:
            return setting(f"leakguard_{name}"), f"leakguard_{name} ({ini})"
        source = f"--leakguard-{name}"
        if option == "" or option == [""]:
            raise pytest.UsageError(f"{source}: empty value. Allowed: {_ALLOWED[f'leakguard_{name}']}.")
        return option, source

    inject_types.names_in(str(setting("leakguard_inject_errors")), f"leakguard_inject_errors ({ini})")
    faults = fault_options.read(config)
    flag = config.getoption("leakguard")
    probes, probes_source = pick("probes")
    action, action_source = pick("action")
    grace, grace_source = pick("grace")
    reports, reports_source = pick("report")
    json_file, _ = pick("json")
    graph, graph_source = pick("graph")
    asked = [_report(text, reports_source) for text in reports]
    if json_file:
        asked.append(("json", str(json_file)))
    adoption = adoption_options.read(config)
    if adoption.only_report:
        asked = [("json", adoption.only_report)]
    _refuse_one_file_for_two(asked, reports_source)
    return Settings(
        every_test=bool(setting("leakguard") if flag is None else flag) or faults.every_test or faults.cleanup_report,
        probes=str(probes or "default"),
        probes_source=probes_source,
        action=_action(action or "fail", action_source),
        grace_seconds=DEFAULT_GRACE_SECONDS if grace in ("", None) else seconds(grace, grace_source),
        late=bool(pick("late")[0]),
        reports=tuple(asked),
        trace=bool(pick("trace")[0]),
        graph=_folder(str(graph or ""), graph_source, config.invocation_params.dir),
        allow_lines=tuple(setting("leakguard_allow")),
        restore_state=bool(setting("leakguard_restore_state")),
        state_modules=bool(setting("leakguard_state_modules")),
        source=f"leakguard_allow ({ini})",
        track=demands(setting("leakguard_track"), f"leakguard_track ({ini})"),
        repeat=repetitions(*pick("repeat")),
        faults=faults,
        adoption=adoption,
    )


_TRUTH = "true or false"
_ALLOWED = {
    "leakguard": _TRUTH,
    "leakguard_probes": "default, all, or a list of kinds",
    "leakguard_action": ", ".join(ACTIONS),
    "leakguard_grace": "seconds, 0 or more",
    "leakguard_late": _TRUTH,
    "leakguard_report": "FORMAT:FILE",
    "leakguard_json": "a file",
    "leakguard_trace": _TRUTH,
    "leakguard_graph": "a folder, which is made when it is missing",
    "leakguard_allow": "KIND:GLOB -- reason, one a line",
    "leakguard_restore_state": _TRUTH,
    "leakguard_state_modules": _TRUTH,
    "leakguard_track": tracking.ALLOWED,
    "leakguard_repeat": "a whole number, 2 or more",
    "leakguard_inject_errors": inject_types.ALLOWED,
}


def check_kinds(settings: Settings, known: Collection[str]) -> tuple[frozenset[str], list[AllowRule]]:
    """The kinds of a run and the allow rules of the ini file. Raises pytest.UsageError."""
    kinds = kinds_of(settings.probes, known, settings.probes_source)
    return kinds, rules_of(settings.allow_lines, known, settings.source)


def kinds_of(text: str, known: Collection[str], source: str) -> frozenset[str]:
    """The kinds that an expression names, see `choose`. Raises pytest.UsageError."""
    try:
        return choose(text, known, source)
    except BadKinds as error:
        raise pytest.UsageError(str(error)) from None


def seconds(value: object, source: str) -> float:
    """A time in seconds, 0 or more. Raises pytest.UsageError."""
    try:
        return grace.seconds(value, source)
    except grace.BadTime as error:
        raise pytest.UsageError(str(error)) from None


def demands(lines: Iterable[object], source: str) -> tuple[Demand, ...]:
    """What is asked of the instances of classes, from lines. Raises pytest.UsageError."""
    try:
        return tuple(tracking.parse_demand(line, source) for line in lines)
    except tracking.BadDemand as error:
        raise pytest.UsageError(str(error)) from None


def repetitions(value: object, source: str) -> int:
    """How often a test is repeated; 0 when nothing is asked. Raises pytest.UsageError."""
    if value in ("", None):
        return 0
    try:
        number = int(cast(Any, value))
    except (TypeError, ValueError):
        number = 0
    if isinstance(value, (bool, float)) or number < 2:
        raise pytest.UsageError(f"{source}: bad count {value!r}. Allowed: {_ALLOWED['leakguard_repeat']}.")
    return number


def names_object(words: str) -> bool:
    """Whether the kind ``object`` is named by itself, and not only as a part of the default or of all."""
    return any(word in ("object", "+object") for word in re.split(r"[,\s]+", words))


def rules_of(lines: Iterable[str], known: Collection[str], source: str) -> list[AllowRule]:
    """Allow rules from lines. Raises pytest.UsageError."""
    try:
        return [parse_line(line, kinds=known, source=source) for line in lines]
    except BadRule as error:
        raise pytest.UsageError(str(error)) from None


def item_settings(
    item: pytest.Item, settings: Settings, run_kinds: frozenset[str], known: Collection[str]
) -> ItemSettings:
    """What holds for one test. Raises pytest.UsageError for a bad marker."""
    kinds, grace = run_kinds, settings.grace_seconds
    faults: tuple[str, ...] = ()
    rules: list[AllowRule] = []
    track: tuple[Demand, ...] = ()
    repeat, own_types = settings.repeat, names_object(settings.probes)
    where = f"@pytest.mark.no_leaks on {item.nodeid}"
    markers = [mark for _, mark in item.iter_markers_with_node("no_leaks")]
    for mark in markers:
        _refuse_unknown_arguments(mark.kwargs, ("add", "allow", "errors", "faults", "grace", "repeat", "track"), where)
        if mark.kwargs.get("errors") is not None:
            inject_types.types_of(mark.kwargs["errors"], where)
        for line in _strings(mark.kwargs.get("allow", ()), "allow", where):
            rules += rules_of([line], known, where)
        track += demands(_strings(mark.kwargs.get("track", ()), "track", where), where)
    if markers:
        closest = markers[0]  # function before class before module
        for mark in markers[1:]:
            _check_arguments(mark, known, where)
        if closest.args:
            kinds = kinds_of(",".join(_strings(closest.args, "kinds", where)), known, where)
        added = _strings(closest.kwargs.get("add", ()), "add", where)
        if added:
            kinds |= kinds_of(",".join(added), known, where)
        if closest.args or added:
            own_types = names_object(",".join([*closest.args, *added]))
        if closest.kwargs.get("grace") is not None:
            grace = seconds(closest.kwargs["grace"], where)
        given = [mark.kwargs["repeat"] for mark in markers if mark.kwargs.get("repeat") is not None]
        counts = [repetitions(value, where) for value in given]
        repeat = counts[0] if counts else repeat
        if (track or given) and "object" in known:
            kinds |= {"object"}
        faults = faults_of(closest, where)
    for node, mark in item.iter_markers_with_node("allow_leaks"):
        # one mark may cover many tests: named after the place where it stands
        place = node.nodeid.partition("[")[0] if node is item else node.nodeid
        rules.append(_allow_marker(mark, known, f"@pytest.mark.allow_leaks on {place}"))
    return ItemSettings(
        kinds=kinds,
        grace_seconds=grace,
        rules=tuple(rules),
        track=track,
        repeat=repeat,
        own_types=own_types,
        faults=faults,
    )


def _check_arguments(mark: pytest.Mark, known: Collection[str], where: str) -> None:
    """Refuse what is wrong in a mark that a closer one overrides."""
    kinds = [*_strings(mark.args, "kinds", where), *_strings(mark.kwargs.get("add", ()), "add", where)]
    if kinds:
        kinds_of(",".join(kinds), known, where)
    if mark.kwargs.get("grace") is not None:
        seconds(mark.kwargs["grace"], where)
    if mark.kwargs.get("faults") is not None:
        faults_of(mark, where)


def faults_of(mark: pytest.Mark, where: str) -> tuple[str, ...]:
    """The families that a mark names, none when it names none. Raises pytest.UsageError."""
    named = mark.kwargs.get("faults")
    return () if named is None else families_of(",".join(_strings(named, "faults", where)), where)


def _allow_marker(mark: pytest.Mark, known: Collection[str], where: str) -> AllowRule:
    _refuse_unknown_arguments(mark.kwargs, ("pattern", "reason"), where)
    given = [*mark.args]
    pattern = mark.kwargs["pattern"] if "pattern" in mark.kwargs else given.pop(0) if given else None
    reason = mark.kwargs["reason"] if "reason" in mark.kwargs else given.pop(0) if given else None
    if given:
        raise pytest.UsageError(f"{where}: too many arguments. Allowed: one pattern and reason='...'.")
    try:
        return parse_rule(pattern, reason=reason if isinstance(reason, str) else None, kinds=known, source=where)
    except BadRule as error:
        raise pytest.UsageError(str(error)) from None


def _strings(value: object, name: str, where: str) -> list[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, (list, tuple, set, frozenset)) or not all(isinstance(one, str) for one in values):
        raise pytest.UsageError(f"{where}: {name} is {value!r}. Allowed: strings.")
    return list(values)


def _refuse_unknown_arguments(given: Mapping[str, object], allowed: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in allowed:
            raise pytest.UsageError(
                f"{where}: unknown argument {name!r}{near(name, allowed)}\nKnown: {', '.join(allowed)}."
            )


def _action(value: object, source: str) -> Action:
    if value not in ACTIONS:
        raise pytest.UsageError(
            f"{source}: unknown action {value!r}{near(str(value), ACTIONS)}\nKnown: {_listed(ACTIONS)}."
        )
    return cast(Action, value)


def _report(text: object, source: str) -> tuple[str, str]:
    form, colon, file = str(text).partition(":")
    if not colon or not file or form not in FORMATS:
        raise pytest.UsageError(
            f"{source}: bad report {text!r}{near(form, FORMATS)}\nAllowed: FORMAT:FILE; formats: {_listed(FORMATS)}."
        )
    return form, file


def _refuse_one_file_for_two(reports: list[tuple[str, str]], source: str) -> None:
    forms: dict[str, str] = {}
    for form, file in reports:
        if forms.setdefault(file, form) != form and file != "-":
            raise pytest.UsageError(
                f"{source}: {file!r} is asked for as {forms[file]} and as {form}.\nAllowed: a file for each format."
            )


def _folder(name: str, source: str, start: Path) -> str:
    """A folder that is there and can be written to, or can be made; it is made with the first picture."""
    if not name:
        return ""
    folder = start / name
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        problem = "can't be written to" if folder.is_dir() else "is no folder"
        raise pytest.UsageError(
            f"{source}: bad folder {name!r}: {os.path.relpath(folder, start)!r} {problem}.\n"
            f"Allowed: {_ALLOWED['leakguard_graph']}."
        )
    return name


def _listed(words: Collection[str]) -> str:
    return ", ".join(sorted(words))


def _refuse_unknown_ini(config: pytest.Config, ini: str) -> None:
    for name in internals.ini_names(config):
        if name.startswith("leakguard") and name not in INI_NAMES:
            raise pytest.UsageError(
                f"{ini}: unknown setting {name!r}{near(name, INI_NAMES)}\nKnown: {_listed(INI_NAMES)}."
            )


def _refuse_unread_table(config: pytest.Config) -> None:
    """pytest 8 does not read ``[tool.pytest]`` and says nothing: our keys there would be lost."""
    key = unread_key(config)
    if key:
        raise pytest.UsageError(
            f"pyproject.toml: {key!r} stands in [tool.pytest], which pytest {pytest.__version__} does not read. "
            "Allowed: [tool.pytest.ini_options], or pytest 9 and later."
        )
