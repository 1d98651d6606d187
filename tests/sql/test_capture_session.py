"""What the session says of itself: user, request, context; and the door that only hook receivers may use."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import sql

from tests.support.log import actions, log
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]
CLAIMS = "user_name, request_id, change_context"


@pytest.fixture
def receiver(daemon_dsn: str, item: str) -> Any:
    """The daemon's login."""
    with psycopg.connect(daemon_dsn, autocommit=True) as conn:
        yield conn


def test_the_application_names_its_user_request_and_context(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("select set_config('rowhooks.user', 'ada', true)")
        db.execute("set local rowhooks.request_id = 'r-1'")
        db.execute("set local rowhooks.context = 'nightly import'")
        db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, CLAIMS) == [("ada", "r-1", "nightly import")]


def test_a_long_claim_is_cut(db: Connection, item: str) -> None:
    for name in ("user", "request_id", "context"):
        db.execute("select set_config(%s, repeat('x', 30000000), false)", (f"rowhooks.{name}",))
    db.execute("insert into shop.item values (1, repeat('y', 1000000), 1)")
    db.execute("truncate shop.item")
    lengths = "length(user_name), length(request_id), length(change_context), coalesce(length(object_repr), 0)"
    assert log(db, lengths) == [(255, 255, 1000, 200), (255, 255, 1000, 0)]


def test_a_truncate_carries_the_claims_too(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("select set_config('rowhooks.user', 'ada', true)")
        db.execute("truncate shop.item")
    assert log(db, CLAIMS) == [("ada", None, None)]


def test_an_empty_claim_counts_as_unset(db: Connection, item: str) -> None:
    for name in ("user", "request_id", "context", "receiver"):
        db.execute("select set_config(%s, '', false)", (f"rowhooks.{name}",))
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, f"{CLAIMS}, receiver") == [(None, None, None, None)]


def test_what_set_local_leaves_behind_counts_as_unset(db: Connection, item: str) -> None:
    with db.transaction():
        db.execute("select set_config('rowhooks.user', 'ada', true)")
    assert db.execute("select current_setting('rowhooks.user', true)").fetchone() == ("",)
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "user_name") == [(None,)]


def test_hostile_claims_are_plain_text(db: Connection, item: str) -> None:
    claim = "'); drop table shop.item; -- %s $capture$ \\ é"
    db.execute("select set_config('rowhooks.user', %s, false)", (claim,))
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "user_name") == [(claim,)]


def test_the_database_user_is_the_login_even_under_set_role(
    db: Connection, item: str, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    login, writer = make_role("login"), make_role("writer")
    db.execute(f"grant {writer} to {login}")
    db.execute(f"grant usage on schema shop to {writer}")
    db.execute(f"grant insert on shop.item to {writer}")
    conn = connect_as(login)
    conn.execute(f"set role {writer}")
    conn.execute("select set_config('rowhooks.user', 'somebody else', false)")
    conn.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "db_user, user_name") == [(login, "somebody else")]


def test_what_a_hook_receiver_writes_is_not_recorded(db: Connection, receiver: Connection) -> None:
    receiver.execute("set rowhooks.receiver = 'run:1'")
    receiver.execute("insert into shop.item values (1, 'bolt', 1)")
    receiver.execute("update shop.item set price = 2")
    receiver.execute("delete from shop.item")
    assert log(db) == []


def test_a_hook_receiver_s_truncate_is_not_recorded(db: Connection, receiver: Connection) -> None:
    db.execute("grant truncate on shop.item to rowhooks_daemon")
    receiver.execute("set rowhooks.receiver = 'run:1'")
    receiver.execute("truncate shop.item")
    assert log(db) == []


