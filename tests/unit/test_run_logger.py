"""`self.logger`: the standard logging API, into the run's log and the daemon's own."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from rowhooks.domain.row_types import RowType, describe_rows
from rowhooks.domain.run import LogEntry
from rowhooks.pipeline.execution.run_log import RunLog, current_log
from rowhooks.receivers.logger import FAILURE, SUCCESS, RunLogger, collect_entries, modules_heard
from tests.support.make import run


class Entries(list[LogEntry]):
    """A run's log whose lines stand where a test can look at them."""

    add = list.append
    note = RunLog.note


@pytest.fixture
def entries() -> Entries:
    return Entries()


@pytest.fixture
def logger(entries: Entries) -> RunLogger:
    collect_entries()
    return RunLogger("policies.Serial", run(7).log_fields(), entries)  # type: ignore[arg-type]


class Device:
    def __str__(self) -> str:
        return "sw1"


describe_rows(RowType(Device, "dcim.device"))


def lines(entries: Entries) -> list[tuple[str, str]]:
    return [(entry.level, entry.message) for entry in entries]


@pytest.mark.parametrize("level", ["debug", "info", "success", "warning", "failure", "error", "critical"])
def test_every_level_has_a_method_and_is_kept(logger: RunLogger, entries: Entries, level: str) -> None:
    before = datetime.now(UTC)
    getattr(logger, level)("%s is %d", "one", 1)
    assert lines(entries) == [(level, "one is 1")]
    assert before <= entries[0].time <= datetime.now(UTC)
    assert (entries[0].grouping, entries[0].object_type, entries[0].object_repr) == ("", None, None)


@pytest.mark.parametrize(
    ("number", "level"), [(1, "debug"), (15, "debug"), (27, "success"), (45, "error"), (99, "critical")]
)
def test_a_level_without_a_name_counts_as_the_next_lower_one(
    logger: RunLogger, entries: Entries, number: int, level: str
) -> None:
    logger.setLevel(1)
    logging.getLogger("rowhooks.jobs").setLevel(1)
    logger.log(number, "text")
    logging.getLogger("rowhooks.jobs").setLevel(logging.DEBUG)
    assert lines(entries) == [(level, "text")]


def test_success_and_failure_lie_where_people_filter() -> None:
    assert logging.INFO < SUCCESS < logging.WARNING < FAILURE < logging.ERROR


def test_extra_names_the_object_and_the_grouping(logger: RunLogger, entries: Entries) -> None:
    logger.info("fixed", extra={"object": Device(), "grouping": "serials"})
    assert (entries[0].grouping, entries[0].object_type, entries[0].object_repr) == ("serials", "dcim.device", "sw1")


def test_any_object_may_be_named(logger: RunLogger, entries: Entries) -> None:
    logger.info("fixed", extra={"object": 42})
    assert (entries[0].object_type, entries[0].object_repr) == (None, "42")


def test_skip_db_logging_keeps_a_line_out_of_the_runs_log_only(
    logger: RunLogger, entries: Entries, caplog: pytest.LogCaptureFixture
) -> None:
    logger.warning("a secret of the daemon's", extra={"skip_db_logging": True})
    logger.warning("for both", extra={"skip_db_logging": False})
    assert lines(entries) == [("warning", "for both")]
    assert caplog.messages == ["a secret of the daemon's", "for both"]


def test_the_daemons_log_gets_the_runs_fields(logger: RunLogger, caplog: pytest.LogCaptureFixture) -> None:
    logger.warning("fixed", extra={"object": Device(), "ticket": "T-1"})
    record: Any = caplog.records[0]
    assert (record.run, record.hook, record.table, record.object, record.ticket) == (
        7, "hook 1", "dcim.device", "sw1", "T-1",
    )  # fmt: skip
    assert record.name == "rowhooks.jobs.policies.Serial"


