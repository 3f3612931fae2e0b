"""Options, their ini twins, who wins, and the refusal of every value that is not allowed."""

from __future__ import annotations

import pytest

from pytest_leakguard.core.model import KINDS, OPT_IN
from pytest_leakguard.plugin import options

ALL = frozenset(KINDS)
DEFAULT = ALL - OPT_IN
KNOWN = f"Known: {', '.join(sorted(KINDS))}."


@pytest.fixture
def asked(pytester, monkeypatch):
    """The settings for some arguments and the text of an ini file; nothing is configured or run."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def asked(*args: str, ini: str = "", file: str = "tox.ini", table: str = "pytest") -> options.Settings:
        (pytester.path / file).write_text(f"[{table}]\n{ini}", "utf-8")
        return options.read(pytester.parseconfig("-p", "leakguard", *args))

    return asked


@pytest.fixture
def refused(pytester, monkeypatch):
    """The message with which a run is refused: exit status 4, and no test has run."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def refused(*args: str, ini: str = "", test: str = "def test_nothing(): pass", conftest: str = "") -> str:
        (pytester.path / "tox.ini").write_text(f"[pytest]\n{ini}", "utf-8")
        pytester.makepyfile(test_it=f"import pytest\n{test}")
        pytester.makeconftest(conftest)
        result = pytester.runpytest("-p", "leakguard", *args)
        assert result.ret == pytest.ExitCode.USAGE_ERROR, result.stdout.str() + result.stderr.str()
        assert "collected" not in result.stdout.str() or "passed" not in result.stdout.str()
        assert "Traceback" not in result.stderr.str()
        assert "INTERNALERROR" not in result.stdout.str()
        lines = result.stderr.lines
        start = next(number for number, line in enumerate(lines) if line.startswith("ERROR: "))
        *words, link = [line for line in lines[start:] if line]
        assert link == "what it means: python -m pytest_leakguard explain usage-error"
        return "\n".join(words).removeprefix("ERROR: ")

    return refused


# -- options and ini twins


def test_without_anything_the_defaults_hold(asked):
    """Off, all kinds, leaks fail, one second, no report."""
    assert asked() == options.Settings(
        every_test=False, probes="default", probes_source="leakguard_probes (ini file tox.ini)", action="fail",
        grace_seconds=1.0, late=False, reports=(), trace=False, allow_lines=(),
        source="leakguard_allow (ini file tox.ini)",
    )  # fmt: skip


TWINS = [
    ("every_test", ["--leakguard"], "leakguard = true", True),
    ("probes", ["--leakguard-probes=fd,socket"], "leakguard_probes = fd,socket", "fd,socket"),
    ("action", ["--leakguard-action=warn"], "leakguard_action = warn", "warn"),
    ("action", ["--leakguard-action=report"], "leakguard_action = report", "report"),
    ("action", ["--leakguard-action=fail"], "leakguard_action = fail", "fail"),
    ("grace_seconds", ["--leakguard-grace=0.25"], "leakguard_grace = 0.25", 0.25),
    ("grace_seconds", ["--leakguard-grace=0"], "leakguard_grace = 0", 0.0),
    ("late", ["--leakguard-late"], "leakguard_late = true", True),
    ("trace", ["--leakguard-trace"], "leakguard_trace = true", True),
    ("graph", ["--leakguard-graph=pictures"], "leakguard_graph = pictures", "pictures"),
    ("reports", ["--leakguard-json=a.json"], "leakguard_json = a.json", (("json", "a.json"),)),
    (
        "reports",
        ["--leakguard-report=json:a.json", "--leakguard-report=json:c:d.json"],
        "leakguard_report =\n  json:a.json\n  json:c:d.json",
        (("json", "a.json"), ("json", "c:d.json")),
    ),
    (
        "reports",
        ["--leakguard-report=json:a.json", "--leakguard-json=b.json"],
        "leakguard_report = json:a.json\nleakguard_json = b.json",
        (("json", "a.json"), ("json", "b.json")),
    ),
]