def test_cascades_nested_triggers_and_other_tables_of_a_receiver_are_not_recorded(
    db: Connection, receiver: Connection
) -> None:
    db.execute("create table shop.part (id int primary key, item int references shop.item on delete cascade)")
    db.execute("create table shop.note (id int primary key)")
    for table in ("shop.part", "shop.note"):
        db.execute("select rowhooks.track(%s::regclass)", (table,))
        db.execute(sql.SQL("grant select, insert, update, delete on {} to rowhooks_daemon").format(sql.SQL(table)))
    db.execute(
        "create function shop.add_note() returns trigger language plpgsql"
        " as 'begin insert into shop.note values (new.id); return null; end'"
    )
    db.execute("create trigger z after insert on shop.item for each row execute function shop.add_note()")
    with receiver.transaction():
        receiver.execute("select set_config('rowhooks.receiver', 'run:1', true)")
        receiver.execute("insert into shop.item values (1, 'bolt', 1)")
        receiver.execute("insert into shop.part values (10, 1)")
        receiver.execute("delete from shop.item")
    assert db.execute("select count(*) from shop.note").fetchone() == (1,)
    assert log(db) == []


def test_a_deferred_trigger_of_a_receiver_is_not_recorded(db: Connection, receiver: Connection) -> None:
    db.execute("create table shop.note (id int primary key)")
    db.execute("grant insert on shop.note to rowhooks_daemon")
    db.execute("select rowhooks.track('shop.note')")
    db.execute(
        "create function shop.add_note() returns trigger language plpgsql"
        " as 'begin insert into shop.note values (new.id); return null; end'"
    )
    db.execute(
        "create constraint trigger z after insert on shop.item deferrable initially deferred"
        " for each row execute function shop.add_note()"
    )
    with receiver.transaction():
        receiver.execute("select set_config('rowhooks.receiver', 'run:1', true)")
        receiver.execute("insert into shop.item values (1, 'bolt', 1)")
    assert db.execute("select count(*) from shop.note").fetchone() == (1,)
    assert log(db) == []


def test_the_flag_ends_with_its_transaction(db: Connection, receiver: Connection) -> None:
    with receiver.transaction():
        receiver.execute("select set_config('rowhooks.receiver', 'run:1', true)")
        receiver.execute("insert into shop.item values (1, 'bolt', 1)")
    receiver.execute("update shop.item set price = 2 where id = 1")
    assert actions(db) == [("update", 1)]


def test_the_flag_ends_with_a_transaction_rolled_back(db: Connection, receiver: Connection) -> None:
    with receiver.transaction(force_rollback=True):
        receiver.execute("select set_config('rowhooks.receiver', 'run:1', true)")
    receiver.execute("insert into shop.item values (1, 'bolt', 1)")
    assert actions(db) == [("create", 1)]


def test_the_daemon_s_login_without_the_flag_is_recorded_like_anybody(db: Connection, receiver: Connection) -> None:
    receiver.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "action, receiver") == [("create", None)]


def test_nobody_else_hides_a_change_behind_the_flag(
    db: Connection, item: str, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    stranger = make_role("stranger")
    db.execute(f"grant usage on schema shop to {stranger}")
    db.execute(f"grant select, insert, update, delete, truncate on shop.item to {stranger}")
    conn = connect_as(stranger)
    conn.execute("set rowhooks.receiver = 'run:1'")
    conn.execute("insert into shop.item values (1, 'bolt', 1)")
    conn.execute("update shop.item set price = 2")
    conn.execute("delete from shop.item")
    conn.execute("truncate shop.item")
    assert log(db, "action, receiver") == [("create", None), ("update", None), ("delete", None), ("truncate", None)]


def test_the_table_s_owner_hides_nothing_behind_the_flag(
    db: Connection, item: str, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    owner = make_role("owner")
    db.execute(f"grant all on schema shop to {owner}")
    db.execute(f"alter table shop.item owner to {owner}")
    conn = connect_as(owner)
    conn.execute("set rowhooks.receiver = 'run:1'")
    conn.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "action, receiver") == [("create", None)]


def test_an_audited_table_records_receivers_with_their_run(db: Connection, receiver: Connection) -> None:
    db.execute("select rowhooks.track('shop.item', audit_receivers => true)")
    receiver.execute("set rowhooks.receiver = 'run:1'")
    receiver.execute("set rowhooks.context = 'mine'")
    receiver.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "action, change_context, receiver") == [("create", "job-hook", "run:1")]


