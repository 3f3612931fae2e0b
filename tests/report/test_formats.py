"""Every format is made of the same plain data, and is what its readers ask for."""

from __future__ import annotations

import copy
import html.parser
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import documents
import hostile
import pytest
from documents import LEAK, OF_FIXTURE, UNKNOWN, document

from pytest_leakguard.core.model import Origin
from pytest_leakguard.plugin.declare import FORMATS
from pytest_leakguard.report import formats, github, jsonfile, markdown
from pytest_leakguard.report.text import message

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

every_format = pytest.mark.parametrize("form", FORMATS)


# -- all of them


def test_every_format_that_can_be_asked_for_has_a_writer():
    """And none has a writer that nobody can ask for."""
    assert set(formats.known()) == set(FORMATS)


@every_format
@pytest.mark.parametrize("report", [documents.everything, hostile.hostile, document], ids=["full", "hostile", "empty"])
def test_a_writer_changes_nothing_and_gives_text_that_any_file_takes(form, report):
    """The report is the same afterwards, and the text is clean UTF-8: no control character, no lone surrogate."""
    data = report()
    before = copy.deepcopy(data)
    text = formats.render(form, data)
    assert data == before
    text.encode("utf-8")
    assert CONTROL.findall(text.replace("\n", "")) == []


@every_format
def test_a_report_that_was_written_and_read_back_gives_the_same(form):
    """Each format can be made later, from the JSON file."""
    report = documents.everything()
    assert formats.render(form, jsonfile.loads(jsonfile.dumps(report))) == formats.render(form, report)


# -- JSON


def test_json_keeps_hostile_names_to_the_letter():
    """Escaped in the file, equal when it is read."""
    report = hostile.hostile()
    text = jsonfile.dumps(report)
    assert text.isascii()
    assert jsonfile.loads(text) == report


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ("[]", "no report of pytest-leakguard"),
        ('{"format": "coverage"}', "make one with --leakguard-json"),
        ('{"format": "pytest-leakguard", "format_version": 99}', "this version reads 1"),
        ('{"format": "pytest-leakguard", "format_version": 1}', "no findings"),
    ],
)
def test_what_is_no_report_is_refused_in_words(text, words):
    """Named file, what is wrong, what to do."""
    with pytest.raises(jsonfile.BadReport, match=words) as told:
        jsonfile.loads(text, "x.json")
    assert str(told.value).startswith("x.json: ")


# -- the terminal


@pytest.mark.parametrize("name", hostile.NAMES.values(), ids=hostile.NAMES)
def test_the_terminal_gets_harmless_text(name):
    """As many lines as labels, and no control character; nothing is cut, so that allow rules stay whole."""
    text = message([hostile.named(name)])
    assert CONTROL.findall(text.replace("\n", "")) == []
    usual, unusual = (message([replace(hostile.named(one), patch="")]) for one in ("name", name))
    assert len(unusual.splitlines()) == len(usual.splitlines())


# -- SARIF


def sarif(*findings: Any, **changed: Any) -> dict[str, Any]:
    (run,) = json.loads(formats.render("sarif", document(*findings, **changed)))["runs"]
    return run


of_three = pytest.mark.parametrize(
    "report", [documents.everything, hostile.hostile, document], ids=["full", "hostile", "empty"]
)


@of_three
def test_sarif_has_the_shape_of_the_standard(report):
    """Checked against the part of the standard that is used, in which no other name is allowed."""
    jsonschema = pytest.importorskip("jsonschema")
    from sarif_shape import LOG

    jsonschema.Draft202012Validator(LOG).validate(json.loads(formats.render("sarif", report())))


