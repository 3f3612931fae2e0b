"""Whatever is in a finding comes back from a JSON report."""

from __future__ import annotations

import json

import documents
import pytest

from pytest_leakguard.core.holding import Held
from pytest_leakguard.core.model import Finding, Origin, Owner
from pytest_leakguard.report import jsonfile
from pytest_leakguard.report.data import from_dict

pytest.importorskip("hypothesis")
from hypothesis import given, settings
from hypothesis import strategies as st

# a pair of halves is one character when JSON is read: the only text that does not come back as it was
texts = st.text(st.characters(exclude_categories=()), max_size=20).filter(
    lambda text: json.loads(json.dumps(text)) == text
)
numbers = st.integers(1, 10**9)


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
