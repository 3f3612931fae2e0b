"""The documentation tells what is there: its code is that of files that run, and no name is missing or made up."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pytest_leakguard import hookspecs
from pytest_leakguard.core.model import FAULT_KINDS, KINDS, Resource
from pytest_leakguard.faults.model import FAMILIES
from pytest_leakguard.plugin.declare import ACTIONS, FORMATS, INI_NAMES
from pytest_leakguard.plugin.fault_fixture import LeakFaults
from pytest_leakguard.plugin.fixtures import LeakCheck
from pytest_leakguard.probes.protocol import Probe

ROOT = Path(__file__).parents[1]
AROUND = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md"]
PAGES = [*(ROOT / name for name in AROUND), *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = ROOT / "docs" / "reference"

pages = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def headings(page: Path) -> list[str]:
    """The headings of a page, code blocks left out."""
    text = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    return re.findall(r"^#+ (.*)$", text, re.MULTILINE)


def anchor(heading: str) -> str:
    """The anchor that a renderer makes of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def named(page: Path) -> set[str]:
    """All that stands in backticks on a page."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)))


# -- pages


@pages
def test_code_from_a_file_is_as_it_stands_there(page):
    """A block that is marked as taken from a file is found in it, to the character."""
    for name, block in re.findall(r"<!-- from: (\S+) -->\n```\w+\n(.*?)```", text_of(page), re.DOTALL):
        source = (ROOT / name).read_text("utf-8")
        assert block in source, f"not in {name}:\n{block}"


@pages
def test_every_mark_is_followed_by_its_block(page):
    """A comment that promises a block has one: code of a file, a report, a line for .ci/run."""
    languages = {".py": "python", ".ini": "ini", ".yml": "yaml", ".toml": "toml", "": "dockerfile"}
    for mark, language in re.findall(r"<!-- ([^>]*?) -->\n+(?:```(\w+))?", text_of(page)):
        word, _, what = mark.partition(":")
        wanted = languages[Path(what).suffix] if word == "from" else {"report": "text", "ci": "sh"}[word]
        assert language == wanted, f"<!-- {mark} -->"


@pages
def test_python_blocks_are_python(page):
    """Every Python block compiles, also those that are no whole file."""
    for block in re.findall(r"^ *```python\n(.*?)^ *```", text_of(page), re.DOTALL | re.MULTILINE):
        compile(textwrap.dedent(block), str(page), "exec")


@pages
def test_relative_links_lead_somewhere(page):
    """Every link to a file of the project, and to a heading in it, resolves."""
    # a link may have code for its text, but none stands inside of code
    text = re.sub(r"`[^`\n]*`", "code", text_of(page))
    for target, fragment in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)]*))?\)", text):
        linked = page if not target else page.parent / target
        assert linked.exists(), target
        if fragment:
            assert fragment in {anchor(heading) for heading in headings(linked)}, f"{target}#{fragment}"


def test_every_page_is_in_the_index():
    """A page that nobody links to is not read; fragments of the changelog are gathered, not read."""
    index = text_of(ROOT / "docs" / "index.md")
    pages = [page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "changelog"]
    missing = [page for page in pages if f"({page.relative_to(ROOT / 'docs')})" not in index]
    assert [page.name for page in missing] == ["index.md"]


@pages
def test_lines_are_short_enough_to_read(page):
    """No line of text is longer than 125 characters; tables, blocks and messages may be."""
    text = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    assert [line for line in text.splitlines() if len(line) > 125 and not line.startswith(("|", "`"))] == []


# -- names


@pytest.fixture
def shown(pytester, monkeypatch):
    """What pytest prints for some arguments, with this plugin and no other."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *args: pytester.runpytest("-p", "leakguard", *args).stdout.str()


