"""Objects that must go or be closed: where they come from, what is forgiven, what must still be told."""

from __future__ import annotations

import textwrap

import pytest

APP = {
    "app/__init__.py": "",
    "app/db.py": """
        import sqlite3

        class Session:
            def __init__(self, name="frost", *, deep=False):
                self.name = name

        class Connection:
            def __init__(self, fail=False):
                if fail:
                    raise ValueError("no connection")

            def close(self):
                return "closed"

            async def aclose(self):
                return "closed"

            def __enter__(self):
                return self

            def __exit__(self, *error):
                self.close()

        class Careless(Connection):
            def __del__(self):
                self.close()

        class Deep(Connection):
            def __init__(self):
                super().__init__()
                raise KeyError("after the base was made")

        class Plain:
            pass

        class Outer:
            class Inner:
                pass

        class Stored(sqlite3.Connection):
            pass

        class Wrong(Exception):
            pass

        KEPT = []
        LAST = [Session("made by the import")]
    """,
}


@pytest.fixture
def app(pytester, monkeypatch):
    """The application beside the tests: `app(source, *lines of leakguard_track)` writes it all."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def app(source: str, *lines: str, **files: str):
        for name, text in APP.items():
            path = pytester.path / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text), "utf-8")
        pytester.makeini("[pytest]\nleakguard_track =\n" + "\n".join(f"    {line}" for line in lines))
        pytester.makepyfile(test_it=source, **files)

    return app


def told(ran) -> dict[str, str]:
    """Test -> what was told of it."""
    return {f["test"].partition("::")[2]: f["what"] for f in ran.report["findings"]}


NOT_CLOSED = "was never closed: close() not called"


def test_a_call_is_asked_for_on_the_error_path_too(app, alone):
    """A connection that an error leaves open is told; one that was never made is not."""
    app(
        """
        import pytest
        from app import db

        def use(error):
            connection = db.Connection()
            if error:
                raise error
            connection.close()

        def test_error():
            with pytest.raises(OSError):
                use(OSError())

        def test_no_error():
            use(None)

        def test_never_made():
            with pytest.raises(ValueError):
                db.Connection(fail=True)

        def test_base_made_and_never_handed_out():
            with pytest.raises(KeyError):
                db.Deep()

        def test_that_fails_by_itself():
            connection = db.Connection()
            assert not connection
        """,
        "app.db.Connection: close",
    )
    ran = alone("--leakguard-grace=0")
    assert told(ran) == {
        "test_error": f"app.db.Connection {NOT_CLOSED}, and it is gone",
        "test_that_fails_by_itself": f"app.db.Connection {NOT_CLOSED}, and it is gone",
    }
    assert [f["disposition"] for f in ran.report["findings"]] == ["fails", "note"]
    assert ran.findings[0]["origin"]["function"] == "use"


def test_ways_to_close(app, alone):
    """`with`, a coroutine that is awaited and a method given to somebody count; `__del__` and a lookup do not."""
    app(
        """
        import asyncio, contextlib, functools
        from app import db

        def test_with():
            with db.Connection():
                pass

        def test_closing():
            with contextlib.closing(db.Connection()):
                pass

        def test_callback():
            functools.partial(db.Connection().close)()

        def test_async():
            async def main():
                assert await db.Connection().aclose() == "closed"
            asyncio.run(main())

        def test_never_awaited():
            db.Connection().aclose().close()

        def test_finalizer():
            db.Careless()

        def test_finalizer_in_a_cycle():
            it = db.Careless()
            it.me = it

        def test_lookup():
            db.Connection().close
        """,
        "app.db.Connection: close|aclose",
    )
    ran = alone("--leakguard-grace=0")
    start = "was never closed: close() or aclose()"
    assert told(ran) == {
        "test_never_awaited": f"app.db.Connection {start} not called, and it is gone",
        "test_finalizer": f"app.db.Careless {start} called by __del__ only, and it is gone",
        "test_finalizer_in_a_cycle": f"app.db.Careless {start} not called, and it is gone",
        "test_lookup": f"app.db.Connection {start} not called, and it is gone",
    }


def test_closed_is_not_gone(app, alone):
    """A class that must be closed and must go asks for both."""
    app(
        """
        from app import db

        def test_closed_and_kept():
            db.KEPT.append(db.Connection())
            db.KEPT[-1].close()

        def test_kept_seen_and_closed():
            # made long ago when it is closed: so many were made since
            db.KEPT.append(db.Connection())
            for _ in range(600):
                db.Connection().close()
            db.KEPT[-1].close()

        def test_both():
            db.Connection().close()
        """,
        "app.db.Connection: close",
        "app.db.Connection",
    )
    alive = "app.db.Connection object, still alive"
    assert told(alone("--leakguard-grace=0")) == {"test_closed_and_kept": alive, "test_kept_seen_and_closed": alive}


def test_one_that_takes_the_place_of_the_last_is_no_leak(app, alone):
    """A module that remembers its last session lets go of the one before; a second one that stays is told."""
    app(
        """
        from app import db

        def remember():
            db.LAST[:] = [db.Session()]

        def test_first():
            remember()

        def test_second():
            remember()
            remember()

        def test_still_told():
            remember()
            db.KEPT.append(db.Session())

        def test_closed_by_none():
            db.LAST[:] = []
            db.KEPT.append(db.Connection())
        """,
        "app.db.Session",
        "app.db.Connection: close",
    )
    assert told(alone("--leakguard-grace=0")) == {
        "test_still_told": "app.db.Session object, still alive",
        "test_closed_by_none": f"app.db.Connection {NOT_CLOSED}",
    }


def test_where_classes_are_found(app, alone):
    """By name, imported from elsewhere, nested, by a glob, in a module that only a test imports, after a reload."""
    app(
        """
        import importlib, sys
        from app import db, names

        def keep(it):
            db.KEPT.append(it)

        def test_name(): keep(names.Renamed())
        def test_nested(): keep(db.Outer.Inner())
        def test_glob(): keep(names.Second())
        def test_one_method_of_a_glob(): names.Door()
        def test_other_method_of_a_glob(): names.Hatch().abort()
        def test_error_of_a_glob(): keep(names.Bad())
        def test_member_of_a_glob(): keep(names.Colour.RED)
        def test_not_named(): keep(db.Plain())
        def test_lazy():
            import app.lazy
            keep(app.lazy.Late())
        def test_reload():
            import app.lazy
            importlib.reload(app.lazy)
            assert "exec_module" not in vars(app.lazy.__spec__.loader)
            keep(app.lazy.Late())
        def test_class_of_the_test():
            class Local(db.Session):
                def __init__(self):
                    super().__init__("local")
            keep(Local())
        """,
        "app.names.Renamed",
        "app.db.Outer.Inner",
        "app.db.Session",
        "app.names.S*",
        "app.names.Bad*",
        "app.names.C*",
        "app.names.*: shut|abort",
        "app.lazy.Late",
        **{
            "app/names": "import enum\nfrom app.db import Plain as Other\nclass Renamed: pass\nclass Second: pass\n"
            "class Door:\n    def shut(self): pass\nclass Hatch:\n    def abort(self): pass\n"
            "class Bad(Exception): pass\nclass Colour(enum.Enum):\n    RED = 1",
            "app/lazy": "class Late: pass",
        },
    )
    ran = alone("--leakguard-grace=0", errors=True)
    assert set(told(ran)) == {
        "test_name", "test_nested", "test_glob", "test_one_method_of_a_glob", "test_lazy", "test_reload",
        "test_class_of_the_test",
    }  # fmt: skip
    assert ran.report["errors"] == [
        f"nothing is watched for 'app.names.{glob}' (leakguard_track (ini file tox.ini)): "
        "no class of that name was imported" for glob in ("Bad*", "C*")
    ]  # fmt: skip


def test_classes_of_c(app, alone):
    """Instances of C types, and of Python classes below them, are asked whether they are closed, or must go."""
    app(
        """
        import contextlib, io, sqlite3
        from app import db

        def keep(it):
            db.KEPT.append(it)
            return it

        MADE_BEFORE = sqlite3.connect(":memory:")

        def test_stream(): keep(io.TextIOWrapper(io.BytesIO()))
        def test_closed_stream(): keep(io.TextIOWrapper(io.BytesIO())).close()
        def test_connection(): keep(sqlite3.connect(":memory:"))
        def test_closed_connection(): keep(sqlite3.connect(":memory:")).close()
        def test_subclass(): keep(db.Stored(":memory:"))
        def test_closed_subclass(): keep(db.Stored(":memory:")).close()
        def test_must_go():
            connection = sqlite3.connect(":memory:")
            keep(connection.cursor())
            connection.close()
        def test_goes():
            with contextlib.closing(sqlite3.connect(":memory:")) as connection:
                connection.cursor()
        """,
        "_io.TextIOWrapper: close",
        "sqlite3.Connection: close",
        "sqlite3.Cursor",
    )
    ran = alone("--leakguard-grace=0")
    assert told(ran) == {
        "test_stream": f"_io.TextIOWrapper {NOT_CLOSED}",
        "test_connection": f"sqlite3.Connection {NOT_CLOSED}",
        "test_subclass": f"app.db.Stored {NOT_CLOSED}",
        "test_must_go": "sqlite3.Cursor object, still alive",
    }


def test_nothing_of_it_is_seen_by_the_classes(app, alone, pytester):
    """Signature, pickle, copy, source, errors and subclassing are as before; after the run the class is as it was."""
    app(
        """
        import copy, inspect, pickle
        import pytest
        from unittest import mock
        from app import db

        def test_signatures():
            assert str(inspect.signature(db.Session)) == "(name='frost', *, deep=False)"
            assert str(inspect.signature(db.Plain)) == "()"
            assert str(inspect.signature(db.Connection.close)) == "(self)"
            assert inspect.iscoroutinefunction(db.Connection.aclose)
            assert "self.name = name" in inspect.getsource(db.Session.__init__)
            assert db.Connection.close.__qualname__ == "Connection.close"

        def test_errors():
            with pytest.raises(TypeError, match=r"^Plain\\(\\) takes no arguments$"):
                db.Plain(1)
            with pytest.raises(TypeError, match="unexpected keyword argument 'nmae'"):
                db.Session(nmae="x")

        def test_copies():
            session = db.Session("rain")
            assert pickle.loads(pickle.dumps(session)).name == copy.deepcopy(session).name == "rain"
            mock.create_autospec(db.Session)("hail")

        def test_new():
            class Singleton(db.Plain):
                def __new__(cls, value):
                    self = super().__new__(cls)
                    self.value = value
                    return self
            assert Singleton(3).value == 3

        def test_patched(monkeypatch):
            monkeypatch.setattr(db.Connection, "close", lambda self: "mocked")
            assert db.Connection().close() == "mocked"
        """,
        "app.db.Session",
        "app.db.Plain",
        "app.db.Connection: close|aclose",
        conftest="""
        def pytest_configure(config):
            def look():
                from app import db
                spaces = [vars(cls) for cls in (db.Session, db.Plain, db.Connection)]
                files = [space[name].__code__.co_filename for space in spaces
                         for name in ("__init__", "close", "aclose") if name in space]
                open("left.txt", "w").write(repr([file for file in files if not file.endswith("db.py")]))
            config.add_cleanup(look)
        """,
    )
    ran = alone("--leakguard-grace=0")
    ran.result.assert_outcomes(passed=5)
    # the test replaced close(): nobody closed this one
    assert set(told(ran)) == {"test_patched"}
    assert (pytester.path / "left.txt").read_text() == "[]"


def test_a_marker_asks_in_its_test_only(app, alone):
    """`track=[...]` holds for the marked test and those of a marked class, with the flag and without."""
    app(
        """
        import pytest
        from app import db

        def leak():
            db.KEPT.append(db.Plain())

        def test_before(): leak()

        @pytest.mark.no_leaks(track=["app.db.Plain"])
        def test_marked(): leak()

        @pytest.mark.no_leaks("fd", track="app.db.Plain")
        def test_adds_the_kind(): leak()

        def test_after(): leak()

        @pytest.mark.no_leaks(track=["app.db.Plain"])
        class TestAll:
            @pytest.mark.no_leaks(track=["app.db.Connection: close"])
            def test_both(self):
                leak()
                db.Connection()
        """
    )
    for flag in (("--leakguard",), ()):
        ran = alone("--leakguard-grace=0", flag=flag)
        assert sorted((f["test"].rpartition("::")[2], f["subject"]) for f in ran.findings) == [
            ("test_adds_the_kind", "app.db.Plain"), ("test_both", "app.db.Connection"), ("test_both", "app.db.Plain"),
            ("test_marked", "app.db.Plain"),
        ]  # fmt: skip


def test_track_in_the_code_under_test(app, alone, pytester):
    """A leak where a guard is on; nothing where none is; what can't be watched is told once and raises nothing."""
    app(
        """
        import pytest
        from app import pool

        @pytest.mark.no_leaks
        def test_kept(): pool.KEPT.append(pool.make())

        @pytest.mark.no_leaks
        def test_goes(): pool.make()

        @pytest.mark.no_leaks
        def test_number(): assert pool.number() == 3

        def test_not_checked(): pool.KEPT.append(pool.make())
        """,
        **{
            "app/pool": """
            from pytest_leakguard import track

            class Pool: pass

            KEPT = [track(Pool())]

            def make():
                return track(Pool())

            def number():
                return track(3)
            """
        },
    )
    ran = alone("--leakguard-grace=0", flag=(), errors=True)
    assert told(ran) == {"test_kept": "app.pool.Pool object, tracked, still alive"}
    assert (ran.findings[0]["origin"]["function"], ran.findings[0]["origin"]["how"]) == ("make", "track")
    (error,) = ran.report["errors"]
    assert error.startswith("track: builtins.int objects can't be weakly referenced;")
    assert error.endswith("(app/pool.py:11)")
    assert pytester.runpytest("-p", "leakguard", "-k", "not_checked").ret == 0


