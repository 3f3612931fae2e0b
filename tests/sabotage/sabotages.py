"""Planned sabotages of what watches a live process: one line is made wrong, and one named test has to fail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sabotage:
    """One wrong change.

    Attributes:
        file: below the package.
        old, new: the text, which stands there once, and what it becomes.
        test: the id of the test that has to notice, below ``tests/``.
    """

    file: str
    old: str
    new: str
    test: str


_FILES = "plugin/test_forgiveness.py::test_files_that_are_kept_on_purpose"
_NOBODY = "plugin/test_forgiveness.py::test_what_belongs_to_nobody_or_goes_by_itself"
_LIBRARIES = "plugin/test_forgiveness.py::test_what_libraries_keep_for_the_life_of_the_process"
_ORACLES = "faults/test_sweep.py::test_each_oracle_has_its_finding"
_ONCE = "plugin/test_owners.py::test_a_leak_is_blamed_once_and_never_on_later_tests"

# fmt: off
SABOTAGES: tuple[Sabotage, ...] = (
    # probes
    Sabotage("probes/fds.py", "if key[3] != stat.S_IFSOCK", "if key[3] == stat.S_IFSOCK",
             "probes/test_descriptors.py::test_a_socket_is_seen_by_its_own_probe_and_a_pipe_by_the_other"),
    Sabotage("probes/fds.py", 'if form == stat.S_IFIFO:', 'if form == stat.S_IFSOCK:',
             "probes/test_descriptors.py::test_folders_devices_and_pipes_have_words_of_their_own"),
    Sabotage("probes/fds.py", "if link in _ANONYMOUS:", "if not link:",
             "probes/test_descriptors.py::test_descriptors_without_a_path_are_named"),
    Sabotage("probes/fds.py", "os.O_RDONLY: \"open for reading\",", "os.O_RDONLY: \"open for writing\",",
             "probes/test_descriptors.py::test_a_file_is_told_with_path_and_mode"),
    Sabotage("probes/fds.py", "deleted = link.endswith(DELETED) and _is_deleted(number)", "deleted = False",
             "probes/test_descriptors.py::test_a_file_that_is_deleted_is_told_as_such"),
    Sabotage("probes/fds.py", "subject = self._shorten(path) or", "subject = path or",
             "probes/test_descriptors.py::test_the_shortener_is_applied_to_what_is_shown_not_to_the_clues"),
    Sabotage("probes/descriptors.py", "self._table = None\n\n    def read", "self._table = self._table\n\n    def read",
             "probes/test_descriptors.py::test_an_open_and_a_close_are_seen_after_forget"),
    Sabotage("probes/descriptors.py", "status[1], status[0] & _TYPE_BITS))", "0, status[0] & _TYPE_BITS))",
             "probes/test_descriptors.py::test_a_number_that_is_used_again_is_another_descriptor"),
    Sabotage("probes/threads.py", "if ident is None or ident in (own, main):", "if ident is None or not thread.daemon:",
             "plugin/test_origins.py::test_the_users_line_is_named"),
    Sabotage("probes/tempfiles.py", "if os.path.lexists(path) and is_litter", "if is_litter", _FILES),
    Sabotage("probes/tempfiles.py", "os.path.lexists(path) and is_litter(path, self._caches)",
             "os.path.lexists(path)", _FILES),
    Sabotage("probes/tempfiles.py", 'variable = os.environ.get("XDG_CACHE_HOME")', "variable = None", _FILES),
    Sabotage("probes/tempfiles.py", 'os.path.expanduser("~"), ".cache"', 'os.path.expanduser("~"), ".config"', _FILES),
    Sabotage("probes/roster.py", "self.switch_off(kind, _words(error))\n            return instead", "return instead",
             "probes/test_roster.py::test_a_probe_that_raises_is_switched_off_and_reported_once"),
    Sabotage("probes/roster.py", "if kind in self._known:\n", "if False:\n",
             "probes/test_roster.py::test_the_first_probe_of_a_kind_keeps_it"),
    Sabotage("probes/roster.py", "if not isinstance(resource, Resource) or resource.kind != kind:",
             "if not isinstance(resource, Resource):",
             "probes/test_roster.py::test_a_probe_that_cannot_describe_costs_the_words_not_the_finding"),
    Sabotage("probes/roster.py", "self._before_look()\n", "pass\n",
             "probes/test_roster.py::test_before_each_look_the_shared_table_is_told"),
    # what counts as litter
    Sabotage("core/litter.py", '"__pycache__",', '"__pycache",', _FILES),
    Sabotage("core/litter.py", '".hypothesis",', '"hypothesis",', _FILES),
    Sabotage("core/litter.py", 'name.startswith(COVERAGE_PREFIX)', 'name.endswith(COVERAGE_PREFIX)', _FILES),
    Sabotage("core/litter.py", 'name.endswith((".pyc", ".pyo"))', '(".py" in name)', _FILES),
    Sabotage("core/litter.py", 'path.startswith(cache.rstrip(os.sep) + os.sep)', 'path.startswith(cache)', _FILES),
    Sabotage("core/litter.py", "if path.startswith(DEVICES) and", "if", "core/test_litter.py"),
    # the record
    Sabotage("origins/created.py", "_real.lstat(place)\n", "raise FileNotFoundError\n", _FILES),
    Sabotage("origins/created.py", 'return (path + "/").startswith(self.tmp_roots)', "return False", _FILES),
    Sabotage("origins/created.py", "elif not self._is_cleaned_up(place := _real.abspath(target)):",
             "elif place := _real.abspath(target):", _FILES),
    Sabotage("origins/hook.py", "_handlers, _plan = before\n", "_plan = before[1]\n", "faults/test_counts.py"),
    Sabotage("origins/hook.py", "if fault is None:\n                handler(args)", "handler(args)",
             "faults/test_counts.py"),
    Sabotage("origins/audit.py", '"os.mkdir": self.created.on_mkdir,\n', "", _FILES),
    Sabotage("origins/audit.py", '"socket.__new__": self._on_socket,\n', "",
             "plugin/test_origins.py::test_the_users_line_is_named"),
    Sabotage("origins/audit.py", '"os.scandir": self._on_path,\n', "",
             "plugin/test_origins.py::test_the_users_line_is_named"),
    Sabotage("origins/audit.py", "_context_of(ident, None if ident == self.home else self.started_by(ident))",
             "_context_of(ident, None)",
             "plugin/test_deferred.py::test_what_a_session_server_accepts_during_tests_is_the_fixtures"),
    # whose it is
    Sabotage("origins/match.py", "if frames.is_import(record.stack) or frames.is_plugin_hook(record.stack):",
             "if frames.is_plugin_hook(record.stack):",
             "plugin/test_owners.py::test_an_import_inside_a_test_is_nobodys"),
    Sabotage("origins/match.py", "if frames.is_import(record.stack) or frames.is_plugin_hook(record.stack):",
             "if frames.is_import(record.stack):", "plugin/test_owners.py::test_hooks_of_a_conftest_are_nobodys"),
    Sabotage("plugin/wider.py",
             "self._judge.claim(before, scope.owner)\n            scope.set_up()\n            # the last",
             "scope.set_up()\n            # the last", "model/test_predictions.py"),
    Sabotage("plugin/wider.py", "self._watch.ledger.closing(scope.owner)", "pass",
             "plugin/test_owners.py::test_finalizers_count_as_the_fixtures_teardown"),
    Sabotage("plugin/scopes.py", "narrowest = min(reaching", "narrowest = max(reaching",
             "plugin/test_deferred.py::test_a_verdict_waits_for_the_narrowest_fixture_that_reaches"),
    Sabotage("plugin/judge.py", "self._know(*item)  # blamed once", "pass  # blamed once", _ONCE),
    Sabotage("plugin/judge.py", "or suspect.item in by_design or", "or", _LIBRARIES),
    Sabotage("plugin/judge.py", 'if owner.kind == "nobody" or suspect', "if suspect",
             "plugin/test_owners.py::test_an_import_inside_a_test_is_nobodys"),
    Sabotage("plugin/judge.py", "awaits = awaited[suspect.item]\n", "awaits = frozenset()\n",
             "plugin/test_deferred.py::test_what_a_pool_opened_lazily_and_closed_at_its_end_is_never_mentioned"),
    Sabotage("plugin/judge.py", "grace = grace_seconds if patient else 0.0", "grace = 0.0", _NOBODY),
    Sabotage("plugin/judge.py", "self.watch.recorder.set_before()\n", "pass\n",
             "plugin/test_owners.py::test_what_was_there_before_the_first_test_is_nobodys"),
    # forgiveness
    Sabotage("known.py", 'function="WorkerThread.__init__"', 'function="WorkerThread"', _LIBRARIES),
    Sabotage("known.py", 'module="multiprocessing/heap.py"', 'module="multiprocessing/heaps.py"', _LIBRARIES),
    Sabotage("plugin/heirs.py", "gone.remove(left)\n", "pass\n",
             "plugin/test_forgiveness.py::test_a_pool_that_opens_its_file_anew_keeps_its_owner"),
    # oracles
    Sabotage("faults/oracles.py", 'return "hung"', 'return "passed"',
             "faults/test_sweep.py::test_hangs_end_a_sweep_with_a_reason"),
    Sabotage("faults/oracles.py", "if not run.error and not lost:", "if False:", _ORACLES),
    Sabotage("faults/oracles.py", "if run.unrelated:", "if not run.unrelated:", _ORACLES),
    Sabotage("faults/oracles.py", 'found += [finding("unraisable", text, _fix_of_lost(text)) for text in lost]', "pass",
             _ORACLES),
    Sabotage("faults/oracles.py", 'return fault == "swallowed" or', "return", _ORACLES),
    Sabotage("faults/oracles.py", "if run.stacks:\n        # an alarm", "if False:\n        # an alarm", _ORACLES),
    Sabotage("faults/points.py", "if self.seen < point.occurrence:", "if self.seen <= point.occurrence:",
             "faults/test_counts.py::test_acquisitions"),
    Sabotage("faults/points.py", 'if self.mode == "transient":', 'if self.mode == "persistent":',
             "faults/test_sweep.py::test_a_persistent_trial_follows_where_the_operation_is_tried_again"),
    Sabotage("faults/points.py", "self.seen[site] += 1", "self.seen[site] = 1",
             "faults/test_counts.py::test_acquisitions"),
    Sabotage("faults/acquire.py", "if place is None:\n                return None", "place = place or frame",
             "faults/test_counts.py::test_acquisitions_of_others_are_no_points"),
    Sabotage("faults/errors.py", "waiting += [one.__cause__, one.__context__]", "waiting += [one.__cause__]",
             "faults/test_model.py::test_an_injected_error_is_recognizable_and_tells_how_to_repeat_it"),
)
# fmt: on
