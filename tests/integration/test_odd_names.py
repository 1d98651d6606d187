"""Schemas, tables and columns whose names mean something else elsewhere: with a dot, or SQLAlchemy's, or ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, ClassVar

import psycopg
import pytest
from psycopg import sql

from rowhooks import Hook, JobButtonReceiver, JobHookReceiver, ObjectChange, cli, press, table
from rowhooks.domain.names import join_name, split_name
from rowhooks.testing import Rehearsal
from tests.support.daemons import running_daemon
from tests.support.hooks import add_button, add_hook
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

USER = '"acme.com".user'
"""The one name of the table; in SQL `user` is quoted too."""


class Declared(JobHookReceiver):
    """Runs for a table that it names."""

    seen: ClassVar[list[Any]] = []

    class Meta:
        hooks: ClassVar = [Hook('"acme.com"."user"', actions=["create"])]

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append(
            (
                change.changed_object_type,
                isinstance(changed_object, table('"acme.com"."user"')),
                isinstance(changed_object, table('acme."com.user"')),
                self.user.has_perm('"acme.com".change_user', changed_object),
                change.after,
            )
        )
        changed_object.name = "seen"
        changed_object.save()


class Other(JobHookReceiver):
    """Runs for the table with which that one could be confused."""

    seen: ClassVar[list[Any]] = []

    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append((change.changed_object_type, change.after))


class Pressed(JobButtonReceiver):
    def receive_job_button(self, obj: Any) -> str:
        self.logger.info("pressed", extra={"object": obj})
        return str(obj["name"])


@pytest.fixture
def user(db: Connection) -> Iterator[str]:
    """Two tracked tables whose names are the same without quotes."""
    for schema, name, type_ in (("acme.com", "user", "date"), ("acme", "com.user", "integer")):
        quoted, where = sql.Identifier(schema, name), sql.Identifier(schema)
        db.execute(sql.SQL("create schema {}").format(where))
        db.execute(
            sql.SQL("create table {} (id integer primary key, name text, made {})").format(quoted, sql.SQL(type_))
        )
        db.execute(sql.SQL("grant usage on schema {} to rowhooks_daemon").format(where))
        db.execute(sql.SQL("grant select, update on {} to rowhooks_daemon").format(quoted))
        db.execute("select rowhooks.track(%s::regclass)", (quoted.as_string(),))
    yield USER
    Declared.seen.clear()
    Other.seen.clear()


async def test_a_schema_with_a_dot_works_from_hook_to_result(db: Connection, daemon_dsn: str, user: str) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name, enabled) values (%s, 'hook', 'Declared', true)",
               (f"{Declared.__module__}.Declared",))  # fmt: skip
    add_hook(db, Other, 'acme."com.user"')
    add_button(db, Pressed, '"acme.com"."user"', name="press")
    async with running_daemon(daemon_dsn, Declared, Other, Pressed):
        db.execute("""insert into "acme.com"."user" values (1, 'ann', 'infinity')""")
        db.execute("""insert into acme."com.user" values (1, 'bob', 7)""")
        await settled(db)
        press(db, "press", '"acme.com"."user"', 1)
        await settled(db)
    assert Declared.seen == [(USER, True, False, True, {"id": 1, "name": "ann", "made": "infinity"})]
    assert Other.seen == [('acme."com.user"', {"id": 1, "name": "bob", "made": 7})]
    found = db.execute("select object_type, status, result from rowhooks.results order by id").fetchall()
    assert sorted(found, key=str) == [
        (USER, "SUCCESS", "seen"), (USER, "SUCCESS", None), ('acme."com.user"', "SUCCESS", None),
    ]  # fmt: skip
    assert db.execute("select distinct object_type from rowhooks.changes order by 1").fetchall() == [
        (USER,), ('acme."com.user"',),
    ]  # fmt: skip
    assert db.execute("select distinct object_type from rowhooks.buttons").fetchall() == [(USER,)]
    assert db.execute("select object_type from rowhooks.job_log_entry").fetchall() == [(USER,)]


def test_the_command_line_takes_its_name_as_sql_does(
    dsn: str, db: Connection, user: str, capsys: pytest.CaptureFixture[str]
) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('jobs.Job', 'hook', 'Job')")
    command = ["hooks", "add", "h", "--job", "Job", "--table", '"acme.com"."user"', "--on", "create", "--dsn", dsn]
    assert cli.call(command) == 0
    assert cli.call(["hooks", "list", "--json", "--dsn", dsn]) == 0
    (hook,) = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert hook["tables"] == [USER]
    assert cli.call(["untrack", '"acme.com"."user"', "--dsn", dsn]) == 0


def test_the_testing_kit_knows_it(dsn: str, user: str) -> None:
    with Rehearsal(dsn) as kit:
        run = kit.run_hook(Declared, table='"acme.com"."user"', after={"id": 1, "name": "ann"})
        assert (run.status, run.exception) == ("SUCCESS", None)
        assert [write.table for write in run.writes] == [USER]
    assert Declared.seen[0][:3] == (USER, True, False)


@pytest.mark.parametrize(
    ("schema", "name", "joined"),
    [
        ("public", "Order", "public.Order"),
        ("acme.com", "user", USER),
        ("acme", "com.user", 'acme."com.user"'),
        ('we"ird', "a b", 'we"ird.a b'),
        ('"weird"', "a", '''"""weird""".a'''),
        ('"', ".", '""""."."'),
    ],
)
def test_python_and_the_server_give_a_table_the_same_name(db: Connection, schema: str, name: str, joined: str) -> None:
    assert join_name(schema, name) == joined
    assert split_name(joined) == (schema, name)
    assert db.execute("select rowhooks.qualified_name(%s::name, %s::name)", (schema, name)).fetchone() == (joined,)


