"""The modules that are mutated, and the unit tests that have to notice.

By this rule: all of ``core/``, and each module of ``faults/`` whose tests can say all that it does in their own
process, from what is handed to it: values, source text, code and its instructions, frames, suspended coroutines, a
function to call. What it asks for in turn may well be live, as a family of points asks for the code to be watched.

Not in it is what puts something into the process and lives by what comes back from there: a trace function, a tool of
`sys.monitoring`, an alarm, replaced methods of asyncio, trio or contextlib. For that there is the list of sabotages.
Those modules of ``faults/`` are listed here, each with what it puts where. What sets no more than the interpreter's two
hooks for errors, for the time of a block (``faults/observe.py``), is mutated all the same: its tests can tell.
"""

from __future__ import annotations

VALUES = "core/test_values.py"
FAULT_VALUES = "faults/test_fault_values.py"
COUNTS = "faults/test_counts.py"
SEEN_ON_THE_WAY = "faults/test_cleanup_ledger.py::test_every_path_is_counted"

MODULES = {
    "core/verdict.py": ["core/test_verdict.py", VALUES],
    "core/ledger.py": ["core/test_ledger.py", VALUES],
    "core/model.py": ["core/test_data.py", "core/test_verdict.py", "core/test_ledger.py", VALUES],
    "core/allow.py": ["core/test_allow.py", VALUES],
    "core/baseline.py": ["core/test_baseline.py", VALUES],
    "core/baseline_text.py": ["core/test_baseline_text.py", VALUES],
    "core/growth.py": ["core/test_growth.py", VALUES],
    "core/demands.py": ["core/test_demands.py", VALUES],
    "core/bisect.py": ["core/test_bisect.py", VALUES],
    "core/grace.py": ["core/test_grace.py", VALUES],
    "core/holding.py": ["core/test_holding.py", VALUES],
    "core/kinds.py": ["core/test_kinds.py"],
    "core/litter.py": ["core/test_litter.py"],
    "core/ran.py": ["core/test_ran.py", VALUES],
    "core/steady.py": ["core/test_steady.py"],
    "core/timeline.py": ["core/test_timeline.py", VALUES],
    "faults/model.py": ["faults/test_model.py", FAULT_VALUES],
    "faults/errors.py": ["faults/test_model.py"],
    "faults/oracles.py": ["faults/test_fault_outcomes.py", FAULT_VALUES],
    "faults/sweep.py": ["faults/test_sweep.py", FAULT_VALUES],
    "faults/cancel_judge.py": ["faults/test_cancel_judge.py", FAULT_VALUES],
    "faults/suspensions.py": ["faults/test_suspensions.py", FAULT_VALUES],
    "faults/source.py": ["faults/test_source.py", FAULT_VALUES],
    "faults/cleanups.py": ["faults/test_source.py", FAULT_VALUES],
    "faults/lines.py": ["faults/test_source.py", FAULT_VALUES],
    "faults/cleanup_paths.py": ["faults/test_cleanup_paths.py", FAULT_VALUES],
    "faults/names.py": ["faults/test_names.py"],
    "faults/remedies.py": ["faults/test_remedies.py"],
    "faults/operations.py": ["faults/test_operations.py", FAULT_VALUES],
    "faults/targets.py": ["faults/test_targets.py", FAULT_VALUES],
    "faults/points.py": ["faults/test_points.py", FAULT_VALUES],
    "faults/changes.py": ["faults/test_changes.py", FAULT_VALUES],
    "faults/cancel_text.py": ["faults/test_cancel_text.py"],
    "faults/cleanup_marks.py": ["faults/test_cleanup_marks.py", SEEN_ON_THE_WAY, FAULT_VALUES],
    "faults/cleanup.py": ["faults/test_cleanup_counts.py", SEEN_ON_THE_WAY, FAULT_VALUES],
    "faults/callees.py": ["faults/test_callees.py", FAULT_VALUES],
    "faults/await_chain.py": ["faults/test_await_chain.py", FAULT_VALUES],
    "faults/entered.py": ["faults/test_entered.py", "faults/test_source.py", FAULT_VALUES],
    "faults/instructions.py": ["faults/test_instructions.py", FAULT_VALUES],
    "faults/steps.py": ["faults/test_steps.py", COUNTS, FAULT_VALUES],
    "faults/observe.py": ["faults/test_observe.py", FAULT_VALUES],
    "faults/leftovers.py": ["faults/test_leftovers.py", FAULT_VALUES],
    "faults/managers.py": ["faults/test_calling.py"],
    "faults/calling.py": ["faults/test_calling.py"],
    "faults/witness.py": ["faults/test_witness.py", FAULT_VALUES],
    "faults/acquire.py": ["faults/test_steps.py", COUNTS, FAULT_VALUES],
}

LIVE = {
    "faults/asyncio_awaits.py": "methods of asyncio's loops and streams",
    "faults/cancel.py": "the tap of all event loops, for a count or a trial",
    "faults/cancel_asyncio.py": "steps of asyncio's tasks",
    "faults/cancel_each.py": "event loops of its own, run after run",
    "faults/cancel_trio.py": "an instrument of trio's",
    "faults/cleanup_drivers.py": "one of the next two, by the version of Python",
    "faults/cleanup_monitoring.py": "a tool of sys.monitoring",
    "faults/cleanup_tracing.py": "a trace function",
    "faults/custom.py": "the hook of fault_point",
    "faults/exit_stacks.py": "a method of contextlib's stacks",
    "faults/force.py": "a count of the process",
    "faults/limit.py": "an alarm",
    "faults/loops.py": "the tap of all event loops, around another injector",
    "faults/monitoring.py": "a tool of sys.monitoring",
    "faults/steppers.py": "methods of asyncio's loops",
    "faults/timeouts.py": "a trace function, for a step of a task",
    "faults/tracing.py": "a trace function",
    "faults/watching.py": "one of the two above, by the version of Python",
}
"""What is not mutated -> what it puts into the process."""

NOTHING_TO_CHANGE = {"core/__init__.py", "faults/__init__.py", "faults/families.py"}
"""No operator finds anything in these."""