def test_an_exception_is_kept_with_its_traceback(logger: RunLogger, entries: Entries) -> None:
    try:
        raise ValueError("no good")
    except ValueError as error:
        logger.exception("it went wrong")
        logger.warning("given", exc_info=error)
    assert [entry.level for entry in entries] == ["error", "warning"]
    for entry, first in zip(entries, ["it went wrong", "given"], strict=True):
        assert entry.message.startswith(f"{first}\nTraceback (most recent call last):\n")
        assert entry.message.endswith("ValueError: no good")


def test_exc_info_without_an_exception_is_no_error(logger: RunLogger, entries: Entries) -> None:
    logger.error("nothing was raised", exc_info=True)
    assert entries[0].message.startswith("nothing was raised")


@pytest.mark.parametrize("level", ["WARNING", "warning", logging.WARNING])
def test_set_level_leaves_lower_lines_out(logger: RunLogger, entries: Entries, level: int | str) -> None:
    logger.setLevel(level)
    logger.info("not kept")
    logger.success("not kept")
    logger.warning("kept")
    assert lines(entries) == [("warning", "kept")]
    assert logger.getEffectiveLevel() == logging.WARNING
    assert not logger.isEnabledFor(logging.INFO)
    assert logger.isEnabledFor(logging.WARNING)


def test_set_level_knows_success_and_failure(logger: RunLogger, entries: Entries) -> None:
    logger.setLevel("failure")
    logger.warning("not kept")
    logger.failure("kept")
    assert lines(entries) == [("failure", "kept")]


def test_an_unknown_level_is_refused_by_name(logger: RunLogger) -> None:
    with pytest.raises(ValueError, match="LOUD"):
        logger.setLevel("LOUD")


def test_one_runs_level_is_not_anothers(logger: RunLogger) -> None:
    others = Entries()
    other = RunLogger("policies.Serial", run(8).log_fields(), others)  # type: ignore[arg-type]
    logger.setLevel("CRITICAL")
    other.info("kept")
    assert lines(others) == [("info", "kept")]


def test_lines_of_two_runs_of_one_class_do_not_mix(logger: RunLogger, entries: Entries) -> None:
    others = Entries()
    other = RunLogger("policies.Serial", run(8).log_fields(), others)  # type: ignore[arg-type]
    logger.info("mine")
    other.info("theirs")
    assert (lines(entries), lines(others)) == ([("info", "mine")], [("info", "theirs")])


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("cannot be printed")


@pytest.mark.parametrize(
    ("message", "arguments", "extra"),
    [
        ("%d devices", ("three",), {}),
        ("%s and %s", ("one",), {}),
        ("no place", ("one",), {}),
        ("%s", (Unprintable(),), {}),
        (Unprintable(), (), {}),
        ("text", (), {"object": Unprintable()}),
        ("text", (), {"grouping": Unprintable()}),
    ],
)
def test_a_line_that_cannot_be_formatted_does_not_fail_the_run(
    logger: RunLogger,
    entries: Entries,
    monkeypatch: pytest.MonkeyPatch,
    message: Any,
    arguments: tuple[Any, ...],
    extra: dict[str, Any],
) -> None:
    # pytest's own handler lets such errors through, to fail the test.
    monkeypatch.setattr(logging.getLogger("rowhooks.jobs"), "propagate", False)
    logger.info(message, *arguments, extra=extra)
    logger.info("and on it goes")
    assert [line[0] for line in lines(entries)] == ["warning", "info"]
    assert re.fullmatch(r"a line of .*test_run_logger.py:\d+ cannot be shown: \w+Error", lines(entries)[0][1])