def test_every_option_is_documented(shown):
    """Each option of --help has a heading and a row in the reference, and a row in the README; and none is made up."""
    options = set(re.findall(r"^  (--leakguard[a-z-]*)", shown("--help"), re.MULTILINE))
    assert len(options) == 24
    reference, readme = text_of(REFERENCE / "options.md"), text_of(ROOT / "README.md")
    assert {heading for heading in headings(REFERENCE / "options.md") if heading.startswith("--")} == options
    for text in (reference, readme):
        rows = re.findall(r"^\| \[?`(--leakguard[a-z-]*)", text, re.MULTILINE)
        assert set(rows) == options
        assert len(rows) == len(options)
    for page in PAGES:
        assert set(re.findall(r"--leakguard[a-z-]*[a-z]", text_of(page))) <= options, page


def test_every_ini_setting_is_documented(shown):
    """Each setting of --help has its row; and none is made up."""
    settings = set(re.findall(r"^  (leakguard[a-z_]*) \(", shown("--help"), re.MULTILINE))
    assert settings == set(INI_NAMES)
    rows = re.findall(r"^\| .*?\| \[?`(leakguard[a-z_]*)`", text_of(REFERENCE / "options.md"), re.MULTILINE)
    assert set(rows) == settings
    for page in PAGES:
        written = set(re.findall(r"\bleakguard(?:_[a-z]+)?(?= = | =\n)", text_of(page)))
        assert written <= settings, page


def test_values_of_options_are_documented():
    """Kinds, actions and formats are all named where the options are."""
    known = named(REFERENCE / "options.md")
    assert {*KINDS, *ACTIONS, *FORMATS, *FAMILIES, "default", "all"} <= known
    rows = re.findall(r"^\| `(\w+)` \|", text_of(ROOT / "README.md").partition("## What it sees")[2], re.MULTILINE)
    assert rows == list(KINDS)


def test_every_marker_is_documented(shown):
    """Each marker of --markers has a heading, and its signature stands below it."""
    markers = re.findall(r"^@pytest\.mark\.(\w*leaks\w*)\((.*)\):", shown("--markers"), re.MULTILINE)
    assert [heading for heading in headings(REFERENCE / "markers.md") if heading != "Markers"] == [
        m[0] for m in markers
    ]
    assert f"`@pytest.mark.no_leaks({dict(markers)['no_leaks']})`" in text_of(REFERENCE / "markers.md")
    for argument in ("*kinds", "add", "allow", "grace", "track", "repeat", "faults", "errors"):
        assert re.search(rf"^\| `{re.escape(argument)}` \|", text_of(REFERENCE / "markers.md"), re.MULTILINE)


def test_every_hook_is_documented():
    """Each hook has a heading with its arguments; the protocol and the fields of a resource have their tables."""
    hooks = {
        f"{name}({', '.join(inspect.signature(hook).parameters)})"
        for name, hook in vars(hookspecs).items()
        if name.startswith("pytest_leakguard_")
    }
    assert {heading for heading in headings(REFERENCE / "hooks.md") if heading != "Hooks"} == hooks
    text = text_of(REFERENCE / "hooks.md")
    members = {name for name in vars(Probe) if not name.startswith("_")}
    for name in members:
        assert re.search(rf"^\| `{name}(\(\w*\))?`", text, re.MULTILINE), name
    fields = {field.name for field in dataclasses.fields(Resource)} - {"clues"}
    assert set(re.findall(r"^\| `(\w+)` \|", text.partition("takes keywords only")[2], re.MULTILINE)) == fields


def test_every_use_of_the_fixture_is_documented():
    """Each public name of what `leak_check` gives stands in a heading of its page."""
    public = {name for name in vars(LeakCheck) if not name.startswith("_")}
    titles = " ".join(headings(REFERENCE / "fixtures.md"))
    assert {name for name in public if f"leak_check.{name}(" not in titles} == set()
    assert "with leak_check(*kinds, grace=None)" in titles
    by_hand = {name for name in vars(LeakFaults) if not name.startswith("_")}
    assert {name for name in by_hand if f"leak_faults.{name}(" not in titles} == set()
    assert set(re.findall(r"leak_check\.(\w+)\b(?!`)", " ".join(text_of(page) for page in PAGES))) - {"py"} == public


