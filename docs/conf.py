"""How Sphinx builds these pages: `sphinx-build -W -n docs FOLDER`, with the extra `docs` installed."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

import pytest_leakguard
import pytest_leakguard.reference

# both load their names when asked for them; autodoc documents what is there
for package in (pytest_leakguard, pytest_leakguard.reference):
    vars(package).update({name: getattr(package, name) for name in package.__all__})

project = "pytest-leakguard"
release = pytest_leakguard.__version__
copyright = "pytest-leakguard contributors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "changelog", "examples"]

html_theme = "furo"
html_title = f"{project} {release}"
html_copy_source = False

myst_heading_anchors = 4

autodoc_default_options = {"special-members": "__call__"}
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# docstrings put code in single backticks
default_role = "code"
# types are named, not linked: the libraries they come from have pages of their own
nitpick_ignore_regex = [("py:.*", ".*")]


def sections_on_one_line(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Give `Returns: what it gives` the form that napoleon reads, with its text on lines of their own."""
    found = []
    for line in lines:
        short = re.match(r"(Returns|Yields): (\S.*)", line)
        found += [f"{short[1]}:", f"    {short[2]}"] if short else [line]
    lines[:] = found


def setup(app: Sphinx) -> None:
    app.connect("autodoc-process-docstring", sections_on_one_line, priority=400)
