"""Groups: strict order, every release tried, every error told; and what is no context manager refused."""

from __future__ import annotations

import asyncio

import leaky
import pytest

from pytest_leakguard.reference import AsyncResourceGroup, ManagedFile, ResourceGroup, secondary_errors
from pytest_leakguard.reference.errors import AlreadyOpen


class Boom(Exception):
    """The error of a body."""


class Part:
    """A context manager that writes down what happens to it, sync and async."""

    def __init__(self, name, log, *, enter=None, leave=None, suppresses=False):
        self.name, self.log, self.enter, self.leave, self.suppresses = name, log, enter, leave, suppresses

    def __enter__(self):
        if self.enter is not None:
            raise self.enter
        self.log.append(f"+{self.name}")
        return self.name.upper()

    def __exit__(self, kind, error, traceback):
        self.log.append(f"-{self.name}" if kind is None else f"-{self.name} {kind.__name__}")
        if self.leave is not None:
            raise self.leave
        return self.suppresses

    async def __aenter__(self):
        await asyncio.sleep(0)
        return self.__enter__()

    async def __aexit__(self, *details):
        await asyncio.sleep(0)
        return self.__exit__(*details)


class Sync:
    """Runs a body in a ResourceGroup."""

    name = "ResourceGroup"

    @staticmethod
    def run(body=None, **parts):
        group = ResourceGroup(**parts)
        return group, lambda: Sync._use(group, body)

    @staticmethod
    def _use(group, body):
        with group as resources:
            if body is not None:
                raise body
            return dict(resources)


class Async:
    """The same in an AsyncResourceGroup."""

    name = "AsyncResourceGroup"

    @staticmethod
    def run(body=None, **parts):
        group = AsyncResourceGroup(**parts)
        return group, lambda: asyncio.run(Async._use(group, body))

    @staticmethod
    async def _use(group, body):
        async with group as resources:
            if body is not None:
                raise body
            return dict(resources)


both = pytest.mark.parametrize("style", [Sync, Async])


@both
def test_strict_order(style):
    """Acquired in order, released in reverse, more than once."""
    log = []
    group, use = style.run(a=Part("a", log), b=Part("b", log), c=Part("c", log))
    for _ in range(2):
        assert use() == {"a": "A", "b": "B", "c": "C"}
        assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]
        log.clear()
        assert [(event.action, event.name) for event in group.events] == [
            ("acquired", "a"), ("acquired", "b"), ("acquired", "c"),
            ("released", "c"), ("released", "b"), ("released", "a"),
        ]  # fmt: skip
        assert group.state == "closed"


@both
def test_a_failed_acquisition_unwinds(style):
    """Only what was acquired is released; the error is the manager's own and its note names it."""
    log = []
    group, use = style.run(
        a=Part("a", log, leave=OSError("leaving a")), b=Part("b", log, suppresses=True),
        c=Part("c", log, enter=Boom("no c")), d=Part("d", log),
    )  # fmt: skip
    with pytest.raises(Boom, match="no c") as caught:
        use()
    assert log[:2] == ["+a", "+b"]
    assert [entry[:2] for entry in log[2:]] == ["-b", "-a"]
    assert caught.value.__notes__[0] == "while acquiring 'c' of the group 'a', 'b', 'c', 'd'"
    assert [event.action for event in group.events][2] == "acquire failed"
    assert group.state == "closed"


@both
def test_a_failing_release_stops_nothing(style):
    """The first error comes out with the others attached, and each was tried."""
    log = []
    group, use = style.run(
        a=Part("a", log, leave=OSError("leaving a")), b=Part("b", log), c=Part("c", log, leave=Boom("leaving c"))
    )
    with pytest.raises(Boom, match="leaving c") as caught:
        use()
    assert [entry[:2] for entry in log] == ["+a", "+b", "+c", "-c", "-b", "-a"]
    (second,) = secondary_errors(caught.value)
    assert str(second) == "leaving a"
    assert any("releasing 'a' failed too: OSError: leaving a" in note for note in caught.value.__notes__)
    assert [event.error for event in group.events if event.action == "release failed"] == [
        "Boom: leaving c", "OSError: leaving a",
    ]  # fmt: skip