JSON_RUN = """
import pytest

KEPT = []

@pytest.fixture(scope="module")
def wide():
    KEPT.append(open(__file__))
    yield

@pytest.mark.allow_leaks("socket:*", reason="r")
def test_it(wide):
    KEPT.append(open(__file__))
"""


def test_every_field_of_the_json_report_is_documented(alone, pytester):
    """Each name of a real report stands in the table of its part; and none is made up."""
    pytester.makepyfile(JSON_RUN)
    report = alone().report
    text = text_of(REFERENCE / "json.md")
    parts = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))

    def rows(part: str) -> dict[str, str]:
        """Name -> the text of its row."""
        table = {}
        for names, rest in re.findall(r"^\| (`.*?) \| (.*) \|$", parts[part], re.MULTILINE):
            for name in re.findall(r"`(\w+)`", names):
                table[name] = rest
        return table

    def inner(row: str) -> set[str]:
        return set(re.findall(r"`(\w+)`", row))

    top, finding = rows("Top level"), rows("A finding")
    assert set(top) == set(report)
    assert set(rows("summary")) == set(report["summary"])
    assert inner(top["probes"]) == set(report["probes"]["fd"])
    assert inner(top["unused_allows"]) == set(report["unused_allows"][0])
    of_a_fixture = next(f for f in report["findings"] if f["owner"]["kind"] == "fixture")
    assert set(finding) == set(of_a_fixture)
    assert set(of_a_fixture["owner"]) <= inner(finding["owner"])
    assert set(of_a_fixture["origin"]) == inner(finding["origin"])
    assert set(of_a_fixture["held"]) == inner(finding["held"])


def test_every_value_of_a_closed_set_is_documented():
    """Verdicts, dispositions, phases, kinds of owners and ways to know an origin are all named."""
    from typing import get_args

    from pytest_leakguard.core import model

    known = named(REFERENCE / "json.md")
    for values in (model.Verdict, model.Disposition, model.Phase, model.How):
        assert set(get_args(values)) <= known
    assert set(FAULT_KINDS) <= known
    assert set(get_args(model.OwnerKind)) - {"nobody"} <= known


def test_the_example_of_the_json_report_has_real_fields(alone, pytester):
    """The finding that is shown is one, but for the fields that the page says are left out."""
    (block,) = re.findall(r"```json\n(.*?)```", text_of(REFERENCE / "json.md"), re.DOTALL)
    shown = json.loads(block)
    pytester.makepyfile(JSON_RUN)
    real = alone().report["findings"][0]

    def missing(part: dict[str, Any], whole: dict[str, Any]) -> set[str]:
        assert set(part) <= set(whole)
        return set(whole) - set(part)

    left_out = missing(shown, real)
    for name in ("owner", "origin"):
        left_out |= missing(shown[name], real[name])
    assert left_out <= named(REFERENCE / "json.md")


# -- settings shown in the README


def test_the_settings_of_the_readme_are_accepted(pytester, monkeypatch):
    """The toml block, in a project of its own, starts a guarded run; in an ini file without the quotes as well."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (block,) = re.findall(r"```toml\n(.*?)```", text_of(ROOT / "README.md"), re.DOTALL)
    block = "\n".join(line.removeprefix("   ") for line in block.splitlines())
    pytester.makepyprojecttoml(block)
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest("-p", "leakguard")
    assert result.ret == 0, result.stderr.str()
    result.stdout.fnmatch_lines(["leakguard: *; every test; *"])


def test_the_settings_of_the_howto_are_accepted(pytester, monkeypatch):
    """The ini block of "allow a leak" is read as it stands."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (block,) = re.findall(r"```ini\n(.*?)```", text_of(ROOT / "docs" / "howto" / "allow-a-leak.md"), re.DOTALL)
    pytester.makeini(block)
    pytester.makepyfile("def test_it(): pass")
    assert pytester.runpytest("-p", "leakguard", "--leakguard").ret == 0