@pytest.mark.parametrize("name", ["device", "a.b.c", "", ".", "a.", '"a".', '"a"b.c', '"a.b'])
def test_what_could_be_several_names_is_none(name: str) -> None:
    assert split_name(name) is None


NAMES = (
    "metadata", "metadata_", "registry", "save", "save_", "delete", "pk", "refresh_from_db", "validated_save", "attach",
    "__table__", "__mapper__", "__dict__", "__class__", "_rowhooks_repr", "_sa_instance_state", "_sa_registry",
    "_rowhooks_workspace", "_work", "rowhooks_place", "place", "k", "t", "c", "keys", "query", "self", "class", "None",
    "a b", "a.b", "a:b", "a%b", "a%(b)s", "a'b", 'a"b', "[a]", "1st", "Name", "name", "ünï", "x" * 63, "_", "__",
)  # fmt: skip


class Reads(JobHookReceiver):
    """Reads and writes each column as an item."""

    seen: ClassVar[list[Any]] = []

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> None:
        self.seen.append([changed_object[name] for name in NAMES])
        for name in NAMES:
            changed_object[name] = f"new {name}"
        changed_object.save()
        changed_object.refresh_from_db()
        self.seen.append([changed_object[name] for name in NAMES])
        assert changed_object.metadata_ == "new metadata_"
        assert changed_object.metadata__ == "new metadata"
        assert changed_object.save_ == "new save_"
        assert changed_object.save__ == "new save"
        assert (changed_object.pk, changed_object.query) == ("new pk", "new query")
        assert str(changed_object) == "new name"


async def test_a_column_of_any_name_is_an_item(db: Connection, daemon_dsn: str) -> None:
    Reads.seen.clear()
    columns = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(name)) for name in NAMES)
    db.execute(sql.SQL("create table odd (id integer primary key, {})").format(columns))
    db.execute("select rowhooks.track('odd')")
    db.execute("grant select, update on odd to rowhooks_daemon")
    add_hook(db, Reads, "odd", "create")
    values = [f"old {name}" for name in NAMES]
    async with running_daemon(daemon_dsn, Reads):
        db.execute(f"insert into odd values (1, {', '.join(['%s'] * len(NAMES))})", values)
        await settled(db)
    assert db.execute("select status, exception_message from rowhooks.job_result").fetchall() == [("SUCCESS", None)]
    expected = [f"new {name}" for name in NAMES]
    assert Reads.seen == [values, expected]
    assert list(db.execute("select * from odd").fetchone() or ()) == [1, *expected]


class Mistaken(JobHookReceiver):
    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        changed_object["nam"] = "a"


async def test_an_item_that_is_no_column_is_refused_with_the_columns(
    db: Connection, daemon_dsn: str, device: str
) -> None:
    add_hook(db, Mistaken, device)
    async with running_daemon(daemon_dsn, Mistaken):
        db.execute("insert into dcim.device values (1, 'sw')")
        await settled(db)
    assert db.execute("select status, exception_message from rowhooks.job_result").fetchall() == [
        ("FAILURE", "\"dcim.device has no column 'nam'; it has id, name, serial\"")
    ]