@pytest.mark.parametrize("name", ["run", "hook", "table", "rowhooks_log"])
def test_extra_cannot_overwrite_the_runs_fields(
    logger: RunLogger, entries: Entries, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    logger.warning("text", extra={name: "given"})
    assert lines(entries) == [("warning", "text")]
    assert getattr(caplog.records[0], name) != "given"


def test_collecting_is_begun_once(logger: RunLogger, entries: Entries) -> None:
    collect_entries()
    logger.info("once")
    assert lines(entries) == [("info", "once")]


def test_lines_of_no_run_are_in_no_runs_log(entries: Entries) -> None:
    collect_entries()
    logging.getLogger("rowhooks.jobs.policies").warning("at import")
    assert entries == []


# The rest of the standard logger.


@pytest.mark.parametrize(("method", "level"), [("fatal", "critical"), ("warn", "warning")])
def test_the_standard_loggers_other_names_for_its_levels(
    logger: RunLogger, entries: Entries, method: str, level: str, recwarn: pytest.WarningsRecorder
) -> None:
    getattr(logger, method)("%s", "text")
    assert lines(entries) == [(level, "text")]
    assert not recwarn


@pytest.mark.parametrize("method", ["info", "success", "failure", "fatal", "warn"])
def test_a_line_is_the_callers_and_not_one_of_rowhooks(
    logger: RunLogger, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    getattr(logger, method)("text")
    assert (caplog.records[0].pathname, caplog.records[0].funcName) == (
        __file__, "test_a_line_is_the_callers_and_not_one_of_rowhooks",
    )  # fmt: skip


def test_a_child_logs_for_the_same_run(logger: RunLogger, entries: Entries, caplog: pytest.LogCaptureFixture) -> None:
    logger.extra = {"grouping": "serials"}
    logger.setLevel("INFO")
    child = logger.getChild("helper")
    child.debug("left out")
    child.info("kept")
    assert [(entry.message, entry.grouping) for entry in entries] == [("kept", "serials")]
    assert caplog.records[0].name == child.name == "rowhooks.jobs.policies.Serial.helper"


def test_what_extra_holds_counts_for_all_lines_that_follow(logger: RunLogger, entries: Entries) -> None:
    logger.extra = {"object": Device(), "grouping": "serials"}
    logger.info("one")
    logger.info("two", extra={"grouping": "names"})
    assert [(e.message, e.object_repr, e.object_type, e.grouping) for e in entries] == [
        ("one", "sw1", "dcim.device", "serials"), ("two", "sw1", "dcim.device", "names"),
    ]  # fmt: skip


def test_an_adapter_may_stand_before_the_logger(logger: RunLogger, entries: Entries) -> None:
    logging.LoggerAdapter(logger, {"object": Device()}).warning("seen")
    assert (entries[0].message, entries[0].object_type) == ("seen", "dcim.device")


def test_level_and_disabled_are_the_runs_own(logger: RunLogger, entries: Entries) -> None:
    logger.level = logging.ERROR
    logger.warning("too low")
    logger.disabled = True
    logger.error("disabled")
    other = RunLogger("policies.Serial", {}, entries)  # type: ignore[arg-type]
    other.debug("of another run")
    assert (logger.level, other.level, other.disabled) == (logging.ERROR, logging.DEBUG, False)
    assert lines(entries) == [("debug", "of another run")]


def test_a_record_of_another_process_becomes_a_line(logger: RunLogger, entries: Entries) -> None:
    record = logging.makeLogRecord({"msg": "%s of 2", "args": (1,), "levelno": logging.INFO, "levelname": "INFO"})
    logger.handle(record)
    assert lines(entries) == [("info", "1 of 2")]
    assert vars(record)["run"] == 7


def test_what_all_runs_share_can_be_seen_and_not_changed(logger: RunLogger) -> None:
    assert (logger.handlers, logger.filters, logger.propagate) == ((), (), True)
    assert logger.hasHandlers()
    assert (logger.parent, logger.root) == (logging.getLogger("rowhooks.jobs.policies"), logging.getLogger())
    for name in ("handlers", "filters", "propagate", "parent"):
        with pytest.raises(AttributeError, match=rf"self\.logger\.{name} cannot be set: all runs .* share it"):
            setattr(logger, name, [])


def test_every_name_of_the_standard_logger_works_or_is_refused_with_the_reason(logger: RunLogger) -> None:
    standard = logging.Logger("any")
    refused = set()
    for name in {*dir(standard), *vars(standard)}:
        if name.startswith("_"):
            continue
        try:
            getattr(logger, name)
        except AttributeError as error:
            refused.add((name, "all runs of the receiver share it" in str(error)))
    assert refused == {
        (name, True)
        for name in (
            "addHandler", "removeHandler", "addFilter", "removeFilter", "filter", "callHandlers", "makeRecord",
            "findCaller", "getChildren",
        )
        if hasattr(standard, name)  # `getChildren` is there from Python 3.12 on
    }  # fmt: skip
    with pytest.raises(AttributeError, match="has no attribute 'informieren'"):
        logger.informieren  # noqa: B018


# Loggers of receivers' modules.


@pytest.fixture
def of_run() -> Iterator[RunLog]:
    log = RunLog(fields=run(7).log_fields)
    token = current_log.set(log)
    yield log
    current_log.reset(token)


def messages(log: RunLog) -> list[tuple[str, str]]:
    return [(entry.level, entry.message) for entry in log.take()]


def test_the_loggers_of_a_receivers_module_and_of_its_packages_are_heard(of_run: RunLog) -> None:
    with modules_heard(["acme.policies.serial"]):
        for name in ("acme", "acme.policies", "acme.policies.serial", "acme.policies.serial.deep", "acme.client"):
            logging.getLogger(name).info(name)
        logging.getLogger("acmexyz").error("another's")
        logging.getLogger("rowhooks.runtime").error("the daemon's")
    logging.getLogger("acme").error("no more")
    assert [message for _, message in messages(of_run)] == [
        "acme", "acme.policies", "acme.policies.serial", "acme.policies.serial.deep", "acme.client",
    ]  # fmt: skip


def test_modules_have_the_levels_that_they_say(of_run: RunLog) -> None:
    quiet, loud = logging.getLogger("acme.quiet"), logging.getLogger("acme.loud")
    with modules_heard(["acme.quiet", "acme.loud"]):
        quiet.setLevel(logging.ERROR)
        loud.setLevel(logging.DEBUG)
        for one in (quiet, loud):
            one.debug("debug")
            one.warning("warning")
            one.log(logging.CRITICAL, "critical")
    quiet.setLevel(logging.NOTSET)
    loud.setLevel(logging.NOTSET)
    assert messages(of_run) == [
        ("critical", "critical"), ("debug", "debug"), ("warning", "warning"), ("critical", "critical"),
    ]  # fmt: skip
    assert logging.getLogger("acme").level == logging.NOTSET


def test_a_module_that_does_not_propagate_is_heard_once(of_run: RunLog) -> None:
    alone = logging.getLogger("acme.alone")
    alone.propagate = False
    with modules_heard(["acme.alone"]):
        alone.info("once")
    alone.propagate = True
    assert messages(of_run) == [("info", "once")]


def test_a_line_of_a_module_has_the_runs_fields_in_the_daemons_log_and_stands_there_once(
    of_run: RunLog, caplog: pytest.LogCaptureFixture
) -> None:
    with modules_heard(["acme.policies"]):
        logging.getLogger("acme.policies").warning("seen", extra={"table": "its own"})
    (record,) = caplog.records
    assert (vars(record)["run"], vars(record)["hook"], vars(record)["table"]) == (7, "hook 1", "its own")


def test_a_module_may_name_a_row_and_keep_a_line_to_the_daemon(of_run: RunLog) -> None:
    with modules_heard(["acme.policies"]):
        logging.getLogger("acme.policies").warning("seen", extra={"object": Device(), "grouping": "x"})
        logging.getLogger("acme.policies").warning("not here", extra={"skip_db_logging": True})
    (entry,) = of_run.take()
    assert (entry.object_type, entry.object_repr, entry.grouping) == ("dcim.device", "sw1", "x")


def test_a_line_of_no_run_is_in_no_runs_log() -> None:
    with modules_heard(["acme.policies"]):
        logging.getLogger("acme.policies").warning("at import")
