"""The daemon's own log."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from rowhooks.domain.events import Events, RunEnded
from rowhooks.observability.logs import (
    JournalHandler,
    JsonFormatter,
    PriorityFormatter,
    TextFormatter,
    configure_logging,
    priority,
)
from rowhooks.observability.run_logs import log_runs
from tests.support.make import outcome, run


def record(message: str = "run %d ended", *args: Any, exc_info: Any = None, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("rowhooks.pipeline", logging.WARNING, __file__, 1, message, args or (7,), exc_info)
    made.__dict__.update(fields)
    return made


def failure() -> Any:
    try:
        raise ValueError("no good")
    except ValueError:
        return sys.exc_info()


def test_a_text_line_has_time_level_message_and_the_runs_fields() -> None:
    line = TextFormatter().format(record(**run(7).log_fields()))
    time, _, rest = line.partition(" WARNING ")
    assert datetime.strptime(time, "%Y-%m-%d %H:%M:%S,%f")  # noqa: DTZ007
    assert rest == "run 7 ended [run=7 hook=hook 1 table=dcim.device object=sw1]"


def test_a_text_line_of_no_run_has_no_fields() -> None:
    assert TextFormatter().format(record()).endswith("WARNING run 7 ended")


def test_the_fields_stand_on_the_first_line_before_a_traceback() -> None:
    text = TextFormatter().format(record(exc_info=failure(), **run(7).log_fields()))
    first, _, rest = text.partition("\n")
    assert first.endswith("run 7 ended [run=7 hook=hook 1 table=dcim.device object=sw1]")
    assert rest.startswith("  Traceback")
    assert rest.endswith("ValueError: no good")


def test_a_json_line_is_one_object_with_the_runs_fields() -> None:
    text = JsonFormatter().format(record(**run(7).log_fields()))
    assert "\n" not in text
    line = json.loads(text)
    assert datetime.fromisoformat(line.pop("time")).tzinfo is not None
    assert line == {
        "level": "warning",
        "logger": "rowhooks.pipeline",
        "message": "run 7 ended",
        "run": 7,
        "hook": "hook 1",
        "table": "dcim.device",
        "object": "sw1",
    }


def test_a_json_line_of_no_run_has_no_fields() -> None:
    assert set(json.loads(JsonFormatter().format(record()))) == {"time", "level", "logger", "message"}


def test_a_json_line_keeps_a_traceback_on_one_line() -> None:
    text = JsonFormatter().format(record(exc_info=failure()))
    assert "\n" not in text
    assert json.loads(text)["traceback"].endswith("ValueError: no good")


def test_a_json_line_holds_what_json_does_not_know() -> None:
    assert json.loads(JsonFormatter().format(record("%s", "né\n\x00", object=object())))["message"] == "né\n\x00"


SECRET = "tr0ub4dor"


def blank(text: str) -> str:
    return text.replace(SECRET, "***")


def secret_failure() -> Any:
    try:
        raise ValueError(f"no good: {SECRET}")
    except ValueError:
        return sys.exc_info()


def test_a_text_line_is_blanked_with_its_fields_and_its_traceback() -> None:
    made = record("token %s", SECRET, exc_info=secret_failure(), button=f"Send {SECRET}")
    text = TextFormatter(blank).format(made)
    assert SECRET not in text
    assert "WARNING token *** [button=Send ***]\n  Traceback" in text
    assert text.endswith("ValueError: no good: ***")


def test_a_json_line_is_blanked_before_it_becomes_json() -> None:
    made = record("token %s", SECRET, exc_info=secret_failure(), run=7, object=["a", SECRET], button=f"Send {SECRET}")
    # Blanked afterwards, these would be no JSON any more.
    text = JsonFormatter(lambda text: blank(text).replace("***", '"\n\\')).format(made)
    line = json.loads(text)
    assert line["message"] == 'token "\n\\'
    assert (line["run"], line["button"], line["object"]) == (7, 'Send "\n\\', "['a', '\"\n\\']")
    assert line["traceback"].endswith('ValueError: no good: "\n\\')


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """Put the process's logging back as it was."""
    loggers = [logging.getLogger(), logging.getLogger("rowhooks"), logging.getLogger("rowhooks.jobs")]
    before = [(one, list(one.handlers), one.level) for one in loggers]
    yield loggers[0]
    for one, handlers, level in before:
        one.handlers[:] = handlers
        one.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("root")
def test_logging_goes_to_standard_error_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "text")
    logging.getLogger("rowhooks.runtime.daemon").info("ready")
    logging.getLogger("rowhooks.runtime.daemon").debug("not shown")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("INFO    ready\n")
    assert "not shown" not in printed.err


@pytest.mark.usefixtures("root")
def test_logging_goes_to_standard_error_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug", "json")
    logging.getLogger("rowhooks.runtime.daemon").debug("shown")
    assert json.loads(capsys.readouterr().err)["message"] == "shown"


