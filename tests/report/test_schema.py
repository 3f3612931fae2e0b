"""The JSON report has a schema, and whatever is in a finding comes back from a file."""

from __future__ import annotations

import copy
import json

import documents
import hostile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_leakguard.__main__ import main
from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.report import jsonfile
from pytest_leakguard.report.data import from_dict, to_dict
from pytest_leakguard.report.schema import schema

# a pair of halves is one character when JSON is read: the only text that does not come back as it was
texts = st.text(st.characters(exclude_categories=()), max_size=20).filter(
    lambda text: json.loads(json.dumps(text)) == text
)
numbers = st.integers(1, 10**9)


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


@settings(deadline=None, max_examples=60)
@given(
    st.builds(
        Finding,
        kind=texts, verdict=st.just("leaked"), test=texts, phase=st.sampled_from([None, "setup", "call", "teardown"]),
        owner=st.builds(Owner, kind=st.just("fixture"), scope=texts, name=texts, where=texts, xunit=st.booleans()),
        what=texts, subject=texts,
        origin=st.builds(
            Origin, file=st.none() | texts, line=st.none() | numbers, function=st.none() | texts, event=texts,
            reason=texts, via=texts,
        ),
        due=texts, fix=texts, allow=texts, fingerprint=texts, count=numbers, notes=st.lists(texts).map(tuple),
        held=st.builds(Held, chain=st.lists(texts).map(tuple), reason=texts, graph=texts), point=texts, fault=texts,
        repeat=texts, patch=texts, held_then=st.lists(texts).map(tuple), cleanups=st.lists(texts).map(tuple),
    )
)  # fmt: skip
def test_any_finding_comes_back_from_a_file(finding):
    """Object -> plain data -> text -> plain data -> object: equal, whatever the texts are."""
    report = documents.document(finding)
    back = jsonfile.loads(jsonfile.dumps(report))
    assert back == report
    assert from_dict(back["findings"][0]) == finding
