"""The pages of the managers: one for each, their code run, their promises those of the docstrings."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path

import pytest

from pytest_leakguard import reference

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "reference-managers").glob("*.md"))
OF_ALL = ("best-practices", "verified")
EXAMPLES = ROOT / "docs" / "examples" / "reference_managers"

of_managers = pytest.mark.parametrize(
    "page", [page for page in PAGES if page.stem not in OF_ALL], ids=lambda page: page.stem
)


def names(page):
    """The managers of a page, as its heading has them."""
    return re.findall(r"`(\w+)`", page.read_text("utf-8").splitlines()[0])


def plain(text):
    """Words only, so that line ends and marks make no difference."""
    return re.sub(r"\s+", " ", text.replace("*", "")).strip()


def test_every_manager_has_a_page():
    """Each public name but the reader of attached errors, once."""
    told = [name for page in PAGES if page.stem not in OF_ALL for name in names(page)]
    assert sorted(told) == sorted(set(reference.__all__) - {"secondary_errors"})


@of_managers
def test_the_promises_of_a_page_are_those_of_the_docstring(page):
    """Each line of its list, word for word."""
    promises = page.read_text("utf-8").partition("## What it guarantees")[2].partition("## The bug")[0]
    told = plain(" ".join(inspect.getdoc(getattr(reference, name)) for name in names(page)))
    items = re.split(r"^- ", promises, flags=re.MULTILINE)[1:]
    for item in items:
        text = plain(item.partition("\n\n")[0])
        assert text in told or text.replace("Acquires: ", "").replace("Releases: ", "") in told, text
    with_own = [name for name in names(page) if "Acquires" in inspect.getdoc(getattr(reference, name))]
    assert len(items) >= 2 * len(with_own)


@of_managers
def test_a_page_shows_the_bug_and_its_end(page):
    """Two blocks of a file that is run, the first with a leaky name, the second without."""
    blocks = re.findall(r"<!-- from: (\S+) -->\n```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    assert [("leaky" in block.lower()) for _, block in blocks] == [True, False]
    assert {name for name, _ in blocks} == {f"docs/examples/reference_managers/test_{page.stem.replace('-', '_')}.py"}


def test_the_code_of_the_pages_runs(alone, pytester):
    """Leaky code leaks, or does what its page says of it; the fixed one does not."""
    for file in EXAMPLES.glob("*.py"):
        shutil.copy(file, pytester.path)
    ran = alone()
    assert ran.result.ret == 0, ran.text
    assert ran.report["findings"] == []
    assert ran.report["summary"]["tests"] >= 2 * len(PAGES) - 4