def test_the_projects_own_types(app, alone):
    """`no_leaks("object")`: what the test made of the project's classes and left, but not errors or the test's own."""
    app(
        """
        import collections, threading
        import pytest
        from app import db

        pytestmark = pytest.mark.no_leaks("object")
        MADE_BEFORE = db.Plain()

        class Mine: pass

        def test_kept(): db.KEPT.append(db.Plain())
        def test_goes(): db.Plain()
        def test_cycle():
            it = db.Plain()
            it.me = it
        def test_not_the_projects():
            db.KEPT += [Mine(), collections.OrderedDict(), threading.Lock(), db.Wrong()]
        def test_takes_the_place(): db.LAST[:] = [db.Session()]
        def test_many():
            db.KEPT.append([db.Plain() for _ in range(3000)])
        @pytest.mark.no_leaks("fd")
        def test_others(): db.KEPT.append(db.Plain())
        """
    )
    ran = alone("--leakguard-grace=0", flag=())
    assert [(f["test"].rpartition("::")[2], f["subject"], f["count"]) for f in ran.findings] == [
        ("test_kept", "app.db.Plain", 1), ("test_many", "app.db.Plain", 3000),
    ]  # fmt: skip
    for probes in ("object", "+object"):
        assert len(alone("--leakguard-grace=0", f"--leakguard-probes={probes}", "-k", "kept or goes").findings) == 1