@pytest.mark.parametrize(("field", "args", "ini", "value"), TWINS)
def test_an_option_and_its_ini_twin_say_the_same(asked, field, args, ini, value):
    """The same words on the command line and in the ini file give the same setting."""
    assert getattr(asked(*args), field) == value
    assert getattr(asked(ini=ini), field) == value


@pytest.mark.parametrize(
    ("field", "args", "ini", "value"),
    [
        ("every_test", ["--leakguard"], "leakguard = false", True),
        ("every_test", ["-o", "leakguard=false"], "leakguard = true", False),
        ("probes", ["--leakguard-probes=fd"], "leakguard_probes = socket", "fd"),
        ("action", ["--leakguard-action=fail"], "leakguard_action = warn", "fail"),
        ("grace_seconds", ["--leakguard-grace=0"], "leakguard_grace = 5", 0.0),
        ("grace_seconds", ["-o", "leakguard_grace=3"], "leakguard_grace = 5", 3.0),
        ("reports", ["--leakguard-report=json:a"], "leakguard_report = json:b", (("json", "a"),)),
        ("reports", ["--leakguard-json=a"], "leakguard_json = b", (("json", "a"),)),
        ("graph", ["--leakguard-graph=a"], "leakguard_graph = b", "a"),
    ],
)
def test_the_command_line_wins_over_the_ini_file(asked, field, args, ini, value):
    """What is given on the command line replaces the ini file's value."""
    assert getattr(asked(*args, ini=ini), field) == value


def test_allow_rules_of_the_ini_file_are_read_line_by_line(asked):
    """One rule a line, blank lines don't count."""
    ini = "leakguard_allow =\n    fd:a -- why a\n\n    thread:b* -- why b\n"
    assert asked(ini=ini).allow_lines == ("fd:a -- why a", "thread:b* -- why b")


@pytest.mark.parametrize(
    ("file", "table", "ini"),
    [
        ("pytest.ini", "pytest", "leakguard = true\nleakguard_grace = 0.5\nleakguard_allow = fd:a -- r"),
        ("setup.cfg", "tool:pytest", "leakguard = true\nleakguard_grace = 0.5\nleakguard_allow = fd:a -- r"),
        (
            "pyproject.toml", "tool.pytest.ini_options",
            'leakguard = true\nleakguard_grace = "0.5"\nleakguard_allow = ["fd:a -- r"]',
        ),
    ],
)  # fmt: skip
def test_settings_stand_where_pytests_own_do(asked, file, table, ini):
    """Any ini file that pytest reads will do, and messages name it."""
    settings = asked(ini=ini, file=file, table=table)
    assert (settings.every_test, settings.grace_seconds, settings.allow_lines) == (True, 0.5, ("fd:a -- r",))
    assert settings.source == f"leakguard_allow (ini file {file})"


@pytest.mark.skipif(int(pytest.__version__.partition(".")[0]) < 9, reason="pytest 9 reads [tool.pytest]")
def test_native_types_of_pytest_9_are_taken(asked):
    """In [tool.pytest] a switch is a boolean, a time a number (or a string), lists are lists."""
    ini = """
leakguard = true
leakguard_probes = "fd,socket"
leakguard_action = "warn"
leakguard_grace = {grace}
leakguard_late = true
leakguard_report = ["json:a.json"]
leakguard_json = "b.json"
leakguard_trace = true
leakguard_allow = ["fd:a -- r", "thread:b -- r"]
"""
    for grace in ("0.5", '"0.5"'):
        settings = asked(ini=ini.format(grace=grace), file="pyproject.toml", table="tool.pytest")
        assert (settings.every_test, settings.late, settings.trace) == (True, True, True)
        assert (settings.probes, settings.action, settings.grace_seconds) == ("fd,socket", "warn", 0.5)
        assert settings.reports == (("json", "a.json"), ("json", "b.json"))
        assert settings.allow_lines == ("fd:a -- r", "thread:b -- r")
    assert asked(ini="leakguard_grace = 2", file="pyproject.toml", table="tool.pytest").grace_seconds == 2.0


