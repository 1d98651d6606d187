"""Databases whose encoding is not UTF-8: what one cannot hold is replaced, and costs no run and no line of others."""

from __future__ import annotations

import contextlib
import json
import logging
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
import pytest
import sqlalchemy
from psycopg import sql
from psycopg.conninfo import make_conninfo

from rowhooks import Hook, JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.cli import call
from rowhooks.domain.errors import RowhooksError
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.connections.command import NO_UTF8
from rowhooks.postgres.connections.target import Target
from tests.support.daemons import DAEMON_LOGIN, running_daemon
from tests.support.hooks import add_button
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

ODD = "é\u2212\uac02 🙂 \x00 \ud800 \\u0000 \\x81"
HELD = {
    # The minus sign is in Python's EUC_JP and not in PostgreSQL's, the syllable in Python's EUC_KR alone.
    "UTF8": "é\u2212\uac02 🙂 \ufffd ? \\u0000 \\x81",
    "SQL_ASCII": "é\u2212\uac02 🙂 \ufffd ? \\u0000 \\x81",
    "LATIN1": "é\\u2212\\uac02 \\U0001f642 \\ufffd ? \\u0000 \\x81",
    "WIN1252": "é\\u2212\\uac02 \\U0001f642 \\ufffd ? \\u0000 \\x81",
    "EUC_JP": "é\\u2212\\uac02 \\U0001f642 \\ufffd ? \\u0000 \\x81",
    "EUC_KR": "\\xe9\\u2212\\uac02 \\U0001f642 \\ufffd ? \\u0000 \\x81",
    "EUC_TW": "\\xe9\\u2212\\uac02 \\U0001f642 \\ufffd ? \\u0000 \\x81",
}


class Returning(JobHookReceiver):
    """Returns it, and logs it."""

    class Meta:
        name = f"Returns {ODD}"
        description = ODD
        grouping = ODD
        hooks = (Hook("public.note", actions=["create"], name=f"hook {ODD}"),)

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.logger.info("%s", ODD, extra={"grouping": ODD, "object": changed_object})
        return {"é": [ODD]}


class Raising(JobHookReceiver):
    """Raises it, after it has logged it."""

    class Meta:
        hooks = (Hook("public.note", actions=["create"], name="raising"),)

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.logger.info(ODD)
        raise ValueError(ODD)


class Writing(JobHookReceiver):
    """Writes in its transaction, beside which the result is recorded."""

    class Meta:
        hooks = (Hook("public.note", actions=["create"], name="writing"),)

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        self.session.execute(sqlalchemy.text("select 1"))
        self.logger.info(ODD)
        return ODD


class Neighbour(JobHookReceiver):
    """Logs a line beside theirs."""

    class Meta:
        hooks = (Hook("public.note", actions=["create"], name="neighbour"),)

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> str:
        self.logger.info("plain")
        return "plain"


class Ünheld漢(JobHookReceiver):
    """Its name is not in every encoding."""

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None: ...


class Pressed(JobButtonReceiver):
    """Logs who pressed."""

    async def receive_job_button(self, obj: Any) -> str:
        return str(obj.name)


