"""Sabotages of what forgives: tables of exceptions, the grace, allow rules, the baseline, a confirming second run."""

from __future__ import annotations

from planned import Sabotage

_FILES = "plugin/test_forgiveness.py::test_files_that_are_kept_on_purpose"
_NOBODY = "plugin/test_forgiveness.py::test_what_belongs_to_nobody_or_goes_by_itself"
_LIBRARIES = "plugin/test_forgiveness.py::test_what_libraries_keep_for_the_life_of_the_process"
_TASKS = "plugin/test_task_rules.py::test_it_is_forgiven"
_AGAIN = "plugin/test_confirm.py::test_what_does_not_leak_again_is_told_and_passes"

# fmt: off
FORGIVENESS: tuple[Sabotage, ...] = (
    # what counts as litter
    Sabotage("core/litter.py", '"__pycache__",', '"__pycache",', _FILES),
    Sabotage("core/litter.py", '".hypothesis",', '"hypothesis",', _FILES),
    Sabotage("core/litter.py", 'name.startswith(COVERAGE_PREFIX)', 'name.endswith(COVERAGE_PREFIX)', _FILES),
    Sabotage("core/litter.py", 'name.endswith((".pyc", ".pyo"))', '(".py" in name)', _FILES),
    Sabotage("core/litter.py", 'path.startswith(cache.rstrip(os.sep) + os.sep)', 'path.startswith(cache)', _FILES),
    Sabotage("core/litter.py", "if path.startswith(DEVICES) and", "if", "core/test_litter.py"),
    Sabotage("core/litter.py", '        ".git",\n', "", "core/test_litter.py"),
    # what libraries keep
    Sabotage("known.py", 'function="WorkerThread.__init__"', 'function="WorkerThread"', _LIBRARIES),
    Sabotage("known.py", 'module="multiprocessing/heap.py"', 'module="multiprocessing/heaps.py"', _LIBRARIES),
    Sabotage("known.py", 'if kind in rule.kinds and rule.matches(suspect.record)', "if kind in rule.kinds", _LIBRARIES),
    Sabotage("known.py", '(("process", singleton.pids), ("fd", singleton.descriptors))',
             '(("process", singleton.descriptors), ("fd", singleton.pids))', _LIBRARIES),
    Sabotage("known.py", "        or id(suspect.live) in found.objects\n", "        or True\n", _LIBRARIES),
    # what takes the place of what was known
    Sabotage("plugin/heirs.py", "gone.remove(left)\n", "pass\n",
             "plugin/test_forgiveness.py::test_a_pool_that_opens_its_file_anew_keeps_its_owner"),
    Sabotage("plugin/heirs.py", "if _same_file(old, key) or self._paths.get(old) == path != \"\"),",
             "if _same_file(old, key)),",
             "plugin/test_forgiveness.py::test_a_file_that_is_made_anew_keeps_its_owner"),
    # the grace
    Sabotage("core/grace.py", "while left and pending:", "while left and len(pending) > 1:",
             "core/test_grace.py::test_what_stays_is_looked_for_until_the_grace_is_over"),
    Sabotage("core/grace.py", "if not pending:\n            collect()", "if pending:\n            collect()",
             "core/test_grace.py::test_a_full_collection_comes_before_the_last_look_only"),
    Sabotage("core/grace.py", "wait = min(wait, grace_seconds - spent)\n", "pass\n",
             "core/test_grace.py::test_the_waits_add_up_to_the_grace"),
    Sabotage("plugin/judge.py", "grace = grace_seconds if patient else 0.0", "grace = 0.0", _NOBODY),
    Sabotage("plugin/judge.py",
             "settle(look, grace, sleep=_real.sleep, clock=_real.monotonic, collect=_real.gc_collect)",
             "settle(look, grace, sleep=_real.sleep, clock=_real.monotonic)",
             "plugin/test_garbage.py::test_what_another_thread_lets_go_in_a_cycle_is_no_leak"),
    # rules of the user
    Sabotage("core/allow.py", 'if self.kind not in ("*", finding.kind):', "if self.kind != finding.kind:",
             "core/test_allow.py::test_the_kind_must_be_the_findings_or_a_star"),
    Sabotage("core/allow.py", "return fnmatchcase(finding.subject, self.pattern)",
             "return self.pattern in finding.subject",
             "core/test_allow.py::test_a_pattern_is_a_glob_over_the_whole_subject"),
    Sabotage("core/allow.py", "return bool(value) and (fnmatchcase", "return (fnmatchcase",
             "core/test_allow.py::test_an_origin_that_is_not_known_matches_no_rule"),
    Sabotage("core/allow.py", "if not reason or not reason.strip():", "if reason is None:",
             "core/test_allow.py::test_what_cannot_be_read_is_said_with_source_value_and_what_is_allowed"),
    Sabotage("plugin/delivery.py", 'rules = one.test.rules if one.case.acquisition.owner.kind == "test" else ()',
             "rules = one.test.rules",
             "plugin/test_markers.py::test_allow_leaks_does_not_reach_the_fixtures_of_others"),
    # the baseline
    Sabotage("core/baseline.py", "before < entry.count)", "before <= entry.count)",
             "core/test_baseline.py::test_known_ones_pass_and_one_more_is_new"),
    Sabotage("core/baseline.py", "entry.expires < self._today", "entry.expires <= self._today",
             "core/test_baseline.py::test_an_entry_that_has_expired_knows_nothing"),
    Sabotage("core/baseline.py", "and ran.covers(entry.tests or (EVERYWHERE,))", "and True",
             "plugin/test_baseline_runs.py::test_a_part_of_the_tests_says_nothing_about_the_rest"),
    Sabotage("plugin/baseline.py", "return self._asked.strict and bool(self._gone)", "return bool(self._gone)",
             "plugin/test_baseline_runs.py::test_what_is_gone_is_listed_and_an_update_takes_it_out"),
    Sabotage("plugin/baseline.py", "if not self._settings.every_test or session", "if session",
             "plugin/test_baseline_runs.py::test_only_marked_tests_say_nothing_about_the_others"),
    Sabotage("plugin/baseline.py", "return Held(reason=\"not searched",
             "return holder(case) or Held(reason=\"not searched",
             "plugin/test_baseline_runs.py::test_a_known_leak_is_not_searched_for_its_holder"),
    # a second run
    Sabotage("plugin/confirm.py", "if any(leak.fingerprint == finding.fingerprint for leak in run.leaks):",
             "if not any(leak.fingerprint == finding.fingerprint for leak in run.leaks):", _AGAIN),
    Sabotage("plugin/confirm.py", "if run.stacks or run.error:", "if run.stacks:",
             _AGAIN),
    Sabotage("plugin/confirm.py", 'and finding.owner.kind == "test"', "", _AGAIN,
             argued="a fixture's findings come with its teardown, which is put off until the repetition is over"),
    Sabotage("plugin/isolate.py", "before = order[: order.index(test)]", "before = order[1 : order.index(test)]",
             "plugin/test_isolate.py::test_what_a_leak_needs_is_found"),
    # tasks that end by themselves, or by their runner
    Sabotage("origins/asyncio_witness.py", "elif not is_ending(obj):", "elif True:", _TASKS),
    Sabotage("origins/asyncio_witness.py", "if identity not in held]", "]",
             "plugin/test_task_rules.py::test_a_leak_beside_it_is_told"),
    Sabotage("origins/asyncio_witness.py", "if not is_due(obj) or sighting.is_closed():", "if True:", _TASKS),
    Sabotage("origins/asyncio_witness.py", "if not is_due(obj) or sighting.is_closed():", "if not is_due(obj):",
             "plugin/test_task_rules.py::test_a_leak_beside_it_is_told"),
    Sabotage("origins/asyncio_witness.py", "return  # the loop closes a generator that was dropped", "pass",
             "plugin/test_task_rules.py::test_nothing_else_is_told"),
)
# fmt: on