def test_what_is_no_object_of_the_projects(alone, pytester, tmp_path_factory):
    """Classes and members of enumerations, which stay; what a module outside the root folder or a package has."""
    outside, packages = tmp_path_factory.mktemp("outside"), pytester.mkdir("site-packages")
    (outside / "outside.py").write_text("class Thing: pass\n")
    (packages / "installed.py").write_text("class Thing: pass\n")
    pytester.makepyfile(
        things="""
        import enum
        KEPT = []

        class Meta(type): pass

        class Thing: pass

        def colours():
            class Colour(enum.Enum):
                RED = 1
            return Colour
        """,
        test_it="""
        import installed
        import outside
        import things

        def test_members(): things.KEPT.append(things.colours())

        def test_class(): things.KEPT.append(things.Meta("Made", (), {}))

        def test_outside(): things.KEPT.append(outside.Thing())

        def test_installed(): things.KEPT.append(installed.Thing())

        def test_thing(): things.KEPT.append(things.Thing())
        """,
    )
    ran = alone("--leakguard-probes=object", "--leakguard-grace=0", "-o", f"pythonpath=. {outside} {packages}")
    ran.result.assert_outcomes(passed=5)
    assert [(f["test"].partition("::")[2], f["subject"]) for f in ran.findings] == [("test_thing", "things.Thing")]