class Witness(JobHookReceiver):
    """Remembers what it saw."""

    seen: ClassVar[list[tuple[ObjectChange, Any]]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append((change, changed_object))


@contextlib.contextmanager
def database(dsn: str, maintenance: str, encoding: str) -> Iterator[str]:
    name = f"odd_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(make_conninfo(dsn, dbname=maintenance), autocommit=True) as admin:
        admin.execute(
            sql.SQL("create database {} encoding {} lc_collate 'C' lc_ctype 'C' template template0").format(
                sql.Identifier(name), sql.Literal(encoding)
            )
        )
        try:
            yield make_conninfo(dsn, dbname=name)
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def installed(dsn: str) -> None:
    install(Target(dsn), Roles())
    with psycopg.connect(dsn, autocommit=True, client_encoding="UTF8") as conn:
        conn.execute("create table note (id integer primary key, name text not null, tags text[], doc jsonb)")
        conn.execute("select rowhooks.track('note')")
        conn.execute("grant select, insert, update, delete on note to rowhooks_daemon")


@pytest.mark.parametrize("encoding", HELD)
async def test_what_a_database_cannot_hold_is_replaced(
    encoding: str, dsn: str, server: Any, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    held = HELD[encoding]
    receivers = (Returning, Raising, Writing, Neighbour, Ünheld漢)
    with database(dsn, server.maintenance_dbname, encoding) as own:
        installed(own)
        with psycopg.connect(own, autocommit=True, client_encoding="UTF8") as db:
            async with running_daemon(make_conninfo(own, user=DAEMON_LOGIN), *receivers):
                db.execute("update rowhooks.job set enabled = true")
                db.execute("insert into note values (1, 'tea')")
                await settled(db)
            found = {
                name: rest
                for name, *rest in db.execute(
                    "select hook_name, status, result, exception_message from rowhooks.job_result"
                ).fetchall()
            }
            assert found == {
                f"hook {held}": ["SUCCESS", {"é" if "é" in held else "\\xe9": [held]}, None],
                "raising": ["FAILURE", None, held],
                "writing": ["SUCCESS", held, None],
                "neighbour": ["SUCCESS", "plain", None],
            }
            lines = db.execute("select message, grouping from rowhooks.job_log_entry order by 1").fetchall()
            assert sorted(lines) == sorted([(held, held), (held, ""), (held, ""), ("plain", "")])
            job = db.execute("select name, description, grouping from rowhooks.job where name ~ 'Returns'").fetchone()
            assert job == (f"Returns {held}", held, held)
            is_known = db.execute("select count(*) from rowhooks.job where class_path ~ 'nheld'").fetchone() == (1,)
        assert is_known == (encoding in ("UTF8", "SQL_ASCII", "EUC_JP"))
        assert is_known != any("rename them" in record.getMessage() for record in caplog.records)
        capsys.readouterr()
        assert call(["results", "list", "--json", "--dsn", own]) == 0
        assert {row["exception_message"] for row in json.loads(capsys.readouterr().out)} == {None, held}
        assert call(["doctor", "--dsn", own]) in (0, 1)


def test_a_database_that_has_no_utf_8_is_refused_with_a_sentence(dsn: str, server: Any) -> None:
    with (
        database(dsn, server.maintenance_dbname, "MULE_INTERNAL") as own,
        pytest.raises(RowhooksError, match="MULE_INTERNAL") as raised,
    ):
        install(Target(own), Roles())
    assert raised.value.hint == NO_UTF8


@pytest.mark.parametrize("encoding", ["SQL_ASCII"])
async def test_a_row_whose_bytes_are_no_utf_8_is_seen_with_these_replaced(
    encoding: str, dsn: str, server: Any, caplog: pytest.LogCaptureFixture
) -> None:
    Witness.seen.clear()
    caplog.set_level(logging.WARNING)
    with database(dsn, server.maintenance_dbname, encoding) as own:
        installed(own)
        with psycopg.connect(own, autocommit=True, client_encoding="UTF8") as db:
            add_button(db, Pressed, "note", roles=["public"])
            db.execute(
                "insert into rowhooks.job (class_path, kind, name, enabled) values (%s, 'hook', 'Witness', true)",
                (f"{Witness.__module__}.Witness",),
            )
            conditions = '{"attr": "name", "op": "regex", "value": "^caf"}'
            add = ["hooks", "add", "w", "--job", "Witness", "--table", "note", "--on", "create"]
            assert call([*add, "--conditions", conditions, "--dsn", own]) == 0
            async with running_daemon(make_conninfo(own, user=DAEMON_LOGIN), Witness, Pressed):
                db.execute(r"""do $$ begin execute e'insert into note values
                  (1, ''caf\351'', array[''\351 \303\266''], ''{"a": "\351"}''), (2, ''caf\303\251'', null, null)';
                end $$""")
                await settled(db)
                assert call(["press", "Pressed", "note", "1", "--dsn", own]) == 0
                await settled(db)
            results = db.execute("select status, result from rowhooks.job_result order by id").fetchall()
    assert results[-1] == ("SUCCESS", "caf\ufffd")
    seen = {change.changed_object_id["id"]: (change, row) for change, row in Witness.seen}
    change, row = seen[1]
    assert change.postchange == {"id": 1, "name": "caf\ufffd", "tags": ["\ufffd ö"], "doc": {"a": "\ufffd"}}
    assert "no text" in (change.capture_error or "")
    assert (row.name, row.tags, row.doc) == ("caf\ufffd", ["\ufffd ö"], {"a": "\ufffd"})
    change, row = seen[2]
    assert (change.capture_error, change.postchange["name"], row.name) == (None, "café", "café")  # type: ignore[index]
