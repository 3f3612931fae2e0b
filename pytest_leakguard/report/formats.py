"""The formats of a report: each is made of the same plain data, the JSON document."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_RENDERERS = {
    "json": "pytest_leakguard.report.jsonfile:dumps",
    "html": "pytest_leakguard.report.html.page:render",
    "sarif": "pytest_leakguard.report.sarif:render",
    "markdown": "pytest_leakguard.report.markdown:render",
    "github": "pytest_leakguard.report.github:render",
    "gitlab": "pytest_leakguard.report.gitlab:render",
}


def known() -> tuple[str, ...]:
    """The names of all formats."""
    return tuple(_RENDERERS)


def render(form: str, report: dict[str, Any]) -> str:
    """The report as the text of a file.

    Args:
        form: one of `known`; its module is loaded now.
        report: as JSON has it; it is not changed.
    """
    module, _, function = _RENDERERS[form].partition(":")
    text: str = getattr(import_module(module), function)(report)
    return text
