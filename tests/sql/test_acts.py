"""Acts of people: who may do what is decided by the role in force, and each act is written down with it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.hooks import add_hook
from tests.support.pressing import add_button
from tests.support.results import Serial, add_result
from tests.support.roles import ConnectAs, Connection, MakeRole

JOB = f"{Serial.__module__}.{Serial.__qualname__}"
OPERATOR_ACTS = [
    "select rowhooks.retry(1000)",
    "select rowhooks.replay('Serials', '{1}')",
    "select rowhooks.forget_missed('Serials', now())",
    f"select rowhooks.disable_job('{JOB}')",
    f"select rowhooks.enable_job('{JOB}')",
    "select rowhooks.disable_hook('Serials')",
    "select rowhooks.enable_hook('Serials')",
    "select rowhooks.disable_button('Reboot')",
    "select rowhooks.enable_button('Reboot')",
]
ADMIN_ACTS = [
    f"select rowhooks.create_job_hook('More', '{JOB}', '{{shop.item}}', '{{delete}}')",
    """select rowhooks.alter_job_hook('Serials', '{"columns": ["name"]}')""",
    "select rowhooks.drop_job_hook('Serials')",
    "select rowhooks.create_job_button('More', 'policies.Reboot', '{shop.item}', 'More', expected => true)",
    """select rowhooks.alter_job_button('Reboot', '{"weight": 7}')""",
    "select rowhooks.drop_job_button('Reboot')",
    "select rowhooks.move_job('policies.Old', 'policies.New')",
    "select rowhooks.remove_job('policies.Gone')",
    "select rowhooks.prune_audit('90 days')",
]
MAKE_AUDIT = "insert into rowhooks.audit (actor, login, act) values ('x', 'x', 'x')"


@pytest.fixture
def ready(db: Connection, item: str) -> None:
    """A hook, a button, a failed run 1000 for row 1 of shop.item, and jobs that are missing."""
    hook_id = add_hook(db, Serial, item, "create", name="Serials")
    add_button(db, item)
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    add_result(
        db, hook_id, id=1000, status="FAILURE", object_change_id=1, tracked_table=1, object_id='{"id": 1}'
    )  # fmt: skip
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled, installed) values"
        " ('policies.Old', 'hook', 'Old', true, false), ('policies.New', 'hook', 'New', true, true),"
        " ('policies.Gone', 'hook', 'Gone', true, false)"
    )


@pytest.fixture
def person(db: Connection, make_role: MakeRole, connect_as: ConnectAs, ready: None) -> Any:
    """Connect as a new role with a membership; it may read shop.item."""

    def made(membership: str = "") -> Connection:
        name = sql.Identifier(make_role("person", membership))
        db.execute(sql.SQL("grant usage on schema shop to {0}; grant select on shop.item to {0}").format(name))
        return connect_as(name.as_string().strip('"'))

    return made


def audit(db: Connection, columns: str = "act, object, arguments") -> list[tuple[Any, ...]]:
    return db.execute(f"select {columns} from rowhooks.audit order by id").fetchall()


def refusal(conn: Connection, statement: str) -> tuple[str | None, str | None]:
    """Return message and hint of a refusal for want of a privilege."""
    with pytest.raises(errors.InsufficientPrivilege) as refused:
        conn.execute(statement)
    return refused.value.diag.message_primary, refused.value.diag.message_hint


# Levels


@pytest.mark.parametrize("act", OPERATOR_ACTS)
def test_an_operator_does_what_a_viewer_is_refused(db: Connection, person: Any, act: str) -> None:
    for membership in (
        "",
        "in role rowhooks_viewer",
        "in role rowhooks_console",
        "noinherit in role rowhooks_operator",
    ):
        weak = person(membership)
        message, hint = refusal(weak, act)
        assert message is not None
        assert message.startswith(f"role {weak.info.user} may not ")
        assert hint == f"Let an administrator run: grant rowhooks_operator to {weak.info.user}"
    assert audit(db) == []
    operator = person("in role rowhooks_operator")
    operator.execute(act)
    assert audit(db, "actor, login") == [(operator.info.user, operator.info.user)]


@pytest.mark.parametrize("act", ADMIN_ACTS)
def test_an_admin_does_what_an_operator_is_refused(db: Connection, person: Any, act: str) -> None:
    operator = person("in role rowhooks_operator")
    assert refusal(operator, act)[1] == f"Let an administrator run: grant rowhooks_admin to {operator.info.user}"
    assert audit(db) == []
    admin = person("in role rowhooks_admin")
    admin.execute(act)
    assert audit(db, "actor") == [(admin.info.user,)]


@pytest.mark.parametrize("membership", ["superuser", "in role rowhooks_daemon", "in role rowhooks_owner"])
def test_a_superuser_the_owner_and_the_daemons_role_are_admins(db: Connection, person: Any, membership: str) -> None:
    admin = person(membership)
    for act in OPERATOR_ACTS + ADMIN_ACTS[:2]:
        admin.execute(act)
    assert len(audit(db)) == len(OPERATOR_ACTS) + 2


# What is written down


def test_an_act_is_written_down_with_what_was_given(db: Connection, person: Any) -> None:
    admin = person("in role rowhooks_admin")
    for act in (
        "select rowhooks.retry(1000)",
        "select rowhooks.replay('Serials', '{1,77}')",
        """select rowhooks.alter_job_hook('Serials', '{"columns": ["name"], "more_tables": [1]}')""",
        f"select rowhooks.create_job_hook('S', '{JOB}', '{{shop.item}}', '{{delete}}',"
        """ conditions => '{"attr": "id", "value": null}')""",
    ):
        admin.execute(act)
    assert audit(db) == [
        ("retry", "1000", None),
        ("replay", "Serials", {"changes": {"number": 2, "first": 1, "last": 77}}),
        ("alter_job_hook", "Serials", {"columns": ["name"], "more_tables": ["shop.item"]}),
        (
            "create_job_hook", "S",
            {
                "job": JOB, "tables": ["shop.item"], "actions": ["delete"], "columns": [], "ignored_columns": [],
                "conditions": {"attr": "id", "value": None}, "on_undecided": "run", "queue": None, "enabled": None,
                "or_replace": False, "expected": False,
            },
        ),
    ]  # fmt: skip


def test_an_act_that_is_rolled_back_was_never_done(db: Connection, person: Any) -> None:
    operator = person("in role rowhooks_operator")
    with operator.transaction(force_rollback=True):
        operator.execute("select rowhooks.disable_hook('Serials')")
    assert audit(db) == []
    assert db.execute("select enabled from rowhooks.job_hook").fetchall() == [(True,)]


def test_an_act_that_is_refused_by_what_there_is_is_not_written_down(db: Connection, person: Any) -> None:
    admin = person("in role rowhooks_admin")
    for act in ("retry(7)", "enable_hook('No')", "enable_job('policies.Gone')", f"remove_job('{JOB}')"):
        with pytest.raises(psycopg.DatabaseError):
            admin.execute(f"select rowhooks.{act}")
    assert audit(db) == []


def test_old_lines_are_pruned_by_an_admin_and_that_is_written_down(db: Connection, person: Any) -> None:
    admin = person("in role rowhooks_admin")
    db.execute(
        "insert into rowhooks.audit (time, actor, login, act) values"
        " (now() - interval '91 days', 'x', 'x', 'old'), (now() - interval '89 days', 'x', 'x', 'young')"
    )
    for span in ("89 days 23 hours", "-1 day", "0"):
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="must be 90 days or more"):
            admin.execute("select rowhooks.prune_audit(%s)", (span,))
    assert admin.execute("select rowhooks.prune_audit('90 days')").fetchone() == (1,)
    assert audit(db, "actor, act, arguments") == [
        ("x", "young", None), (admin.info.user, "prune_audit", {"older_than": "90 days"}),
    ]  # fmt: skip


def test_the_audit_is_read_by_admins_and_written_by_nobody(db: Connection, person: Any) -> None:
    operator, admin = person("in role rowhooks_operator"), person("in role rowhooks_admin")
    daemon = person("in role rowhooks_daemon")
    operator.execute("select rowhooks.disable_hook('Serials')")
    refusal(operator, "select * from rowhooks.audit")
    for conn in (admin, daemon):
        assert conn.execute("select act from rowhooks.audit").fetchall() == [("disable_hook",)]
        for statement in (MAKE_AUDIT, "update rowhooks.audit set actor = 'x'", "delete from rowhooks.audit"):
            refusal(conn, statement)


# What may not be seen


def test_a_run_that_may_not_be_seen_is_not_there(db: Connection, person: Any) -> None:
    operator = person("in role rowhooks_operator")
    db.execute(sql.SQL("revoke select on shop.item from {}").format(sql.Identifier(operator.info.user)))
    for act in ("retry", "revoke"):
        with pytest.raises(errors.NoDataFound, match="there is no result 1000"):
            operator.execute(f"select rowhooks.{act}(1000)")
    assert operator.execute("select rowhooks.replay('Serials', '{1}')").fetchone() == (0,)
    assert db.execute("select count(*) from rowhooks.job_result").fetchone() == (1,)


def test_a_run_of_a_row_that_row_security_hides_is_not_there(db: Connection, person: Any) -> None:
    operator = person("in role rowhooks_operator")
    db.execute("alter table shop.item enable row level security")
    with pytest.raises(errors.NoDataFound, match="there is no result 1000"):
        operator.execute("select rowhooks.retry(1000)")
    db.execute("create policy everything on shop.item using (true)")
    assert operator.execute("select rowhooks.retry(1000)").fetchone() is not None


# Attacks


def test_nobody_acts_in_anothers_name(db: Connection, person: Any) -> None:
    stranger, operator = person(), person("in role rowhooks_operator")
    columns = "(act, object, actor, noted)"
    refusal(stranger, f"insert into rowhooks.act {columns} values ('disable_hook', 'Serials', 'postgres', 'true')")
    operator.execute(f"insert into rowhooks.act {columns} values ('disable_hook', 'Serials', 'postgres', 'true')")
    assert audit(db, "actor, login") == [(operator.info.user, operator.info.user)]
    db.execute(sql.SQL("revoke select on shop.item from {}").format(sql.Identifier(operator.info.user)))
    with pytest.raises(errors.NoDataFound):
        operator.execute(f"insert into rowhooks.act {columns} values ('retry', '1000', 'postgres', 'true')")


def test_the_role_in_force_counts_and_the_login_is_written_down_beside_it(
    db: Connection, person: Any, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    operator, weak = make_role("operator", "in role rowhooks_operator"), make_role("weak")
    login = connect_as(make_role("login", f"noinherit in role {operator}, {weak}"))
    login.execute(sql.SQL("set role {}").format(sql.Identifier(weak)))
    refusal(login, "select rowhooks.disable_hook('Serials')")
    login.execute(sql.SQL("set role {}").format(sql.Identifier(operator)))
    login.execute("select rowhooks.disable_hook('Serials')")
    assert audit(db, "actor, login") == [(operator, login.info.user)]
    # A superuser that takes another role has that one's rights.
    db.execute(sql.SQL("set role {}").format(sql.Identifier(weak)))
    refusal(db, "select rowhooks.disable_hook('Serials')")
    db.execute("reset role")


def hostile_function(db: Connection, attacker: Connection, rights: str) -> None:
    db.execute(f"create schema hostile authorization {attacker.info.user}")
    attacker.execute(
        "create function hostile.act(integer) returns integer language plpgsql immutable " + rights + " as"
        " $$ begin perform hostile.act_now(); return $1; end $$;"
        "create function hostile.act_now() returns void language plpgsql " + rights + " as"
        " $$ begin perform rowhooks.disable_hook('Serials');"
        " exception when insufficient_privilege then raise warning '%', sqlerrm; end $$;"
        "grant usage on schema hostile to public"
    )


def test_a_security_definer_function_has_the_rights_of_its_owner(db: Connection, person: Any) -> None:
    attacker, admin = person(), person("in role rowhooks_admin")
    hostile_function(db, attacker, "security definer")
    warnings: list[str | None] = []
    for victim in (admin, db):
        victim.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
        victim.execute("select hostile.act_now()")
    assert warnings == [f"role {attacker.info.user} may not disable hooks"] * 2
    assert audit(db) == []


def test_an_expression_of_an_index_does_nothing_when_a_superuser_rebuilds_it(db: Connection, person: Any) -> None:
    attacker = person()
    hostile_function(db, attacker, "")
    attacker.execute("create table hostile.bait (id integer); insert into hostile.bait values (1)")
    attacker.execute("create index bait_idx on hostile.bait (hostile.act(id))")
    warnings: list[str | None] = []
    db.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
    db.execute("reindex table hostile.bait")
    db.execute("vacuum full hostile.bait")
    db.execute("analyze hostile.bait")
    assert set(warnings) == {f"role {attacker.info.user} may not disable hooks"}
    assert audit(db) == []


def test_what_is_given_beside_the_arguments_is_refused(person: Any) -> None:
    admin = person("in role rowhooks_admin")
    for statement in (
        """insert into rowhooks.act (act, object, arguments) values ('retry', '1000', '{"password": "x"}')""",
        """insert into rowhooks.act (act, object, arguments) values ('retry', '1000', '"x"')""",
        """select rowhooks.alter_job_hook('Serials', '{"enabled": true}')""",
        "insert into rowhooks.act (act) values ('drop_schema')",
        "insert into rowhooks.act (act) values (null)",
    ):
        with pytest.raises(errors.InvalidParameterValue):
            admin.execute(statement)
