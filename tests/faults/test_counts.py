"""Generated functions with a known number of points: as many are counted, and each fails once."""

from __future__ import annotations

import asyncio
import importlib.util
import linecache

import pytest

from pytest_leakguard.core.ledger import Ledger
from pytest_leakguard.faults.acquire import AcquireInjector
from pytest_leakguard.faults.errors import comes_from_injected, fault_of, is_injected, related
from pytest_leakguard.faults.families import injectors_for
from pytest_leakguard.faults.model import FAMILIES
from pytest_leakguard.faults.oracles import Run
from pytest_leakguard.faults.steps import body_injector, call_injector, interrupt_injector, release_injector
from pytest_leakguard.faults.sweep import Sweep
from pytest_leakguard.faults.targets import Targets
from pytest_leakguard.origins.audit import Recorder


@pytest.fixture
def recording():
    """The audit hook listens, as it does in every guarded run."""
    recorder = Recorder(Ledger())
    recorder.start()
    yield
    recorder.stop()


@pytest.fixture
def generated(tmp_path):
    """Make a module of the given text; gives it and the targets that hold nothing else."""

    def make(text):
        file = tmp_path / "generated.py"
        file.write_text(text)
        linecache.checkcache(str(file))
        spec = importlib.util.spec_from_file_location("generated", file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module, Targets(root=str(tmp_path), given=(str(file),))

    return make


def sweep(injector, run):
    """The ids of the points, and those whose error came out, in order."""
    with injector.count() as points:
        run()
    raised = []
    for point in points:
        with injector.inject(point, "transient") as injection, pytest.raises(BaseException) as caught:
            run()
        assert is_injected(caught.value)
        raised.append(fault_of(caught.value))
        assert injection.injected == 1
        assert injection.stack[0].startswith(f"generated.py:{point.line} in ")
    return [point.id for point in points], raised


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("count", [1, 2, 7])
def test_acquisitions(generated, count):
    """Each `open` of a function is one point."""
    lines = "".join("    with open(__file__): pass\n" for _ in range(count))
    module, targets = generated(f"def f():\n{lines}")
    points, raised = sweep(AcquireInjector(targets), module.f)
    assert points == [f"acquire:generated.py:f:open#{number + 1}" for number in range(count)]
    assert raised == points


@pytest.mark.usefixtures("recording")
def test_acquisitions_of_others_are_no_points(generated):
    """What a test, an import or a release acquires is left alone."""
    module, targets = generated(
        "import shutil\n"
        "def call(f): return f()\n"
        "def load():\n    import tabnanny\n"
        "class A:\n    def close(self):\n        with open(__file__): pass\n"
        "def f(): A().close()\n"
        "with open(__file__): pass\n"
    )

    def run():
        module.__spec__.loader.exec_module(module)
        with open(__file__):
            module.call(lambda: open(__file__).close())
        module.load()
        module.f()

    assert sweep(AcquireInjector(targets), run) == ([], [])


@pytest.mark.usefixtures("recording")
def test_what_is_handed_over_is_no_point(generated):
    """A socket object around a descriptor that is there already: an error of it is nobody's but the library's."""
    module, targets = generated(
        "import socket\n"
        "def around():\n    with socket.socket() as one, socket.socket(fileno=one.detach()): pass\n"
        "def pair():\n    for one in socket.socketpair(): one.close()\n"
    )
    points, raised = sweep(AcquireInjector(targets), lambda: (module.around(), module.pair()))
    assert points == raised == ["acquire:generated.py:around:socket#1"]


@pytest.mark.parametrize("count", [1, 3, 10])
def test_calls(generated, count):
    """Each call of a function of the project is one point; built-ins that can't fail are none."""
    lines = "".join(f"    g({number}); len('x'); [].append(1)\n" for number in range(count))
    module, targets = generated(f"def g(x): return x\ndef f():\n{lines}")
    points, raised = sweep(call_injector(targets), module.f)
    assert points == [f"call:generated.py:f:g#{number + 1}" for number in range(count)]
    assert raised == points


def test_calls_that_release_are_no_points(generated):
    """One that does not happen is a leak by itself, and proves nothing."""
    module, targets = generated(
        "class A:\n    def close(self): pass\n    def __init__(self): self.name = 'a'\ndef f(): A().close()\n"
    )
    assert [point.rpartition(":")[2] for point in sweep(call_injector(targets), module.f)[0]] == ["A#1"]


def test_calls_of_the_runner_are_no_points(generated):
    """What the code under test asks of pytest, or of this plugin, is no operation of its own."""
    module, targets = generated(
        "import pytest\nfrom pytest_leakguard import track\nclass A: pass\nONE = A()\n"
        "def f():\n    track(ONE)\n    pytest.approx(1)\n"
    )
    assert sweep(call_injector(targets), module.f) == ([], [])


def test_calls_with_a_star(generated):
    """A function is a point also when its arguments come from a tuple, each time."""
    module, targets = generated("def g(x): return x\ndef f():\n    for args in ((1,), (2,)):\n        g(*args)\n")
    points, raised = sweep(call_injector(targets), module.f)
    assert points == ["call:generated.py:f:g#1", "call:generated.py:f:g#2"]
    assert raised == points


def test_calls_with_a_star_after_one_without(generated):
    """Python 3.12 tells them in different ways."""
    module, targets = generated("def g(x): return x\ndef f():\n    g(1)\n    g(*(2,))\n")
    points, raised = sweep(call_injector(targets), module.f)
    assert points == ["call:generated.py:f:g#1", "call:generated.py:f:g#2"]
    assert raised == points


def test_equal_functions_of_two_files(tmp_path):
    """Python takes their code objects for equal; both have their points."""
    run = []
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("def g(): pass\ndef f():\n    g()\n")
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        run.append(module.f)
    with call_injector(Targets(root=str(tmp_path), given=(str(tmp_path),))).count() as points:
        for f in run:
            f()
    assert [point.id for point in points] == ["call:one.py:f:g#1", "call:two.py:f:g#1"]


def test_calls_of_functions_in_c(generated):
    """Those of the system are points, with the error the system gives."""
    module, targets = generated("import os\ndef f():\n    os.stat('.')\n    return os.getpid()\n")
    injector = call_injector(targets)
    with injector.count() as points:
        module.f()
    assert [point.what for point in points] == ["stat"]
    with injector.inject(points[0], "transient"), pytest.raises(OSError, match="injected"):
        module.f()


def test_a_body_on_the_line_of_its_header_is_no_point(generated):
    """It has no line of its own: an error there would come before the block is entered."""
    module, targets = generated("import io\ndef f():\n    with io.StringIO() as text: text.write('a')\n")
    assert sweep(body_injector(targets), module.f) == ([], [])


@pytest.mark.parametrize("count", [1, 4])
def test_bodies(generated, count):
    """Each `with` has one point, at its first line; leaving it is none."""
    inner = "".join(f"{'    ' * (number + 1)}with A():\n" for number in range(count))
    module, targets = generated(
        "class A:\n    def __enter__(self): return self\n    def __exit__(self, *args): return None\n"
        f"def g(): pass\ndef f():\n{inner}{'    ' * (count + 1)}g()\n"
    )
    points, raised = sweep(body_injector(targets), module.f)
    assert points == [f"body:generated.py:f:with#{number + 1}" for number in range(count)]
    assert raised == points


@pytest.mark.parametrize("head", ["try:", "pass\n        try:", "try:\n          try:"])
def test_a_body_that_begins_with_try_fails_inside_it(generated, head):
    """On the line of the `try` itself the error would go past the `with`, which no code could bear."""
    inner = "try:" in head.splitlines()[-1] and head.count("try:") == 2
    end = "          finally:\n            pass\n" if inner else ""
    module, targets = generated(
        "class A:\n    left = 0\n    def __enter__(self): return self\n    def __exit__(self, *args): A.left += 1\n"
        "def g(): pass\n"
        f"def f():\n    with A():\n        {head}\n            g()\n{end}        finally:\n            pass\n"
    )
    points, raised = sweep(body_injector(targets), module.f)
    assert points == raised == ["body:generated.py:f:with#1"]
    assert module.A.left == 2


def test_releases_fail_after_their_effect(generated):
    """The thing is closed, and the error comes nevertheless."""
    module, targets = generated(
        "class A:\n    closed = 0\n    def close(self): A.closed += 1\n"
        "def f(file):\n    A().close()\n    file.close()\n"
    )
    injector = release_injector(targets)
    with injector.count() as points, open(__file__) as file:
        module.f(file)
    assert [point.id for point in points] == [f"release:generated.py:f:close#{number}" for number in (1, 2)]
    for number, point in enumerate(points):
        module.A.closed = 0
        with open(__file__) as file:
            with injector.inject(point, "transient"), pytest.raises(Exception, match="injected"):
                module.f(file)
            assert (module.A.closed, file.closed) == (1, number == 1)


def test_interrupts(generated):
    """Lines that call something; not a `try:` line, a clean-up, a hand-over or a release. In full, those too."""
    module, targets = generated(
        "import contextlib\n"
        "def g(): return 1\n"
        "def f(kept):\n"
        "    x = g()\n"
        "    kept.append(x)\n"
        "    try:\n"
        "        y = g()\n"
        "        y += 1\n"
        "    finally:\n"
        "        g()\n"
        "        g()\n"
        "    try:\n"
        "        raise OSError\n"
        "    except OSError:\n"
        "        kept.append(g())\n"
        "        z = g()\n"
        "    with contextlib.nullcontext():\n"
        "        z = g()\n"
        "    kept.clear()\n"
    )

    def lines(injector):
        with injector.count() as counted:
            module.f([])
        return [(point.line, point.what) for point in counted]

    def in_turn(injector):
        points, raised = sweep(injector, lambda: module.f([]))
        assert raised == points

    borne = [(4, "g"), (7, "g"), (16, "g"), (17, "nullcontext"), (18, "g")]
    assert lines(interrupt_injector(targets)) == borne
    in_turn(interrupt_injector(targets))
    full = interrupt_injector(targets, strict=True)
    told = [
        (5, "append"), (6, "try"), (10, "g"), (11, "g"), (12, "try"), (15, "append"), (17, "with"), (19, "clear")
    ]  # fmt: skip
    assert sorted(lines(full)) == sorted([*borne, *((line, f"strict-{what}") for line, what in told)])
    in_turn(full)


def test_what_a_handler_calls_that_raises_again_is_cleanup(generated):
    """An interrupt of a clean-up is not blamed on anybody; a handler that goes on in another way is code like any."""
    module, targets = generated(
        "def g(): return 1\n"
        "def f():\n"
        "    try:\n"
        "        raise ValueError\n"
        "    except ValueError:\n"
        "        g()\n"
        "        g()\n"
        "        raise\n"
    )
    with interrupt_injector(targets).count() as counted, pytest.raises(ValueError):
        module.f()
    assert counted == []


LINES = {
    "acquire": "with open(__file__): pass",
    "call": "step()",
    "body": "with contextlib.nullcontext():\n        step()",
    "release": "Thing().close()",
    "interrupt": "step()",
    "cancel": "await asyncio.sleep(0)",
    "timeout": "await asyncio.sleep(0)",
    "custom": "fault_point('step')",
}


class Function:
    """A function as the subject of a sweep; keeps the ids of the faults that came out of it."""

    def __init__(self, function):
        self.function, self.came = function, []

    def run(self, limit_seconds):
        try:
            self.function()
        except BaseException as error:
            ids = [fault_of(one) for one in related(error) if is_injected(one)]
            self.came += ids[:1]
            return Run(error=type(error).__name__, is_from_fault=comes_from_injected(error))
        return Run()


@pytest.mark.usefixtures("recording")
@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_sweep_has_as_many_trials_as_the_function_has_points(generated, family, count):
    """Of each family; each point fails once, and its error is the one that comes out."""
    line = LINES[family]
    word = "async def" if "await" in line else "def"
    lines = "".join(f"    {line}\n" for _ in range(count))
    module, targets = generated(
        "import asyncio\nimport contextlib\nfrom pytest_leakguard import fault_point\n"
        "class Thing:\n    def close(self): pass\n"
        f"def step(): pass\n{word} work():\n{lines}"
    )
    work = module.work
    subject = Function((lambda: asyncio.run(work())) if "await" in line else work)
    result = Sweep(subject, injectors_for([family], targets), modes=("transient",)).run()
    assert result.stopped == ""
    ids = [point.id for point in result.points]
    assert len(set(ids)) == count
    assert [trial.point.id for trial in result.trials] == ids
    assert {trial.outcome for trial in result.trials} == {"raised"}
    assert subject.came == ids
