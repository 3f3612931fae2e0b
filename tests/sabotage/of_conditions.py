"""Sabotages of single conditions: wrong closes, who owns a number, children of a fork server, libffi, workers."""

from __future__ import annotations

from planned import Sabotage

_A_RUNNING_THREADS = "probes/test_reach.py::test_a_running_threads_locals_are_reached"
_ONLY_ITS_OWN = "probes/test_forkserver.py::test_only_its_own_address_asks_for_a_child"
_ONE_THAT_PYTHON = "plugin/test_libffi.py::test_one_that_python_knows_of_is_a_leak"
_ITS_DESCRIPTOR_IS_KNOWN = "plugin/test_libffi.py::test_its_descriptor_is_known_once"
_WHAT_OTHER_WORKERS = "plugin/test_isolate.py::test_what_other_workers_ran_is_not_before_a_test"

# fmt: off
CONDITIONS: tuple[Sabotage, ...] = (
    # closes.py
    Sabotage("origins/closes.py", "closing is not None and closing.key != key:", "False:",
             "plugin/test_closes.py::test_a_later_close_of_the_same_number_explains_nothing"),
    Sabotage("origins/closes.py", "if error.errno == errno.EBADF:", "if True:",
             "plugin/test_closes.py::test_a_close_that_fails_for_another_reason_is_no_second_one"),
    Sabotage("origins/closes.py", "            if os.close is close:\n                os.close = real",
             "            os.close = real", "plugin/test_closes.py::test_who_wrapped_it_meanwhile_keeps_his"),
    Sabotage("origins/closes.py", "number >= _STANDARD and _is_users(frame) else None",
             "number >= _STANDARD else None", "plugin/test_closes.py::test_what_is_meant_is_not_told"),
    # owners.py
    Sabotage("origins/owners.py", "    if type(raw) in _BUFFERED:\n        raw = raw.raw\n", "",
             "probes/test_holders.py::test_the_pipes_of_a_child_are_its_own"),
    Sabotage("origins/owners.py", '"socket" if issubclass(kind, _socket.socket) else ""', '""',
             "probes/test_holders.py::test_a_socket_owns_its_number_until_it_is_detached"),
    # phase.py
    Sabotage("origins/phase.py", "return phase or _by_frames()", "return phase",
             "plugin/test_phase.py::test_the_phase_is_known"),
    # reach.py
    Sabotage("origins/reach.py", '            yield from _of_running(object.__getattribute__(obj, "_ident"))\n',
             "            pass\n", _A_RUNNING_THREADS),
    Sabotage("origins/reach.py", ".get(ident or 0)", ".get(ident or _real.get_ident())", _A_RUNNING_THREADS),
    Sabotage("origins/reach.py", "    while frame is not None:\n        yield",
             "    if frame is not None:\n        yield", _A_RUNNING_THREADS),
    Sabotage("origins/reach.py", "        frame = frame.f_back\n", "        frame = None\n", _A_RUNNING_THREADS),
    # forkserver.py
    Sabotage("origins/forkserver.py", "if is_ours and", "if",
             "probes/test_forkserver.py::test_the_children_of_the_parent_are_not_those_of_a_fork"),
    Sabotage("origins/forkserver.py", 'getattr(popen, "method", "") == METHOD and', "",
             "probes/test_forkserver.py::test_its_children_are_known_until_they_are_joined"),
    Sabotage("origins/forkserver.py", ' and vars(popen).get("returncode") is None:', ":",
             "probes/test_forkserver.py::test_one_whose_exit_code_was_asked_for_is_over"),
    Sabotage("origins/forkserver.py", "return server is not None and type", "return type", _ONLY_ITS_OWN),
    Sabotage("origins/forkserver.py", "type(address) in (str, bytes) and", "", _ONLY_ITS_OWN),
    Sabotage("origins/forkserver.py", " and address == server._forkserver_address", "", _ONLY_ITS_OWN),
    # known_libffi.py
    Sabotage("known_libffi.py", "    if not users:\n        return {}\n", "",
             "plugin/test_libffi.py::test_without_its_users_there_is_none"),
    Sabotage("known_libffi.py", 'if suspect.item[0] != "fd" or', "if", _ONE_THAT_PYTHON),
    Sabotage("known_libffi.py", "suspect.record is not None or", "", _ONE_THAT_PYTHON),
    Sabotage("known_libffi.py", " or suspect.live is not None:", ":", _ONE_THAT_PYTHON),
    Sabotage("known_libffi.py", "path in _known or", "", _ITS_DESCRIPTOR_IS_KNOWN),
    Sabotage("known_libffi.py", ' or os.path.basename(path).startswith("libffi")', "", _ITS_DESCRIPTOR_IS_KNOWN),
    Sabotage("known_libffi.py", '(path in linked_into or os.path.basename(path).startswith("libffi"))', "True",
             "plugin/test_libffi.py::test_any_other_file_that_is_mapped_is_a_leak"),
    Sabotage("known_libffi.py", "if path in _mapped_files():", "if True:",
             "plugin/test_libffi.py::test_a_file_of_that_name_that_is_not_in_use_is_a_leak"),
    Sabotage("known_libffi.py", "            _known.add(path)\n", "", _ITS_DESCRIPTOR_IS_KNOWN),
    # isolate.py
    Sabotage("plugin/isolate.py", 'worker = str(getattr(report, "worker_id", ""))', 'worker = ""',
             _WHAT_OTHER_WORKERS),
    Sabotage("plugin/isolate.py", " and report.nodeid not in self._worker:", ":", _WHAT_OTHER_WORKERS),
)
# fmt: on
