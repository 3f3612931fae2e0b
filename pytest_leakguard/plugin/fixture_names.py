"""A fixture's name and place as the user wrote them, xunit and unittest set-ups included."""

from __future__ import annotations

from typing import Any

from pytest_leakguard.origins.frames import shorten

_XUNIT = {
    "_xunit_setup_module_fixture_": ("setup_module", "setUpModule"),
    "_xunit_setup_class_fixture_": ("setup_class",),
    "_unittest_setUpClass_fixture_": ("setUpClass",),
}


def name_and_place(fixturedef: Any, root: str) -> tuple[str, str, bool]:
    """Name, ``file:line`` (or nothing), and whether it stands for an xunit set-up.

    pytest makes a fixture for each xunit and unittest set-up; its name means
    nothing to the user, the function it calls does.
    """
    argname = str(fixturedef.argname)
    for prefix, names in _XUNIT.items():
        if argname.startswith(prefix):
            function = _called(fixturedef.func, names)
            word = getattr(function, "__name__", names[0])
            return f"{word} of {argname[len(prefix) :]}", _place(function, root), True
    return argname, _place(fixturedef.func, root), False


def _called(fixture: Any, names: tuple[str, ...]) -> Any:
    """The user's function among what pytest's fixture closes over."""
    cells = []
    for cell in getattr(fixture, "__closure__", None) or ():
        try:
            cells.append(cell.cell_contents)
        except ValueError:  # not filled
            continue
    found = [one for one in cells if getattr(one, "__name__", "") in names]
    return found[0] if found else next((one for one in cells if hasattr(one, "__code__")), None)


def _place(function: Any, root: str) -> str:
    function = getattr(function, "__func__", function)
    code = getattr(getattr(function, "__wrapped__", function), "__code__", None)
    return f"{shorten(code.co_filename, root)}:{code.co_firstlineno}" if code is not None else ""
