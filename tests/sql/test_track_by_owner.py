"""Tables whose owner is an ordinary role: tracking them, and what the owner does to them later."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.support.log import actions, log
from tests.support.roles import ConnectAs, MakeRole, allow_self_service

Connection = psycopg.Connection[Any]


@pytest.fixture
def owner(db: Connection, make_role: MakeRole) -> str:
    """An ordinary role with a schema of its own."""
    name = make_role("owner")
    db.execute(f"create schema depot authorization {name}")
    return name


@pytest.fixture
def as_owner(owner: str, connect_as: ConnectAs) -> Connection:
    conn = connect_as(owner)
    conn.execute("create table depot.box (id integer primary key) partition by range (id)")
    conn.execute("create table depot.box_1 partition of depot.box for values from (0) to (10)")
    return conn


def test_the_owner_adds_partitions_to_a_tracked_table_and_they_are_captured(
    db: Connection, as_owner: Connection
) -> None:
    db.execute("select rowhooks.track('depot.box')")
    as_owner.execute("create table depot.box_2 partition of depot.box for values from (10) to (20)")
    as_owner.execute("create table depot.box_3 (id integer primary key)")
    as_owner.execute("alter table depot.box attach partition depot.box_3 for values from (20) to (30)")
    as_owner.execute("insert into depot.box values (1), (11), (21)")
    assert actions(db) == [("create", 1), ("create", 11), ("create", 21)]


def test_the_owner_drops_and_alters_a_tracked_table_as_before(db: Connection, as_owner: Connection) -> None:
    db.execute("select rowhooks.track('depot.box')")
    as_owner.execute("alter table depot.box add column note text")
    as_owner.execute("alter table depot.box detach partition depot.box_1")
    as_owner.execute("drop table depot.box")


def test_an_owner_without_rights_on_rowhooks_may_not_track(db: Connection, as_owner: Connection) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        as_owner.execute("select rowhooks.track('depot.box')")


def test_an_owner_with_the_rights_on_the_functions_tracks_and_untracks_his_table(
    db: Connection, owner: str, as_owner: Connection
) -> None:
    allow_self_service(db, owner)
    as_owner.execute("select rowhooks.track('depot.box')")
    as_owner.execute("insert into depot.box values (1)")
    assert actions(db) == [("create", 1)]
    assert as_owner.execute("select rowhooks.untrack('depot.box')").fetchone() == (True,)
    as_owner.execute("insert into depot.box values (2)")
    assert actions(db) == [("create", 1)]


def test_with_the_rights_on_the_functions_another_role_s_table_is_still_refused(
    db: Connection, owner: str, as_owner: Connection, item: str
) -> None:
    allow_self_service(db, owner)
    db.execute(f"grant usage on schema shop to {owner}")
    db.execute("create table shop.other (id integer primary key)")
    for call in (
        "rowhooks.track('shop.other')",
        "rowhooks.untrack('shop.item')",
        "rowhooks.register_table('shop.item', '{price}', true, false, false, null, null, 'row')",
        "rowhooks.forget_table('shop.item')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            as_owner.execute(f"select {call}")
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert log(db, "object_id") == [({"id": 1},)]


def test_a_table_that_still_carries_its_triggers_is_not_forgotten(db: Connection, item: str) -> None:
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="still carries the triggers"):
        db.execute("select rowhooks.forget_table('shop.item')")


def test_a_member_of_the_owning_role_tracks_its_table(
    db: Connection, owner: str, as_owner: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    member = make_role("member")
    db.execute(f"grant {owner} to {member}")
    allow_self_service(db, member)
    conn = connect_as(member)
    conn.execute("select rowhooks.track('depot.box')")
    conn.execute("insert into depot.box values (1)")
    assert actions(db) == [("create", 1)]


def test_tracking_again_after_a_change_of_owner_moves_the_right_to_add_partitions(
    db: Connection, owner: str, as_owner: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    db.execute("select rowhooks.track('depot.box')")
    heir = make_role("heir")
    db.execute(f"grant all on schema depot to {heir}")
    db.execute(f"alter table depot.box owner to {heir}")
    db.execute("select rowhooks.track('depot.box')")
    connect_as(heir).execute("create table depot.box_2 partition of depot.box for values from (10) to (20)")
    held = db.execute("select has_function_privilege(%s, 'rowhooks.capture_1()', 'execute')", (owner,)).fetchone()
    assert held == (False,)


def test_untracking_takes_the_function_off_another_table_of_the_owner(
    db: Connection, owner: str, as_owner: Connection
) -> None:
    db.execute("select rowhooks.track('depot.box')")
    db.execute(f"grant usage on schema rowhooks to {owner}")
    as_owner.execute("create table depot.other (id integer primary key)")
    as_owner.execute("create trigger t after insert on depot.other for each row execute function rowhooks.capture_1()")
    assert db.execute("select rowhooks.untrack('depot.box')").fetchone() == (True,)
    as_owner.execute("insert into depot.other values (1)")
    assert log(db) == []
