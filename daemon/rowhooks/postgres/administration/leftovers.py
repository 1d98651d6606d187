"""Leftovers: what dumps without the schema or without its rows leave in a database in which rowhooks is not installed.

The catalogue alone is read: a role may have made what is found for a superuser to run.
"""

from __future__ import annotations

from typing import Any

import psycopg

from rowhooks.domain import shell
from rowhooks.domain.errors import SchemaMismatch
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__)

MOST_NAMES = 5
"""Tables that a sentence names."""


def refuse_leftovers(conn: psycopg.Connection[Any]) -> None:
    """Refuse a database in which rowhooks is installed only in part.

    Call it before anything of the schema is read.

    Raises:
        SchemaMismatch: a part is there; the message names it, and the hint the command that removes it.
    """
    row = conn.execute(SQL["state"]).fetchone()
    assert row is not None, "the query makes up one row"
    is_there, is_ours, is_hollow = row
    if is_ours and not is_hollow:
        return
    triggers = conn.execute(SQL["triggers"]).fetchall()
    event_triggers = [statement for (statement,) in conn.execute(SQL["event_triggers"])]
    carriers = list(dict.fromkeys(table for table, _ in triggers))
    if is_hollow:
        raise SchemaMismatch(
            "schema rowhooks stands in this database without its rows, as a dump of the structure alone leaves it"
            f" (pg_dump --schema-only){_carried(carriers)}: they record what nobody will read",
            hint=f"drop it, with its triggers: {shell.command('psql', '-c', 'drop schema rowhooks cascade')}; then, if"
            " rowhooks is to run here: rowhooks init, rowhooks track",
        )
    if triggers or event_triggers:
        where = "schema rowhooks is none that rowhooks made" if is_there else "there is no schema rowhooks"
        dropping = "; ".join([statement for _, statement in triggers] + event_triggers)
        raise SchemaMismatch(
            f"rowhooks is not installed in this database: {where}{_carried(carriers)}, which record nothing",
            hint=f"drop them: {shell.command('psql', '-c', dropping)}; then, if rowhooks is to run here: rowhooks init",
        )


def _carried(carriers: list[str]) -> str:
    if not carriers:
        return ", and its event triggers are there"
    more = f" and {len(carriers) - MOST_NAMES} more" if len(carriers) > MOST_NAMES else ""
    return f", and its triggers are on {', '.join(carriers[:MOST_NAMES])}{more}"
