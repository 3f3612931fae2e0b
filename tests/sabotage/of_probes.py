"""Sabotages of the probes and of the roster that asks them."""

from __future__ import annotations

from planned import Sabotage

_FILES = "plugin/test_forgiveness.py::test_files_that_are_kept_on_purpose"
_SOCKET_WORDS = "probes/test_descriptors.py::test_a_socket_is_told_with_protocol_addresses_and_state"
_MAPPING = "plugin/test_mappings.py::test_a_mapping_is_one_finding"
_CONNECTION = "plugin/test_connections.py::test_a_connection_is_one_finding"
_LOCK = "plugin/test_locks.py::test_a_lock_that_is_held_is_one_finding"
_CENSUS = "probes/test_protocol_conformance.py::test_a_resource_is_in_the_census_until_it_is_released"
_CHILDREN = "probes/test_processes.py"
_TASK = "plugin/test_task_twins.py::test_a_leaky_twin_is_told_once_and_rightly"
_TRACK = "plugin/test_track_twins.py::test_a_leaky_twin_is_told_once_and_rightly"
_TRACK_CLEAN = "plugin/test_track_twins.py::test_a_clean_twin_is_never_mentioned"
_STATE = "plugin/test_state.py::test_a_leaky_twin_is_told_once_and_rightly"
_STATE_CLEAN = "plugin/test_state.py::test_a_clean_twin_is_never_mentioned"

