"""A tracked table gets another owner: who adds partitions, and whether the former one can be dropped."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rowhooks.postgres.administration.doctor import examine
from rowhooks.runtime import maintenance
from tests.support.daemons import running_daemon
from tests.support.mends import run_as_printed
from tests.support.waiting import eventually

Connection = psycopg.Connection[Any]

HANDING_OVER = [
    "alter table depot.box owner to heir",
    "reassign owned by former to heir",
    # A superuser needs no right on the function, and the former owner keeps his.
    "alter table depot.box owner to current_user",
]


@pytest.fixture
def box(db: Connection) -> str:
    """A tracked partitioned table of role `former`; role `heir` may create beside it."""
    db.execute("create role former login; create role heir login")
    db.execute("create schema depot; grant all on schema depot to former, heir")
    db.execute("create table depot.box (id integer primary key) partition by range (id)")
    db.execute("alter table depot.box owner to former")
    db.execute("select rowhooks.track('depot.box')")
    return "depot.box"


@pytest.fixture
def unseen(db: Connection) -> None:
    """No event trigger sees what is done."""
    for name in ("after_ddl", "after_drop"):
        db.execute(f"alter event trigger rowhooks_{name} disable")


def findings(db: Connection) -> list[tuple[str, str]]:
    return [(one.what, one.way_out) for one in examine(db) if one.level == "problem"]


def is_followed(db: Connection, dsn: str, how: str) -> None:
    """See that the new owner adds partitions and the former one can be dropped."""
    owner = {} if "current_user" in how else {"user": "heir"}
    with psycopg.connect(make_conninfo(dsn, **owner), autocommit=True) as conn:
        conn.execute("create table depot.box_1 partition of depot.box for values from (0) to (10)")
        conn.execute("insert into depot.box values (1)")
    assert db.execute("select count(*) from rowhooks.object_change").fetchone() == (1,)
    db.execute("revoke all on schema depot from former")
    db.execute("drop role former")


# PostgreSQL has no event trigger for REASSIGN OWNED.
@pytest.mark.parametrize("how", [how for how in HANDING_OVER if how.startswith("alter")])
def test_event_triggers_follow_a_change_of_owner(db: Connection, dsn: str, box: str, how: str) -> None:
    db.execute(how.encode())
    assert findings(db) == []
    is_followed(db, dsn, how)


@pytest.mark.parametrize("how", HANDING_OVER)
def test_without_event_triggers_doctor_names_it_and_the_command_mends_it(
    db: Connection, dsn: str, daemon_dsn: str, box: str, unseen: None, how: str
) -> None:
    db.execute(how.encode())
    ((what, way_out),) = findings(db)
    owner = "heir, who cannot add partitions" if "heir" in how else db.info.user
    assert what.replace(" now, who", ", who").replace(" now;", ";") == (
        f"rowhooks has not followed that {box} belongs to {owner}; former cannot be dropped"
    )
    run_as_printed(way_out, daemon_dsn)
    assert findings(db) == []
    is_followed(db, dsn, how)


async def test_without_event_triggers_the_daemon_follows_it(
    db: Connection, dsn: str, daemon_dsn: str, box: str, unseen: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "EXTEND_INTERVAL", 0.05)
    async with running_daemon(daemon_dsn):
        db.execute(HANDING_OVER[0].encode())
        await eventually(lambda: findings(db) == [])
    is_followed(db, dsn, HANDING_OVER[0])


def test_drop_owned_by_the_former_owner_leaves_the_new_one_what_he_needs(
    db: Connection, dsn: str, daemon_dsn: str, box: str, unseen: None
) -> None:
    db.execute(HANDING_OVER[0].encode())
    db.execute("drop owned by former")
    ((what, way_out),) = findings(db)
    assert what == f"rowhooks has not followed that {box} belongs to heir now, who cannot add partitions"
    run_as_printed(way_out, daemon_dsn)
    assert findings(db) == []
    is_followed(db, dsn, HANDING_OVER[0])


def test_drop_owned_by_the_owner_takes_the_table_off_the_list(db: Connection, daemon_dsn: str, box: str) -> None:
    db.execute("drop owned by former cascade")
    assert findings(db) == []
    db.execute("drop role former")