# -- examples that run


@pytest.fixture
def project(pytester, monkeypatch):
    """A copy of a folder of the project, to run in."""

    def project(name: str) -> Path:
        for source in (ROOT / name).rglob("*"):
            inside = source.relative_to(ROOT / name)
            if source.is_file() and not {"__pycache__", ".pytest_cache"} & set(inside.parts):
                (pytester.path / inside).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, pytester.path / inside)
        return pytester.path

    return project


def test_the_sweep_of_the_howto_goes_as_it_says(project, alone):
    """One test passes by itself and is LEAKED under the sweep; its report stands on the page; the other is clean."""
    project("docs/examples/faults")
    assert alone().result.ret == 0
    ran = alone("--leakguard-faults", "--leakguard-fault-families=acquire", flag=())
    assert leaked(ran) == {"test_pair"}
    ran.result.assert_outcomes(passed=4)
    page = text_of(ROOT / "docs" / "howto" / "sweep-error-paths.md")
    (block,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)

    def plain(line: str) -> str:
        return steady(re.sub(r"<basetemp>/\S*/", "", re.sub(r"fd \d+", "fd N", line.rstrip())))

    printed = [plain(line) for line in ran.result.outlines]
    for line in block.splitlines():
        assert plain(line) in printed, line


def leaked(ran) -> set[str]:
    return {finding["test"].partition("::")[2].partition("[")[0] for finding in ran.findings}


def test_the_examples_of_the_howtos_pass(project, alone):
    """All pass, none leaks, with the flag and without; the known leak is allowed."""
    project("docs/examples/howto")
    for flag in (("--leakguard",), ()):
        ran = alone(flag=flag)
        assert ran.result.ret == 0, ran.text
        assert leaked(ran) == set()
        assert set(ran.result.parseoutcomes()) == {"passed"}
    assert ran.report["summary"]["tests"] >= 3


def test_the_example_probe_gives_what_its_page_says(project, alone):
    """`test_leaky_handle` is LEAKED, the four others pass."""
    page = text_of(ROOT / "docs" / "howto" / "write-a-probe.md")
    assert "`test_leaky_handle` is `LEAKED`, the four others pass." in page
    project("docs/examples/probe_plugin")
    ran = alone()
    assert leaked(ran) == {"test_leaky_handle"}
    ran.result.assert_outcomes(passed=5)


def test_the_tutorial_goes_as_it_says(project, alone, pytester, monkeypatch):
    """Both tests pass without the flag, one is LEAKED with it, and after the change of the tutorial none is."""
    folder = project("examples")
    tutorial = text_of(ROOT / "docs" / "tutorial" / "first-leak.md")
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    plain = pytester.runpytest("-p", "leakguard", "test_fd.py", "-k", "journal")
    plain.assert_outcomes(passed=2, deselected=2)
    assert plain.ret == 0
    guarded = alone("test_fd.py", "-k", "journal")
    assert leaked(guarded) == {"test_leaky_journal"}
    (finding,) = guarded.findings
    assert finding["origin"]["file"] == "app/journal.py"
    file = folder / "test_fd.py"
    fix = re.findall(r"```python\n(    with journal.*?)```", tutorial, re.DOTALL)[0]
    source = file.read_text("utf-8")
    body = source.partition("journal.open_journal(")[2].partition("\n\n")[0]
    assert body
    changed = source.replace(f"    journal.open_journal({body}\n", fix, 1)
    assert changed != source
    file.write_text(changed, "utf-8")
    fixed = alone("test_fd.py", "-k", "journal")
    assert fixed.result.ret == 0, fixed.text
    assert fixed.report["findings"] == []
    fixed.result.stdout.fnmatch_lines(["leakguard: 2 tests, 0 leaks, *"])


