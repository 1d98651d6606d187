"""The testing kit: receivers run on a real database of the user's, without a daemon."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from rowhooks import JobHookReceiver, ObjectChange, table
from rowhooks.domain.errors import (
    DatabaseError,
    UsageError,
)
from rowhooks.testing import Rehearsal, run_hook
from tests.support.rehearsing import SCHEMA, AsyncPolicy, SerialPolicy

Connection = psycopg.Connection[Any]


def test_an_update_is_made_and_its_run_is_reported(kit: Rehearsal) -> None:
    run = kit.run_hook(
        SerialPolicy, table="dcim.device", before={"id": 7, "name": "sw7", "serial": "SN-7"}, after={"serial": "XX"}
    )
    assert (run.status, run.matched, run.why_not, run.exception) == ("SUCCESS", True, None, None)
    assert run.result == {
        "action": "update",
        "row": {"id": 7, "name": "sw7", "serial": "XX", "serial_length": 2, "site": None},
    }
    (line,) = run.logs
    assert (line.level, line.message, line.grouping, line.object, line.object_type) == (
        "warning", "serial of sw7 put back", "serials", "sw7", "dcim.device",
    )  # fmt: skip
    (write,) = run.writes
    assert (write.table, write.action, write.pk) == ("dcim.device", "update", 7)
    assert write.prechange is not None
    assert write.postchange is not None
    assert (write.prechange["serial"], write.postchange["serial"]) == ("XX", "SN-7")
    assert write.differences == {
        "removed": {"serial": "XX", "serial_length": 2},
        "added": {"serial": "SN-7", "serial_length": 4},
    }


def test_an_async_def_receiver_runs_in_the_same_transaction(kit: Rehearsal) -> None:
    run = kit.run_hook(AsyncPolicy, table="dcim.device", after={"serial": "sn-2"})
    assert run.exception is None
    assert run.status == "SUCCESS"
    assert [line.message for line in run.logs] == ["one of 2"]
    assert run.result == [kit.execute("select session_user::text as name")[0]["name"], True]
    assert [write.postchange["serial"] for write in run.writes if write.postchange] == ["SN-2"]


async def test_a_test_that_has_an_event_loop_of_its_own_may_use_the_kit(own_dsn: str) -> None:
    run = run_hook(AsyncPolicy, dsn=own_dsn, table="dcim.device", after={"serial": "sn-2"})
    assert run.status == "SUCCESS"


def test_the_row_that_is_there_is_taken_by_its_key(kit: Rehearsal) -> None:
    run = kit.run_hook(SerialPolicy, table=table("dcim.device"), before={"id": 1}, after={"serial": "XX"})
    assert run.change is not None
    assert run.change.prechange == {"id": 1, "name": "sw1", "serial": "SN-1", "serial_length": 4, "site": 1}
    assert run.change.get_snapshots()["differences"]["added"] == {"serial": "XX", "serial_length": 2}


class WithoutRow(JobHookReceiver):
    class Meta:
        loads_object = False

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        return [change.changed_object_id, changed_object]


def test_a_receiver_that_does_without_the_row_is_called_without_it(kit: Rehearsal) -> None:
    report = kit.run_hook(WithoutRow, table="dcim.device", before={"id": 1}, after={"serial": "x"})
    assert report.result == [{"id": 1}, None]


def test_only_before_is_a_delete_with_no_row_left(kit: Rehearsal) -> None:
    class Deleted(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
            assert changed_object is None
            return [action, change.object_data]

    run = kit.run_hook(Deleted, table="dcim.site", before={"id": 2, "name": "Bern"})
    assert (run.status, run.result) == ("SUCCESS", ["delete", {"id": 2, "name": "Bern"}])


def test_only_after_is_a_create_with_defaults_generated_columns_and_the_users_triggers(
    own: Connection, kit: Rehearsal
) -> None:
    kit.execute(
        "create function dcim.note_device() returns trigger language plpgsql as $$ begin"
        " new.name = upper(new.name); insert into dcim.note values (new.name); return new; end $$"
    )
    kit.execute("create trigger note before insert on dcim.device for each row execute function dcim.note_device()")
    run = kit.run_hook(SerialPolicy, table="dcim.device", after={"serial": "SN-22"})
    row = run.result["row"]
    assert (row["name"], row["serial_length"]) == ("UNNAMED", 5)
    assert isinstance(row["id"], int)
    assert kit.execute("select message from dcim.note") == [{"message": "UNNAMED"}]
    # The change's own effects are not the receiver's.
    assert run.writes == ()


def test_the_change_is_the_one_that_capture_would_record(dsn: str, db: Connection) -> None:
    db.execute(SCHEMA)
    db.execute("select rowhooks.track('dcim.device'), rowhooks.track('dcim.cable')")
    made = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    cable = {"b": 'B"2', "a": 1, "length": Decimal("1.50"), "made": made}
    seen: list[ObjectChange] = []

    class Seeing(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            seen.append(change)

    with Rehearsal(dsn) as kit:
        kit.run_hook(Seeing, table="dcim.cable", before=cable, after={"length": 2})
        kit.run_hook(Seeing, table="dcim.device", before={"id": 1}, after={"name": "core"})
        captured = kit.execute(
            "select c.action::text, c.object_id::text, c.object_repr, c.prechange::text, c.postchange::text,"
            " c.db_user::text from rowhooks.object_change as c where c.action = 'update' order by c.id"
        )
    assert [
        {
            "action": c.action, "object_id": c.object_id_json, "object_repr": c.object_repr,
            "prechange": c.prechange_json, "postchange": c.postchange_json, "db_user": c.db_user,
        }
        for c in seen
    ] == captured  # fmt: skip
    assert (seen[0].before, seen[0].object_repr) == (cable, '1, B"2')


def test_a_composite_key_names_row_and_writes(kit: Rehearsal) -> None:
    class Shorten(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
            changed_object.length = 1
            changed_object.save()
            return change.changed_object_id

    kit.execute("insert into dcim.cable values (1, 'x', 3, now())")
    run = kit.run_hook(Shorten, table="dcim.cable", before={"b": "x", "a": 1}, after={"length": 2})
    assert run.result == {"a": 1, "b": "x"}
    assert [(write.pk, write.differences["added"]) for write in run.writes] == [({"a": 1, "b": "x"}, {"length": 1.00})]


def test_quoted_names_and_types_of_every_kind(dsn: str, db: Connection) -> None:
    db.execute(
        """
        create schema "Odd %s";
        create type "Odd %s"."Mood:%" as enum ('happy', 'sad');
        create table "Odd %s"."Ta""ble:%" (
          "Key %s" text, "select" "Odd %s"."Mood:%", numbers numeric[], document jsonb, span tstzrange, raw bytea,
          pause interval, ratio float8, flag boolean, "a:b" char(3) default 'x', primary key ("Key %s")
        )
        """
    )
    name = 'Odd %s.Ta"ble:%'
    row = {
        "Key %s": "a'b%s", "select": "sad", "numbers": [1, Decimal("2.50"), None], "document": {"a": [1, None]},
        "span": "[2026-01-01 00:00:00+00,)", "raw": b"\x00\xff", "pause": dt.timedelta(days=-1, seconds=61),
        "ratio": float("nan"), "flag": None,
    }  # fmt: skip

    class Changes(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
            changed_object.flag = True
            changed_object.save()
            return change.object_data

    with Rehearsal(dsn) as kit:
        run = kit.run_hook(Changes, table=name, before=row, after={"a:b": "y"})
        again = kit.run_hook(Changes, table=name, before={"Key %s": "a'b%s"}, after={"flag": False})
        gone = kit.run_hook(Changes, table=name, before={"Key %s": "a'b%s"})
    assert run.exception is None
    assert run.result == {
        "Key %s": "a'b%s", "select": "sad", "numbers": [1, 2.50, None], "document": {"a": [1, None]},
        "span": '["2026-01-01 00:00:00+00",)', "raw": "\\x00ff",
        "pause": "-1 days +00:01:01", "ratio": "NaN", "flag": None, "a:b": "y  ",
    }  # fmt: skip
    assert run.writes[0].change.after is not None
    assert run.writes[0].change.after["raw"] == row["raw"]
    assert [(write.table, write.pk, write.differences["added"]) for write in again.writes] == [
        (name, "a'b%s", {"flag": True})
    ]
    assert gone.status == "FAILURE"  # there is no row to change


def test_a_row_of_a_partition_is_one_of_its_table(kit: Rehearsal) -> None:
    class Moves(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
            changed_object.note = "seen"
            changed_object.save()
            return change.changed_object_type

    kit.execute("create table dcim.event (id integer primary key, note text) partition by range (id)")
    kit.execute("create table dcim.event_1 partition of dcim.event for values from (0) to (100)")
    run = kit.run_hook(Moves, table="dcim.event", before={"id": 5}, after={"id": 6})
    assert run.result == "dcim.event"
    assert run.change is not None
    assert (run.change.prechange, run.change.changed_object_id) == ({"id": 5, "note": None}, {"id": 6})
    assert [(write.table, write.pk) for write in run.writes] == [("dcim.event", 6)]
    with pytest.raises(UsageError, match=r"is a partition .*table='dcim\.event'"):
        kit.run_hook(Moves, table="dcim.event_1", after={"id": 7})


def test_the_users_trigger_that_writes_the_same_row_makes_a_change_of_its_own(kit: Rehearsal) -> None:
    class Sees(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
            return [change.get_snapshots()["differences"]["added"], changed_object.serial]

    kit.execute(
        "create function dcim.stamp() returns trigger language plpgsql as $$ begin"
        " update dcim.device set serial = 'stamped' where id = new.id and serial <> 'stamped'; return null; end $$"
    )
    kit.execute("create trigger stamp after update on dcim.device for each row execute function dcim.stamp()")
    run = kit.run_hook(Sees, table="dcim.device", before={"id": 1}, after={"name": "core"})
    assert run.result == [{"name": "core"}, "stamped"]


def test_cascades_and_tables_without_a_key_are_among_the_writes(kit: Rehearsal) -> None:
    class Clear(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            changed_object.delete()
            self.session.execute(text("insert into dcim.note values ('cleared')"))
            self.session.execute(text("truncate dcim.cable"))

    port = str(uuid.uuid4())
    kit.execute("insert into dcim.port values (:id, 1)", {"id": port})
    run = kit.run_hook(Clear, table="dcim.site", before={"id": 1}, after={"name": "Berne"})
    assert [(write.table, write.action, write.pk) for write in run.writes] == [
        ("dcim.site", "delete", 1),
        ("dcim.device", "delete", 1),
        ("dcim.port", "delete", port),
        ("dcim.note", "create", None),
        ("dcim.cable", "truncate", None),
    ]
    assert run.writes[3].postchange == {"message": "cleared"}


def test_watch_names_the_tables_whose_writes_are_reported(kit: Rehearsal) -> None:
    class Notes(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            self.session.execute(text("insert into dcim.note values ('seen')"))
            self.session.execute(text("insert into dcim.cable values (1, 'x')"))

    run = kit.run_hook(Notes, table="dcim.site", after={"id": 3, "name": "Basel"}, watch=["dcim.cable"])
    assert [write.table for write in run.writes] == ["dcim.cable"]


def test_a_failure_keeps_the_exception_and_nothing_of_the_writes(kit: Rehearsal) -> None:
    class Refuses(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            changed_object.name = "changed"
            changed_object.save()
            self.logger.error("no good")
            raise ValueError("not this one")

    run = kit.run_hook(Refuses, table="dcim.site", after={"id": 3, "name": "Basel"})
    assert (run.status, run.result, run.writes) == ("FAILURE", None, ())
    assert [(line.level, line.message) for line in run.logs] == [("error", "no good")]
    assert run.exception is not None
    assert (run.exception.type, run.exception.message) == ("ValueError", "not this one")
    assert isinstance(run.exception.error, ValueError)
    assert 'raise ValueError("not this one")' in run.exception.traceback
    # The row is there still, for what comes next in the test.
    assert kit.execute("select name from dcim.site where id = 3") == [{"name": "Basel"}]


def test_the_life_cycle_is_run_as_in_the_daemon(kit: Rehearsal) -> None:
    class Noting(JobHookReceiver):
        def note(self, message: str) -> None:
            self.session.execute(text("insert into dcim.note values (:message)"), {"message": message})

        def before_start(self, *args: Any) -> None:
            self.note("before_start")

        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            self.note("receiver")
            if changed_object.name == "bad":
                raise ValueError("bad")

        def on_success(self, *args: Any) -> None:
            self.note("on_success")

        def on_failure(self, *args: Any) -> None:
            self.note("on_failure")

        def after_return(self, status: str, *args: Any) -> None:
            self.note(f"after_return {status}")

    good = kit.run_hook(Noting, table="dcim.site", after={"id": 3, "name": "good"})
    bad = kit.run_hook(Noting, table="dcim.site", after={"id": 4, "name": "bad"})
    assert [write.postchange and write.postchange["message"] for write in good.writes] == [
        "before_start", "receiver", "on_success", "after_return SUCCESS",
    ]  # fmt: skip
    assert [write.postchange and write.postchange["message"] for write in bad.writes] == [
        "on_failure", "after_return FAILURE",
    ]  # fmt: skip


def test_fail_is_a_failure_that_keeps_its_writes(kit: Rehearsal) -> None:
    class Fails(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            self.fail("%s is too far", changed_object)
            changed_object.name = "far"
            changed_object.save()

    run = kit.run_hook(Fails, table="dcim.site", after={"id": 3, "name": "Basel"})
    assert run.status == "FAILURE"
    assert run.exception is not None
    assert run.exception.message == "Basel is too far"
    assert [write.differences["added"] for write in run.writes] == [{"name": "far"}]


class Unsteady(JobHookReceiver):
    class Meta:
        autoretry_for = (ConnectionError,)
        max_retries = 2
        retry_backoff = 3600

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if self.job_result.attempt < 3:
            raise ConnectionError(f"attempt {self.job_result.attempt}")
        return self.job_result.attempt


def test_a_run_that_the_daemon_would_try_again_says_so(kit: Rehearsal) -> None:
    run = kit.run_hook(Unsteady, table="dcim.site", after={"id": 3, "name": "Basel"})
    assert run.status == "RETRY"
    assert isinstance(run.exception and run.exception.error, ConnectionError)


def test_several_attempts_are_made_without_their_pauses(kit: Rehearsal) -> None:
    run = kit.run_hook(Unsteady, table="dcim.site", after={"id": 3, "name": "Basel"}, attempts=5)
    assert (run.status, run.result, run.exception) == ("SUCCESS", 3, None)
    assert [(one.status, one.exception and one.exception.message) for one in run.attempts] == [
        ("RETRY", "attempt 1"), ("RETRY", "attempt 2"), ("SUCCESS", None),
    ]  # fmt: skip


def test_a_deferred_constraint_is_checked_where_the_run_would_commit(kit: Rehearsal) -> None:
    class Misplaces(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
            changed_object.site = 99
            changed_object.save()

    run = kit.run_hook(Misplaces, table="dcim.device", before={"id": 1}, after={"name": "core"})
    assert run.status == "FAILURE"
    assert run.exception is not None
    assert "device_site_fkey" in run.exception.message
    with pytest.raises(DatabaseError, match="device_site_fkey"):
        kit.run_hook(Misplaces, table="dcim.device", after={"site": 98})


# Arranging.


def test_other_rows_are_arranged_in_the_same_transaction(kit: Rehearsal) -> None:
    kit.execute("insert into dcim.note values (:message)", [{"message": "one"}, {"message": "two"}])
    with Session(kit.connection, join_transaction_mode="create_savepoint") as session:
        session.execute(text("insert into dcim.note values ('three')"))
        session.commit()
    assert kit.execute("select message from dcim.note order by message") == [
        {"message": "one"}, {"message": "three"}, {"message": "two"},
    ]  # fmt: skip
    with pytest.raises(Exception, match="division by zero"):
        kit.execute("select 1 / 0")
    assert kit.execute("select count(*) as notes from dcim.note") == [{"notes": 3}]


def test_what_the_application_sets_is_on_the_change(kit: Rehearsal) -> None:
    class Who(JobHookReceiver):
        def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
            return [change.user_name, change.request_id, change.change_context, self.user.username]

    kit.execute("select set_config('rowhooks.request_id', 'r-17', true), set_config('rowhooks.context', 'api', true)")
    for number in (3, 4):
        run = kit.run_hook(Who, table="dcim.site", after={"id": number, "name": "x"}, user="alice", permissions=set())
        assert run.result == ["alice", "r-17", "api", "alice"]