@pytest.mark.usefixtures("root")
def test_a_level_hides_lines_below_it_also_of_receivers(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("error", "text")
    logging.getLogger("rowhooks.jobs").setLevel(logging.DEBUG)
    logging.getLogger("rowhooks.jobs.policies.Serial").warning("not shown")
    logging.getLogger("rowhooks.runtime.daemon").warning("not shown")
    logging.getLogger("sqlalchemy").error("shown")
    assert capsys.readouterr().err.endswith("ERROR   shown\n")


@pytest.mark.usefixtures("root")
def test_debug_does_not_turn_on_the_drivers_chatter(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug", "text")
    logging.getLogger("asyncio").debug("not shown")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("root")
def test_what_a_library_warns_of_is_a_line_of_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        configure_logging("info", "json")
        for _ in range(2):
            warnings.warn("Did not recognize type 'al.odd'", stacklevel=1)
    (line,) = capsys.readouterr().err.splitlines()
    assert "UserWarning: Did not recognize type 'al.odd'" in json.loads(line)["message"]


def test_configuring_twice_does_not_print_twice(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", "text")
    configure_logging("info", "text")
    assert len(root.handlers) == 1
    logging.getLogger("rowhooks").info("once")
    assert capsys.readouterr().err.count("once") == 1


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_is_printed_is_blanked(capsys: pytest.CaptureFixture[str], log_format: str) -> None:
    configure_logging("info", log_format, blank)
    logging.getLogger("rowhooks.runtime.daemon").error("%s", SECRET, exc_info=secret_failure())
    printed = capsys.readouterr().err
    assert SECRET not in printed
    assert "ValueError: no good: ***" in printed


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_line_that_cannot_be_formatted_is_reported_without_its_values(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    class Awkward:
        def __str__(self) -> str:
            raise ValueError(f"no good: {SECRET}")

    configure_logging("info", log_format, blank)
    logging.getLogger("rowhooks.runtime.daemon").info("%d", SECRET)
    logging.getLogger("rowhooks.runtime.daemon").info("%s", Awkward())
    logging.getLogger("rowhooks.runtime.daemon").info("goes on")
    printed = capsys.readouterr().err
    assert SECRET not in printed
    assert printed.count("a log line (") == 2
    assert "test_logs.py, line " in printed
    assert "ValueError: no good: ***" in printed
    assert "goes on" in printed


class Journal:
    """Takes entries as journald does."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []

    def send(self, **fields: Any) -> None:
        self.entries.append(fields)


def test_an_entry_of_the_journal_has_priority_and_the_runs_fields() -> None:
    journal = Journal()
    JournalHandler(journal.send, blank).handle(record(f"run %d met {SECRET}", 7, **run(7).log_fields()))
    (entry,) = journal.entries
    assert {name: entry[name] for name in entry if not name.startswith("code_")} == {
        "message": "run 7 met ***",
        "priority": 4,
        "syslog_identifier": "rowhooks",
        "logger": "rowhooks.pipeline",
        "rowhooks_run": "7",
        "rowhooks_hook": "hook 1",
        "rowhooks_table": "dcim.device",
        "rowhooks_object": "sw1",
    }


def test_a_traceback_is_part_of_the_entrys_message() -> None:
    journal = Journal()
    JournalHandler(journal.send).handle(record(exc_info=failure()))
    assert journal.entries[0]["message"].endswith("ValueError: no good")


def test_an_entry_that_the_journal_does_not_take_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(**fields: Any) -> None:
        raise OSError(SECRET)

    JournalHandler(refuse, blank).handle(record())
    printed = capsys.readouterr().err
    assert "is lost" in printed
    assert SECRET not in printed


def test_each_line_has_its_priority_where_there_are_no_fields() -> None:
    text = PriorityFormatter().format(record(exc_info=failure()))
    assert text.startswith("<4>run 7 ended\n<4>  Traceback")
    assert all(line.startswith("<4>") for line in text.splitlines())


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (logging.CRITICAL, 2),
        (logging.ERROR, 3),
        (logging.WARNING, 4),
        (25, 6),
        (logging.INFO, 6),
        (logging.DEBUG, 7),
        (5, 7),
    ],
)
def test_each_level_has_a_priority(level: int, expected: int) -> None:
    assert priority(level) == expected


def test_the_format_fits_where_standard_error_goes(tmp_path: Path) -> None:
    with (tmp_path / "err").open("w") as file:
        status = os.fstat(file.fileno())
        stream = f"{status.st_dev}:{status.st_ino}"

        def fitting(**more: str) -> str:
            code = "import os; from rowhooks.observability.logs import _fitting; print(_fitting(os.environ))"
            done = subprocess.run(
                [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=file, text=True, check=True,
                env={**os.environ, **more},
            )  # fmt: skip
            return done.stdout.strip()

        assert fitting(JOURNAL_STREAM=stream) == "journal"
        # Of a service whose standard error goes elsewhere, and of what it starts.
        assert fitting(JOURNAL_STREAM="1:2") == "json"
        assert fitting() == "json"


def test_runs_that_end_are_logged_at_level_debug_and_cost_nothing_at_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quiet, events, logger = Events(), Events(), "rowhooks.observability.run_logs"
    caplog.set_level(logging.INFO, logger)
    log_runs(quiet)
    # An event that nobody wants is not made.
    assert RunEnded not in quiet.wanted
    caplog.set_level(logging.DEBUG, logger)
    log_runs(events)
    events.publish(RunEnded(outcome(run(1))))
    assert [record.getMessage() for record in caplog.records] == ["run 1 of policies.Serial: SUCCESS"]
