"""The modules that are mutated, and the unit tests that have to notice."""

from __future__ import annotations

VALUES = "core/test_values.py"
FAULT_VALUES = "faults/test_values.py"

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
    "faults/model.py": [FAULT_VALUES, "faults/test_model.py"],
    "faults/errors.py": ["faults/test_model.py"],
    "faults/oracles.py": [FAULT_VALUES, "faults/test_outcomes.py"],
    "faults/sweep.py": [FAULT_VALUES, "faults/test_sweep.py"],
    "faults/cancel_judge.py": [FAULT_VALUES, "faults/test_cancel_judge.py"],
    "faults/suspensions.py": [FAULT_VALUES, "faults/test_suspensions.py"],
    "faults/source.py": [FAULT_VALUES, "faults/test_source.py"],
    "faults/cleanups.py": [FAULT_VALUES, "faults/test_source.py"],
    "faults/lines.py": [FAULT_VALUES, "faults/test_source.py"],
    "faults/names.py": ["faults/test_names.py"],
    "faults/remedies.py": ["faults/test_remedies.py"],
    "faults/operations.py": [FAULT_VALUES, "faults/test_operations.py"],
    "faults/changes.py": [FAULT_VALUES, "faults/test_changes.py"],
    "faults/cancel_text.py": ["faults/test_cancel_text.py"],
}
