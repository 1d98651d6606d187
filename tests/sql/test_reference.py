"""The reference says who may call a function as the database does."""

from __future__ import annotations

from typing import Any

import psycopg
from website.sql_functions import OWNERS, callers, headed


def test_the_reference_says_of_each_function_which_roles_may_call_it(db: psycopg.Connection[Any]) -> None:
    settings = [
        "daemon_role",
        "capture_role",
        "receiver_role",
        "viewer_role",
        "operator_role",
        "admin_role",
        "console_role",
    ]
    names = db.execute("select * from rowhooks.installation").fetchone()
    columns = db.execute("select * from rowhooks.installation").description
    assert names is not None
    assert columns is not None
    roles = {name: column.name for name, column in zip(names, columns, strict=True) if column.name in settings}
    found: dict[str, set[str]] = {}
    for name, role in db.execute(
        """
        select p.proname, coalesce(r.rolname, 'public')
        from pg_proc as p
        cross join aclexplode(p.proacl) as a
        left join pg_roles as r on r.oid = a.grantee
        where p.pronamespace = 'rowhooks'::regnamespace and a.grantee <> p.proowner
        """
    ):
        found.setdefault(name, set()).add(roles.get(role, role))
    assert callers() == found


def test_the_owners_functions_are_there_and_granted_to_nobody(db: psycopg.Connection[Any]) -> None:
    there_are = {
        name for (name,) in db.execute("select proname from pg_proc where pronamespace = 'rowhooks'::regnamespace")
    }
    assert set(OWNERS) <= there_are
    assert not set(OWNERS) & callers().keys()
    described = {one.name for one in headed() if one.kind == "function"}
    assert callers().keys() | set(OWNERS) <= described