@of_three
def test_sarif_is_valid_by_the_schema_of_oasis(report):
    """The official schema takes it; that is no part of this repository, so a file is named where there is one."""
    jsonschema = pytest.importorskip("jsonschema")
    file = os.environ.get("LEAKGUARD_SARIF_SCHEMA")
    if not file:
        pytest.skip("LEAKGUARD_SARIF_SCHEMA does not name a copy of sarif-schema-2.1.0.json")
    schema = json.loads(Path(file).read_text("utf-8"))
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    checked = validator(schema, format_checker=validator.FORMAT_CHECKER)
    assert list(checked.iter_errors({"version": "2.1.0"})), "this schema takes anything"
    assert [error.message for error in checked.iter_errors(json.loads(formats.render("sarif", report())))] == []


def test_a_sarif_result_points_at_the_acquisition():
    """Rule, level, line, source; the flow tells how it came about and who holds it."""
    run = sarif(LEAK)
    (result,) = run["results"]
    assert (result["ruleId"], result["level"]) == ("leakguard/fd", "error")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "app/loader.py", "uriBaseId": "ROOT"}
    assert place["region"] == {"startLine": 42, "snippet": {"text": "    stream = open(name)"}}
    assert (place["contextRegion"]["startLine"], place["contextRegion"]["endLine"]) == (40, 44)
    steps = [step["location"]["message"]["text"] for step in result["codeFlows"][0]["threadFlows"][0]["locations"]]
    assert steps == [
        "call phase: acquired at app/loader.py:42 in open_source [audit: open]",
        "held by module app.cache, global `_SOURCES`", "held by dict['header']", "held by TextIOWrapper",
    ]  # fmt: skip
    assert [one["physicalLocation"]["artifactLocation"]["uri"] for one in result["relatedLocations"]] == [
        "tests/test_loader.py"
    ]


def test_a_sarif_fingerprint_survives_a_moved_line():
    """Another line, the same fingerprint; another function, another one."""

    def fingerprint(leak: Any) -> dict[str, str]:
        return sarif(leak)["results"][0]["partialFingerprints"]

    moved = replace(LEAK, origin=replace(LEAK.origin, line=77))
    assert fingerprint(moved) == fingerprint(LEAK)
    assert fingerprint(replace(LEAK, fingerprint="fd:app/loader.py:other")) != fingerprint(LEAK)


def test_sarif_levels_and_suppressions_follow_the_disposition():
    """Errors, warnings and notes; what a rule lets pass is suppressed, with the reason of the rule."""
    findings = [
        replace(LEAK, disposition=disposition, fingerprint=disposition, notes=("allowed: it is known",))
        for disposition in ("fails", "warned", "late", "allowed", "note")
    ]
    results = {result["properties"]["disposition"]: result for result in sarif(*findings)["results"]}
    levels = {name: result["level"] for name, result in results.items()}
    assert levels == {"fails": "error", "warned": "warning", "late": "note", "allowed": "note", "note": "warning"}
    assert results["allowed"]["suppressions"] == [{"kind": "external", "justification": "it is known"}]
    assert [name for name, result in results.items() if "suppressions" in result] == ["allowed"]


def test_equal_leaks_are_one_sarif_result_with_a_count():
    """Thirty tests, one fingerprint, one result."""
    (result,) = sarif(*[replace(LEAK, test=f"{LEAK.test}[{number}]") for number in range(30)])["results"]
    assert result["occurrenceCount"] == 30
    assert "30 leaks in 30 tests" in result["message"]["text"]


def test_paths_are_told_below_the_top_of_the_repository():
    """Where pytest runs in a folder of it, all three formats for services put that folder first."""
    session = {"started": "2026-01-02T03:04:05+00:00", "seconds": 1.0, "folder": "services/api"}
    report = document(LEAK, session=session)
    located = json.loads(formats.render("sarif", report))["runs"][0]["results"][0]["locations"][0]
    assert located["physicalLocation"]["artifactLocation"]["uri"] == "services/api/app/loader.py"
    assert json.loads(formats.render("gitlab", report))[0]["location"]["path"] == "services/api/app/loader.py"
    assert "file=services/api/app/loader.py,line=42," in formats.render("github", report)


