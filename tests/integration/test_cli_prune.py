"""rowhooks prune, and the daemon that prunes by itself."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from rowhooks.cli import call
from rowhooks.runtime import maintenance
from tests.support.daemons import running_daemon
from tests.support.waiting import eventually

Connection = psycopg.Connection[Any]


@pytest.fixture
def history(db: Connection, device: str) -> None:
    """A partition of ten ids that is history, and five changes more, all dealt with and a hundred days old."""
    db.execute("drop table rowhooks.object_change_0, rowhooks.object_change_1000000, rowhooks.object_change_2000000")
    db.execute("select rowhooks.extend_object_change(10, 4)")
    db.execute("insert into dcim.device select n, n from generate_series(1, 14) as n")
    db.execute("update rowhooks.object_change set time = time - interval '100 days'")
    db.execute("insert into dcim.device values (15, 'new')")
    db.execute("update rowhooks.feed set snapshot = pg_current_snapshot()")


def ids(db: Connection) -> list[int]:
    return [id_ for (id_,) in db.execute("select id from rowhooks.object_change order by id")]


def test_prune_drops_whole_partitions_and_deletes_the_rest(
    db: Connection, dsn: str, history: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["prune", "--older-than", "90d", "--dsn", dsn]) == 0
    assert capsys.readouterr().out.splitlines()[1] == "5 changes deleted."
    assert ids(db) == [15]
    assert db.execute("select to_regclass('rowhooks.object_change_0')").fetchone() == (None,)


def test_a_dry_run_says_what_would_go_and_leaves_it(
    db: Connection, dsn: str, history: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["prune", "--older-than", "90d", "--dry-run", "--dsn", dsn]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("1 partition would be dropped")
    assert said[1] == "14 changes would be deleted (those in the partitions among them)."
    assert len(ids(db)) == 15


def test_a_partition_that_somebody_holds_is_named_and_the_exit_code_is_1(
    db: Connection, dsn: str, history: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowhooks.postgres.administration.retention.PATIENCE", 0.0)
    with psycopg.connect(dsn) as writer:
        writer.execute("insert into dcim.device values (16, 'open')")
        assert call(["prune", "--older-than", "90d", "--dsn", dsn]) == 1
    assert "Partition object_change_0 stays for now" in capsys.readouterr().out


def test_the_daemon_s_role_may_prune(
    db: Connection, daemon_dsn: str, history: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["prune", "--older-than", "90d", "--dsn", daemon_dsn]) == 0
    assert ids(db) == [15]


@pytest.mark.parametrize("text", ["ninety days", "-1d", ""])
def test_a_wrong_span_is_refused(dsn: str, device: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["prune", "--older-than", text, "--dsn", dsn]) == 2
    assert capsys.readouterr().err != ""


async def test_the_daemon_prunes_the_log_by_itself(
    db: Connection, daemon_dsn: str, history: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "PRUNE_INTERVAL", 0.05)
    async with running_daemon(daemon_dsn, change_retention=90):
        await eventually(lambda: ids(db) == [15])


async def test_a_daemon_that_is_to_keep_everything_prunes_nothing(
    db: Connection, daemon_dsn: str, history: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(maintenance, "PRUNE_INTERVAL", 0.01)
    monkeypatch.setattr(maintenance, "EXTEND_INTERVAL", 0.02)
    db.execute("select setval('rowhooks.object_change_id_seq', 5000000)")
    async with running_daemon(daemon_dsn, change_retention=0):
        db.execute("insert into dcim.device values (16, 'far')")
        # Proof that it has been at it: what fell into the default partition is moved out whatever is kept.
        await eventually(lambda: db.execute("select count(*) from rowhooks.object_change_default").fetchone() == (0,))
    assert len(ids(db)) == 16


def test_prune_sees_what_others_commit_whatever_the_database_s_default(db: Connection, dsn: str, history: None) -> None:
    with psycopg.connect(dsn) as conn:
        db.execute(
            sql.SQL("alter database {} set default_transaction_isolation = 'repeatable read'").format(
                sql.Identifier(conn.info.dbname)
            )
        )
    assert call(["prune", "--older-than", "90d", "--dsn", dsn]) == 0
    assert ids(db) == [15]