def test_what_was_closed_is_not_found_again_by_a_look_at_the_young(app, alone):
    """A look at all young objects meets instances that their constructors told of, closed ones too."""
    app(
        """
        import gc
        import pytest
        from app import db

        @pytest.mark.no_leaks("object")
        @pytest.mark.parametrize("closes", [True, False])
        def test_it(closes):
            kept = db.Connection()
            if closes:
                kept.close()
            gc.collect()
            assert kept
        """,
        "app.db.Connection: close",
    )
    assert told(alone("--leakguard-grace=0")) == {"test_it[False]": f"app.db.Connection {NOT_CLOSED}, and it is gone"}


def test_all_kinds_do_not_mean_all_classes(app, alone):
    """A module's object that is made when it is first asked for is no leak unless somebody asks for that."""
    app("from app import db\ndef test_kept(): db.KEPT.append(db.Plain())")
    assert alone("--leakguard-grace=0", "--leakguard-probes=all").findings == []
    assert len(alone("--leakguard-grace=0", "--leakguard-probes=+object").findings) == 1


def test_cost_follows_what_a_test_makes(app, alone, pytester):
    """With 300,000 objects on the heap as many objects are looked at as without: the first look apart."""
    tests = "\n".join(f"def test_{n}(): db.Session(); io.BytesIO()" for n in range(50))
    counts = {}
    for heap in (0, 300_000):
        app(
            f"import io\nfrom app import db\nHEAP = [[n] for n in range({heap})]\n{tests}",
            "app.db.Session",
            "_io.BytesIO",
            conftest="""
            def pytest_sessionfinish(session):
                guard = session.config.pluginmanager.get_plugin("leakguard-guard")
                open("visited.txt", "w").write(str(guard.watch.instances.young.visited))
            """,
        )
        assert alone("--leakguard-grace=0").findings == []
        counts[heap] = int((pytester.path / "visited.txt").read_text())
    # one look at the whole heap, before the first test
    assert counts[300_000] - 300_000 < counts[0] + 50_000
    assert counts[300_000] > 300_000