# fmt: off
PROBES: tuple[Sabotage, ...] = (
    # descriptors and sockets
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
    Sabotage("probes/descriptors.py", "table.append((number, status[2], status[1], status[0] & _TYPE_BITS))",
             "table.append((number, status[2], 0, status[0] & _TYPE_BITS))",
             "probes/test_descriptors.py::test_a_number_that_is_used_again_is_another_descriptor"),
    Sabotage("probes/descriptors.py", "len(self._numbers()) - (self._listed and 1)", "len(self._numbers())",
             "probes/test_descriptors.py::test_all_ways_to_count_agree"),
    Sabotage("probes/descriptors.py", "pass  # out of descriptors", "return []  # out of descriptors",
             "probes/test_descriptors.py::test_with_all_descriptors_in_use_everything_is_still_seen"),
    Sabotage("probes/descriptors.py", "return soft if soft > 0 else SCANNED_AT_MOST", "return soft",
             "probes/test_descriptors.py::test_no_limit_at_all_is_scanned_up_to_a_bound"),
    Sabotage("probes/descriptors.py", "if error.errno != errno.EBADF:", "if False:",
             "probes/test_descriptors.py::test_a_descriptor_whose_status_cannot_be_read_is_open_all_the_same"),
    Sabotage("probes/sockets.py", "if key[3] == stat.S_IFSOCK)", "if key[3] != stat.S_IFSOCK)",
             "probes/test_descriptors.py::test_a_socket_is_seen_by_its_own_probe_and_a_pipe_by_the_other"),
    Sabotage("probes/sockets.py", "_address(local), _address(remote)", "_address(remote), _address(local)",
             _SOCKET_WORDS),
    Sabotage("probes/sockets.py", "if listening:", "if not listening:", _SOCKET_WORDS),
    Sabotage("probes/sockets.py", "sock.detach()", "sock.close()", _SOCKET_WORDS),
    # threads
    Sabotage("probes/threads.py", 'daemon = "daemon" if thread.daemon', 'daemon = "daemon" if not thread.daemon',
             "probes/test_threads.py::test_a_thread_is_told_with_its_name_and_whether_it_holds_the_exit"),
    # children
    Sabotage("probes/processes.py", "if not has_children():\n            return frozenset()",
             "if has_children():\n            return frozenset()", _CENSUS),
    Sabotage("probes/processes.py", "os.WEXITED | os.WNOHANG | os.WNOWAIT", "os.WEXITED | os.WNOHANG",
             f"{_CHILDREN}::test_looking_never_reaps"),
    Sabotage("probes/processes.py", 'state = "zombie" if process.status() ==',
             'state = "zombie" if process.status() !=',
             f"{_CHILDREN}::test_a_child_is_told_with_its_state_and_its_command"),
    Sabotage("probes/processes.py", "found.add((int(pid), _start_ticks(int(pid))))", "found.add((int(pid), 0.0))",
             f"{_CHILDREN}::test_the_start_time_is_part_of_the_identity"),
    Sabotage("probes/processes.py", 'rpartition(")")[2].split()', 'partition(")")[2].split()',
             f"{_CHILDREN}::test_a_name_with_spaces_and_brackets_hides_no_start_time"),
    # files
    Sabotage("probes/tempfiles.py", "if os.path.lexists(path) and is_litter", "if is_litter", _FILES),
    Sabotage("probes/tempfiles.py", "os.path.lexists(path) and is_litter(path, self._caches)",
             "os.path.lexists(path)", _FILES),
    Sabotage("probes/tempfiles.py", 'variable = os.environ.get("XDG_CACHE_HOME")', "variable = None", _FILES),
    Sabotage("probes/tempfiles.py", 'os.path.expanduser("~"), ".cache"', 'os.path.expanduser("~"), ".config"', _FILES),
    # mappings, connections, locks
    Sabotage("probes/mappings.py", "            if is_named:\n", "            if is_mapped and is_named:\n", _MAPPING),
    Sabotage("probes/mappings.py", "return None if mapping is None or _is_closed(mapping) else mapping",
             "return mapping", _MAPPING),
    Sabotage("probes/mappings.py", "number == mapping.number or (mapping.name and number == mapping.given)",
             "mapping.name and number == mapping.given", _MAPPING),
    Sabotage("probes/mappings.py", "return (status.st_dev, status.st_ino) == self.inode", "return True",
             "plugin/test_mappings.py::test_it_is_said_what_is_missing"),
    Sabotage("probes/connections.py", "path in [connection.path + ending for ending in SIDE_FILES]",
             "path == connection.path", _CONNECTION),
    Sabotage("probes/locks.py", "return self.held > 0 if lock is None else is_held(lock)",
             "return lock is not None and is_held(lock)", _LOCK),
    Sabotage("probes/locks.py",
             "result = self._noted_lock.__exit__(kind, error, traceback)\n        self._note(None)\n",
             "result = self._noted_lock.__exit__(kind, error, traceback)\n", _LOCK),
    Sabotage("probes/locks.py", "got = self._noted_lock.acquire(*args, **kwargs)\n        if got:",
             "got = self._noted_lock.acquire(*args, **kwargs)\n        if not got:", _LOCK),
    Sabotage("probes/locks.py", "return bool(lock._semlock._is_zero())", "return not lock._semlock._is_zero()", _LOCK),
    # tasks
    Sabotage("probes/tasks.py", "seen = (*witness.left.values(), *witness.pending())",
             "seen = tuple(witness.pending())", _TASK),
    Sabotage("probes/tasks.py", "sys.set_coroutine_origin_tracking_depth(0)\n        self._depth = None",
             "pass\n        self._depth = None",
             "plugin/test_task_unobtrusive.py::test_the_depth_of_coroutines_is_given_back"),
    Sabotage("probes/tasks.py", "if self.witness.is_of_a_task(id(coroutine)):", "if False:",
             "plugin/test_task_twins.py::test_nothing_else_is_told"),
    # warnings of the collector
    Sabotage("probes/unclosed.py", "if frames.is_import(stack) or not _is_finalizer(text, stack):",
             "if not _is_finalizer(text, stack):",
             "probes/test_unclosed_texts.py::test_what_an_import_leaves_open_belongs_to_nobody"),
    Sabotage("probes/unclosed.py", "text = self._texts.pop(_real.get_ident(), None)",
             "text = self._texts.popitem()[1] if self._texts else None",
             "probes/test_unclosed_texts.py::test_a_text_belongs_to_the_thread_that_warned"),
    Sabotage("probes/unclosed.py", "return self.by_collector is not None\n\n    def _record_of",
             "return True\n\n    def _record_of", "plugin/test_unobtrusive.py::test_the_users_warning_filters_decide"),
    Sabotage("probes/unclosed.py", "filters[:] = [entry for entry in filters if entry is not self._entry]", "pass",
             "probes/test_unclosed_texts.py::test_the_filters_are_given_back"),
    Sabotage("probes/unclosed.py", "self._caught.pop(cast(int, key), None)", "pass",
             "probes/test_unclosed_texts.py::test_what_was_judged_is_forgotten"),
    # objects
    Sabotage("probes/objects.py", "if by_finalizer:\n            entry.by_finalizer = True\n            return",
             "if by_finalizer:\n            entry.by_finalizer = True", _TRACK),
    Sabotage("probes/objects.py", "if not entry.duties and not entry.must_go:", "if not entry.duties:", _TRACK),
    Sabotage("probes/objects.py", "if method not in duty)", "if method in duty)", _TRACK_CLEAN),
    # state
    Sabotage("probes/state.py", "self.live = True\n        self.note(counted=False)\n        for place",
             "self.live = True\n        self.note()\n        for place",
             "plugin/test_state.py::test_what_pytest_and_its_fixtures_change_is_never_told"),
    Sabotage("probes/state.py", "while stack and stack[-1].counted and self._current(index, part) != stack[-1].after:",
             "while False:", _STATE_CLEAN),
    Sabotage("probes/state.py",
             "if change.before == new), None)\n        if depth is not None:\n            del stack[depth:]",
             "if change.before == new), None)\n        if depth is not None:\n            del stack[depth + 1 :]",
             _STATE_CLEAN),
    Sabotage("probes/state.py", "change.value.put_back(part, change.before)",
             "change.value.put_back(part, change.after)",
             "plugin/test_state.py::test_every_value_is_put_back"),
    Sabotage("probes/state.py", 'record.stack) if record else (', 'record.stack) and False if record else (',
             "plugin/test_state.py::test_what_pytest_and_its_fixtures_change_is_never_told"),
    # the roster
    Sabotage("probes/roster.py", "self.switch_off(kind, _words(error))\n            return instead", "return instead",
             "probes/test_roster.py::test_a_probe_that_raises_is_switched_off_and_reported_once"),
    Sabotage("probes/roster.py", "if kind in self._known:\n", "if False:\n",
             "probes/test_roster.py::test_the_first_probe_of_a_kind_keeps_it"),
    Sabotage("probes/roster.py", "if not isinstance(resource, Resource) or resource.kind != kind:",
             "if not isinstance(resource, Resource):",
             "probes/test_roster.py::test_a_probe_that_cannot_describe_costs_the_words_not_the_finding"),
    Sabotage("probes/roster.py", "self._before_look()\n", "pass\n",
             "probes/test_roster.py::test_before_each_look_the_shared_table_is_told"),
    Sabotage("probes/roster.py", "if kinds is None or kind in kinds\n", "",
             "probes/test_roster.py::test_only_the_kinds_asked_for_are_looked_at"),
    Sabotage("watch.py", "                ProcessProbe(),\n", "",
             "probes/test_protocol_conformance.py::test_there_is_a_probe_of_each_kind"),
    Sabotage("watch.py", "                TempProbe(self.recorder, short),\n", "",
             "plugin/test_blind.py::test_the_doctor_tells_each_kind"),
)
# fmt: on
