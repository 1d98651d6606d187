"""Functions of schema rowhooks that are not what this version installs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import psycopg

from rowhooks.resources import sql_script

_FUNCTION = re.compile(
    r"^create or replace function rowhooks\.(?P<name>\w+)(?P<head>.*?)\bas (?P<quote>\$\w*\$)(?P<source>.*?)(?P=quote)",
    re.DOTALL | re.MULTILINE,
)

_PRESENT = """
select
  p.oid::regprocedure::text, p.proname::text, p.prosrc, p.prosecdef, coalesce(p.proconfig, '{}'),
  p.proowner = n.nspowner, pg_get_userbyid(n.nspowner)::text
from pg_proc as p
join pg_namespace as n on n.oid = p.pronamespace
where n.nspname = 'rowhooks'
order by 1
"""


@dataclass(frozen=True)
class Function:
    """A function as it ought to be.

    Args:
        definer: it is SECURITY DEFINER.
        pinned: its search_path is empty.
    """

    name: str
    source: str
    definer: bool
    pinned: bool


def wanted_functions() -> list[Function]:
    """Return the functions that sql/functions/ makes."""
    return [
        Function(
            found["name"],
            found["source"],
            "security definer" in found["head"],
            "set search_path = ''" in found["head"],
        )
        for found in _FUNCTION.finditer(sql_script("functions"))
    ]


def drifted_functions(conn: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Return what is wrong and the way out, for each function that is missing, altered, or somebody else's."""
    present = conn.execute(_PRESENT).fetchall()
    found = {
        (name, source, definer, 'search_path=""' in settings) for _, name, source, definer, settings, _, _ in present
    }
    names = {row[1] for row in present}
    wanted = wanted_functions()
    drifted = {
        wanted.name: "is missing" if wanted.name not in names else "is not what this version of rowhooks installs"
        for wanted in wanted
        if (wanted.name, wanted.source, wanted.definer, wanted.pinned) not in found
    }
    problems = [(f"function rowhooks.{name} {what}", "rowhooks upgrade") for name, what in sorted(drifted.items())]
    ours = {one.name for one in wanted}
    for signature, name, _, _, _, is_owned, owner in present:
        if not is_owned and (name in ours or name.startswith("capture_")):
            problems.append((
                f"function {signature} does not belong to {owner}",
                f"alter function {signature} owner to {owner}",
            ))  # fmt: skip
    return problems
