"""What a viewer sees of changes and runs is what PostgreSQL would show it of the rows themselves."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.support.hooks import add_hook
from tests.support.results import Serial, add_line, add_result
from tests.support.roles import ConnectAs, MakeRole

Connection = psycopg.Connection[Any]

ROWS = "select object_id -> 'id', prechange, postchange from rowhooks.visible_changes order by id"


@pytest.fixture
def viewer(db: Connection, make_role: MakeRole, connect_as: ConnectAs, item: str) -> Connection:
    """A member of rowhooks_viewer that may use schema shop, and read no table of it."""
    name = make_role("viewer", "in role rowhooks_viewer")
    db.execute(sql.SQL("grant usage on schema shop to {}").format(sql.Identifier(name)))
    return connect_as(name)


def grant(db: Connection, what: str, conn: Connection) -> None:
    db.execute(sql.SQL("grant {} to {}").format(sql.SQL(what), sql.Identifier(conn.info.user)))


def visible(conn: Connection, columns: str = "object_id -> 'id'", view: str = "visible_changes") -> list[Any]:
    """Return what a role sees, oldest first: a list of rows, or of values for one column."""
    rows = conn.execute(f"select {columns} from rowhooks.{view} order by id").fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


# Levels


@pytest.mark.parametrize(("membership", "level"), [
    ("", "none"),
    ("in role rowhooks_viewer", "viewer"),
    ("in role rowhooks_operator", "operator"),
    ("in role rowhooks_admin", "admin"),
    ("in role rowhooks_daemon", "admin"),
    ("in role rowhooks_owner", "admin"),
    ("in role rowhooks_console", "none"),
    ("in role rowhooks_receiver", "none"),
    ("noinherit in role rowhooks_admin", "none"),
])  # fmt: skip
def test_a_role_is_told_its_level(make_role: MakeRole, connect_as: ConnectAs, membership: str, level: str) -> None:
    name = make_role("person", membership)
    assert connect_as(name).execute("select * from rowhooks.my_access").fetchall() == [(name, level, False)]


def test_a_superuser_is_an_admin(db: Connection) -> None:
    assert db.execute("select level, is_superuser from rowhooks.my_access").fetchall() == [("admin", True)]


def test_the_level_is_that_of_the_role_in_force(make_role: MakeRole, connect_as: ConnectAs) -> None:
    weak, strong = make_role("weak"), make_role("strong", "in role rowhooks_admin")
    conn = connect_as(make_role("person", f"noinherit in role {weak}, {strong}"))
    levels = []
    for role in (weak, strong):
        conn.execute(sql.SQL("set role {}").format(sql.Identifier(role)))
        levels += conn.execute("select role, level from rowhooks.my_access").fetchall()
    assert levels == [(weak, "none"), (strong, "admin")]


# Tables


def test_a_role_that_is_no_viewer_reads_none_of_the_views(stranger: Connection) -> None:
    for view in ("visible_changes", "visible_results", "visible_log", "visible_batches"):
        with pytest.raises(errors.InsufficientPrivilege):
            visible(stranger, "1", view)


def test_a_viewer_sees_changes_of_the_tables_that_it_may_read(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    assert visible(viewer) == []
    grant(db, "select on shop.item", viewer)
    row = {"id": 1, "name": "bolt", "price": 1}
    assert visible(viewer, "object_type, object_id, object_repr, prechange, postchange, relation::regclass::text") == [
        ("shop.item", {"id": 1}, "bolt", None, row, "shop.item")
    ]


def test_a_table_in_a_schema_that_a_viewer_may_not_use_is_not_readable(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    grant(db, "select on shop.item", viewer)
    db.execute(sql.SQL("revoke usage on schema shop from {}").format(sql.Identifier(viewer.info.user)))
    assert visible(viewer) == []


def test_what_happened_to_a_table_that_is_gone_is_for_those_who_may_read_the_log(
    db: Connection, viewer: Connection, daemon_dsn: str
) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    grant(db, "select on shop.item", viewer)
    grant(db, "rowhooks_admin", viewer)
    db.execute("drop table shop.item")
    # Another table has its name now.
    db.execute("create table shop.item (id integer primary key)")
    grant(db, "select on shop.item", viewer)
    assert visible(viewer) == []
    assert visible(db) == [1]
    with psycopg.connect(daemon_dsn) as daemon:
        assert visible(daemon) == [1]


def test_a_table_that_is_no_longer_tracked_is_still_there(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    grant(db, "select on shop.item", viewer)
    db.execute("select rowhooks.untrack('shop.item')")
    assert visible(viewer) == [1]


@pytest.mark.parametrize(("view", "model", "more"), [
    ("visible_changes", "changes", ["tracked_table", "relation", "object_key"]),
    ("visible_changes_oldest_first", "visible_changes", []),
    ("visible_changes_by_row", "visible_changes", []),
    ("visible_results", "results", ["tracked_table", "relation", "job_hook_id", "job_button_id", "object_key"]),
    ("visible_results_oldest_first", "visible_results", []),
    ("visible_log", "job_log_entry", []),
    ("visible_batches", "batches", ["tracked_table"]),
])  # fmt: skip
def test_what_is_visible_has_the_columns_of_what_there_is(
    db: Connection, view: str, model: str, more: list[str]
) -> None:
    def columns(name: str) -> list[Any]:
        query = "select attname, atttypid::regtype::text from pg_attribute where attrelid = %s::regclass and attnum > 0"
        return db.execute(f"{query} order by attnum", (f"rowhooks.{name}",)).fetchall()

    there, of_model = columns(view), columns(model)
    assert there[: len(of_model)] == of_model
    assert [name for name, _ in there[len(of_model) :]] == more


# Columns


def test_columns_that_a_viewer_may_not_read_are_left_out(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("update shop.item set price = 2")
    grant(db, "select (id, name) on shop.item", viewer)
    assert visible(viewer, "object_id, object_repr, prechange, postchange") == [
        ({"id": 1}, "bolt", None, {"id": 1, "name": "bolt"}),
        ({"id": 1}, "bolt", {"id": 1, "name": "bolt"}, {"id": 1, "name": "bolt"}),
    ]


def test_a_key_that_a_viewer_may_not_read_is_left_out_with_what_stands_for_the_row(
    db: Connection, viewer: Connection
) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    grant(db, "select (name) on shop.item", viewer)
    assert visible(viewer, "object_id, object_repr, postchange") == [(None, None, {"name": "bolt"})]


def test_a_representation_from_a_column_that_a_viewer_may_not_read_is_left_out(
    db: Connection, viewer: Connection
) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, null, 1)")
    grant(db, "select (id, price) on shop.item", viewer)
    # The second row has its key for a name.
    assert visible(viewer, "object_repr") == [None, "2"]
    # The price stands for a row from now on, and did not then.
    db.execute("alter table shop.item drop column name")
    db.execute("alter table shop.item rename price to title")
    db.execute("insert into shop.item values (3, 7)")
    assert visible(viewer, "object_repr") == [None, "2", "7"]


def test_a_column_that_has_gone_is_for_viewers_of_the_whole_table(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    grant(db, "select (id, name, price) on shop.item", viewer)
    db.execute("alter table shop.item drop column price")
    db.execute("alter table shop.item rename name to title")
    assert visible(viewer, "postchange") == [{"id": 1}]
    grant(db, "select on shop.item", viewer)
    assert visible(viewer, "postchange") == [{"id": 1, "name": "bolt", "price": 1}]


def test_a_key_is_known_by_the_names_that_it_has_had(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("alter table shop.item rename id to number")
    db.execute("insert into shop.item values (2, 'nut', 1)")
    grant(db, "select (number) on shop.item", viewer)
    assert visible(viewer, "object_id, postchange") == [({"id": 1}, {"id": 1}), ({"number": 2}, {"number": 2})]


def test_an_error_of_the_capture_is_left_out_where_it_may_tell_a_value(db: Connection, viewer: Connection) -> None:
    db.execute("alter table shop.item add column body json")
    db.execute(r"""insert into shop.item values (1, 'bolt', 1, '{"x": "\u0000"}')""")
    grant(db, "select (id) on shop.item", viewer)
    assert visible(viewer, "capture_error") == ["not shown: it may tell values of columns that you may not read"]
    grant(db, "select on shop.item", viewer)
    assert "body" in visible(viewer, "capture_error")[0]


# Row security


@pytest.fixture
def secured(db: Connection, viewer: Connection) -> None:
    """A viewer sees rows of shop.item below a price of 10."""
    db.execute("alter table shop.item enable row level security")
    db.execute("create policy cheap on shop.item using (price < 10)")
    grant(db, "select on shop.item", viewer)


@pytest.mark.usefixtures("secured")
def test_what_happened_to_a_row_is_for_those_whom_its_policies_show_it(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, 'gold', 1000)")
    assert visible(viewer) == [1]
    db.execute("update shop.item set price = 5 where id = 2")
    assert visible(viewer) == [1, 2, 2]
    assert visible(db) == [1, 2, 2]


@pytest.mark.usefixtures("secured")
def test_of_a_row_that_is_gone_nothing_is_visible_where_policies_decide(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute("delete from shop.item")
    db.execute("truncate shop.item")
    assert visible(viewer) == []
    assert len(visible(db)) == 3


@pytest.mark.usefixtures("secured")
def test_a_row_is_found_by_the_former_name_of_its_key(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, 'gold', 1000)")
    db.execute("alter table shop.item rename id to number")
    assert visible(viewer, "object_id") == [{"id": 1}]


def test_row_security_and_column_privileges_hold_together(
    db: Connection, viewer: Connection, make_role: MakeRole
) -> None:
    db.execute("alter table shop.item enable row level security")
    db.execute("create policy cheap on shop.item using (price < 10)")
    grant(db, "select (id, name) on shop.item", viewer)
    db.execute("insert into shop.item values (1, 'bolt', 1), (2, 'gold', 1000)")
    assert visible(viewer, "postchange") == [{"id": 1, "name": "bolt"}]
    # Without its key, no row can be found.
    db.execute(sql.SQL("revoke select (id) on shop.item from {}").format(sql.Identifier(viewer.info.user)))
    assert visible(viewer) == []


@pytest.mark.usefixtures("secured")
def test_a_key_that_no_longer_fits_its_column_hides_its_line_and_no_other(db: Connection, viewer: Connection) -> None:
    db.execute("alter table shop.item alter id type text")
    db.execute("insert into shop.item values ('one', 'bolt', 1)")
    db.execute("update shop.item set id = '1'")
    db.execute("alter table shop.item alter id type integer using id::integer")
    db.execute("insert into shop.item values (2, 'nut', 1)")
    assert visible(viewer) == ["1", 2]


@pytest.mark.usefixtures("secured")
def test_a_viewer_that_turns_row_security_off_runs_no_policy(db: Connection, viewer: Connection) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    viewer.execute("set row_security = off")
    assert visible(viewer) == []


@pytest.mark.usefixtures("secured")
def test_a_locked_table_is_left_out_with_a_warning(db: Connection, viewer: Connection, dsn: str) -> None:
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    notices: list[str | None] = []
    viewer.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    with psycopg.connect(dsn) as holder:
        holder.execute("lock table shop.item in access exclusive mode")
        assert visible(viewer) == []
    assert notices == ["rowhooks: what happened to rows of shop.item is not shown: the table is locked"]
    assert visible(viewer) == [1]


# Runs


@pytest.fixture
def run_id(db: Connection, item: str) -> int:
    """A run for row 1 of shop.item, with a line in its log."""
    hook_id = add_hook(db, Serial, item)
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    columns = {"tracked_table": 1, "object_change_id": 1, "object_repr": "bolt", "result": '"done"'}
    run_id = add_result(db, hook_id, object_id='{"id": 1}', **columns)
    add_line(db, run_id, "it is done")
    return run_id


def runs_and_lines(conn: Connection) -> tuple[list[Any], list[Any]]:
    return visible(conn, "id", "visible_results"), visible(conn, "job_result_id", "visible_log")


def test_a_viewer_sees_runs_and_their_logs_of_the_tables_that_it_may_read(
    db: Connection, viewer: Connection, run_id: int
) -> None:
    assert runs_and_lines(viewer) == ([], [])
    grant(db, "select on shop.item", viewer)
    assert runs_and_lines(viewer) == ([run_id], [run_id])
    columns = "object_type, object_id, object_repr, result, relation::regclass::text, job_button_id"
    assert visible(viewer, columns, "visible_results") == [("shop.item", {"id": 1}, "bolt", "done", "shop.item", None)]


@pytest.mark.usefixtures("secured")
def test_a_run_is_for_those_whom_the_policies_of_its_table_show_the_row(
    db: Connection, viewer: Connection, run_id: int
) -> None:
    assert runs_and_lines(viewer) == ([run_id], [run_id])
    db.execute("update shop.item set price = 100")
    assert runs_and_lines(viewer) == ([], [])
    assert runs_and_lines(db) == ([run_id], [run_id])


def test_a_run_does_not_tell_a_key_or_a_name_that_may_not_be_read(
    db: Connection, viewer: Connection, run_id: int
) -> None:
    grant(db, "select (price) on shop.item", viewer)
    assert visible(viewer, "object_id, object_repr, result", "visible_results") == [(None, None, "done")]
    grant(db, "select (id) on shop.item", viewer)
    assert visible(viewer, "object_id, object_repr", "visible_results") == [({"id": 1}, None)]
    grant(db, "select (name) on shop.item", viewer)
    assert visible(viewer, "object_id, object_repr", "visible_results") == [({"id": 1}, "bolt")]


@pytest.mark.parametrize(
    "ddl",
    [
        "select rowhooks.track('shop.item', exclude => '{name}')",
        "alter table shop.item drop column name; select rowhooks.refresh_tables()",
    ],
)
def test_a_run_does_not_tell_a_name_from_a_column_that_stands_for_the_row_no_more(
    db: Connection, viewer: Connection, run_id: int, ddl: str
) -> None:
    grant(db, "select (id, price) on shop.item", viewer)
    db.execute(ddl.encode())
    assert visible(viewer, "object_id, object_repr", "visible_results") == [({"id": 1}, None)]
    # Another column stands for the row by now, and then another one.
    db.execute("alter table shop.item add column label text; grant select (label) on shop.item to public")
    db.execute("select rowhooks.refresh_tables()")
    assert visible(viewer, "object_id, object_repr", "visible_results") == [({"id": 1}, None)]
    assert visible(db, "object_repr", "visible_results") == ["bolt"]


# Attacks


LEAK = """
create function pg_temp.leak(value anyelement) returns boolean language plpgsql immutable cost 0.0001 as
$$ begin raise notice '%', value; return true; end $$
"""


def test_a_condition_of_a_viewer_never_meets_a_line_that_it_may_not_see(db: Connection, viewer: Connection) -> None:
    db.execute("create table shop.secret (id integer primary key, name text)")
    db.execute("select rowhooks.track('shop.secret')")
    db.execute("select set_config('rowhooks.user', 'hush', false)")
    db.execute("insert into shop.secret values (7, 'hush')")
    db.execute("select set_config('rowhooks.user', '', false)")
    grant(db, "select (id, name) on shop.item", viewer)
    db.execute("insert into shop.item values (1, 'bolt', 4711)")
    notices: list[str | None] = []
    viewer.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    viewer.execute(LEAK)
    for column in ("id", "time", "object_id", "object_repr", "postchange", "object_type", "user_name"):
        assert visible(viewer, f"object_id -> 'id', pg_temp.leak({column})") == [(1, True)]
        viewer.execute(f"select from rowhooks.visible_changes where pg_temp.leak({column})")
    told = " ".join(str(notice) for notice in notices)
    assert "bolt" in told
    assert [word for word in ("hush", "secret", "7}", "4711") if word in told] == []


# What such code writes is rolled back. So it says that it runs.
EVIL = """
create function hostile.note(what text) returns boolean language plpgsql as
$$ begin raise warning '%', what; return true; end $$;
create domain hostile.number as integer check (hostile.note('check'));
create type hostile.mood as enum ('ok');
create function hostile.mood_text(hostile.mood) returns text language plpgsql as
$$ begin perform hostile.note('cast to text'); return 'ok'; end $$;
create cast (hostile.mood as text) with function hostile.mood_text(hostile.mood) as assignment;
create function hostile.mood_number(hostile.mood) returns integer language plpgsql as
$$ begin perform hostile.note('cast to integer'); return 1; end $$;
create cast (hostile.mood as integer) with function hostile.mood_number(hostile.mood) as assignment;
grant usage on schema hostile to public;
"""


@pytest.fixture
def hostile(db: Connection, make_role: MakeRole, connect_as: ConnectAs) -> Connection:
    """The owner of a schema in which types have casts and checks that say that they run."""
    name = make_role("owner")
    db.execute(f"create schema hostile authorization {name}")
    owner = connect_as(name)
    owner.execute(EVIL)
    return owner


def make_secured(db: Connection, owner: Connection, columns: str, row: str) -> None:
    owner.execute(f"create table hostile.thing ({columns}); grant select on hostile.thing to public")
    owner.execute("alter table hostile.thing enable row level security")
    owner.execute("create policy everything on hostile.thing using (true)")
    db.execute("select rowhooks.track('hostile.thing')")
    owner.execute(f"insert into hostile.thing values ({row})")


def told(conn: Connection) -> list[str | None]:
    """Return a list that gets what a connection is told."""
    messages: list[str | None] = []
    conn.add_notice_handler(lambda notice: messages.append(notice.message_primary))
    return messages


@pytest.mark.parametrize(("columns", "row"), [
    ("id hostile.number, mood hostile.mood, primary key (id, mood)", "1, 'ok'"),
    ("id hostile.number[], primary key (id)", "'{1,2}'"),
    ("id hostile.mood, primary key (id)", "'ok'"),
])  # fmt: skip
def test_nothing_of_a_tables_owner_but_its_policies_runs_as_the_viewer(
    db: Connection, viewer: Connection, hostile: Connection, columns: str, row: str
) -> None:
    make_secured(db, hostile, columns, row)
    messages = told(viewer)
    assert len(visible(viewer, "object_id")) == 1
    assert messages == []


def test_a_table_that_was_altered_since_the_viewers_transaction_began_is_not_read_as_it_was(
    db: Connection, viewer: Connection, hostile: Connection
) -> None:
    make_secured(db, hostile, "id integer primary key, mood hostile.mood", "1, 'ok'")
    messages = told(viewer)
    viewer.execute("set default_transaction_isolation = 'repeatable read'")
    with viewer.transaction():
        assert visible(viewer) == [1]
        hostile.execute("alter table hostile.thing rename column id to former")
        hostile.execute("alter table hostile.thing rename column mood to id")
        assert visible(viewer) == []
    assert messages == []


def test_what_a_policy_does_as_the_viewer_leaves_nothing_behind(
    db: Connection, viewer: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    """Who reads a list has not chosen its tables: the owner of one of them could have it do anything."""
    name = make_role("owner")
    db.execute(f"create schema hostile authorization {name}")
    db.execute("create table public.ran (what text)")
    db.execute("grant insert on public.ran to public")
    owner = connect_as(name)
    owner.execute("""
        create table hostile.thing (id integer primary key);
        alter table hostile.thing enable row level security;
        grant usage on schema hostile to public;
        grant select on hostile.thing to public;
    """)
    db.execute("select rowhooks.track('hostile.thing')")
    owner.execute("insert into hostile.thing values (1)")
    wishes = [
        "insert into public.ran values ('x')",
        "perform rowhooks.create_token('x', sha256('x'), '{read}', now() + '1 d')",
        "perform set_config('app.tenant', 'evil', false)",
        "perform set_config('transaction_read_only', 'off', false); insert into public.ran values ('x')",
        "perform pg_notify('evil', 'x')",
        "execute 'create temporary table evil ()'",
    ]
    viewer.execute("listen evil")
    for number, wish in enumerate(wishes):
        owner.execute(f"""
            create function hostile.wish_{number}() returns boolean language plpgsql as $$ begin
              begin {wish}; exception when others then raise notice '%', sqlerrm; end;
              return true;
            end $$;
            drop policy if exists wish on hostile.thing;
            create policy wish on hostile.thing using (hostile.wish_{number}());
        """)
        assert visible(viewer) == [1]
    assert db.execute("select * from public.ran").fetchall() == []
    assert db.execute("select * from rowhooks.token").fetchall() == []
    assert viewer.execute("select nullif(current_setting('app.tenant', true), '')").fetchone() == (None,)
    assert viewer.execute("select to_regclass('pg_temp.evil')").fetchone() == (None,)
    assert list(viewer.notifies(timeout=0.2)) == []


def test_a_view_that_was_given_on_shows_its_reader_no_more_than_it_may_see(
    db: Connection, viewer: Connection, make_role: MakeRole, connect_as: ConnectAs
) -> None:
    grant(db, "select on shop.item", viewer)
    db.execute("insert into shop.item values (1, 'bolt', 1)")
    db.execute(f"create schema given authorization {viewer.info.user}")
    viewer.execute("create view given.away as select * from rowhooks.visible_changes")
    viewer.execute("grant usage on schema given to public; grant select on given.away to public")
    assert viewer.execute("select count(*) from given.away").fetchone() == (1,)
    other = connect_as(make_role("other", "in role rowhooks_viewer"))
    assert other.execute("select count(*) from given.away").fetchone() == (0,)


# Plans


@pytest.fixture
def many(db: Connection, viewer: Connection) -> None:
    """A log of 20,000 lines of shop.item, and as many runs, one each second."""
    db.execute("insert into shop.item select n, 'bolt', 1 from generate_series(1, 20000) as n")
    db.execute(
        """
        insert into rowhooks.job_result (
          trigger, status, leader_epoch, job_hook_id, job_id, class_path, finished_at, created_at, tracked_table,
          object_id
        )
        select
          'replay', 'SUCCESS', gen_random_uuid(), 1, 1, 'x.Y', now(), timestamptz '2020-01-01Z' + n * interval '1 s', 1,
          jsonb_build_object('id', n)
        from generate_series(1, 20000) as n
        """
    )
    db.execute("analyze rowhooks.object_change; analyze rowhooks.job_result")


def plan(conn: Connection, query: str) -> list[dict[str, Any]]:
    """Execute a query; return the nodes of its plan that are executed for its lines."""
    row = conn.execute(f"explain (analyze, timing off, format json) {query}").fetchone()
    assert row is not None

    def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
        # What is looked up once for the whole query, or for one line, is left out.
        aside = ("InitPlan", "SubPlan")
        below = [child for child in node.get("Plans", ()) if child["Parent Relationship"] not in aside]
        return [node, *(one for child in below for one in nodes(child))]

    return nodes(row[0][0]["Plan"])


PAGES = [
    ("Backward", "select * from rowhooks.visible_changes where id < 15000 order by id desc limit 50"),
    ("Forward", "select * from rowhooks.visible_changes_oldest_first where id > 5000 order by id limit 50"),
    (
        "Backward",
        "select * from rowhooks.visible_results where (created_at, id) < ('2020-01-01 02:00Z', 0)"
        " order by created_at desc, id desc limit 50",
    ),
    (
        "Forward",
        "select * from rowhooks.visible_results_oldest_first where (created_at, id) > ('2020-01-01 02:00Z', 0)"
        " order by created_at, id limit 50",
    ),
]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("security", [False, True])
@pytest.mark.parametrize(("direction", "query"), PAGES)
def test_a_page_reads_an_index_in_its_order_and_no_more_lines_than_it_needs(
    db: Connection, viewer: Connection, security: bool, direction: str, query: str
) -> None:
    grant(db, "select on shop.item", viewer)
    if security:
        db.execute("alter table shop.item enable row level security")
        db.execute("create policy everything on shop.item using (id > 0)")
    nodes = plan(viewer, query)
    scans = [node for node in nodes if re.match("object_change_|job_result", node.get("Relation Name", ""))]
    read = sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans)
    assert {node["Node Type"] for node in scans} == {"Index Scan"}
    assert {node["Scan Direction"] for node in scans} == {direction}
    assert not [node for node in nodes if node["Node Type"] in ("Sort", "Incremental Sort", "Hash", "Hash Join")]
    assert 50 <= read < 60


@pytest.mark.usefixtures("many")
def test_a_role_that_may_read_the_log_itself_looks_nothing_up(db: Connection, daemon_dsn: str) -> None:
    with psycopg.connect(daemon_dsn, autocommit=True) as daemon:
        nodes = plan(daemon, "select * from rowhooks.visible_changes order by id desc limit 50")
    looked = [node for node in nodes if node["Node Type"] == "CTE Scan" and node["Actual Loops"]]
    assert looked == []
