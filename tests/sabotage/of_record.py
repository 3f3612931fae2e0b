"""Sabotages of what records acquisitions and closes, and finds out whose they are."""

from __future__ import annotations

from planned import Sabotage

_FILES = "plugin/test_forgiveness.py::test_files_that_are_kept_on_purpose"
_LINES = "plugin/test_origins.py::test_the_users_line_is_named"
_CLOSE = "plugin/test_closes.py::test_a_leaky_twin_is_told_once_with_its_stacks"
_MEANT = "plugin/test_closes.py::test_what_is_meant_is_not_told"
_EXECUTOR = "plugin/test_executors.py::test_an_executor_is_one_finding"

# fmt: off
RECORD: tuple[Sabotage, ...] = (
    Sabotage("origins/created.py", "_real.lstat(place)\n", "raise FileNotFoundError\n", _FILES),
    Sabotage("origins/created.py", 'return (path + "/").startswith(self.tmp_roots)', "return False", _FILES),
    Sabotage("origins/created.py", "elif (place := self._new(target)) is not None:",
             "elif place := _real.abspath(target):", _FILES),
    # the hook
    Sabotage("origins/hook.py", "_handlers, _plan = before\n", "_handlers, _plan = before[0], plan\n",
             "faults/test_hook.py::test_afterwards_nothing_fails_any_more"),
    Sabotage("origins/hook.py", "_handlers, _plan = before\n", "_plan = before[1]\n",
             "faults/test_hook.py::test_afterwards_no_further_event_is_listened_to"),
    Sabotage("origins/hook.py", "if fault is None:\n                handlers[event](args)", "handlers[event](args)",
             "faults/test_hook.py::test_what_fails_is_not_recorded"),
    Sabotage("origins/hook.py", "note_failure(error)\n        if fault", "raise\n        if fault",
             "faults/test_hook.py::test_an_error_of_ours_stays_with_us"),
    Sabotage("origins/hook.py", "if event in handlers and _silenced != _real.get_ident():", "if event in handlers:",
             "faults/test_hook.py::test_our_own_reading_is_left_out"),
    Sabotage("origins/hook.py", "global _silenced\n    _silenced = before", "global _silenced\n    _silenced = 0",
             "faults/test_hook.py::test_our_own_reading_is_left_out"),
    Sabotage("origins/audit.py", "hook.feed(_recorders[-1]._handlers if _recorders else {})", "hook.feed({})",
             "plugin/test_unobtrusive.py::test_a_session_within_a_test"),
    # events
    Sabotage("origins/audit.py", '"os.mkdir": self.created.on_mkdir,\n', "", _FILES),
    Sabotage("origins/audit.py", '"socket.__new__": self._on_socket,\n', "", _LINES),
    Sabotage("origins/audit.py", '"os.scandir": self._on_path,\n', "", _LINES),
    Sabotage("origins/audit.py", '"os.fork": self._on_spawn,\n', "", _LINES),
    Sabotage("origins/audit.py", '"os.posix_spawn": self._on_spawn,\n', "", _LINES),
    Sabotage("origins/audit.py", '"subprocess.Popen": self._on_spawn,\n', "", _LINES),
    Sabotage("origins/audit.py", '"os.symlink": self.created.on_second_path,\n', "", _LINES),
    # whose thread
    Sabotage("origins/audit.py",
             "return self.ledger.now if ident == self.home else self._context_of(ident, self.started_by(ident))",
             "return self.ledger.now", "plugin/test_owners.py::test_what_a_fixtures_thread_tracks_is_the_fixtures"),
    Sabotage("origins/audit.py", "context = self._context_of(ident, started)\n        record",
             "context = self.ledger.now\n        record",
             "plugin/test_deferred.py::test_what_a_session_server_accepted_and_never_closed_is_the_fixtures_leak"),
    Sabotage("origins/audit.py", "return now if now is not OUTSIDE and is_pool_worker(ident) else started.context",
             "return started.context", "plugin/test_owners.py::test_what_the_threads_of_a_test_acquire_is_the_tests"),
    # frames
    Sabotage("origins/frames.py", "if names is _HOOK_CALLER:", "if names is None:",
             "probes/test_frames.py::test_walk_stops_at_pytests_hook_call"),
    Sabotage("origins/frames.py", "stack.append((frame.f_code, frame.f_lasti))", "stack.append((frame.f_code, 0))",
             "probes/test_frames.py::test_walk_keeps_code_and_instruction_of_each_frame"),
    Sabotage("origins/frames.py", 'if where in ("project", "dependency"):\n                found',
             'if where == "project":\n                found',
             "probes/test_frames.py::test_a_line_of_a_dependency_comes_with_the_projects_line_that_led_there"),
    Sabotage("origins/frames.py", 'return "runner" if top in _RUNNERS else "dependency"', 'return "dependency"',
             "probes/test_frames.py::test_whose_code_a_file_is"),
    Sabotage("origins/frames.py", "if not stack or len(stack) >= DEPTH:", "if not stack:",
             "probes/test_frames.py::test_a_stack_that_was_cut_or_is_empty_is_no_hook"),
    # from a resource to its record
    Sabotage("origins/match.py", "if frames.is_import(record.stack) or frames.is_plugin_hook(record.stack):",
             "if frames.is_plugin_hook(record.stack):",
             "plugin/test_owners.py::test_an_import_inside_a_test_is_nobodys"),
    Sabotage("origins/match.py", "if frames.is_import(record.stack) or frames.is_plugin_hook(record.stack):",
             "if frames.is_import(record.stack):", "plugin/test_owners.py::test_hooks_of_a_conftest_are_nobodys"),
    Sabotage("origins/match.py", "if self._is_copy(record, number):", "if False:",
             "plugin/test_origins.py::test_an_unknown_origin_says_why"),
    Sabotage("origins/match.py", "(record.over or (record.fd >= 0 and record.fd != number))", "record.over",
             "plugin/test_origins.py::test_a_copy_of_what_a_fixture_has_open_is_no_fixtures"),
    Sabotage("origins/match.py", "if not r.blamed and not r.pinned])", "])",
             "plugin/test_origins.py::test_a_number_that_was_told_before_has_a_new_history"),
    Sabotage("origins/match.py", "<= _START_SLACK_SECONDS", "> _START_SLACK_SECONDS", _LINES),
    Sabotage("joining.py", "whole = watched.get(identity) if kind != \"object\" else None", "whole = None",
             "plugin/test_track.py::test_what_the_constructor_acquired_is_part_of_the_object"),
    Sabotage("joining.py", "suspect.record = original.record\n", "suspect.record = None\n",
             "plugin/test_guard.py::test_guard_outside_pytest"),
    Sabotage("joining.py", 'suspect.item[0] == "fd" and _is_database(path):', 'suspect.item[0] == "fd":',
             "plugin/test_forgiveness.py::test_an_attached_database_goes_with_its_connection"),
    Sabotage("joining.py", "for loop, poll in zip(loops[::2], polls, strict=False):",
             "for loop, poll in zip(loops[::3], [], strict=False):",
             "plugin/test_task_rules.py::test_a_loop_that_nobody_closed_is_one_finding"),
    # what wraps the user's functions
    Sabotage("origins/closes.py", "os.close = real\n", "pass\n",
             "plugin/test_closes.py::test_os_close_is_given_back"),
    Sabotage("origins/closes.py", "                if closing is not None:\n                    closing.excused = True",
             "                if closing is not None:\n                    closing.excused = False", _CLOSE),
    Sabotage("origins/closes.py", "owner is not None and not is_expected(frame)", "owner is not None", _MEANT),
    Sabotage("origins/closes.py", "self._sweeps.add(place)", "pass", _MEANT),
    Sabotage("origins/expected.py", '"raises", "assertRaises", "assertRaisesRegex"', '"raises", "assertRaisesRegex"',
             _MEANT),
    Sabotage("origins/expected.py", "node.end_lineno or node.lineno", "node.lineno", _MEANT),
    Sabotage("origins/executors.py", "kind.__init__ = real\n", "pass\n",
             "plugin/test_executors.py::test_the_class_looks_as_before_and_is_given_back"),
    Sabotage("origins/executors.py", "frame = _real.getframe(1)", "frame = _real.getframe(2)",
             "plugin/test_executors.py::test_the_line_is_the_one_that_made_it"),
    Sabotage("origins/executors.py", "frame = _real.getframe(1)", "frame = _real.getframe(0)",
             "plugin/test_executors.py::test_the_line_is_the_one_that_made_it",
             argued="the one frame more is ours, and frames of ours are left out of every origin"),
    Sabotage("origins/executors.py", "if executor is None or _is_shut_down(executor):", "if executor is None:",
             _EXECUTOR),
    Sabotage("origins/wrap.py", "threading._start_new_thread = real ", "pass ",
             "probes/test_threads.py::test_what_stands_for_the_start_of_threads_is_taken_away"),
    Sabotage("origins/trace.py", "sys.setprofile(self._chained)\n        if self._lines:",
             "pass\n        if self._lines:",
             "plugin/test_origins.py::test_tracing_names_the_line_that_no_event_tells"),
    # our own collections
    Sabotage("young.py", "_real.gc_collect(0 if _real.gc_get_count()[1:] == self._left else 1)", "_real.gc_collect(0)",
             "plugin/test_task_rules.py::test_a_leak_beside_it_is_told"),
    Sabotage("collecting.py", "sys.unraisablehook = self._original\n", "pass\n",
             "plugin/test_unobtrusive.py::test_a_test_sees_the_same_process"),
    Sabotage("collecting.py", "if not isinstance(unraisable.exc_value, ResourceWarning):", "if True:",
             "probes/test_unclosed_texts.py::test_a_warning_that_a_filter_turned_into_an_error_goes_nowhere_else"),
)
# fmt: on