def test_a_file_name_that_is_no_text_is_a_valid_uri():
    """The bytes of the name, as percents."""
    leak = replace(LEAK, origin=Origin(file="app/\udce9t\u00e9.py", line=3, function="f", how="audit", event="open"))
    located = sarif(leak)["results"][0]["locations"][0]
    assert located["physicalLocation"]["artifactLocation"]["uri"] == "app/%E9t%C3%A9.py"


# -- GitHub


def test_a_github_annotation_stands_at_its_line():
    """File, line and title, then what, when and how to fix it, with the line breaks escaped."""
    assert formats.render("github", document(LEAK)) == (
        "::error file=app/loader.py,line=42,title=leaked fd%3A tests/test_loader.py%3A%3Atest_header::"
        "fd 14, regular file open for reading: data/header.csv%0A"
        "due: end of function scope; still open after teardown, 4 looks in 0.25 s%0A"
        "fix: open it in a `with` block, or close it where it is last used%0A"
        "what it means: python -m pytest_leakguard explain leaked held\n"
    )


def test_a_leak_without_a_line_is_told_at_the_top_of_its_test_file():
    """The origin is unknown: the file of the test is not."""
    assert formats.render("github", document(UNKNOWN)).startswith("::error file=tests/test_loader.py,line=1,")


