"""Schemas of databases, compared as pg_dump writes them."""

from __future__ import annotations

import difflib

import psycopg
from psycopg import sql

from rowhooks.postgres.administration.roles import ROLE_KINDS, Roles
from rowhooks.resources import sql_script
from tests.support.dumps import dump_schema


def assert_same_schema(expected: str, found: str) -> None:
    """Fail with the differences when two databases' schemas differ."""
    difference = list(
        difflib.unified_diff(dump_schema(expected), dump_schema(found), "sql/install.sql", "migrations", lineterm="")
    )
    assert not difference, "the schemas differ:\n" + "\n".join(difference)


def compare_with_sql(scripted: str, migrated: str, roles: Roles) -> None:
    """Install what sql/install.sql lists into an empty database; fail where another one's schema differs from that."""
    owner = sql.Identifier(roles.owner)
    with psycopg.connect(scripted) as conn:
        conn.execute(sql.SQL("create schema rowhooks authorization {}").format(owner))
        conn.execute(sql.SQL("set role {}").format(owner))
        # Alembic's own table.
        conn.execute(
            "create table rowhooks.alembic_version (version_num varchar(32) not null,"
            " constraint alembic_version_pkc primary key (version_num))"
        )
        conn.execute(sql_script("structure"))
        conn.execute(
            "insert into rowhooks.installation (owner_role, daemon_role, owner_role_created, daemon_role_created,"
            " capture_role, receiver_role, viewer_role, operator_role, admin_role, console_role)"
            " values (%s, %s, true, true, %s, %s, %s, %s, %s, %s)",
            tuple(getattr(roles, kind) for kind in ROLE_KINDS),
        )
        conn.execute(sql_script("functions"))
        conn.execute("select rowhooks.extend_object_change()")
        conn.execute("reset role")
        conn.execute(sql_script("superuser"))
    assert_same_schema(scripted, migrated)
