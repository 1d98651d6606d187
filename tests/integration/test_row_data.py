"""What a run keeps and logs of an error has no values of rows: parameters of statements, and what the server quotes."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy

from rowhooks import JobHookReceiver, ObjectChange
from rowhooks.observability.logs import JsonFormatter, MessageFormatter, TextFormatter
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]
SECRET = "kept-in-the-row"


class Violates(JobHookReceiver):
    """Executes a statement with the row's values; logs the error, and raises it."""

    statement: ClassVar[str] = ""

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        try:
            self.session.execute(sqlalchemy.text(self.statement), {"serial": changed_object.serial})
        except sqlalchemy.exc.DBAPIError:
            self.logger.exception("the statement failed")
            raise


class ViolatesLater(JobHookReceiver):
    """The same in an asynchronous receiver."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        await self.session.execute(sqlalchemy.text(Violates.statement), {"serial": changed_object.serial})


@pytest.mark.parametrize("receiver", [Violates, ViolatesLater])
@pytest.mark.parametrize("statement", [
    "insert into dcim.ledger (serial) values (:serial)",
    "insert into dcim.ledger (serial, amount) values (:serial, null)",
    "update dcim.device set id = id / 0 where serial = :serial",
    "select * from dcim.nowhere where serial = :serial",
])  # fmt: skip
async def test_an_error_keeps_and_logs_no_values_of_the_row(
    db: Connection,
    daemon_dsn: str,
    device: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
    receiver: type,
) -> None:
    monkeypatch.setattr(Violates, "statement", statement)
    db.execute("create table dcim.ledger (serial text unique, amount integer not null default 1)")
    db.execute("grant all on dcim.ledger to rowhooks_daemon")
    db.execute("insert into dcim.ledger (serial) values (%s)", (SECRET,))
    add_hook(db, receiver, device)
    with caplog.at_level(logging.DEBUG):
        async with running_daemon(daemon_dsn, receiver):
            db.execute("insert into dcim.device values (1, 'sw', %s)", (SECRET,))
            await settled(db)
    row = db.execute("select status, exception_message, traceback from rowhooks.job_result").fetchone()
    assert row is not None
    assert row[0] == "FAILURE"
    assert "dcim.ledger" in row[1] or "division by zero" in row[1] or "dcim.nowhere" in row[1]
    kept = [*row[1:], *(text for (text,) in db.execute("select message from rowhooks.job_log_entry").fetchall())]
    assert not any(SECRET in text for text in kept)
    for formatter in (TextFormatter(), JsonFormatter(), MessageFormatter()):
        logged = [formatter.format(record) for record in caplog.records]
        assert any("FAILURE" in line for line in logged)
        assert not any(SECRET in line for line in logged)
