"""Sabotages of what is told: an escape that is missing, a field that is lost, a file that is half written."""

from __future__ import annotations

from planned import Sabotage

_TERMINAL = "plugin/test_messages.py::test_a_hostile_name_can_do_nothing_to_the_terminal"
_COMMANDS = "report/test_formats.py::test_no_name_starts_a_workflow_command"
_MARKUP = "report/test_formats.py::test_hostile_names_are_no_markup_in_markdown"

# fmt: off
REPORTS: tuple[Sabotage, ...] = (
    Sabotage("report/plain.py", "if text.isprintable():", "if text:",
             "core/test_text.py::test_nothing_can_move_the_cursor_or_break_the_encoding"),
    Sabotage("report/plain.py", "else repr(char)[1:-1] for char", "else '?' for char",
             "core/test_text.py::test_nothing_can_move_the_cursor_or_break_the_encoding"),
    Sabotage("report/text.py", "{printable(value)}\" for label", "{value}\" for label", _TERMINAL),
    Sabotage("report/text.py", 'return printable(f"{word} {finding.kind}', 'return str(f"{word} {finding.kind}',
             "report/test_formats.py::test_the_terminal_gets_harmless_text"),
    Sabotage("report/text.py", '        ("due", finding.due),\n', "",
             "core/test_text.py::test_the_message_of_one_finding"),
    Sabotage("report/markdown.py", "#!|~&@$])", "#!|~&$])", _MARKUP),
    Sabotage("report/markdown.py", '"<": "&lt;",', '"<": "<",',
             "report/test_formats.py::test_nothing_of_a_name_is_an_angle_bracket_in_markdown"),
    Sabotage("report/markdown.py", 'plain = plain.replace("|", "\\\\|")', "pass", _MARKUP),
    Sabotage("report/markdown.py", '"`" * max(3, 1 + max(', '"`" * min(3, 1 + max(', _MARKUP),
    Sabotage("report/markdown.py", "if used + len(text) > MOST_CHARACTERS:", "if False:",
             "report/test_formats.py::test_the_markdown_summary_stays_below_what_a_job_page_takes"),
    Sabotage("report/html/markup.py", "return escape(clipped(str(text), most))", "return clipped(str(text), most)",
             "report/test_formats.py::test_hostile_names_are_no_markup_in_html"),
    Sabotage("report/html/markup.py", "{escape(code_line(text)) or", "{code_line(text) or",
             "report/test_formats.py::test_hostile_names_are_no_markup_in_html"),
    Sabotage("report/github.py", '.replace("\\n", "%0A")', "", _COMMANDS),
    Sabotage("report/github.py", '.replace(",", "%2C")', "", _COMMANDS),
    Sabotage("report/github.py", "groups[: MOST_OF_A_LEVEL - 1]", "groups[:MOST_OF_A_LEVEL]",
             "report/test_formats.py::test_github_gets_no_more_annotations_than_it_shows"),
    Sabotage("report/gitlab.py", 'group.fingerprint.encode("utf-8", "backslashreplace")', "group.fingerprint.encode()",
             "report/test_formats.py::test_a_writer_changes_nothing_and_gives_text_that_any_file_takes"),
    Sabotage("report/sarif.py", "if group.disposition in _LET_PASS:", "if False:",
             "report/test_formats.py::test_sarif_levels_and_suppressions_follow_the_disposition"),
    Sabotage("report/sarif.py",
             'return quote(path.encode("utf-8", "surrogateescape" if _is_text(path) else "backslashreplace"))',
             "return path", "report/test_formats.py::test_a_file_name_that_is_no_text_is_a_valid_uri"),
    Sabotage("report/sarif.py", '"ruleIndex": index,', '"ruleIndex": index + 1,',
             "report/test_formats.py::test_a_sarif_result_points_at_the_acquisition"),
    Sabotage("report/files.py", "os.unlink(beside)", "pass",
             "core/test_data.py::test_a_folder_in_the_place_of_the_file_is_an_os_error"),
    Sabotage("report/files.py", "os.replace(beside, path)", "os.replace(beside, beside)",
             "core/test_data.py::test_missing_folders_are_made"),
    Sabotage("plugin/writing.py", 'errors.append(f"report', 'str(f"report',
             "plugin/test_options.py::test_a_report_that_cannot_be_written_is_told_and_changes_nothing_else"),
    Sabotage("report/junit.py", "return [(name, clipped(value)) for", "return [(name, value) for",
             "plugin/test_reports.py::test_hostile_names_of_a_real_run_are_harmless_everywhere"),
    Sabotage("plugin/sampling.py", "_real.thread_count() + 1", "_real.thread_count()",
             "plugin/test_reports.py::test_the_timeline_follows_what_the_tests_leave"),
    Sabotage("plugin/summary.py", 'terminal.write_line(f"leakguard: {clipped(error)}", red=True)', "pass",
             "plugin/test_hooks.py::test_a_broken_hook_is_reported_and_the_run_goes_on"),
    Sabotage("plugin/tally.py", "                *hook.failures(),\n", "",
             "plugin/test_own_errors.py::test_results_stay_what_they_are"),
)
# fmt: on
