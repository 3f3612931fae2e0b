"""The state machine that writes programs."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from program import WIDE, Plan, Program, Step

PLANS = st.lists(
    st.tuples(st.booleans(), st.frozensets(st.sampled_from(WIDE), max_size=3)), min_size=2, max_size=5
).map(tuple)
NUMBER = st.integers(0, 59)


def written(number_of_programs: int, seeded: int, steps: int = 40) -> list[tuple[Plan, list[Step]]]:
    """Programs of up to that many steps; the same seed gives the same ones."""
    out: list[tuple[Plan, list[Step]]] = []

    class Writer(RuleBasedStateMachine):
        @initialize(plan=PLANS)
        def begin(self, plan: Plan) -> None:
            self.plan, self.made, self.program = plan, [], Program(plan)

        def note(self, *step: object) -> None:
            self.made.append(step)
            self.program.do(step)

        def is_open(self) -> bool:
            return not self.program.is_over

        @precondition(is_open)
        @rule(a=NUMBER, b=NUMBER, c=NUMBER)
        def acquire(self, a: int, b: int, c: int) -> None:
            self.note("acquire", a, b, c)

        @precondition(is_open)
        @rule(
            a=NUMBER,
            b=NUMBER,
            what=st.sampled_from(("close", "drop", "give", "dup", "twice", "fork", "keep", "keep")),
            c=NUMBER,
        )
        def use(self, a: int, b: int, c: int, what: str) -> None:
            self.note(what, a, b, c)

        @precondition(is_open)
        @rule(a=NUMBER, b=NUMBER, what=st.sampled_from(("give", "dup", "fork")), c=NUMBER)
        def pass_on(self, a: int, b: int, c: int, what: str) -> None:
            self.note(what, a, b, c)

        @rule()
        def go_on(self) -> None:
            self.note("next", 0, 0, 0)

        def teardown(self) -> None:
            if hasattr(self, "plan"):
                out.append((self.plan, self.made))

    run_state_machine_as_test(
        seed(seeded)(Writer),
        settings=settings(
            max_examples=number_of_programs, stateful_step_count=steps, phases=[Phase.generate], database=None,
            deadline=None, suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    return out


def built(plan: Plan, steps: list[Step]) -> Program:
    """The program of these steps."""
    program = Program(plan)
    for step in steps:
        program.do(step)
    program.finish()
    return program