def test_a_table_that_pytest_8_does_not_read_is_refused(asked, monkeypatch):
    """Settings in [tool.pytest] would be lost on pytest 8 without a word: that is an error."""
    monkeypatch.setattr(pytest, "__version__", "8.4.2")
    with pytest.raises(pytest.UsageError) as told:
        asked(ini='minversion = "8"\nleakguard = true\n[tool.other]\nx = 1', file="pyproject.toml", table="tool.pytest")
    assert str(told.value) == (
        "pyproject.toml: 'leakguard' stands in [tool.pytest], which pytest 8.4.2 does not read. "
        "Allowed: [tool.pytest.ini_options], or pytest 9 and later."
    )


@pytest.mark.parametrize(
    "text",
    [
        "[tool.pytest.ini_options]\nleakguard = true",
        "[tool.other]\nleakguard = true",
        "[tool.pytest.ini_options]\naddopts = []\n[tool.other]\nleakguard = true",
        "# [tool.pytest]\n# leakguard = true",
    ],
)
def test_other_tables_are_none_of_that(pytester, monkeypatch, text):
    """Only our keys in that very table are refused on pytest 8; a project without one is fine."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (pytester.path / "pyproject.toml").write_text(text)
    config = pytester.parseconfig("-p", "leakguard")
    monkeypatch.setattr(pytest, "__version__", "8.4.2")
    options.read(config)


# -- which kinds


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("default", DEFAULT),
        ("all", ALL),
        ("fd", {"fd"}),
        ("fd,socket", {"fd", "socket"}),
        (" fd , socket ", {"fd", "socket"}),
        ("fd socket\nthread", {"fd", "socket", "thread"}),
        ("+object", DEFAULT),
        ("+state", ALL),
        ("-temp", DEFAULT - {"temp"}),
        ("-temp,-fd", DEFAULT - {"temp", "fd"}),
        ("default,-temp", DEFAULT - {"temp"}),
        ("fd,+socket", {"fd", "socket"}),
        ("fd,socket,-fd", {"socket"}),
        ("-fd,fd", {"fd"}),
        ("fd,fd", {"fd"}),
    ],
)
def test_a_list_of_kinds(text, kinds):
    """Plain kinds replace the default, + adds to it, - takes away; in order."""
    assert options.kinds_of(text, ALL, "here") == kinds


def test_the_kinds_of_other_plugins_are_in_the_default():
    """A plugin's kind is watched when the plugin is there, and can be named like the others."""
    known = ALL | {"handle"}
    assert options.kinds_of("default", known, "here") == DEFAULT | {"handle"}
    assert options.kinds_of("handle", known, "here") == {"handle"}
    assert options.kinds_of("-handle", known, "here") == DEFAULT


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fsd", f"here: unknown kind 'fsd'; did you mean 'fd'?\n{KNOWN}"),
        ("fd,sockets", f"here: unknown kind 'sockets'; did you mean 'socket'?\n{KNOWN}"),
        ("+fsd", f"here: unknown kind 'fsd'; did you mean 'fd'?\n{KNOWN}"),
        ("-fsd", f"here: unknown kind 'fsd'; did you mean 'fd'?\n{KNOWN}"),
        ("defualt", f"here: unknown kind 'defualt'; did you mean 'default'?\n{KNOWN}"),
        ("FD", f"here: unknown kind 'FD'.\n{KNOWN}"),
        ("-", f"here: unknown kind ''.\n{KNOWN}"),
        ("!", f"here: unknown kind '!'.\n{KNOWN}"),
        ("", f"here: no kind given.\n{KNOWN}"),
        (" , ", f"here: no kind given.\n{KNOWN}"),
    ],
)
def test_an_unknown_kind_is_refused_in_words(text, message):
    """Source, value, what is known, and a near match."""
    with pytest.raises(pytest.UsageError) as told:
        options.kinds_of(text, ALL, "here")
    assert str(told.value) == message


@pytest.mark.parametrize("text", ["-all", "-default", "fd,-fd"])
def test_a_list_that_leaves_nothing_is_refused(text):
    """Watching nothing is not what anybody means; what was written is not offered back as its own correction."""
    with pytest.raises(pytest.UsageError, match=r"^here: ") as told:
        options.kinds_of(text, ALL, "here")
    assert f"did you mean {text[1:]!r}" not in str(told.value)


