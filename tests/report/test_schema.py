"""The JSON report has a schema."""

from __future__ import annotations

import copy
import json

import documents
import hostile
import pytest

from pytest_leakguard.__main__ import main
from pytest_leakguard.report import jsonfile
from pytest_leakguard.report.data import to_dict
from pytest_leakguard.report.schema import schema


@pytest.fixture
def validate():
    """Raise when a report is not as the schema says."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema())
    return jsonschema.Draft202012Validator(schema()).validate


@pytest.mark.parametrize("report", [documents.everything, hostile.hostile, documents.document])
def test_a_report_made_by_hand_fits(validate, report):
    """Full, hostile and empty."""
    validate(json.loads(jsonfile.dumps(report())))


def test_a_report_of_a_real_run_fits_and_a_broken_one_does_not(validate, alone, pytester):
    """As pytest writes it; and not without one of its names, or with another type."""
    import jsonschema

    pytester.makepyfile("KEPT = []\ndef test_it():\n    KEPT.append(open(__file__))\n")
    report = alone().report
    validate(report)
    for name in schema()["required"]:
        with pytest.raises(jsonschema.ValidationError):
            validate({key: value for key, value in report.items() if key != name})
    for name, value in (("line", "3"), ("how", "guessed"), ("file", 3)):
        broken = copy.deepcopy(report)
        broken["findings"][0]["origin"][name] = value
        with pytest.raises(jsonschema.ValidationError):
            validate(broken)


def test_every_name_of_a_finding_is_in_the_schema():
    """No more, no less."""
    finding = schema()["properties"]["findings"]["items"]
    plain = to_dict(documents.LEAK)
    assert set(finding["properties"]) == set(plain)
    for part in ("owner", "origin", "held"):
        assert set(finding["properties"][part]["properties"]) == set(plain[part])


def test_the_command_prints_the_schema(capsys):
    """`python -m pytest_leakguard schema`, as JSON."""
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()