def test_an_audited_table_records_a_stranger_s_flag_as_nothing(
    db: Connection, item: str, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    db.execute("select rowhooks.track('shop.item', audit_receivers => true)")
    stranger = make_role("stranger")
    db.execute(f"grant usage on schema shop to {stranger}")
    db.execute(f"grant insert on shop.item to {stranger}")
    conn = connect_as(stranger)
    conn.execute("set rowhooks.receiver = 'run:1'")
    conn.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "action, change_context, receiver") == [("create", None, None)]


SETTINGS = [
    "extra_float_digits = -15", "timezone = 'Asia/Tokyo'", "datestyle = 'SQL, DMY'", "intervalstyle = 'iso_8601'",
    "bytea_output = 'escape'",
]  # fmt: skip


@pytest.fixture
def reading(db: Connection) -> str:
    """A tracked table whose values are written differently by sessions with other settings."""
    db.execute(
        "create table public.reading (k float8 primary key, f float8, t timestamptz, i interval, b bytea, r tstzrange,"
        " fs float4[], p point, secret text)"
    )
    db.execute("select rowhooks.track('public.reading', exclude => '{secret}')")
    db.execute("set timezone = 'UTC'")
    return "public.reading"


ROW = (
    "(123456, 149999, '2026-01-01 00:00+00', '1 day 2 hours', '\\x616263', '[2026-02-01 00:00+00,2026-02-02 00:00+00)',"
    " '{1.5}', '(1.5,2.25)', 's')"
)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_session_s_settings_change_nothing_of_what_is_recorded_and_are_left_as_they_were(
    db: Connection, reading: str, setting: str
) -> None:
    db.execute(f"insert into public.reading values {ROW}")
    db.execute("delete from public.reading")
    name = setting.split(" ")[0]
    db.execute(f"set {setting}")
    theirs = db.execute(f"show {name}").fetchone()
    with db.transaction():
        db.execute(f"insert into public.reading values {ROW}")
        assert db.execute(f"show {name}").fetchone() == theirs
    assert db.execute(f"show {name}").fetchone() == theirs
    first, _, second = log(db, "object_id::text, object_repr, postchange::text, capture_error")
    assert first == second


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_setting_hides_that_a_value_has_changed(db: Connection, reading: str, setting: str) -> None:
    db.execute(f"insert into public.reading values {ROW}")
    db.execute(f"set {setting}")
    db.execute("update public.reading set f = 149998, b = '\\x616264', t = t + interval '1 hour', i = '1 day 3 hours'")
    before, after = log(db, "prechange, postchange")[1]
    assert {name for name in after if after[name] != before[name]} == {"f", "b", "t", "i"}


@pytest.mark.parametrize("trigger", [
    "before insert or update or delete on public.own for each row", "after insert on public.own for each statement",
    "before truncate on public.own for each statement",
])  # fmt: skip
def test_the_owner_records_nothing_by_other_triggers_that_call_the_capture_function(
    db: Connection, trigger: str
) -> None:
    db.execute("create table public.own (id integer primary key, n integer)")
    db.execute("select rowhooks.track('public.own')")
    ((function,),) = db.execute("select proname from pg_proc where proname ~ '^capture_' order by oid desc limit 1")
    db.execute(f"create trigger zz {trigger} execute function rowhooks.{function}()")
    db.execute("insert into public.own values (1, 1)")
    db.execute("update public.own set n = 2")
    db.execute("delete from public.own")
    db.execute("truncate public.own")
    assert log(db, "action, object_id") == [
        ("create", {"id": 1}), ("update", {"id": 1}), ("delete", {"id": 1}), ("truncate", None),
    ]  # fmt: skip
