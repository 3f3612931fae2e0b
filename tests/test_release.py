"""What a release promises: fragments that can be gathered, and a plugin without network and without code from data."""

from __future__ import annotations

import ast
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

import pytest_leakguard
from pytest_leakguard import reference

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "pytest_leakguard"


@pytest.fixture(scope="module")
def changelog() -> ModuleType:
    """`.ci/changelog.py`, which lies in no package."""
    spec = importlib.util.spec_from_file_location("changelog", ROOT / ".ci" / "changelog.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- changelog


def test_the_fragments_can_be_gathered(changelog):
    """Each fragment that is there has a valid name and a text, and stands in what the release says."""
    folder = ROOT / "docs" / "changelog"
    told = changelog.assemble(changelog.read(folder))
    for file in folder.glob("*"):
        first = file.read_text("utf-8").splitlines()[0]
        assert f"- {first}" in told, file.name


@pytest.mark.parametrize("name", ["topic.md", "topic.feat.md", "Topic.fix.md", "a_b.fix.md", "topic.fix.txt", "notes"])
def test_a_fragment_of_another_name_is_refused(changelog, tmp_path, name):
    """A fragment that the release would not know where to put is an error, which names it."""
    (tmp_path / name).write_text("Something is new.", "utf-8")
    with pytest.raises(changelog.ChangelogError, match=name):
        changelog.read(tmp_path)


@pytest.mark.parametrize("text", ["", " \n", "# Heading\n", "- item\n"])
def test_a_fragment_is_a_paragraph(changelog, tmp_path, text):
    """A fragment without a word, or with a heading or list mark of its own, would break the list it goes into."""
    (tmp_path / "topic.fix.md").write_text(text, "utf-8")
    with pytest.raises(changelog.ChangelogError):
        changelog.read(tmp_path)


@pytest.fixture
def clone(tmp_path):
    """A folder with a changelog and two fragments."""
    folder = tmp_path / "docs" / "changelog"
    folder.mkdir(parents=True)
    (folder / "poller.fix.md").write_text("A poller that ended is not told,\nnor is its socket.\n", "utf-8")
    (folder / "gauge.feature.md").write_text("Gauges are watched.\n", "utf-8")
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    return tmp_path


def test_a_release_takes_the_fragments_into_the_changelog(changelog, clone):
    """The new release stands first, older ones after it as they were; the fragments are gone."""
    assert changelog.main(["7.1.0", "2027-01-31"], clone) == 0
    first = (clone / "CHANGELOG.md").read_text("utf-8")
    assert "## Unreleased\n\n" in first
    section = first.partition("## 7.1.0 (2027-01-31)\n")[2]
    assert section == (
        "\n### Added\n\n- Gauges are watched.\n\n### Repaired\n\n"
        "- A poller that ended is not told,\n  nor is its socket.\n"
    )
    assert list((clone / "docs" / "changelog").iterdir()) == []
    (clone / "docs" / "changelog" / "relay.removal.md").write_text("`relay` is gone.\n", "utf-8")
    assert changelog.main(["8.0.0", "2027-02-28"], clone) == 0
    second = (clone / "CHANGELOG.md").read_text("utf-8")
    headings = [line for line in second.splitlines() if line.startswith("## ")]
    assert headings == ["## Unreleased", "## 8.0.0 (2027-02-28)", "## 7.1.0 (2027-01-31)"]
    assert section in second


@pytest.mark.parametrize("arguments", [["7.1"], ["7.1", "2027-01-31"], ["7.1.0", "today"]])
def test_a_release_that_can_not_be_made_changes_nothing(changelog, clone, capsys, arguments):
    """Exit status 2, with the reason, and the fragments stay."""
    before = (clone / "CHANGELOG.md").read_text("utf-8")
    assert changelog.main(arguments, clone) == 2
    assert capsys.readouterr().err
    assert (clone / "CHANGELOG.md").read_text("utf-8") == before
    assert len(list((clone / "docs" / "changelog").iterdir())) == 2


# -- version


def test_the_version_is_one():
    """The package and its metadata tell the same version."""
    (line,) = [line for line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines() if line.startswith("version")]
    assert line == f'version = "{pytest_leakguard.__version__}"'


@pytest.mark.parametrize("package", [pytest_leakguard, reference])
def test_every_public_name_has_a_docstring(package):
    """The page of the API is made from docstrings."""
    assert [name for name in package.__all__ if name != "__version__" and not getattr(package, name).__doc__] == []


# -- security

CODE_FROM_DATA = {"pickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "eval", "exec"}
PROTOCOLS = {"ssl", "http", "urllib.request", "ftplib", "smtplib", "xmlrpc", "requests", "urllib3"}
CONNECTING = {"connect", "connect_ex", "sendto", "create_connection", "getaddrinfo", "gethostbyname"}


def used(tree: ast.AST) -> set[str]:
    """What a module imports anywhere, by full name and by package, and what it calls, by its last name."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Call) and ":memory:" not in ast.dump(node):  # such a database is no network
            names.add(getattr(node.func, "attr", "") or getattr(node.func, "id", ""))
    return names | {name.partition(".")[0] for name in names}


def users_of(forbidden: set[str], files: list[Path]) -> dict[str, set[str]]:
    """File -> the forbidden names it uses; files without one are left out."""
    found = {str(file): used(ast.parse(file.read_text("utf-8"))) & forbidden for file in files}
    return {file: names for file, names in found.items() if names}


def test_no_code_comes_from_data():
    """Nothing is unpickled, and no text is evaluated, anywhere in the package."""
    files = list(PACKAGE.rglob("*.py"))
    assert len(files) > 100
    assert users_of(CODE_FROM_DATA, files) == {}


def test_nothing_is_connected_to():
    """No module speaks a protocol, connects or looks up a name; the bundled managers connect for their user."""
    files = list(PACKAGE.rglob("*.py"))
    assert users_of(PROTOCOLS, files) == {}
    assert users_of(CONNECTING, [file for file in files if "reference" not in file.parts]) == {}


@pytest.mark.parametrize(
    "line",
    [
        "from urllib import request",
        "import pickle",
        "import http.client",
        "from pickle import loads as read",
        "s.connect(a)",
        "getaddrinfo(b)",
        "eval('1')",
    ],
)
def test_what_is_forbidden_is_seen(tmp_path, line):
    """Each way to do it is found, wherever it stands in a module."""
    (tmp_path / "module.py").write_text(f"def f():\n    {line}\n", "utf-8")
    assert users_of(CODE_FROM_DATA | PROTOCOLS | CONNECTING, [tmp_path / "module.py"])
