"""The statements with which PostgREST (version 17) answers a call of a function, executed as it executes them.

The program itself comes by no package registry. This stands in for it: what its source does in PreQuery.hs (the
transaction's variables), QueryBuilder.hs (callPlanToQuery), Statements.hs (mainCall) and Error.hs (mapSQLtoHTTP).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]

_VARIABLES = """
select set_config('search_path', $1, true), set_config('role', $2, true), set_config('request.jwt.claims', $3, true),
  set_config('request.method', $4, true), set_config('request.path', $5, true),
  set_config('request.headers', '{}', true), set_config('request.cookies', '{}', true)
"""
_PARAMETERS = """
select p.provolatile = 'v', array_agg(a.name order by a.place), array_agg(format_type(a.type, -1) order by a.place)
from pg_proc as p
cross join lateral unnest(p.proargnames, p.proargtypes::oid[]) with ordinality as a (name, type, place)
where p.pronamespace = $1::regnamespace and p.proname = $2
group by p.oid
having array_agg(a.name) @> $3
"""
_STATUSES = {
    "08": 503,
    "22": 400,
    "25006": 405,
    "40": 500,
    "42501": 403,
    "42P01": 404,
    "42883": 404,
    "23505": 409,
    "55": 500,
    "P0": 500,
}


def call(
    conn: Connection, schema: str, name: str, given: Mapping[str, Any], claims: Mapping[str, Any], *, method: str
) -> tuple[int, Any]:
    """Answer a request to /rpc/NAME; return the status and the JSON.

    Args:
        conn: a connection of PostgREST's login.
        schema: the schema that it serves.
        name: the function.
        given: the parameters in the query, as texts (GET), or in the body (POST).
        claims: what the request's token says.
        method: GET or POST.
    """
    with psycopg.RawCursor(conn) as cursor:
        found = cursor.execute(_PARAMETERS, [schema, name, list(given)]).fetchall()
    conn.rollback()
    if len(found) != 1:
        return 404, {"code": "PGRST202", "message": f"Could not find the function {schema}.{name} in the schema cache"}
    [(is_volatile, names, types)] = found
    kinds = {one: kind for one, kind in zip(names, types, strict=True) if one in given}
    conn.read_only = method == "GET" or not is_volatile
    role = str(claims["role"])
    variables = [f'"{schema}", "public"', role, json.dumps(claims), method, f"/rpc/{name}"]
    try:
        with conn.transaction(), psycopg.RawCursor(conn) as cursor:
            cursor.execute(_VARIABLES, variables)
            row = cursor.execute(*_main(schema, name, kinds, given, method)).fetchone()
    except psycopg.Error as error:
        return _status(error.sqlstate or ""), {
            "code": error.sqlstate, "message": error.diag.message_primary, "details": None,
            "hint": error.diag.message_hint,
        }  # fmt: skip
    assert row is not None
    return 200, row[0]


def _main(
    schema: str, name: str, kinds: Mapping[str, str], given: Mapping[str, Any], method: str
) -> tuple[str, list[Any]]:
    function = f'"{schema}"."{name}"'
    if method == "GET":
        arguments = ", ".join(
            f'"{one}" := ${place}::{kind}' for place, (one, kind) in enumerate(kinds.items(), start=1)
        )
        values = [given[one] for one in kinds]
        call = f"SELECT pgrst_call.pgrst_scalar FROM (SELECT {function}({arguments}) pgrst_scalar) pgrst_call"
    else:
        columns = ", ".join(f'"{one}" {kind}' for one, kind in kinds.items())
        named = ", ".join(f'"{one}"' for one in kinds)
        arguments = ", ".join(f'"{one}" := pgrst_body."{one}"' for one in kinds)
        values = [json.dumps(given)]
        call = (
            "SELECT pgrst_call.pgrst_scalar FROM (SELECT $1::json AS json_data) pgrst_payload, "
            f"LATERAL (SELECT {named} FROM json_to_record(pgrst_payload.json_data) "
            f"AS _({columns}) ) pgrst_body , LATERAL (SELECT {function}({arguments}) pgrst_scalar) pgrst_call"
        )
    return (
        f"WITH pgrst_source AS ({call}) SELECT "
        "coalesce(json_agg(_postgrest_t.pgrst_scalar)->0, 'null') AS body "
        'FROM (SELECT "pgrst_source".* FROM "pgrst_source" ) _postgrest_t',
        values,
    )


def _status(code: str) -> int:
    return next((_STATUSES[code[:length]] for length in (5, 2) if code[:length] in _STATUSES), 400)