RUNS = re.compile(r"<!-- report: (docs/examples/\w+)((?: \S+)*) -->\n```text\n(.*?)```", re.DOTALL)
printed_on = sorted({(folder, arguments) for page in PAGES for folder, arguments, _ in RUNS.findall(text_of(page))})


@pytest.mark.parametrize(("folder", "arguments"), printed_on)
def test_what_a_page_shows_of_a_run_is_printed(folder, arguments, project, alone):
    """`<!-- report: FOLDER ARGUMENTS -->`: each line of the block stands in the output of that run, but for numbers."""
    project(folder)
    ran = alone(*arguments.split())
    assert ran.result.ret in (0, 1)
    printed = [steady(line.rstrip()) for line in ran.result.outlines]
    blocks = [found[2] for page in PAGES for found in RUNS.findall(text_of(page)) if found[:2] == (folder, arguments)]
    for line in "".join(blocks).splitlines():
        assert not line or steady(line.rstrip()) in printed, line


def test_the_leaky_tests_of_the_pages_leak_and_the_others_do_not(project, alone):
    """In the projects of the pages the tests that are called leaky are LEAKED, and no others."""
    for folder in ("asyncio", "third_party"):
        tests = project(f"docs/examples/{folder}")
        names = set(re.findall(r"^def (test_\w+)", "".join(map(text_of, tests.glob("test_*.py"))), re.MULTILINE))
        leaky = {name for name in names if name.startswith("test_leaky")}
        assert leaky
        assert leaky < names
        ran = alone()
        assert leaked(ran) == leaky
        assert ran.report["unused_allows"] == []
        for file in tests.glob("*.*"):
            if file.is_file():
                file.unlink()


def test_the_repeat_of_the_howto_goes_as_it_says(project, alone):
    """The command of "reproduce a fault" leaks again, at that point; of one that is not there nothing is tried."""
    project("docs/examples/faults")
    page = text_of(ROOT / "docs" / "howto" / "reproduce-a-fault.md")
    (command,) = set(re.findall(r"^pytest (\S+) '(--leakguard-fault=\S+)'", page, re.MULTILINE))
    ran = alone(*command, flag=())
    assert [finding["point"] for finding in ran.findings] == [command[1].partition("=")[2]]
    none = alone(command[0], command[1].replace("#2", "#9"), flag=())
    assert none.result.ret == 0
    none.result.stdout.fnmatch_lines(["leakguard: faults: *, 0 trials, *"])


def commands_of(page: Path) -> list[list[str]]:
    """The pytest lines of a page's sh blocks, as the words after `pytest`."""
    blocks = re.findall(r"```sh\n(.*?)```", text_of(page), re.DOTALL)
    return [shlex.split(line.partition("pytest")[2]) for line in "".join(blocks).splitlines() if "pytest" in line]


