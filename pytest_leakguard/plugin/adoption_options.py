"""What was asked for a suite that leaks already: command line and ini settings -> checked settings."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_leakguard.plugin.fault_options import pick

if TYPE_CHECKING:
    from pytest_leakguard.core.baseline_text import BaselineText


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionSettings:
    """What the user asked for, checked.

    Attributes:
        baseline: the file with the known leaks; None for none.
        named: the file as it was given, for messages.
        update: write what leaks now.
        strict: what is gone fails the run.
        confirm: repeat each test that leaked.
        isolate: run each leaking test again in fresh processes.
        only_report: this is such a process: the one file it writes.
        explain: the id of the test whose verdict is to be explained, a glob, or ``all``.
    """

    baseline: Path | None = None
    named: str = ""
    update: bool = False
    strict: bool = False
    confirm: bool = False
    explain: str = ""
    isolate: bool = False
    only_report: str = ""


def read(config: pytest.Config) -> AdoptionSettings:
    """Check and freeze what was asked for. Raises pytest.UsageError."""
    only_report = os.environ.get("PYTEST_LEAKGUARD_ISOLATED", "")
    if only_report:
        return AdoptionSettings(only_report=only_report)
    named, source = pick(config, "baseline")
    update, update_source = pick(config, "baseline_update")
    strict, strict_source = pick(config, "baseline_strict")
    for asked, asked_source in ((update, update_source), (strict, strict_source)):
        if asked and not named:
            raise pytest.UsageError(
                f"{asked_source}: no baseline is named. Add --leakguard-baseline FILE, "
                "or the ini setting leakguard_baseline = FILE."
            )
    file = None
    if named:
        # an ini file means the same wherever pytest is called from
        is_given = config.getoption("leakguard_baseline") is not None
        ini_folder = config.inipath.parent if config.inipath else config.rootpath
        file = (config.invocation_params.dir if is_given else ini_folder) / str(named)
        _check_place(file, str(named), source, bool(update))
    return AdoptionSettings(
        baseline=file,
        named=str(named or ""),
        update=bool(update),
        strict=bool(strict),
        confirm=bool(pick(config, "confirm")[0]),
        explain=str(pick(config, "explain")[0] or ""),
        isolate=bool(pick(config, "isolate")[0]),
    )


def _check_place(file: Path, named: str, source: str, update: bool) -> None:
    if file.is_dir():
        raise pytest.UsageError(f"{source}: {named!r} is a folder. Allowed: a file.")
    if not update and not file.exists():
        raise pytest.UsageError(
            f"{source}: there is no file {named!r}. Run once with --leakguard-baseline-update to have it written."
        )


def read_baseline(settings: AdoptionSettings) -> BaselineText:
    """The known leaks; none where the file is still to be written.

    Raises:
        pytest.UsageError: names file, line, and what is allowed.
    """
    from pytest_leakguard.core.baseline_text import BadBaseline, BaselineText, parse

    if settings.baseline is None or not settings.baseline.exists():
        return BaselineText()
    try:
        return parse(settings.baseline.read_text("utf-8"), settings.named)
    except BadBaseline as error:
        raise pytest.UsageError(str(error)) from None
    except UnicodeDecodeError as error:
        raise pytest.UsageError(f"{settings.named}: not UTF-8 at byte {error.start}. Allowed: a text file.") from None
    except OSError as error:
        raise pytest.UsageError(f"{settings.named}: can't be read: {error.strerror or error}.") from None
