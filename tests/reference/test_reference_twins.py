"""The leaky twin of each manager is caught: by a sweep at the right line, or by a test of behaviour that is named."""

from __future__ import annotations

import inspect
import re
import shutil
import tempfile
from pathlib import Path

import leaky
import pytest
import twin_uses
from twin_uses import SWEPT, TESTED, twin_of

from pytest_leakguard import LeakError, reference

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "reference-managers" / "verified.md"
MANAGERS = sorted(set(reference.__all__) - {"secondary_errors"})
BEGIN = "| manager | the classic bug | caught by |"


@pytest.fixture
def source():
    # not below tmp_path: there a file that is left is no leak
    folder = Path(tempfile.mkdtemp(prefix="twins-"))
    source = folder / "readings.csv"
    source.write_text("3.5\n4.5\n", "utf-8")
    (folder / "database").touch()
    yield source
    leaky.release_kept()
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", sorted(SWEPT))
def test_a_sweep_finds_the_bug(name, source, leak_faults, is_marked):
    """Of the family that is named; each thing that is left was acquired at a line that is marked."""
    family, use = SWEPT[name]
    assert f"leaky.{twin_of(name).__name__}(" in inspect.getsource(use)
    with pytest.raises(LeakError) as caught:
        leak_faults.sweep(lambda: use(source), family, targets=[leaky.__file__, twin_uses.__file__])
    findings = caught.value.findings
    assert findings
    assert all(finding.point.startswith(f"{family}:") for finding in findings)
    assert all(is_marked(finding) for finding in findings), [finding.origin for finding in findings]


@pytest.mark.parametrize("name", sorted(TESTED))
def test_the_test_that_is_named_uses_the_twin(name):
    """And the manager itself, which it must tell apart from it."""
    file, _, function = TESTED[name].partition("::")
    text = (HERE / file).read_text("utf-8")
    body = re.search(rf"^def {function}\(.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert body is not None
    assert twin_of(name).__name__ in body[0]
    assert re.search(rf"\b{name}\b", text)


def test_the_table_of_the_docs():
    """Each manager is there once, with the words of its twin and what catches it."""
    table = PAGE.read_text("utf-8").partition(BEGIN)[2].partition("\n\n")[0]
    told = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]
    expected = []
    for name in MANAGERS:
        assert (name in SWEPT) + (name in TESTED) == 1
        caught_by = f"sweep, `{SWEPT[name][0]}`" if name in SWEPT else f"`{TESTED[name].partition('::')[2]}`"
        words = inspect.getdoc(twin_of(name)).splitlines()[0]
        expected.append([f"`{name}`", words.replace("`", "").rstrip("."), caught_by])
    assert told == expected
