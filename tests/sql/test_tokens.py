"""Tokens of the API: who creates them for whom, and whom they stand for."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.roles import ConnectAs, Connection, MakeRole

DAY = timedelta(days=1)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def create(
    conn: Connection, token: str = "secret", role: str | None = None, lasts: timedelta = DAY, scopes: str = "{read}"
) -> int:
    row = conn.execute(
        "select rowhooks.create_token('CI', %s, %s, %s, %s)", (digest(token), scopes, datetime.now(UTC) + lasts, role)
    ).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def alice(make_role: MakeRole, connect_as: ConnectAs) -> Connection:
    """A role without any right on rowhooks."""
    return connect_as(make_role("alice"))


@pytest.fixture
def console(make_role: MakeRole, connect_as: ConnectAs) -> Connection:
    """The console's own login."""
    return connect_as(make_role("console", "in role rowhooks_console"))


def holders(console: Connection, token: str = "secret") -> list[Any]:
    return console.execute("select * from rowhooks.role_of_token(%s)", (digest(token),)).fetchall()


def test_a_token_stands_for_the_role_that_has_created_it(console: Connection, alice: Connection) -> None:
    create(alice, scopes="{press,read,press}")
    assert holders(console) == [(alice.info.user, ["press", "read"])]
    assert holders(console, "another") == []


def test_a_token_that_was_revoked_or_has_expired_stands_for_nobody(
    db: Connection, console: Connection, alice: Connection
) -> None:
    revoked, _ = create(alice, "one"), create(alice, "two")
    alice.execute("select rowhooks.revoke_token(%s)", (revoked,))
    db.execute("update rowhooks.token set expires_at = now() where hash = %s", (digest("two"),))
    assert [holders(console, token) for token in ("one", "two")] == [[], []]


def test_a_token_of_a_role_that_is_gone_stands_for_nobody_and_not_for_the_next_one_of_that_name(
    db: Connection, console: Connection
) -> None:
    db.execute("create role rowhooks_test_gone")
    db.execute("set role rowhooks_test_gone")
    create(db)
    db.execute("reset role")
    assert holders(console) == [("rowhooks_test_gone", ["read"])]
    db.execute("drop role rowhooks_test_gone; create role rowhooks_test_gone")
    assert holders(console) == []
    db.execute("drop role rowhooks_test_gone")


def test_a_token_of_a_role_that_has_become_a_superuser_or_the_owner_stands_for_nobody(
    db: Connection, console: Connection, alice: Connection
) -> None:
    create(alice)
    role = sql.Identifier(alice.info.user)
    db.execute(sql.SQL("alter role {} superuser").format(role))
    assert holders(console) == []
    db.execute(sql.SQL("alter role {0} nosuperuser; grant rowhooks_owner to {0}").format(role))
    assert holders(console) == []
    db.execute(sql.SQL("revoke rowhooks_owner from {}").format(role))
    assert len(holders(console)) == 1


