"""Planned sabotages of what watches a live process: one line is made wrong, and one named test has to fail."""

from __future__ import annotations

from of_cancel import CANCEL
from of_conditions import CONDITIONS
from of_faults import FAULTS
from of_forgiveness import FORGIVENESS
from of_holding import HOLDING
from of_hooks import HOOKS
from of_native import NATIVE
from of_parts import PARTS
from of_probes import PROBES
from of_record import RECORD
from of_reports import REPORTS
from planned import Sabotage

SABOTAGES: tuple[Sabotage, ...] = (
    *PROBES, *RECORD, *CONDITIONS, *HOLDING, *FORGIVENESS, *HOOKS, *PARTS, *FAULTS, *CANCEL, *REPORTS,
    *NATIVE,
)  # fmt: skip
