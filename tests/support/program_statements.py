"""The SQL of the steps of random programs; see programs.py."""

from __future__ import annotations

from typing import Any

from psycopg import sql

from tests.support.programs import Column, Row, Table


def is_key(table: Table, key: tuple[int, ...]) -> sql.Composed:
    """Return the condition that a row has this key."""
    return sql.SQL(" and ").join(
        sql.SQL("{} = {}").format(sql.Identifier(column.name), column.value(place))
        for column, place in zip(table.keys, key, strict=True)
    )


def _assignments(columns: tuple[Column, ...], places: tuple[int, ...], chosen: list[int] | None = None) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} = {}").format(sql.Identifier(columns[at].name), columns[at].value(places[at]))
        for at in (range(len(columns)) if chosen is None else chosen)
    )


def _rows(table: Table, rows: list[Row]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("({})").format(
            sql.SQL(", ").join(
                column.value(place) for column, place in zip((*table.keys, *table.values), (*key, *values), strict=True)
            )
        )
        for key, values in rows
    )


def statement(table: Table, operation: str, given: Any) -> sql.SQL | sql.Composed:
    """Return the SQL of a step that writes."""
    names = sql.SQL(", ").join(sql.Identifier(column.name) for column in (*table.keys, *table.values))
    keys = sql.SQL(", ").join(map(sql.Identifier, table.key_names))
    insert = sql.SQL("insert into public.t ({}) values {}")
    excluded = sql.SQL(", ").join(
        sql.SQL("{0} = {1}.{0}").format(sql.Identifier(column.name), sql.SQL("excluded")) for column in table.values
    )
    match operation:
        case "insert":
            return insert.format(names, _rows(table, given))
        case "ignore":
            return insert.format(names, _rows(table, given)) + sql.SQL(" on conflict do nothing")
        case "upsert":
            return insert.format(names, _rows(table, given)) + sql.SQL(" on conflict ({}) do update set {}").format(
                keys, excluded
            )
        case "merge":
            return sql.SQL(
                "merge into public.t as t using (values {}) as excluded ({}) on {}"
                " when matched and t.\"~number\" % 3 = 0 then delete"
                " when matched then update set {} when not matched then insert ({}) values ({})"
            ).format(
                _rows(table, given), names,
                sql.SQL(" and ").join(
                    sql.SQL("t.{0} = excluded.{0}").format(sql.Identifier(n)) for n in table.key_names
                ),
                excluded, names,
                sql.SQL(", ").join(
                    sql.SQL("excluded.{}").format(sql.Identifier(column.name))
                    for column in (*table.keys, *table.values)
                ),
            )  # fmt: skip
        case "update":
            key, chosen, places = given
            return sql.SQL("update public.t set {} where {}").format(
                _assignments(table.values, places, chosen), is_key(table, key)
            )
        case "update all":
            chosen, places = given
            return sql.SQL("update public.t set {}").format(_assignments(table.values, places, chosen))
        case "rekey":
            former, key = given
            return sql.SQL("update public.t set {} where {}").format(
                _assignments(table.keys, key), is_key(table, former)
            )
        case "swap":
            # Out and in again, under another key, by one statement.
            former, key = given
            return sql.SQL(
                "with gone as (delete from public.t where {} returning *) insert into public.t ({}) select {} from gone"
            ).format(
                is_key(table, former), names,
                sql.SQL(", ").join(
                    [c.value(place) for c, place in zip(table.keys, key, strict=True)]
                    + [sql.Identifier(c.name) for c in table.values]
                ),
            )  # fmt: skip
        case "churn":
            # The rest of the rows goes after one has come again.
            return sql.SQL(
                "with gone as (delete from public.t returning *)"
                " insert into public.t ({0}) select {0} from gone limit 1"
            ).format(names)
        case "move":
            # A key is used again before the statement has moved its last row.
            former, key = given
            places = [c.value(place) for c, place in zip(table.keys, former, strict=True)]
            return sql.SQL(
                "with moved as (update public.t set \"~meddled\" = 5, {} returning *, {} as \"~is_it\")"
                " insert into public.t ({}) select {} from moved where \"~is_it\" limit 1"
            ).format(
                sql.SQL(", ").join(
                    sql.SQL("{0} = case when {1} then {2} else {0} end").format(
                        sql.Identifier(c.name), is_key(table, former), c.value(place)
                    )
                    for c, place in zip(table.keys, key, strict=True)
                ),
                is_key(table, key), names,
                sql.SQL(", ").join([*places, *(sql.Identifier(c.name) for c in table.values)]),
            )  # fmt: skip
        case "nested":
            return sql.SQL('update public.t set "~meddled" = public.touch_others("~number") where {}').format(
                is_key(table, given)
            )
        case "both":
            return sql.SQL(
                'with a as (update public.t set "~meddled" = "~meddled" + 1 returning "~number")'
                ' insert into public.neighbour select "~number" from a on conflict do nothing'
            )
        case "link":
            return (
                sql.SQL(
                    'update public.t as t set "~above" = (select max(o."~number") from public.t as o'
                    ' where o."~number" < t."~number")'
                )
                if table.cascading
                else sql.SQL("delete from public.neighbour")
            )
        case "delete":
            return sql.SQL("delete from public.t where {}").format(is_key(table, given))
        case "delete all":
            return sql.SQL("delete from public.t")
    return sql.SQL("truncate public.t")
