"""trio and anyio: once cancelled, each further checkpoint is cancelled too, and a shield holds."""

from __future__ import annotations

import contextlib
import os

import pytest
from cancel_twins import acquire, check_descriptors

from pytest_leakguard.faults.cancel import AwaitInjector
from pytest_leakguard.faults.cancel_each import cancel_each

anyio = pytest.importorskip("anyio")
trio = pytest.importorskip("trio")

backends = pytest.mark.parametrize("backend", ["trio", "anyio"])


def failures(result):
    return [
        (finding.fault, finding.point.qualname.rpartition(".")[2]) for finding in result.findings if not finding.told
    ]


async def cleanup_with_an_await():
    fd = acquire()
    try:
        await anyio.sleep(0)
    finally:
        await anyio.sleep(0)
        os.close(fd)


async def cleanup_in_a_shield():
    fd = acquire()
    try:
        await anyio.sleep(0)
    finally:
        try:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
        finally:
            os.close(fd)


@backends
def test_a_cleanup_that_awaits_is_cancelled_again(backend):
    """Edge triggered the first cancellation would do no harm here; level triggered both points lose the descriptor."""
    result = cancel_each(cleanup_with_an_await, backend=backend, check=check_descriptors)
    assert failures(result) == [("leak", "cleanup_with_an_await")]
    assert [finding.count for finding in result.findings if not finding.told] == [2]
    assert {trial.mode for trial in result.trials} == {"transient"}


@backends
def test_a_shielded_cleanup_is_clean(backend):
    """The shield keeps the cancellation out until the descriptor is closed."""
    result = cancel_each(cleanup_in_a_shield, backend=backend, check=check_descriptors)
    assert failures(result) == []
    assert len(result.points) == 2


@backends
def test_a_shielded_wait_that_never_ends_is_a_hang(backend):
    """Told with its stack, and ended by force; the sweep goes on."""

    async def run():
        try:
            await anyio.sleep(0)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.Event().wait()
            raise

    result = cancel_each(run, backend=backend, hang_seconds=0.2)
    assert failures(result) == [("hang", "run")]
    assert [trial.outcome for trial in result.trials] == ["hung"]
    assert any("in test_a_shielded_wait" in line for line in result.findings[0].details)


@backends
def test_a_mistake_in_the_handler_is_found(backend):
    """Its error has the cancellation in its context."""

    async def run():
        connection = None
        try:
            await anyio.sleep(0)
            connection = "x"
        finally:
            connection.strip()

    assert failures(cancel_each(run, backend=backend)) == [("unrelated", "run")]


@backends
def test_children_are_cancelled_at_their_own_suspensions(backend):
    """Each child's await is a point; the group, cancelled as a whole, leaves nothing when the children don't."""

    async def leaky():
        fd = acquire()
        await anyio.sleep(0)
        os.close(fd)

    async def clean():
        fd = acquire()
        with contextlib.closing(os.fdopen(fd)):
            await anyio.sleep(0)

    async def run(child):
        async with anyio.create_task_group() as group:
            group.start_soon(child)

    result = cancel_each(lambda: run(leaky), backend=backend, check=check_descriptors)
    assert ("leak", "leaky") in failures(result)
    assert failures(cancel_each(lambda: run(clean), backend=backend, check=check_descriptors)) == []


@backends
def test_a_scope_that_was_cancelled_is_no_swallowed_cancellation(backend):
    """A normal end is told in words that fit: in a shield nothing else can happen."""
    result = cancel_each(cleanup_in_a_shield, backend=backend)
    (finding,) = [finding for finding in result.findings if finding.fault == "swallowed"]
    assert finding.told
    assert "no checkpoint was left" in finding.what


def test_a_trio_run_of_the_tests_own_is_reached():
    """The injector puts its instrument into runs that others start, and cancels the whole main task."""

    async def run():
        await trio.sleep(0)
        await trio.sleep(0)

    injector = AwaitInjector("cancel", is_target=__file__.__eq__, path_of=str)
    with injector.count() as points:
        trio.run(run)
    assert [point.what for point in points] == ["sleep", "sleep"]
    for point in points:
        with pytest.raises(trio.Cancelled), injector.inject(point) as seen:
            trio.run(run)
        assert seen.injected == 1
    trio.run(run)


def test_trio_is_left_as_it_was():
    """After a count its runs are made as before."""
    from trio._core import _run

    before = _run.setup_runner
    injector = AwaitInjector("cancel", is_target=__file__.__eq__, path_of=str)
    with injector.count():
        assert _run.setup_runner is not before
    assert _run.setup_runner is before
