"""Sabotages of the parts beside the guard: repetitions, sweeps, workers, what is tracked, injected or counted."""

from __future__ import annotations

from planned import Sabotage

_ANY_NAME = "faults/test_cleanup_ledger.py::test_a_test_file_of_any_name_has_no_paths"
_SHARED = "plugin/test_baseline_runs.py::test_what_a_shared_fixture_leaves_is_gone_when_all_that_may_use_it_ran"
_OPTION = "plugin/test_repeat.py::test_the_option_repeats_what_is_checked"
_LEAVE = "plugin/test_repeat.py::test_what_the_repetitions_leave_is_no_other_tests"
_NO_OBJECT = "plugin/test_track.py::test_what_is_no_object_of_the_projects"
_TABLE = "faults/test_cleanup_ledger.py::test_a_run_is_told_as_table_and_data"
_OWN_TYPES = "plugin/test_track.py::test_the_projects_own_types"
_POOLS = "plugin/test_fault_pools.py"
_OWN_SET_UP = f"{_POOLS}::test_a_pool_of_a_fixture_is_told_where_its_own_set_up_or_teardown_lost_it"
_CAN_BE_SHUT_DOWN = f"{_POOLS}::test_what_something_can_still_shut_down_is_not_told"
_LATE = "plugin/test_xdist.py::test_what_a_worker_settles_late_is_told_with_its_name"
_SAME = "plugin/test_xdist.py::test_the_same_findings_with_and_without_workers"
_PUT_OFF = "plugin/test_xdist.py::test_what_a_crashed_worker_had_put_off_is_told"

