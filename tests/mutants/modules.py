"""The modules that are mutated, and the unit tests that have to notice."""

from __future__ import annotations

MODULES = {
    "core/allow.py": ["core/test_allow.py"],
    "core/demands.py": ["core/test_demands.py"],
    "core/grace.py": ["core/test_grace.py"],
    "core/growth.py": ["core/test_growth.py"],
    "core/kinds.py": ["core/test_kinds.py"],
    "core/ledger.py": ["core/test_ledger.py"],
    "core/litter.py": ["core/test_litter.py"],
    "core/model.py": ["core/test_verdict.py", "core/test_ledger.py"],
    "core/verdict.py": ["core/test_verdict.py"],
    "faults/cancel_judge.py": ["faults/test_cancel_judge.py"],
    "faults/errors.py": ["faults/test_model.py"],
    "faults/model.py": ["faults/test_model.py"],
    "faults/families.py": ["faults/test_model.py"],
}
