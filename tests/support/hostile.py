"""Markup that would run a script, in every place of a database that a page of the console shows."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import BaseModel, Field

from rowhooks import JobButtonReceiver, JobHookReceiver
from tests.support.console_world import World
from tests.support.hooks import add_button, add_hook

PAYLOAD = """"'><img src=x onerror=__pwned=1>"""
"""Leaves an attribute and begins an element; as long as a name of PostgreSQL's may be."""
LONG = (
    f"{PAYLOAD}</script><script>__pwned=1</script></textarea></title></option><svg onload=__pwned=1>{{{{7777*7777}}}}"
)
"""The same for texts of any length; the last part is a template's."""
ROLE = PAYLOAD
"""A role that presses; it may not log in."""
DEVICE = 98
"""The id of a device whose values are hostile."""

_P, _LONG = sql.Identifier(PAYLOAD), sql.Literal(LONG)


def _log_everything(receiver: Any, row: Any) -> None:
    receiver.logger.info(LONG, extra={"object": row, "grouping": PAYLOAD})


class HostileInputs(BaseModel):
    choice: Literal[PAYLOAD, "other"] = Field("other", title=LONG, description=LONG)  # type: ignore[valid-type]
    words: str = Field(LONG, alias=PAYLOAD, title=PAYLOAD, description=LONG)  # type: ignore[literal-required]


class HostileButton(JobButtonReceiver):
    class Meta:
        name, description, grouping = PAYLOAD, LONG, PAYLOAD

    Inputs = HostileInputs

    def receive_job_button(self, obj: Any) -> Any:
        _log_everything(self, obj)
        return {PAYLOAD: LONG}


class HostileHook(JobHookReceiver):
    class Meta:
        name, description, grouping = PAYLOAD, LONG, PAYLOAD

    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> None:
        _log_everything(self, changed_object)
        raise type(PAYLOAD, (Exception,), {})(LONG)


_STATEMENTS = (
    "create schema {p}",
    "create type inv.{p} as enum ({text}, 'other')",
    "create table {p}.{p} ({p} text primary key, label text, kind inv.{p}, document jsonb, texts text[], parent text"
    " references {p}.{p})",
    "comment on table {p}.{p} is {long}",
    "comment on column {p}.{p}.label is {long}",
    "select rowhooks.track('{p}.{p}')",
    "grant usage on schema {p} to technicians, rowhooks_daemon, {role}",
    "grant select, insert, update, delete on {p}.{p} to technicians, rowhooks_daemon, {role}",
    "insert into {p}.{p} values ({text}, {long}, {text}, jsonb_build_object({text}, {long}), array[{long}], null)",
    "insert into {p}.{p} values ('child', {long}, 'other', to_jsonb({long}::text), null, {text})",
)


@contextlib.contextmanager
def hostile(world: World) -> Iterator[int]:
    """Fill an inventory with hostile names, values, messages, roles and errors; yield the id of a press of two rows.

    Its daemon must have RECEIVERS.
    """
    role = sql.Identifier(ROLE)
    world.db.execute(sql.SQL("create role {} in role technicians, rowhooks_viewer").format(role))
    try:
        _fill(world.db, role)
        yield _act(world)
    finally:
        world.db.execute(sql.SQL("drop owned by {}").format(role))
        world.db.execute(sql.SQL("drop role {}").format(role))


def _fill(db: psycopg.Connection[Any], role: sql.Identifier) -> None:
    quoted = sql.Identifier(PAYLOAD, PAYLOAD).as_string(db)
    for statement in _STATEMENTS:
        form = statement.replace("'{p}.{p}'", "{table}")
        db.execute(
            sql.SQL(form).format(p=_P, text=sql.Literal(PAYLOAD), long=_LONG, role=role, table=sql.Literal(quoted))
        )
    add_hook(db, HostileHook, quoted, name=PAYLOAD)
    button = add_button(db, HostileButton, quoted, "inv.device", name=PAYLOAD, roles=["technicians", ROLE])
    db.execute(
        "update rowhooks.job_button set text = %s, group_name = %s, confirmation = false where id = %s",
        (f"{LONG.split('{{')[0]}{{{{ obj.label }}}}{{{{ obj.name }}}}", PAYLOAD, button),
    )
    db.execute(
        "update rowhooks.job_hook set conditions ="
        " jsonb_build_object('not', jsonb_build_object('attr', 'label', 'value', %s::text)) where name = %s",
        (f"{LONG}2", PAYLOAD),
    )
    db.execute(
        "insert into inv.device (id, name, serial, comments) values (%(id)s, %(p)s, %(p)s, %(p)s)",
        {"p": LONG, "id": DEVICE},
    )


def _act(world: World) -> int:
    """Change and press as a role with a hostile name, and as users whom a session names."""
    with psycopg.connect(make_conninfo(world.dsn), autocommit=True) as conn:
        conn.execute(sql.SQL("set session authorization {}").format(sql.Identifier(ROLE)))
        conn.execute(
            "select set_config('rowhooks.user', %(p)s, false), set_config('rowhooks.request_id', %(p)s, false),"
            " set_config('rowhooks.context', %(p)s, false)",
            {"p": LONG},
        )
        conn.execute(sql.SQL("update {p}.{p} set label = label || '!', texts = array[{l}]").format(p=_P, l=_LONG))
        table = sql.Identifier(PAYLOAD, PAYLOAD).as_string(conn)
        for key in (PAYLOAD, "child"):
            conn.execute(
                "select rowhooks.press(%s, %s::regclass, to_jsonb(%s::text), %s,"
                " jsonb_build_object(%s::text, %s::text))",
                (PAYLOAD, table, key, f"{key} once", PAYLOAD, LONG),
            )
        [(batch,)] = conn.execute(
            "select rowhooks.press_many(%s, %s::regclass, %s)", (PAYLOAD, table, [PAYLOAD, "child"])
        ).fetchall()
        world.settle()
        conn.execute(sql.SQL("delete from {p}.{p} where {p} = 'child'").format(p=_P))
    world.settle()
    return int(batch)


RECEIVERS = (HostileButton, HostileHook)