def test_the_second_part_of_the_tutorial_goes_as_it_says(project, alone):
    """Its commands, in order: green with what is known, red with a new leak, one less after a repair."""
    folder = project("examples")
    page = ROOT / "docs" / "tutorial" / "green-ci.md"
    text = text_of(page)
    write, run, update = commands_of(page)
    messages = [
        steady(line) for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL) for line in block.splitlines()
    ]

    written = alone(*write, flag=())
    assert written.result.ret == 0
    assert messages[0] in written.result.outlines
    assert messages[1] in [steady(line) for line in written.result.outlines]
    (block,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert block in (folder / "leaks.toml").read_text("utf-8")
    blocks = (folder / "leaks.toml").read_text("utf-8").count("[[leak]]")

    (ini,) = re.findall(r"```ini\n(.*?)```", text, re.DOTALL)
    (folder / "pytest.ini").write_text(ini, "utf-8")
    known = alone(*run, flag=())
    assert (known.result.ret, known.findings) == (0, [])
    assert known.report["summary"]["known"] > 0

    tests = (folder / "test_fd.py").read_text("utf-8")
    (new,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (folder / "test_fd.py").write_text(tests + "\n\n" + new, "utf-8")
    red = alone(*run, flag=())
    assert red.result.ret == 1
    assert leaked(red) == {"test_new_leak"}

    (fix,) = re.findall(r"```python\n(    with journal.*?)```", text_of(page.parent / "first-leak.md"), re.DOTALL)
    body = tests.partition("journal.open_journal(")[2].partition("\n\n")[0]
    (folder / "test_fd.py").write_text(tests.replace(f"    journal.open_journal({body}\n", fix, 1), "utf-8")
    gone = alone(*run, flag=())
    assert gone.result.ret == 0
    assert set(messages[2:]) <= set(gone.result.outlines)
    assert alone(*run, "--leakguard-baseline-strict", flag=()).result.ret == 1
    assert alone(*update, flag=()).result.ret == 0
    assert (folder / "leaks.toml").read_text("utf-8").count("[[leak]]") == blocks - 1
    assert alone(*run, "--leakguard-baseline-strict", flag=()).result.ret == 0


def test_the_recipes_for_ci_run(alone, pytester):
    """Each pytest line of the recipes runs, passes with the known leak, fails with a new one, and writes its files."""
    recipes = {file.name: text_of(file) for file in (ROOT / "docs" / "examples" / "ci").iterdir()}
    found = {name: re.search(r"pytest((?:\s+--[\w-]+(?:\s+[^-\s]\S*)?)+)", text) for name, text in recipes.items()}
    lines = {name: line[1].split() for name, line in found.items() if line is not None}
    (docker,) = re.findall(r"^CMD (.*)$", recipes["Dockerfile"], re.MULTILINE)
    lines["Dockerfile"] = json.loads(docker)[1:]
    assert set(lines) == set(recipes) == {"github.yml", "gitlab.yml", "nightly.yml", "Dockerfile"}
    pytester.makepyfile(test_old="KEPT = []\ndef test_old(): KEPT.append(open(__file__))\n")
    assert alone("--leakguard-baseline=leaks.toml", "--leakguard-baseline-update").result.ret == 0
    for name, line in lines.items():
        ran = alone(*line, *(["--leakguard-baseline=leaks.toml"] if name == "nightly.yml" else []), flag=())
        assert ran.result.ret == 0, ran.text
        for word in line:
            file = word.partition(":")[2] or (word if word.endswith(".xml") else "")
            assert file in ("", "-") or (pytester.path / file).stat().st_size > 0, word
    pytester.makepyfile(test_new="KEPT = []\ndef test_new(): KEPT.append(open(__file__))\n")
    for name, line in lines.items():
        if name != "nightly.yml":
            assert leaked(alone(*line, flag=())) == {"test_new"}, name


@pytest.fixture(scope="module")
def examples(tmp_path_factory, run_tree):
    """One run of the README's line over a copy of examples/."""
    root = tmp_path_factory.mktemp("examples")
    files = {
        str(source.relative_to(ROOT / "examples")): source.read_text("utf-8")
        for source in (ROOT / "examples").rglob("*")
        if source.is_file() and source.suffix in (".py", ".ini")
    }
    return run_tree(root, files, "--leakguard-grace=0.1")


def test_every_leaky_example_is_told_and_no_clean_one(examples):
    """`pytest --leakguard examples` marks every test_leaky_* as LEAKED, nothing else, and ends with exit status 1."""
    leaky = {
        name
        for file in (ROOT / "examples").glob("test_*.py")
        for name in re.findall(r"^def (test_leaky_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }
    assert leaky
    assert leaked(examples) == leaky
    assert examples.result.ret == 1
    assert {finding["kind"] for finding in examples.findings} == set(KINDS)
    assert [f["subject"] for f in examples.report["findings"] if f["disposition"] == "allowed"] != []


def steady(line: str) -> str:
    """A line of a report without what changes from run to run."""
    line = re.sub(r"\bfd \d+", "fd N", line).replace("[wrap: thread start]", "[audit: thread start]")
    line = re.sub(r"(?<=, )peak .*", "peak", line)
    line = re.sub(r"(\d) leaked in [\d.]+s =+", r"\1 leaked", re.sub(r"^=+ (?=\d)", "", line))
    line = re.sub(r"\d+ looks? in [\d.]+ s", "N looks in N s", line)
    line = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", line)
    line = re.sub(r"<basetemp>/(?:\S*/)?(test_\w+?)\d*/", r"<basetemp>/\1/", line)
    return re.sub(r"(?<=[ /])tmp\w{8}\b|pid \d+|process \d+", "N", line)


@pages
def test_a_report_that_is_shown_is_as_it_prints(page, examples):
    """Each report on a page stands so in the output of the examples, but for numbers."""
    printed = [steady(line.rstrip()) for line in examples.result.outlines]
    for block in re.findall(r"<!-- report(?!:)[^>]*-->\n+```text\n(.*?)```", text_of(page), re.DOTALL):
        for line in block.splitlines():
            assert not line or steady(line.rstrip()) in printed, line


def test_the_report_of_the_guarded_job_is_as_it_prints(tmp_path):
    """The script of the page, run by plain Python, ends with the number of leaks and prints the report."""
    shutil.copy(ROOT / "docs" / "examples" / "guard" / "nightly.py", tmp_path)
    ended = subprocess.run(
        [sys.executable, "nightly.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (1, "")
    page = text_of(REFERENCE / "guard.md")
    (block,) = re.findall(r"<!-- report: \S+ -->\n```text\n(.*?)```", page, re.DOTALL)

    def plain(text: str) -> list[str]:
        return [steady(re.sub(r"<basetemp>/\S*?(?=night.log)", "", line)) for line in text.strip().splitlines()]

    assert plain(block) == plain(ended.stdout)


def test_every_message_leads_on():
    """Each message on its page links to the page that tells what to do, or why."""
    parts = re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text_of(REFERENCE / "messages.md"), re.MULTILINE | re.DOTALL)
    assert len(parts) >= 17
    assert [slug for slug, text in parts if not re.search(r"\]\((?!#)[^)]+\.md", text)] == []


def test_the_budgets_on_the_page_are_those_that_are_measured():
    """The table of "what it costs" is that of the benchmarks, row by row."""

    def rows(text: str) -> list[list[str]]:
        found = re.findall(r"^\| `?(\w+)`? +\| (.*?) *\| (.*?) *\|$", text, re.MULTILINE)
        return [list(row) for row in found if "<=" in row[2]]

    measured = rows(text_of(ROOT / "benchmarks" / "run.py"))
    assert measured
    assert rows(text_of(ROOT / "docs" / "explanation" / "cost.md")) == measured


@pytest.fixture
def table(monkeypatch):
    """The module that writes the measured numbers."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import table

    yield table
    del sys.modules["table"]


def test_the_numbers_on_the_page_are_of_every_benchmark(table):
    """Each budget has its number; one over it is said to be missed, or void where the interval leaves it open."""
    measured = text_of(table.PAGE).partition(table.START)[2].partition(table.END)[0]
    assert re.match(r"\nOn \d{4}-\d\d-\d\d, Python [\d.]+, pytest [\d.]+, \w+ \w+, \d+ CPUs:\n", measured)
    names = re.findall(
        r"^\| `(\w+)` \| (\S+)(?: ms)? \| (\S+)(?: ms)? to (\S+)(?: ms)? \| (\S+)(?: ms)? \| (\S+) \| \d+ \|$",
        measured, re.MULTILINE,
    )  # fmt: skip
    assert [name for name, *_ in names] == ["off", "import", "trivial", "resources", "heap", "tracked"]
    for name, median, low, high, budget, verdict in names:
        is_wide = float(high) - float(low) > float(budget) - 1
        told = {"void", "**missed**"} if is_wide else {"**missed**"}
        assert verdict in (told if float(median) > float(budget) else {"kept"}), name


def test_the_numbers_are_written_by_the_command(table, tmp_path):
    """The table is made of the data that a run writes, between its headings, and the rest of the page stays."""
    page = tmp_path / "cost.md"
    page.write_text(f"# Cost\n\n{table.START}\nold\n{table.END}\nmore\n", "utf-8")
    ratio = {"median": 1.02, "low": 1.01, "high": 1.03}
    result = {
        "name": "off",
        "is_ratio": True,
        "budget": 1.01,
        "estimate": ratio,
        "verdict": "fail",
        "values": [1.02] * 9,
    }
    seconds = {"median": 0.002, "low": None, "high": None}
    other = {**result, "name": "import", "is_ratio": False, "budget": 0.005, "estimate": seconds, "verdict": "void"}
    run = {"date": "2027-01-31", "python": "3.12.1", "pytest": "9.0.0", "platform": "Linux-6.1-x86_64-with-glibc2.36"}
    table.write({**run, "cpus": 2, "native": False, "results": [result, other], "errors": {"heap": "no"}}, page)
    assert page.read_text("utf-8") == (
        f"# Cost\n\n{table.START}\n"
        "On 2027-01-31, Python 3.12.1, pytest 9.0.0, Linux x86_64, 2 CPUs:\n\n"
        "| benchmark | median | 95 % interval | budget | | pairs |\n| --- | ---: | ---: | ---: | --- | ---: |\n"
        "| `off` | 1.0200 | 1.0100 to 1.0300 | 1.01 | **missed** | 9 |\n"
        "| `import` | 2.00 ms | - to - | 5 ms | void | 9 |\n"
        "| `heap` | not measured | | | error | |\n\n"
        "Missed: `off`. Too uncertain to tell: `import`.\n"
        f"Measured without [the part in C](../reference/compatibility.md#the-part-in-c).\n{table.END}\nmore\n"
    )


def test_every_subject_of_state_is_documented():
    """The table of what is compared has a row for each value that is watched."""
    from pytest_leakguard.probes.state_interpreter import INTERPRETER_VALUES, MODULES
    from pytest_leakguard.probes.state_libraries import LIBRARY_VALUES
    from pytest_leakguard.probes.state_process import PROCESS_VALUES

    known = named(ROOT / "docs" / "howto" / "watch-state.md")
    for value in (*PROCESS_VALUES, *INTERPRETER_VALUES, *LIBRARY_VALUES, MODULES):
        for part in [""] if value.name else value.read():
            subject = value.name or part
            assert any(name.startswith(subject) for name in known), subject


def test_every_command_is_documented():
    """Each command of `python -m pytest_leakguard` stands in the reference, and so does each of its options."""

    def help_of(*words: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest_leakguard", *words, "--help"],
            capture_output=True, text=True, timeout=60, check=True,
            env={**os.environ, "COLUMNS": "200", "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])},
        )  # fmt: skip
        return ran.stdout

    text = "".join(map(text_of, REFERENCE.glob("*.md")))
    (commands,) = re.findall(r"^  \{(\S+)\}", help_of(), re.MULTILINE)
    assert "doctor" in commands
    for command in commands.split(","):
        assert f"python -m pytest_leakguard {command}" in text, command
        for option in set(re.findall(r"^  (--[\w-]+)", help_of(command), re.MULTILINE)):
            assert re.search(rf"{option}\b", text), f"{command} {option}"


def test_the_doctor_is_documented():
    """The command stands in the README and in the reference."""
    for page in (ROOT / "README.md", REFERENCE / "options.md"):
        assert "python -m pytest_leakguard doctor" in text_of(page)