def test_nobody_has_a_token_of_a_superuser_or_of_the_owner(
    db: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    member = connect_as(make_role("member", "in role rowhooks_owner"))
    for conn, role in ((db, None), (db, "rowhooks_owner"), (member, None), (db, member.info.user)):
        with pytest.raises(errors.InsufficientPrivilege, match="may have no tokens"):
            create(conn, role=role)


def test_tokens_for_other_roles_are_created_by_who_may_take_them_up(
    db: Connection, console: Connection, alice: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    service = make_role("service")
    admin = connect_as(make_role("admin", "in role rowhooks_admin"))
    for conn in (alice, admin):
        with pytest.raises(errors.InsufficientPrivilege, match=f"may not create tokens for role {service}"):
            create(conn, role=service)
        with pytest.raises(errors.InsufficientPrivilege, match="may not create tokens for role nobody_"):
            create(conn, role="nobody_")
    db.execute(sql.SQL("grant {} to {}").format(*map(sql.Identifier, (service, admin.info.user))))
    create(admin, role=service)
    create(db, "by a superuser", role=alice.info.user)
    assert holders(console) == [(service, ["read"])]
    assert holders(console, "by a superuser") == [(alice.info.user, ["read"])]


def test_a_token_ends_when_its_creator_may_no_longer_take_its_role_up(
    db: Connection, console: Connection, alice: Connection, make_role: MakeRole
) -> None:
    creator, team = (sql.Identifier(name) for name in (alice.info.user, make_role("team")))
    db.execute(sql.SQL("grant {} to {}").format(team, creator))
    create(alice, role=team.as_string().strip('"'))
    assert len(holders(console)) == 1
    renamed = sql.Identifier(f"{alice.info.user}_renamed")
    db.execute(sql.SQL("alter role {} rename to {}").format(creator, renamed))
    assert len(holders(console)) == 1
    db.execute(sql.SQL("revoke {} from {}").format(team, renamed))
    assert holders(console) == []
    db.execute(sql.SQL("grant {} to {}").format(team, renamed))
    assert len(holders(console)) == 1
    db.execute(sql.SQL("drop role {}").format(renamed))
    # Another one with its name is another one.
    db.execute(sql.SQL("create role {} in role {}").format(creator, team))
    assert holders(console) == []


@pytest.mark.parametrize(("given", "error"), [
    ({"lasts": timedelta(seconds=-1)}, errors.InvalidParameterValue),
    ({"lasts": timedelta(days=400)}, errors.InvalidParameterValue),
    ({"scopes": "{}"}, errors.CheckViolation),
    ({"scopes": "{read,everything}"}, errors.CheckViolation),
])  # fmt: skip
def test_what_no_token_may_be_is_refused(alice: Connection, given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        create(alice, **given)


@pytest.mark.parametrize("moment", ["null", "'infinity'"])
def test_a_token_has_an_end(alice: Connection, moment: str) -> None:
    with pytest.raises(errors.InvalidParameterValue, match="a token expires within 366 days"):
        alice.execute(f"select rowhooks.create_token('CI', sha256('x'), '{{read}}', {moment})")


def test_a_token_is_revoked_by_its_role_by_who_has_created_it_and_by_admins(
    db: Connection, console: Connection, alice: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    service = make_role("service")
    db.execute(sql.SQL("grant {} to {}").format(*map(sql.Identifier, (service, alice.info.user))))
    admin, other = connect_as(make_role("admin", "in role rowhooks_admin")), connect_as(make_role("other"))
    for number, revoker in enumerate((alice, connect_as(service), admin)):
        token = create(alice, str(number), role=service)
        with pytest.raises(errors.NoDataFound, match=f"there is no token {token}"):
            other.execute("select rowhooks.revoke_token(%s)", (token,))
        revoker.execute("select rowhooks.revoke_token(%s)", (token,))
        assert holders(console, str(number)) == []


def test_tokens_are_listed_to_those_who_may_revoke_them_without_their_hashes(
    alice: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    token = create(alice)
    admin, other = connect_as(make_role("admin", "in role rowhooks_admin")), connect_as(make_role("other"))
    query = "select id, name, role, created_by from rowhooks.tokens"
    expected = [(token, "CI", alice.info.user, alice.info.user)]
    assert [conn.execute(query).fetchall() for conn in (alice, admin, other)] == [expected, expected, []]
    columns = [column.name for column in alice.execute("select * from rowhooks.tokens").description or ()]
    assert "hash" not in columns
    for conn in (alice, admin):
        with pytest.raises(errors.InsufficientPrivilege):
            conn.execute("select * from rowhooks.token")


def test_the_audit_has_what_was_created_and_not_its_hash(db: Connection, alice: Connection) -> None:
    token = create(alice)
    alice.execute("select rowhooks.revoke_token(%s)", (token,))
    rows = db.execute("select act, object, arguments - 'expires_at' from rowhooks.audit order by id").fetchall()
    assert rows == [("create_token", "CI", {"scopes": ["read"], "role": None}), ("revoke_token", str(token), None)]


def test_only_the_console_asks_whose_a_token_is(
    alice: Connection, daemon_dsn: str, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    create(alice)
    for conn in (alice, connect_as(make_role("admin", "in role rowhooks_admin")), psycopg.connect(daemon_dsn)):
        with conn, pytest.raises(errors.InsufficientPrivilege):
            holders(conn)


def test_the_last_use_is_noted_to_the_minute(db: Connection, console: Connection, alice: Connection) -> None:
    create(alice)
    used = "select last_used_at from rowhooks.token"
    console.execute("set default_transaction_read_only = on")
    assert len(holders(console)) == 1
    assert db.execute(used).fetchone() == (None,)
    console.execute("set default_transaction_read_only = off")
    holders(console)
    (first,) = db.execute(used).fetchone() or (None,)
    assert first is not None
    holders(console)
    assert db.execute(used).fetchone() == (first,)
    db.execute("update rowhooks.token set last_used_at = now() - interval '61 s'")
    holders(console)
    assert db.execute("select last_used_at > now() - interval '60 s' from rowhooks.token").fetchone() == (True,)