# -- bad values


@pytest.mark.parametrize(
    "value", ["", "soon", "-1", "-0.001", "nan", "inf", "-inf", "1s", "0,5", "1e999", None, True, [1]]
)
def test_what_is_no_time_is_refused(value):
    """Seconds are a finite number, 0 or more."""
    with pytest.raises(pytest.UsageError) as told:
        options.seconds(value, "here")
    assert str(told.value) == f"here: bad time {value!r}. Allowed: seconds, 0 or more, e.g. 0.5."


@pytest.mark.parametrize(("value", "number"), [("0", 0.0), ("1e-3", 0.001), (" 2 ", 2.0), (3, 3.0), (0.5, 0.5)])
def test_what_is_a_time_is_taken(value, number):
    """Numbers, and their text."""
    assert options.seconds(value, "here") == number


FORMATS_ALLOWED = "Allowed: FORMAT:FILE; formats: github, gitlab, html, json, markdown, sarif."

BAD = [
    (["--leakguard-action=explode"], "", "--leakguard-action: unknown action 'explode'.\nKnown: fail, report, warn."),
    (
        ["--leakguard-action=wran"], "",
        "--leakguard-action: unknown action 'wran'; did you mean 'warn'?\nKnown: fail, report, warn.",
    ),
    (
        [], "leakguard_action = fial",
        "leakguard_action (ini file tox.ini): unknown action 'fial'; did you mean 'fail'?\nKnown: fail, report, warn.",
    ),
    (["--leakguard-grace=soon"], "", "--leakguard-grace: bad time 'soon'. Allowed: seconds, 0 or more, e.g. 0.5."),
    (["--leakguard-grace=-1"], "", "--leakguard-grace: bad time '-1'. Allowed: seconds, 0 or more, e.g. 0.5."),
    (
        [], "leakguard_grace = soon",
        "leakguard_grace (ini file tox.ini): bad time 'soon'. Allowed: seconds, 0 or more, e.g. 0.5.",
    ),
    (
        ["--leakguard-report=pdf:a.pdf"], "",
        "--leakguard-report: bad report 'pdf:a.pdf'.\n" + FORMATS_ALLOWED,
    ),
    (
        ["--leakguard-report=html:a", "--leakguard-report=sarif:a"], "",
        "--leakguard-report: 'a' is asked for as html and as sarif.\nAllowed: a file for each format.",
    ),
    (
        ["--leakguard-report=jsno:a"], "",
        "--leakguard-report: bad report 'jsno:a'; did you mean 'json'?\n" + FORMATS_ALLOWED,
    ),
    (
        [], "leakguard_report =\n  json:a\n  a.json",
        "leakguard_report (ini file tox.ini): bad report 'a.json'; did you mean 'json'?\n"
        "Allowed: FORMAT:FILE; formats: github, gitlab, html, json, markdown, sarif.",
    ),
    (
        ["--leakguard-graph=tox.ini"], "",
        "--leakguard-graph: bad folder 'tox.ini': 'tox.ini' is no folder.\n"
        "Allowed: a folder, which is made when it is missing.",
    ),
    (
        [], "leakguard_graph = tox.ini/a/b",
        "leakguard_graph (ini file tox.ini): bad folder 'tox.ini/a/b': 'tox.ini' is no folder.\n"
        "Allowed: a folder, which is made when it is missing.",
    ),
    (
        [], "leakguard_prbes = fd",
        "ini file tox.ini: unknown setting 'leakguard_prbes'; did you mean 'leakguard_probes'?\n"
        "Known: leakguard, leakguard_action, leakguard_allow, leakguard_baseline, leakguard_baseline_strict, "
        "leakguard_baseline_update, leakguard_cleanup_report, leakguard_confirm, leakguard_explain, leakguard_fault, "
        "leakguard_fault_budget, leakguard_fault_families, leakguard_fault_seed, leakguard_fault_strict, "
        "leakguard_fault_target, leakguard_faults, leakguard_grace, leakguard_graph, leakguard_inject_errors, "
        "leakguard_isolate, leakguard_json, leakguard_late, leakguard_probes, "
        "leakguard_repeat, leakguard_report, leakguard_restore_state, leakguard_state_modules, leakguard_trace, "
        "leakguard_track.",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("args", "ini", "message"), BAD)
def test_a_bad_value_is_refused_in_words(asked, args, ini, message):
    """Source, value, what is allowed, and a near match if there is one; with or without the flag."""
    for flag in ([], ["--leakguard"]):
        with pytest.raises(pytest.UsageError) as told:
            asked(*flag, *args, ini=ini)
        assert str(told.value) == message


@pytest.mark.parametrize("args", [["--leakguard-report=json"], ["--leakguard-report=json:"], ["--leakguard-report=:a"]])
def test_half_a_report_is_refused(asked, args):
    """Format and file are both needed."""
    with pytest.raises(pytest.UsageError, match="bad report"):
        asked(*args)


@pytest.mark.parametrize("name", ["probes", "action", "grace", "json", "graph"])
def test_an_option_that_is_given_but_empty_is_refused(asked, name):
    """`--leakguard-json=$UNSET` must not mean "no report" without a word."""
    with pytest.raises(pytest.UsageError, match=f"--leakguard-{name}"):
        asked(f"--leakguard-{name}=")


RUNS = {
    "kind, option": (
        ["--leakguard", "--leakguard-probes=fsd"], {},
        f"--leakguard-probes: unknown kind 'fsd'; did you mean 'fd'?\n{KNOWN}",
    ),
    "kind, option, no flag": (
        ["--leakguard-probes=fsd"], {},
        f"--leakguard-probes: unknown kind 'fsd'; did you mean 'fd'?\n{KNOWN}",
    ),
    "kind, ini": (
        ["--leakguard"], {"ini": "leakguard_probes = fd, sokcet"},
        f"leakguard_probes (ini file tox.ini): unknown kind 'sokcet'; did you mean 'socket'?\n{KNOWN}",
    ),
    "kind, ini, no flag": (
        [], {"ini": "leakguard_probes = fd, sokcet"},
        f"leakguard_probes (ini file tox.ini): unknown kind 'sokcet'; did you mean 'socket'?\n{KNOWN}",
    ),
    "kind, allow rule": (
        ["--leakguard"], {"ini": "leakguard_allow = thraed:x -- r"},
        f"leakguard_allow (ini file tox.ini): unknown kind 'thraed' in 'thraed:x'; did you mean 'thread'?\n{KNOWN}",
    ),
    "kind, allow rule, no flag": (
        [], {"ini": "leakguard_allow = thraed:x -- r"},
        f"leakguard_allow (ini file tox.ini): unknown kind 'thraed' in 'thraed:x'; did you mean 'thread'?\n{KNOWN}",
    ),
    "allow rule without a reason": (
        ["--leakguard"], {"ini": "leakguard_allow =\n  fd:a -- r\n  fd:x"},
        "leakguard_allow (ini file tox.ini): the rule 'fd:x' has no reason. "
        "Every allowed leak says why it is accepted.",
    ),
    "setting": (
        [], {"ini": "leakguard_prbes = fd"},
        BAD[-1][2],
    ),
    "setting, -o": (
        ["-o", "leakguard_prbes=fd"], {},
        BAD[-1][2],
    ),
    "action": (["--leakguard-action=explode"], {}, BAD[0][2]),
    "kind, marker": (
        [], {"test": "@pytest.mark.no_leaks('fsd')\ndef test_a(): pass"},
        "@pytest.mark.no_leaks on test_it.py::test_a: unknown kind 'fsd'; did you mean 'fd'?\n" + KNOWN,
    ),
    "kind, pattern of a marker": (
        ["--leakguard"], {"test": "@pytest.mark.allow_leaks('fsd:x', reason='r')\ndef test_a(): pass"},
        "@pytest.mark.allow_leaks on test_it.py::test_a: unknown kind 'fsd' in 'fsd:x'; did you mean 'fd'?\n" + KNOWN,
    ),
    "kind, pattern of a marker, no flag": (
        [], {"test": "@pytest.mark.allow_leaks('fsd:x', reason='r')\ndef test_a(): pass"},
        "@pytest.mark.allow_leaks on test_it.py::test_a: unknown kind 'fsd' in 'fsd:x'; did you mean 'fd'?\n" + KNOWN,
    ),
    "hook": (
        ["--leakguard"], {"conftest": "def pytest_leakguard_allow():\n    return ['fsd:x -- r']"},
        f"hook pytest_leakguard_allow: unknown kind 'fsd' in 'fsd:x'; did you mean 'fd'?\n{KNOWN}",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("args", "files", "message"), RUNS.values(), ids=RUNS.keys())
def test_a_run_is_refused_before_its_first_test(refused, args, files, message):
    """Exit status 4, the message and nothing else: whichever way the bad value came, with the flag or without."""
    assert refused(*args, **files) == message


@pytest.mark.parametrize("name", ["leakguard", "leakguard_late", "leakguard_trace"])
def test_a_switch_that_is_neither_on_nor_off_is_refused(asked, name):
    """The setting and its value are told."""
    with pytest.raises(pytest.UsageError, match=rf"{name} \(ini file tox.ini\).*'maybe'"):
        asked(ini=f"{name} = maybe")


# -- markers, read from items


@pytest.fixture
def settings_of(pytester, monkeypatch):
    """What holds for the test `test_it` of a module, with the run's settings."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def settings_of(source: str, settings: options.Settings | None = None, kinds=ALL) -> options.ItemSettings:
        item = pytester.getitems(f"import pytest\n{source}")[0]
        return options.item_settings(item, settings or options.Settings(), kinds, ALL)

    return settings_of


def marked(arguments: str, name: str = "no_leaks") -> str:
    return f"@pytest.mark.{name}({arguments})\ndef test_it(): pass"


@pytest.mark.parametrize(
    ("source", "kinds"),
    [
        ("def test_it(): pass", {"fd", "temp"}),
        (marked(""), {"fd", "temp"}),
        (marked("'socket'"), {"socket"}),
        (marked("'socket', 'thread'"), {"socket", "thread"}),
        (marked("'socket,thread'"), {"socket", "thread"}),
        (marked("'all'"), ALL),
        (marked("'default', '-fd'"), DEFAULT - {"fd"}),
        (marked("add=('socket',)"), {"fd", "temp", "socket"}),
        (marked("add='socket'"), {"fd", "temp", "socket"}),
        (marked("add=['socket', 'thread']"), {"fd", "temp", "socket", "thread"}),
        (marked("'thread', add={'socket'}"), {"thread", "socket"}),
        ("pytestmark = pytest.mark.no_leaks('socket')\ndef test_it(): pass", {"socket"}),
        ("pytestmark = pytest.mark.no_leaks('socket')\n" + marked("'thread'"), {"thread"}),
        ("@pytest.mark.no_leaks('socket')\nclass TestIt:\n    def test_it(self): pass", {"socket"}),
        (
            "@pytest.mark.no_leaks('socket')\nclass TestIt:\n"
            "    @pytest.mark.no_leaks('thread')\n    def test_it(self): pass",
            {"thread"},
        ),
    ],
)
def test_a_marker_wins_over_what_was_asked_for_the_run(settings_of, source, kinds):
    """Kinds replace the run's, add extends them, and the nearest marker counts."""
    assert settings_of(source, kinds=frozenset({"fd", "temp"})).kinds == kinds


@pytest.mark.parametrize(
    ("arguments", "seconds"), [("grace=0.25", 0.25), ("grace=0", 0.0), ("grace=None", 3.0), ("", 3.0)]
)
def test_grace_of_a_marker_wins(settings_of, arguments, seconds):
    """marker > command line > ini file > default; a marker without it changes nothing."""
    assert settings_of(marked(arguments), options.Settings(grace_seconds=3.0)).grace_seconds == seconds


def test_rules_of_all_markers_hold_together(settings_of):
    """Unlike kinds, the rules of function, class and module add up."""
    source = """
pytestmark = [pytest.mark.allow_leaks("fd:module", reason="m"), pytest.mark.no_leaks(allow="fd:list -- l")]

@pytest.mark.allow_leaks("fd:class", "c")
class TestIt:
    @pytest.mark.no_leaks(allow=["fd:one -- 1", "fd:two -- 2"])
    @pytest.mark.allow_leaks(pattern="fd:function", reason="f")
    def test_it(self): pass
"""
    rules = settings_of(source).rules
    assert {(rule.text, rule.reason) for rule in rules} == {
        ("fd:module", "m"), ("fd:class", "c"), ("fd:function", "f"), ("fd:one", "1"), ("fd:two", "2"), ("fd:list", "l"),
    }  # fmt: skip


BAD_TIME = "bad time -1. Allowed: seconds, 0 or more, e.g. 0.5."


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (marked("'fsd'"), f"unknown kind 'fsd'; did you mean 'fd'?\n{KNOWN}"),
        (marked("add=['fsd']"), f"unknown kind 'fsd'; did you mean 'fd'?\n{KNOWN}"),
        (
            marked("grase=1"),
            "unknown argument 'grase'; did you mean 'grace'?\nKnown: add, allow, errors, faults, grace, repeat, track.",
        ),
        (marked("kinds=['fd']"), "unknown argument 'kinds'.\nKnown: add, allow, errors, faults, grace, repeat, track."),
        (marked("grace='soon'"), "bad time 'soon'. Allowed: seconds, 0 or more, e.g. 0.5."),
        (marked("grace=-1"), BAD_TIME),
        (marked("grace=True"), "bad time True. Allowed: seconds, 0 or more, e.g. 0.5."),
        (marked("7"), "kinds is (7,). Allowed: strings."),
        (marked("['fd', 'socket']"), "kinds is (['fd', 'socket'],). Allowed: strings."),
        (marked("add=7"), "add is 7. Allowed: strings."),
        (marked("allow=[7]"), "allow is [7]. Allowed: strings."),
        (marked("allow='fd:x'"), "the rule 'fd:x' has no reason. Every allowed leak says why it is accepted."),
        (marked("allow='fsd:x -- r'"), f"unknown kind 'fsd' in 'fsd:x'; did you mean 'fd'?\n{KNOWN}"),
        (marked("''"), f"no kind given.\n{KNOWN}"),
        ("pytestmark = pytest.mark.no_leaks('fsd')\n" + marked(""), f"unknown kind 'fsd'; did you mean 'fd'?\n{KNOWN}"),
        ("pytestmark = pytest.mark.no_leaks(grace=-1)\n" + marked("grace=1"), BAD_TIME),
    ],
)
def test_a_bad_no_leaks_is_refused_in_words(settings_of, pytester, source, message):
    """The marker and its test, the value, what is allowed."""
    with pytest.raises(pytest.UsageError) as told:
        settings_of(source)
    name = pytester._name
    assert str(told.value) == f"@pytest.mark.no_leaks on {name}.py::test_it: {message}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'fd:x'", "the rule 'fd:x' has no reason. Every allowed leak says why it is accepted."),
        ("'fd:x', reason=''", "the rule 'fd:x' has no reason. Every allowed leak says why it is accepted."),
        ("'fd:x', reason=7", "the rule 'fd:x' has no reason. Every allowed leak says why it is accepted."),
        (
            "reason='r'",
            "bad leak pattern None. Allowed: 'KIND:GLOB', the glob matched against the leak's subject, "
            "e.g. 'fd:data/*.csv'.",
        ),
        (
            "'x', reason='r'",
            "bad leak pattern 'x'. Allowed: 'KIND:GLOB', the glob matched against the leak's subject, "
            "e.g. 'fd:data/*.csv'.",
        ),
        ("'fd:', reason='r'", "empty pattern in 'fd:'. Allowed: a glob; 'fd:*' allows every fd leak."),
        ("'fsd:x', reason='r'", f"unknown kind 'fsd' in 'fsd:x'; did you mean 'fd'?\n{KNOWN}"),
        ("'fd:x', reson='r'", "unknown argument 'reson'; did you mean 'reason'?\nKnown: pattern, reason."),
        ("'fd:x', 'socket:y', 'r'", "too many arguments. Allowed: one pattern and reason='...'."),
        ("'fd:x', 'fd:y', reason='r'", "too many arguments. Allowed: one pattern and reason='...'."),
    ],
)
def test_a_bad_allow_leaks_is_refused_in_words(settings_of, pytester, arguments, message):
    """The marker and its test, the value, what is allowed."""
    with pytest.raises(pytest.UsageError) as told:
        settings_of(marked(arguments, "allow_leaks"))
    assert str(told.value) == f"@pytest.mark.allow_leaks on {pytester._name}.py::test_it: {message}"


