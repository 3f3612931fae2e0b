"""The pages about reports: their commands run, their report is as it prints, their tables are complete."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from pytest_leakguard.__main__ import main
from pytest_leakguard.plugin.declare import FORMATS

ROOT = Path(__file__).parents[1]
HOWTO = (ROOT / "docs" / "howto" / "read-a-report.md").read_text("utf-8")
REFERENCE = (ROOT / "docs" / "reference" / "reports.md").read_text("utf-8")


@pytest.fixture
def project(pytester, monkeypatch):
    """The example, with the ini file of the page."""
    shutil.copy(ROOT / "docs" / "examples" / "reports" / "test_settings.py", pytester.path)
    (block,) = re.findall(r"```ini\n(.*?)```", HOWTO, re.DOTALL)
    pytester.makeini(block)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "step.md"))
    return pytester.path


def test_the_commands_of_the_howto_write_what_they_name(project, alone):
    """All runs of pytest in one: each file is there, and the annotations are in the output."""
    commands = re.findall(r"^pytest (--leakguard .*)$", HOWTO, re.MULTILINE)
    assert len(commands) == 3
    reports = [word for line in commands for word in shlex.split(line) if ":" in word]
    reports = [word.replace("$GITHUB_STEP_SUMMARY", "step.md") for word in reports]
    ran = alone(*(part for word in reports for part in ("--leakguard-report", word)))
    files = {word.partition(":")[2] for word in reports} - {"-"}
    assert files == {"leaks.html", "leaks.json", "step.md", "leaks.sarif", "gl-code-quality-report.json"}
    assert [name for name in files if not (project / name).stat().st_size] == []
    assert [line for line in ran.result.outlines if line.startswith("::error file=test_settings.py,line=5,")]


def test_the_settings_of_the_howto_write_their_files(project, alone):
    """As the options do."""
    alone()
    assert {"leaks.html", "leaks.json"} <= {file.name for file in project.iterdir()}


def test_the_report_of_the_howto_is_as_it_prints_and_its_patch_works(project, alone):
    """Each line of the block is printed; the patch in it ends the leak."""
    (block,) = re.findall(r"<!-- report: docs/examples/reports -->\n```text\n(.*?)```", HOWTO, re.DOTALL)
    printed = [line.rstrip() for line in alone().result.outlines]
    plain = [re.sub(r"<basetemp>/\S*/test_settings0", "<basetemp>/test_settings0", line) for line in printed]
    assert [line for line in block.splitlines() if line.rstrip() not in plain] == []
    git = shutil.which("git")
    if git is None:
        pytest.skip("git not found in PATH: nothing applies the patch")
    patch = block[block.index("--- a/") :]
    subprocess.run([git, "apply", "-"], input=patch, text=True, cwd=project, check=True, timeout=30)
    assert alone().report["summary"]["leaks"] == 0


def test_the_commands_that_are_named_exist(capsys):
    """`diff` and `schema`, with the options that the pages name."""
    for words in (["diff", "--help"], ["schema", "--help"]):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
    assert "--format" in REFERENCE
    assert "python -m pytest_leakguard diff main.json leaks.json" in HOWTO
    capsys.readouterr()


def test_every_format_has_its_row():
    """In the order of the help, and no other."""
    assert re.findall(r"^\| `(\w+)` \|", REFERENCE, re.MULTILINE) == list(FORMATS)