def test_classes_of_python_cost_no_look_at_the_heap(app, alone, pytester):
    """Their instances are found by what refers to them, those from before the first test too."""
    app(
        "from app import db\nHEAP = [[n] for n in range(300_000)]\ndb.KEPT = [db.Session()]\n"
        "def test_replaces(): db.KEPT[:] = [db.Session()]\ndef test_leaks(): db.KEPT.append(db.Session())",
        "app.db.Session",
        conftest="""
        def pytest_sessionfinish(session):
            guard = session.config.pluginmanager.get_plugin("leakguard-guard")
            open("visited.txt", "w").write(str(guard.watch.instances.young.visited))
        """,
    )
    assert [f["test"].rpartition("::")[2] for f in alone("--leakguard-grace=0").findings] == ["test_leaks"]
    assert int((pytester.path / "visited.txt").read_text()) == 0


def test_what_is_released_in_time_costs_no_judgement(app, alone, pytester):
    """A test whose instances are closed and gone is not looked at any further than one that made none."""
    app(
        "from app import db\n"
        + "\n".join(f"def test_{n}():\n    db.Session()\n    with db.Connection(): pass" for n in range(40)),
        "app.db.Session",
        "app.db.Connection: close",
        conftest="""
        from pytest_leakguard.plugin.judge import Judge

        judged = []
        real = Judge.needs_to_judge

        def counted(self, descriptors):
            judged.append(1)
            return real(self, descriptors)

        Judge.needs_to_judge = counted

        def pytest_sessionfinish():
            open("judged.txt", "w").write(str(len(judged)))
        """,
    )
    assert alone().findings == []
    assert int((pytester.path / "judged.txt").read_text()) <= 2