def test_a_leak_in_a_dependency_is_told_at_the_line_that_led_there():
    """The project's own line is the one that somebody can change."""
    origin = replace(LEAK.origin, file="pool/core.py", line=9, via="app/loader.py:42 in open_source")
    excerpts = {**documents.EXCERPTS, "pool/core.py:9": {"first": 9, "lines": ["    open(name)"], "inside": False}}
    report = document(replace(LEAK, origin=origin), excerpts=excerpts)
    assert "file=app/loader.py,line=42," in formats.render("github", report)
    (result,) = json.loads(formats.render("sarif", report))["runs"][0]["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "app/loader.py"
    steps = [step["location"] for step in result["codeFlows"][0]["threadFlows"][0]["locations"]]
    assert "physicalLocation" not in steps[1]
    assert "pool/core.py:9" in steps[1]["message"]["text"]


def test_a_leak_of_a_fixture_whose_line_is_a_dependencys_is_told_at_the_fixture():
    """No line of the project led there: the fixture is the place to change."""
    origin = replace(LEAK.origin, file="pool/core.py", line=9)
    excerpts = {**documents.EXCERPTS, "pool/core.py:9": {"first": 9, "lines": ["    open(name)"], "inside": False}}
    report = document(replace(OF_FIXTURE, origin=origin), excerpts=excerpts)
    assert "file=tests/conftest.py,line=18," in formats.render("github", report)


def test_github_warnings_are_what_only_warns():
    """What is allowed, late or of a failed test is no annotation."""
    findings = [
        replace(LEAK, disposition=disposition, fingerprint=disposition)
        for disposition in ("warned", "note", "late", "allowed", "told")
    ]
    (line,) = formats.render("github", document(*findings)).splitlines()
    assert line.startswith("::warning ")


def test_github_gets_no_more_annotations_than_it_shows():
    """The last one says how many there are besides."""
    findings = [replace(LEAK, fingerprint=f"fd:{number}") for number in range(25)]
    lines = formats.render("github", document(*findings)).splitlines()
    assert len(lines) == github.MOST_OF_A_LEVEL
    assert lines[-1] == "::error title=leakguard::16 more fingerprints with leaks: see the other reports of this job"


def test_no_name_starts_a_workflow_command():
    """One line for each fingerprint; each is an annotation, and its data holds no command and no further property."""
    lines = formats.render("github", hostile.hostile()).splitlines()
    assert len(lines) == len(hostile.NAMES)
    for line in lines:
        head = re.match(r"::error (?P<properties>[^:]*)::", line)
        assert head is not None
        assert re.fullmatch(r"(file=[^,:]*,line=\d+,)?title=[^,:]*", head["properties"])


# -- GitLab


def test_gitlab_gets_what_its_widget_asks_for():
    """Description, check, unique fingerprint, severity, path and line; only for what counts."""
    report = document(LEAK, replace(LEAK, test="x.py::y"), OF_FIXTURE, replace(LEAK, disposition="allowed"), UNKNOWN)
    entries = json.loads(formats.render("gitlab", report))
    assert [entry["check_name"] for entry in entries] == ["leakguard/fd", "leakguard/thread", "leakguard/fd"]
    assert entries[0]["location"] == {"path": "app/loader.py", "lines": {"begin": 42}}
    assert "(2 leaks in 2 tests)" in entries[0]["description"]
    assert entries[2]["location"] == {"path": "tests/test_loader.py", "lines": {"begin": 1}}
    assert len({entry["fingerprint"] for entry in entries}) == 3
    assert {entry["severity"] for entry in entries} == {"major"}


# -- Markdown


class Elements(html.parser.HTMLParser):
    """The elements of a page, where its links lead, and its pieces of text that are no code."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self._code = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.found.add(tag)
        self.links += [value for name, value in attributes if name in ("href", "src")]
        self._code += tag == "code"

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag == "code"

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.texts.append(data)


def rendered(report: dict[str, Any]) -> str:
    markdown_it = pytest.importorskip("markdown_it")
    engine = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
    return str(engine.render(formats.render("markdown", report)))


def test_the_markdown_summary_tells_all_that_a_reader_needs():
    """Verdict, table, and each leak with owner, source line, holder, patch, first and last test."""
    text = formats.render("markdown", documents.everything())
    assert text.startswith("## \N{CROSS MARK} leakguard: 34 leaks (4 fingerprints)\n")
    for words in (
        "| fd | `app/loader.py:42 in open_source` | `tests/test_loader.py::test_header` | 31 | 31 |",
        ">   42      stream = open(name)",
        "```diff\n--- a/app/loader.py",
        "- **last test** `tests/test_loader.py::test_more[29]`",
        "dict['header'] -> TextIOWrapper",
        "allow rule hides nothing any more: `fd:*.csv`",
    ):
        assert words in text
    assert formats.render("markdown", document()).startswith("## \N{WHITE HEAVY CHECK MARK} leakguard: no leaks\n")


def test_the_markdown_summary_is_sound_as_html():
    """What a renderer makes of it has a table with a row for each leak, and entries to open."""
    page = rendered(documents.everything())
    assert page.count("<tr>") == 1 + 4
    assert page.count("<details>") == page.count("</details>") == 4
    assert Elements(page).found >= {"table", "details", "summary", "pre", "code"}


def test_hostile_names_are_no_markup_in_markdown():
    """Rendered with HTML allowed, there is no element, link, picture or mention that we did not make."""
    page = Elements(rendered(hostile.hostile()))
    ours = {"h2", "p", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "ul", "li", "strong", "em"}
    assert page.found <= ours | {"code", "pre"}
    assert page.links == []
    assert [text for text in page.texts if re.search(r"@\w", text)] == []


def test_nothing_of_a_name_is_an_angle_bracket_in_markdown():
    """A tag may be closed by what comes after the name, and not all that shows Markdown asks for it to be closed."""
    assert not {"<", ">"} & set(markdown.escaped("<img src=x> <b"))


def test_hostile_names_are_no_markup_in_html():
    """A hostile page has the elements of any other, its own script only, and no link that leads away."""
    text = formats.render("html", hostile.hostile())
    page = Elements(text)
    assert page.found == Elements(formats.render("html", documents.everything())).found
    assert text.count("<script") == 1
    assert [link for link in page.links if not link.startswith("#")] == []


def test_the_markdown_summary_stays_below_what_a_job_page_takes():
    """Of 10,000 leaks, and of names without an end."""
    findings = [replace(hostile.named("x" * 9000), fingerprint=str(number)) for number in range(500)]
    for report in (documents.many(10_000, 10_000), document(*findings)):
        assert len(formats.render("markdown", report).encode()) < markdown.MOST_CHARACTERS + 100_000