# fmt: off
PARTS: tuple[Sabotage, ...] = (
    # what is counted of cleanup paths
    Sabotage("plugin/cleanup.py", "self._test_files.update(str(item.path) for item in items)", "pass", _ANY_NAME),
    Sabotage("plugin/cleanup.py", "            self._fixture(definition)\n        self._begin()",
             "            pass\n        self._begin()", _TABLE),
    Sabotage("plugin/cleanup.py", "self._stacks.stop()\n            self._driver.stop()", "self._driver.stop()",
             _ANY_NAME),
    Sabotage("plugin/cleanup.py", "self._driver.resume()", "pass",
             "faults/test_cleanup_ledger.py::test_a_debugger_takes_the_place_and_gives_it_back"),
    Sabotage("plugin/cleanup.py", "self._failures += 1", "pass", _TABLE),
    Sabotage("plugin/cleanup.py", "except pytest.skip.Exception:\n            raise",
             "except ZeroDivisionError:\n            raise", _TABLE),
    Sabotage("plugin/cleanup.py", "counts.entered += 1", "pass", _TABLE),
    # repetitions
    Sabotage("plugin/repeat.py", "or self._guard.watch.ledger.test != item.nodeid or", "or", _OPTION),
    Sabotage("plugin/repeat.py", 'if "object" not in self._guard.settings_of(item).kinds:', "if False:",
             "plugin/test_repeat.py::test_allowed_and_left_out"),
    Sabotage("plugin/repeat.py", "item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)",
             "pass", _OPTION),
    Sabotage("plugin/repeat.py", "item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)",
             "pass", _OPTION),
    Sabotage("plugin/repeat.py", 'self._passed &= report.outcome == "passed" and not hasattr(report, "wasxfail")',
             "pass", "plugin/test_repeat.py::test_results_stay_what_they_are"),
    Sabotage("plugin/repeat.py", "guard.pause()", "pass", _LEAVE),
    Sabotage("plugin/repeat.py", "guard.resume(item)", "pass", _LEAVE),
    Sabotage("plugin/repeat.py", "teardown.outcome, teardown.longrepr = failed.outcome, failed.longrepr", "pass",
             "plugin/test_repeat.py::test_an_error_of_a_wider_fixtures_teardown_is_not_lost"),
    Sabotage("plugin/repeat.py", "if id(obj) not in of_pytest:", "if True:",
             "plugin/test_repeat.py::test_what_grows_is_told_and_a_cache_is_not"),
    Sabotage("plugin/repeat.py", "self._left = self._counted + (not shares_all)", "self._left = self._counted",
             "plugin/test_repeat.py::test_each_test_runs_as_often_as_asked_with_fresh_fixtures"),
    # sweeps and second runs
    Sabotage("plugin/sweeping.py",
             'if not {"leak_faults", "inject_error"}.isdisjoint(getattr(item, "fixturenames", ())):', "if False:",
             "plugin/test_inject_error.py::test_it_is_not_swept_as_well"),
    Sabotage("plugin/sweeping.py", 'self._passed &= report.outcome == "passed" and not hasattr(report, "wasxfail")',
             "pass", "plugin/test_fault_sweeps.py::test_failed_skipped_and_leaking_tests_are_not_swept"),
    Sabotage("plugin/sweeping.py", "clean = self._passed and self._is_clean(report)", "clean = self._passed",
             "plugin/test_fault_sweeps.py::test_failed_skipped_and_leaking_tests_are_not_swept"),
    Sabotage("plugin/confirm.py", "if sweeper is not None and sweeper.sweeps(item):", "if False:",
             "plugin/test_confirm.py::test_with_a_sweep_the_sweep_has_the_test"),
    Sabotage("plugin/confirm.py", 'finding.disposition in ("fails", "warned")', "True",
             "plugin/test_confirm.py::test_what_does_not_leak_again_is_told_and_passes"),
    # what is asked for on one test
    Sabotage("plugin/explain.py", "if is_wanted(item.nodeid, self._wanted):", "if True:",
             "plugin/test_explain.py::test_which_tests_are_explained"),
    Sabotage("plugin/isolate.py", 'if report.when == "setup" and report.nodeid not in self._worker:',
             "if report.nodeid not in self._worker and False:",
             "plugin/test_isolate.py::test_what_a_leak_needs_is_found"),
    # reports become outcomes
    Sabotage("plugin/summary.py", "        presenter.tell(report, data)\n        result", "        result",
             "plugin/test_first.py::test_a_leaked_file_fails_its_test_and_names_the_line"),
    Sabotage("plugin/summary.py", "presenter.guard.delivery.sent()", "pass", "plugin/test_outcomes.py::test_reruns"),
    Sabotage("plugin/summary.py", "presenter.guard.delivery.sent()\n        presenter.tell_all_earlier(report, data)",
             "presenter.guard.delivery.sent()",
             "plugin/test_deferred.py::test_what_a_pool_never_closed_is_the_leak_of_the_test_that_had_it_opened"),
    Sabotage("plugin/summary.py", ' or hasattr(report, "node"):', ":", _SAME),
    Sabotage("plugin/summary.py", "return None if colour is None else", "return None if True else",
             "plugin/test_messages.py::test_outcomes_have_a_letter_and_a_word"),
    Sabotage("plugin/summary.py", "if not self.guard.watch.is_own_process():", "if False:",
             "plugin/test_outcomes.py::test_a_fork_in_a_test"),
    Sabotage("plugin/summary.py", "if self.guard.watch.is_own_process() and not", "if not",
             "plugin/test_outcomes.py::test_a_fork_in_a_test"),
    # workers
    Sabotage("plugin/xdist.py", "self._put_off.put_on(report)", "pass", _PUT_OFF),
    Sabotage("plugin/xdist.py", "self._guard.remains.look()", "pass", "plugin/test_session_end.py"),
    Sabotage("plugin/xdist.py", "self._open.take(node.gateway.id, report)", "pass", _PUT_OFF),
    Sabotage("plugin/xdist.py", "presenter.tell(report, data)", "pass",
             "plugin/test_xdist.py::test_letters_and_words"),
    Sabotage("plugin/xdist.py", "presenter.tell_all_earlier(report, data)", "pass", _SAME),
    Sabotage("plugin/xdist.py", "presenter.tell_earlier(group, node)", "pass", _LATE),
    Sabotage("plugin/xdist.py", "presenter.tell_earlier(group, node)", "presenter.tell_earlier(group)", _LATE),
    Sabotage("plugin/summary.py", 'self.tell_earlier(group, getattr(report, "node", None))',
             "self.tell_earlier(group)", _LATE),
    Sabotage("plugin/xdist.py", 'if report.when == "teardown":', "if True:",
             "plugin/test_xdist.py::test_what_a_report_carried_that_was_never_sent_comes_with_the_next"),
    Sabotage("plugin/xdist.py", "raise pytest.UsageError(output[ERROR_KEY])", "return",
             "plugin/test_xdist.py::test_a_bad_marker_is_a_readable_usage_error"),
    Sabotage("plugin/xdist.py", 'presenter.tally.add(data["tally"])', "pass",
             "plugin/test_xdist.py::test_the_report_is_one_file_with_sums"),
    Sabotage("plugin/xdist.py", "presenter.tally.tests_of_crashed +=", "presenter.tally.tests_of_crashed -=",
             "plugin/test_xdist.py::test_a_crashed_worker_loses_no_finding_made_before"),
    Sabotage("plugin/put_off.py", "waiting.pop(number, None)", "pass", _PUT_OFF),
    Sabotage("plugin/put_off.py", 'if deferred[item].suspect.acquisition.owner.kind == "test":', "if True:",
             _PUT_OFF),
    # what is tracked
    Sabotage("plugin/tracking.py", 'self._guard.judge.know("object", before)', "pass",
             "plugin/test_track.py::test_one_that_takes_the_place_of_the_last_is_no_leak"),
    Sabotage("plugin/tracking.py", "if watch.ledger.test == item.nodeid:", "if False:", _OWN_TYPES),
    Sabotage("plugin/tracking.py", "if any(fnmatch(os.path.basename(file), pattern) for pattern in patterns):",
             "if False:", _OWN_TYPES),
    Sabotage("plugin/tracking.py", "not file.startswith(root) or ", "", _NO_OBJECT),
    Sabotage("plugin/tracking.py", ' or frames.region(file) != "project":', ":", _NO_OBJECT),
    Sabotage("plugin/tracking.py", "(BaseException, enum.Enum, type))", "(enum.Enum, type))", _OWN_TYPES),
    Sabotage("plugin/tracking.py", "(BaseException, enum.Enum, type))", "(BaseException, type))", _NO_OBJECT),
    Sabotage("plugin/tracking.py", "(BaseException, enum.Enum, type))", "(BaseException, enum.Enum))", _NO_OBJECT),
    # errors by hand
    Sabotage("plugin/inject.py", "item.add_marker(pytest.mark.no_leaks)", "pass",
             "plugin/test_inject_error.py::test_it_can_be_parametrized_by_hand"),
    Sabotage("plugin/inject.py", "raise self.refused", "pass",
             "plugin/test_inject_error.py::test_bad_errors_are_refused"),
    Sabotage("plugin/inject.py", "if not injected.takes(error):", "if injected.takes(error):",
             "plugin/test_inject_error.py::test_under_event_loops"),
    Sabotage("plugin/inject.py", "        injected.settle()\n        return result", "        return result",
             "plugin/test_inject_error.py::test_a_clear_failure_when_it_does_not_come_out"),
    # the start
    Sabotage("plugin/entry.py", 'if config.option.leakguard_probes != "help":', "if True:",
             "plugin/test_probes_help.py::test_every_kind_is_told"),
    Sabotage("plugin/entry.py", "            _check_allow_marks(config, items)", "            pass",
             "plugin/test_options.py::test_a_bad_allow_leaks_is_refused_where_nothing_is_checked"),
    Sabotage("plugin/entry.py", 'or not {"leak_check", "leak_faults"}.isdisjoint(getattr(item, "fixturenames", ()))',
             "", "plugin/test_locks.py::test_the_fixture_alone_is_enough"),
    # which tests ran
    Sabotage("plugin/ran.py", 'self._has_gaps |= report.outcome == "failed"', "pass", _SHARED),
    Sabotage("plugin/ran.py", "self._deselected.update(item.nodeid for item in items)", "pass",
             "plugin/test_baseline_runs.py::test_a_part_of_the_tests_says_nothing_about_the_rest"),
    Sabotage("plugin/ran.py", "self._skipped.add(report.nodeid)", "pass", _SHARED),
    Sabotage("plugin/ran.py", "self._passed.add(report.nodeid)", "pass",
             "plugin/test_baseline_runs.py::test_what_is_gone_is_listed_and_an_update_takes_it_out"),
    Sabotage("plugin/ran.py", "self._collected.update(collected)", "pass",
             "plugin/test_baseline_runs.py::test_workers_tell_what_is_new_and_what_is_gone"),
    Sabotage("plugin/guard.py", "        set_apart()", "        pass",
             "plugin/test_set_apart.py::test_what_exists_at_the_first_test_is_old"),
    Sabotage("young.py", "if may_freeze():", "if True:",
             "plugin/test_set_apart.py::test_what_the_user_froze_stays_frozen"),
    # state
    Sabotage("plugin/boundaries.py", "self._state.begin()", "pass",
             "plugin/test_state.py::test_a_leaky_twin_is_told_once_and_rightly"),
    # pools that a fault leaves, callbacks of the exit
    Sabotage("plugin/registrations.py", "for callback in now if during else ():", "for callback in now:",
             "plugin/test_session_end.py"),
    Sabotage("plugin/pools.py", "return pool is not None and pool() is None", "return True",
             f"{_POOLS}::test_all_of_them_are_swept_to_the_end"),
    Sabotage("plugin/pools.py", 'verdict="unclosed"', 'verdict="leaked"',
             f"{_POOLS}::test_a_pool_that_is_not_shut_down_under_a_fault_is_told"),
    Sabotage("plugin/pools.py", "        suspect.live = None\n", "        pass\n",
             f"{_POOLS}::test_a_pool_that_is_not_shut_down_under_a_fault_is_told"),
    Sabotage("plugin/pools.py", "in idents}", "is not None}",
             f"{_POOLS}::test_one_pool_is_one_finding_of_a_trial"),
    Sabotage("plugin/pools.py", "    if not idents:\n        return []  # saves the looks\n", "",
             _CAN_BE_SHUT_DOWN, argued="without threads of pools the looks find none: they only cost time"),
    Sabotage("plugin/pools.py", "if begun and record", "if record", _OWN_SET_UP),
    Sabotage("plugin/pools.py", 'if begun and record.context.phase == "setup":', "if begun:", _OWN_SET_UP),
    Sabotage("plugin/pools.py", 'if begun and record.context.phase == "setup":', "if False:",
             f"{_POOLS}::test_all_of_them_are_swept_to_the_end"),
    Sabotage("plugin/pools.py", 'return record.event == "ThreadPoolExecutor"', "return True",
             f"{_POOLS}::test_a_pool_that_warns_of_itself_is_told_by_that"),
    Sabotage("plugin/trial.py", "            begun = error is None\n", "            begun = True\n", _OWN_SET_UP),
    Sabotage("origins/executors.py", "frozenset() if executor is None or _is_shut_down(executor) else",
             "frozenset() if executor is None else", _CAN_BE_SHUT_DOWN),
)
# fmt: on
