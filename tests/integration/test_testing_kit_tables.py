"""The testing kit on tables without a primary key and on foreign tables, as the daemon can do."""

from __future__ import annotations

from typing import Any, Literal

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import text

from rowhooks import JobButtonReceiver, JobHookReceiver, ObjectChange
from rowhooks.domain.errors import UsageError
from rowhooks.testing import Rehearsal
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

SEEN: list[Any] = []


class Sees(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        SEEN.append(
            [
                action, change.changed_object_id, change.object_repr, change.prechange, change.postchange,
                changed_object and changed_object.name, change.changed_object is changed_object,
            ]
        )  # fmt: skip
        return len(SEEN)


class Renames(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        changed_object.name = changed_object.name.upper()
        changed_object.save()


class Pressed(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> None: ...


@pytest.fixture
def far(own: Connection, kit: Rehearsal) -> str:
    """A foreign table that is made inside the rehearsal.

    The other side is in the same database, so the rehearsal must not watch it: it would wait for itself.
    """
    if own.execute("select from pg_available_extensions where name = 'postgres_fdw'").fetchone() is None:
        pytest.skip("this server does not ship the extension postgres_fdw")
    own.execute("create schema there; create table there.item (id integer primary key, name text)")
    own.execute("insert into there.item values (1, 'bolt')")
    kit.execute("create extension postgres_fdw")
    info = own.info
    server = sql.SQL("create server here foreign data wrapper postgres_fdw options (host {}, port {}, dbname {})")
    kit.execute(
        server.format(sql.Literal(info.host), sql.Literal(str(info.port)), sql.Literal(info.dbname)).as_string()
    )
    mapping = sql.SQL("create user mapping for public server here options (user {}, password_required 'false')")
    kit.execute(mapping.format(sql.Literal(info.user)).as_string())
    kit.execute(
        "create foreign table dcim.far (id integer not null, name text)"
        " server here options (schema_name 'there', table_name 'item')"
    )
    return "dcim.far"


def test_a_foreign_table_is_written_and_its_row_loaded(kit: Rehearsal, far: str) -> None:
    run = kit.run_hook(Renames, table=far, before={"id": 1}, after={"name": "nut"}, identity=["id"], watch=[])
    assert run.exception is None
    assert [(write.table, write.action, write.pk, write.differences["added"]) for write in run.writes] == [
        (far, "update", 1, {"name": "NUT"})
    ]
    assert kit.run_hook(Sees, table=far, before={"id": 1}, identity=["id"], watch=[]).status == "SUCCESS"
    created = kit.run_hook(Renames, table=far, after={"id": 2, "name": "washer"}, identity=["id"], watch=[])
    assert [write.differences["added"] for write in created.writes] == [{"name": "WASHER"}]


def test_what_a_receiver_writes_to_a_foreign_table_is_reported(kit: Rehearsal, far: str) -> None:
    class Writes(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            self.session.execute(text("update dcim.far set name = 'nut'"))

    run = kit.run_hook(Writes, table="dcim.site", after={"id": 3, "name": "Basel"}, watch=[far])
    assert [(write.table, write.action, write.postchange) for write in run.writes] == [
        (far, "update", {"id": 1, "name": "nut"})
    ]


def test_a_foreign_table_without_identity_changes_one_row_of_those_that_are_the_same(kit: Rehearsal, far: str) -> None:
    SEEN.clear()
    kit.run_hook(Sees, table=far, before={"id": 5, "name": "nut"}, after={"name": "bolt"}, identity="full", watch=[])
    assert SEEN[0][:2] + SEEN[0][3:] == [
        "update", {}, {"id": 5, "name": "nut"}, {"id": 5, "name": "bolt"}, None, True,
    ]  # fmt: skip


@pytest.mark.parametrize("identity", ["full", ["id"]])
async def test_a_table_without_a_primary_key_is_seen_as_in_the_daemon(
    db: Connection, dsn: str, daemon_dsn: str, identity: Literal["full"] | list[str]
) -> None:
    db.execute("create schema dcim; grant usage on schema dcim to rowhooks_daemon")
    db.execute("create table dcim.reading (id integer not null unique, place text, name text)")
    db.execute("grant select, insert, update, delete on dcim.reading to rowhooks_daemon")
    rows: dict[str, Any] = {"table": "dcim.reading", "identity": identity}
    SEEN.clear()
    with Rehearsal(dsn) as kit:
        kit.run_hook(Sees, after={"id": 1, "place": "roof", "name": "R"}, **rows)
        kit.run_hook(Sees, before={"id": 2, "place": "roof", "name": "A"}, after={"name": "B"}, **rows)
        kit.run_hook(Sees, before={"id": 3, "place": "roof", "name": "C"}, **rows)
    in_the_kit = [*SEEN]
    SEEN.clear()
    db.execute("select rowhooks.track('dcim.reading', identity => %s)", ([] if identity == "full" else identity,))
    add_hook(db, Sees, "dcim.reading")
    async with running_daemon(daemon_dsn, Sees):
        for statement in (
            "insert into dcim.reading values (1, 'roof', 'R')",
            "insert into dcim.reading values (2, 'roof', 'A')",
            "update dcim.reading set name = 'B' where id = 2",
            "insert into dcim.reading values (3, 'roof', 'C')",
            "delete from dcim.reading where id = 3",
        ):
            db.execute(statement)
            await settled(db)
    in_the_daemon = [SEEN[0], SEEN[2], SEEN[4]]
    assert in_the_kit == in_the_daemon


def test_one_of_several_equal_rows_is_changed(kit: Rehearsal) -> None:
    kit.execute("insert into dcim.note values ('same'), ('same')")
    run = kit.run_hook(
        Writing, table="dcim.note", before={"message": "same"}, after={"message": "other"}, identity="full"
    )
    assert (run.status, run.result) == ("SUCCESS", 1)


class Writing(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return self.session.execute(text("select count(*) from dcim.note where message = 'other'")).scalar()


def test_columns_that_are_named_stand_for_the_key_in_this_run_only(kit: Rehearsal) -> None:
    run = kit.run_hook(Renames, table="dcim.device", before={"name": "sw1"}, after={"serial": "x"}, identity=["name"])
    assert run.change is not None
    assert run.change.changed_object_id == {"name": "sw1"}
    assert [(write.pk, write.differences["added"]) for write in run.writes] == [("SW1", {"name": "SW1"})]
    run = kit.run_hook(Renames, table="dcim.device", before={"id": 1}, after={"name": "sw1"})
    assert run.writes[0].pk == 1


def test_what_tells_no_rows_apart_is_refused(kit: Rehearsal) -> None:
    with pytest.raises(UsageError, match=r"dcim\.note has no primary key .*identity="):
        kit.run_hook(Sees, table="dcim.note", after={"message": "x"})
    with pytest.raises(UsageError, match=r"identity: table dcim\.note has no column 'id'"):
        kit.run_hook(Sees, table="dcim.note", after={"message": "x"}, identity=["id"])
    with pytest.raises(UsageError, match=r"dcim\.note has no primary key, so it can carry no button"):
        kit.press_button(Pressed, table="dcim.note", row={"message": "x"})
    assert kit.run_hook(Sees, table="dcim.note", after={"message": "x"}, identity="full").status == "SUCCESS"
