"""The modules that are mutated, and the unit tests that have to notice."""

from __future__ import annotations

VALUES = "core/test_values.py"

MODULES = {
    "core/verdict.py": [VALUES, "core/test_verdict.py"],
    "core/ledger.py": [VALUES, "core/test_ledger.py"],
    "core/model.py": [VALUES, "core/test_data.py", "core/test_verdict.py", "core/test_ledger.py"],
    "core/allow.py": [VALUES, "core/test_allow.py"],
    "core/baseline.py": [VALUES, "core/test_baseline.py"],
    "core/baseline_text.py": [VALUES, "core/test_baseline_text.py"],
    "core/growth.py": [VALUES, "core/test_growth.py"],
    "core/demands.py": [VALUES, "core/test_demands.py"],
    "core/bisect.py": [VALUES, "core/test_bisect.py"],
    "core/grace.py": [VALUES, "core/test_grace.py"],
    "core/holding.py": [VALUES, "core/test_holding.py"],
    "core/kinds.py": ["core/test_kinds.py"],
    "core/litter.py": ["core/test_litter.py"],
    "core/ran.py": [VALUES, "core/test_ran.py"],
    "core/timeline.py": [VALUES, "core/test_timeline.py"],
    "faults/cancel_judge.py": ["faults/test_cancel_judge.py"],
    "faults/errors.py": ["faults/test_model.py"],
    "faults/model.py": ["faults/test_model.py"],
    "faults/families.py": ["faults/test_model.py"],
}
