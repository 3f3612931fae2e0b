"""Generated programs: the plugin's verdict on each is the model's."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from batch import disagreements
from program import Plan, Step

pytest.importorskip("hypothesis")
from machine import built, written

SEED = int(os.environ.get("LEAKGUARD_MODEL_SEED", "1"))
PROGRAMS = int(os.environ.get("LEAKGUARD_MODEL_PROGRAMS", "75"))


def smaller(plan: Plan, steps: list[Step], disagrees: Callable[[Plan, list[Step]], bool]) -> list[Step]:
    """Fewer steps that still disagree: halves first, then single ones, as long as the patience lasts."""
    size, patience = max(1, len(steps) // 2), 40
    while size and patience:
        start = 0
        while start < len(steps) and patience:
            shorter = steps[:start] + steps[start + size :]
            patience -= 1
            if disagrees(plan, shorter):
                steps = shorter
            else:
                start += size
        size //= 2
    return steps


def test_the_plugin_says_what_the_model_says(tmp_path: Path, run_tree) -> None:
    """Thousands of steps; LEAKGUARD_MODEL_SEED and LEAKGUARD_MODEL_PROGRAMS choose others."""
    scripts = written(PROGRAMS, SEED)
    programs = [built(*script) for script in scripts]
    assert sum(program.steps for program in programs) > 10 * PROGRAMS
    wrong = disagreements(programs, run_tree, tmp_path / "all")
    tries = 0

    def disagrees(plan: Plan, steps: list[Step]) -> bool:
        nonlocal tries
        tries += 1
        return bool(disagreements([built(plan, steps)], run_tree, tmp_path / f"alone{tries}"))

    if wrong:
        number, said = wrong[0]
        plan, steps = scripts[number]
        alone = smaller(plan, steps, disagrees) if disagrees(plan, steps) else steps
        program = built(plan, alone)
        pytest.fail(
            f"{len(wrong)} of {len(programs)} programs, seed {SEED}\n"
            f"the plugin says of the whole {dict(said)}, the model {dict(programs[number].expected)}\n"
            f"made smaller, the model says {dict(program.expected)}\n" + "\n".join(program.files().values())
        )