@both
@pytest.mark.parametrize("kind", [Boom, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_the_error_of_the_body_comes_out(style, kind):
    """With failing releases attached; it is the very same object."""
    log = []
    body = kind("body")
    _, use = style.run(body, a=Part("a", log, leave=OSError("leaving a")), b=Part("b", log, leave=Boom("leaving b")))
    with pytest.raises(kind) as caught:
        use()
    assert caught.value is body
    assert [str(error) for error in secondary_errors(body)] == ["leaving b", "leaving a"]


@both
def test_an_interrupt_during_a_release_outranks_an_ordinary_error(style):
    """It is not attached out of sight; all else is still released."""
    log = []
    _, use = style.run(Boom("body"), a=Part("a", log), b=Part("b", log, leave=KeyboardInterrupt("leaving b")))
    with pytest.raises(KeyboardInterrupt, match="leaving b"):
        use()
    assert [entry[:2] for entry in log[2:]] == ["-b", "-a"]


@both
def test_a_member_may_suppress_the_body(style):
    """As in nested with blocks: those outside of it see a normal end."""
    log = []
    _, use = style.run(Boom("body"), a=Part("a", log), b=Part("b", log, suppresses=True))
    assert use() is None
    assert log == ["+a", "+b", "-b Boom", "-a"]


def test_by_hand(source, leak_check):
    """open and close, close twice; a second open is refused and touches nothing."""
    group = ResourceGroup(("first", ManagedFile(source)), second=ManagedFile(source))
    with leak_check():
        files = group.open()
        assert files["first"].readline() == files["second"].readline() == "3.5\n"
        with pytest.raises(AlreadyOpen, match="'first', 'second' is open already"):
            group.open()
        assert files["first"].readline() == "4.5\n"
        group.close()
        group.close()
        assert files["second"].closed
        assert ResourceGroup().open() == {}
    leak_check.releases(lambda: ResourceGroup(one=ManagedFile(source), two=ManagedFile(source)))


@pytest.mark.parametrize("group", [ResourceGroup, AsyncResourceGroup])
def test_what_is_no_context_manager_is_refused_before_anything_is_acquired(group, source):
    """The TypeError says what was given and what is expected."""
    with pytest.raises(TypeError, match=rf"{group.__name__}: 5 is of type int; expected a pair"):
        group(5)
    expected = r"resource 'x': 5 is of type int; expected an? (async )?context manager \(it has no __a?enter__\(\)"
    with pytest.raises(TypeError, match=expected):
        group(x=5)
    with pytest.raises(TypeError, match="resource 'x'"):
        group(("x", 5))
    part = Part("a", [])
    with pytest.raises(ValueError, match="'a' is given twice"):
        group(("a", part), ("a", part))
    with pytest.raises(TypeError, match="type type"):
        group(x=Part)


def test_the_twin_that_stops_at_a_failing_release(source, left_behind):
    """The file that was acquired first stays open."""

    def use(group):
        with pytest.raises(Boom), group:
            pass

    def parts():
        return {"file": leaky.keep(ManagedFile(source)), "bad": Part("bad", [], leave=Boom())}

    assert left_behind(lambda: use(ResourceGroup(**parts()))) == []
    (finding,) = left_behind(lambda: use(leaky.LeakyResourceGroup(**parts())))
    assert finding.kind == "fd"
    assert finding.subject.endswith("readings.csv")


def test_the_async_twin_that_stops_at_a_failing_release(source, left_behind):
    """Likewise, under asyncio."""

    class File:
        async def __aenter__(self):
            self.file = leaky.keep(open(source))

        async def __aexit__(self, *_):
            self.file.close()

    class Bad:
        async def __aenter__(self):
            pass

        async def __aexit__(self, *_):
            raise Boom

    def use(kind):
        async def main():
            with pytest.raises(Boom):
                async with kind(file=File(), bad=Bad()):
                    pass

        asyncio.run(main())

    assert left_behind(lambda: use(AsyncResourceGroup)) == []
    (finding,) = left_behind(lambda: use(leaky.LeakyAsyncResourceGroup))
    assert finding.kind == "fd"
    assert finding.subject.endswith("readings.csv")