# -- what can't be done is said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Session", "bad class 'Session' in 'Session'. Allowed: MODULE.CLASS, or MODULE.CLASS: METHOD|METHOD"),
        ("*.Session", "bad class '*.Session'"),
        ("app.db.Session:", "bad method '' in 'app.db.Session:'"),
        ("app.db.Session: close()", "bad method 'close()'"),
        ("app.db.Session: a||b", "bad method ''"),
    ],
)
@pytest.mark.parametrize("where", ["ini", "marker"])
def test_a_bad_line_is_refused(app, pytester, where, line, message):
    """Source, value and what is allowed, before any test runs."""
    if where == "ini":
        app("def test_it(): raise SystemExit", line)
    else:
        app(f"import pytest\n@pytest.mark.no_leaks(track=[{line!r}])\ndef test_it(): raise SystemExit")
    ran = pytester.runpytest("-p", "leakguard", "--leakguard")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    source = "leakguard_track (ini file tox.ini)" if where == "ini" else "@pytest.mark.no_leaks on test_it.py::test_it"
    assert f"ERROR: {source}: {message}" in ran.stderr.str()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("app.db.Session: shut", "app.db.Session has no method 'shut'"),
        (
            "app.odd.Slots",
            "app.odd.Slots objects can't be weakly referenced; add '__weakref__' to the class's __slots__",
        ),
        ("sqlite3.Connection: commit", "sqlite3.Connection is a C type: calls of commit can't be seen"),
        ("collections.deque: clear", "collections.deque is a C type: calls of clear can't be seen"),
        ("builtins.int", "builtins.int is a C type that the collector does not know"),
    ],
)
def test_a_class_that_cannot_be_watched_is_refused(app, pytester, line, message):
    """When it is there after collection, the run does not start."""
    app("import collections, sqlite3\nfrom app import db, odd\ndef test_it(): pass", line,
        **{"app/odd": "class Slots:\n    __slots__ = ('a',)"})  # fmt: skip
    ran = pytester.runpytest("-p", "leakguard", "--leakguard")
    assert ran.ret == pytest.ExitCode.USAGE_ERROR, ran.stdout.str()
    assert f"leakguard_track (ini file tox.ini): {line!r} can't be watched: {message}" in ran.stderr.str()