def test_a_bad_allow_leaks_is_refused_where_nothing_is_checked(pytester, monkeypatch):
    """Whoever turns the check on later would meet it then."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("import pytest\n\n" + marked("'fd:*'", "allow_leaks"))
    result = pytester.runpytest("-p", "leakguard")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*@pytest.mark.allow_leaks on *::test_it: the rule 'fd:[*]' has no reason*"])


# -- end to end


def test_marker_over_command_line_over_ini_in_one_run(alone, pytester):
    """Each of three leaks of two kinds is judged by the nearest word on it."""
    pytester.makeini("[pytest]\nleakguard = true\nleakguard_probes = socket\nleakguard_action = report\n")
    pytester.makepyfile(
        """
        import socket, pytest
        KEPT = []

        def leak(tmp_path):
            KEPT.extend([socket.socket(), open(tmp_path / "a", "w")])

        def test_of_the_run(tmp_path): leak(tmp_path)

        @pytest.mark.no_leaks("socket")
        def test_of_the_marker(tmp_path): leak(tmp_path)

        @pytest.mark.no_leaks(add="socket")
        def test_of_both(tmp_path): leak(tmp_path)
        """
    )
    ran = alone("--leakguard-probes=fd", "--leakguard-action=fail", flag=())
    told = [(finding["test"].partition("::")[2], finding["kind"]) for finding in ran.findings]
    assert told == [
        ("test_of_the_run", "fd"),
        ("test_of_the_marker", "socket"),
        ("test_of_both", "fd"),
        ("test_of_both", "socket"),
    ]
    assert ran.result.ret == 1
    ran.result.stdout.fnmatch_lines(["leakguard: fd; every test; action fail, grace 1 s"])


def test_every_report_asked_for_is_written_relative_to_where_pytest_was_called(alone, pytester):
    """Several files, in folders that are made; all of them hold the same."""
    pytester.makepyfile("KEPT = []\ndef test_a(tmp_path): KEPT.append(open(tmp_path / 'a', 'w'))")
    pytester.mkdir("sub")
    ran = alone("--leakguard-report=json:out/a.json", "--leakguard-report=json:b.json")
    texts = {(pytester.path / name).read_text() for name in ("out/a.json", "b.json", "leakguard.json")}
    assert len(texts) == 1
    assert len(ran.findings) == 1


def test_a_report_that_cannot_be_written_is_told_and_changes_nothing_else(alone, pytester):
    """A folder in the file's place: an error of the report, the outcome is the run's own."""
    pytester.makepyfile("def test_a(): pass")
    pytester.mkdir("taken")
    ran = alone("--leakguard-report=json:taken", errors=True)
    assert ran.result.ret == 0
    ran.result.stdout.fnmatch_lines(["leakguard: report 'taken' not written: *"])


def test_help_tells_every_option_setting_and_marker(pytester, monkeypatch):
    """`--help` and `--markers` know all of them."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    shown = pytester.runpytest("-p", "leakguard", "--help").stdout.str()
    for name in ("", "-probes", "-action", "-grace", "-late", "-report", "-json", "-trace", "-repeat"):
        assert f"  --leakguard{name}" in shown
    for name in options.INI_NAMES:
        assert f"  {name} (" in shown
    for kind in KINDS:
        assert kind in shown
    markers = pytester.runpytest("-p", "leakguard", "--markers").stdout.str()
    assert (
        "@pytest.mark.no_leaks(*kinds, add=(), allow=(), grace=None, track=(), repeat=None, faults=None, errors=None)"
        in (markers)
    )
    assert "@pytest.mark.allow_leaks(pattern, reason)" in markers