def test_a_class_that_is_not_found_is_told(app, alone):
    """In the summary and in the report, with the reason; the run goes on."""
    app("from app import db\ndef test_it(): pass", "app.db.Nope", "elsewhere.Thing", "app.db.N*")
    ran = alone(errors=True)
    source = "(leakguard_track (ini file tox.ini))"
    assert ran.report["errors"] == [
        f"nothing is watched for 'app.db.Nope' {source}: module 'app.db' has no such class",
        f"nothing is watched for 'elsewhere.Thing' {source}: module 'elsewhere' was never imported",
        f"nothing is watched for 'app.db.N*' {source}: no class of that name was imported",
    ]
    for error in ran.report["errors"]:
        ran.result.stdout.fnmatch_lines([f"leakguard: {error.replace('*', '[*]')}"])
    assert ran.result.ret == 0


def test_without_the_kind_nothing_is_touched(app, alone):
    """`-object` leaves the classes alone."""
    app(
        "from app import db\ndef test_it():\n"
        "    assert db.Session.__init__.__code__.co_filename.endswith('db.py')\n    db.KEPT.append(db.Session())",
        "app.db.Session",
    )
    assert alone("--leakguard-probes=-object", errors=True).findings == []


def test_what_the_constructor_acquired_is_part_of_the_object(app, alone):
    """A socket that only the object would close is no finding of its own, kept or collected; one beside it is."""
    app(
        """
        import socket, sqlite3
        from app import wire

        KEPT = []

        def keep(*things):
            KEPT.extend(things)

        def test_kept(): keep(wire.Wire())
        def test_collected(): wire.Wire()
        def test_closed(): wire.Wire().close()
        def test_one_beside():
            keep(wire.Wire(), socket.socket())
        def test_closed_and_one_beside():
            keep(socket.socket())
            wire.Wire().close()
        def test_database(tmp_path): keep(sqlite3.connect(tmp_path / "a.db"))
        """,
        "app.wire.Wire: close",
        "sqlite3.Connection: close",
        **{
            "app/wire": """
            import socket

            class Wire:
                def __init__(self):
                    self.socket = socket.socket()

                def close(self):
                    self.socket.close()
            """
        },
    )
    ran = alone("--leakguard-grace=0")
    assert sorted((f["test"].partition("::")[2], f["kind"], f["origin"]["line"]) for f in ran.findings) == [
        ("test_closed_and_one_beside", "socket", 15), ("test_collected", "object", 10), ("test_database", "object", 17),
        ("test_kept", "object", 9), ("test_one_beside", "object", 13), ("test_one_beside", "socket", 13),
    ]  # fmt: skip


def test_in_a_block_and_from_a_worker(app, run, pytester, monkeypatch):
    """`leak_check("object")` sees instances too; workers of xdist find the same, what is not found is told once."""
    pytest.importorskip("xdist")
    app(
        """
        import pytest
        from app import db
        from pytest_leakguard import LeakError

        def test_block(leak_check):
            with pytest.raises(LeakError, match="app.db.Session object, still alive"):
                with leak_check("object"):
                    db.KEPT.append(db.Session())
            with leak_check("object"):
                db.Session()

        def test_kept(): db.KEPT.append(db.Session())
        """,
        "app.db.Session",
        "app.db.Nope",
    )
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    for args in ((), ("-n2",)):
        ran = run("--leakguard-grace=0", *args, errors=True)
        assert told(ran) == {"test_kept": "app.db.Session object, still alive"}
        assert [error.partition(" (")[0] for error in ran.report["errors"]] == ["nothing is watched for 'app.db.Nope'"]


def test_allowed_by_class(app, alone):
    """An allow rule lets the instances of one class pass, and no other."""
    app(
        """
        import pytest
        from app import db

        @pytest.mark.allow_leaks("object:app.db.Session", reason="kept on purpose")
        def test_both():
            db.KEPT.extend([db.Session(), db.Connection()])
        """,
        "app.db.Session",
        "app.db.Connection: close",
    )
    ran = alone("--leakguard-grace=0")
    assert {(f["subject"], f["disposition"]) for f in ran.report["findings"]} == {
        ("app.db.Session", "allowed"), ("app.db.Connection", "fails"),
    }  # fmt: skip
