"""The queries that find rows by the keys that the log has of them.

Each query reads its keys from one parameter, `keys`: a JSON array of objects, key columns to values.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import psycopg
import sqlalchemy
from sqlalchemy.orm import Session

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound
from rowhooks.domain.row_types import KeyColumn, RowType
from rowhooks.postgres.rows.by_model import is_model, select_models

MOST_TRIED = 1000
"""How many ways to read the names in a key are tried, where columns of the key were renamed since."""
_TEXTUAL = ("varchar", "bpchar", "name", "json", "jsonb")


def load_objects(session: Session, rows: RowType, table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
    """Return the objects that exist, by their key as JSON text; they belong to no session."""
    if len(keys) > 1 and any(column.is_conflated for column in rows.key):
        # A session would take two rows for one.
        return {one: row for key in keys for one, row in load_objects(session, rows, table, [key]).items()}
    if is_model(rows):
        found = select_models(session, rows, keys_alone(rows, table, keys))
    else:
        found = session.execute(_query(rows, table), {"keys": _asked(table, keys)}).all()
    session.expunge_all()
    return {keys[place - 1]: instance for instance, place in found}


def load_misspelt(session: Session, rows: RowType, table: TrackedTable, key: str) -> dict[str, Any]:
    """Return the object of a key, if it exists, whose row holds bytes that are no text, with U+FFFD in their place.

    Such rows are in databases with the encoding SQL_ASCII, which takes any bytes. A column keeps its bytes
    unless it is assigned.
    """
    given = {}
    names = _columns(rows)
    own = [_own(name) for name in names]
    raw = [
        f"pg_catalog.convert_to(pg_catalog.format('%s', {one}), 'SQL_ASCII'),"
        f" cast(pg_catalog.pg_typeof({one}) as pg_catalog.oid)"
        for one in own
    ]
    found = session.execute(asking(_select_by_key(rows, table, raw), table, [key])).first()
    if found is None:
        return {}
    for place, (content, type_) in enumerate(zip(found[:-1:2], found[1::2], strict=True)):
        try:
            content.decode()
        except UnicodeDecodeError:
            given[f"text_{place}"] = content.decode("utf-8", "replace")
            own[place] = f"cast(:text_{place} as {_textual(type_)}) as {identifier(names[place])}"
    statement = asking(_select_by_key(rows, table, own), table, [key]).bindparams(**given)
    query: Any = sqlalchemy.select(rows.cls).from_statement(statement)
    instance = session.scalars(query).one_or_none()
    session.expunge_all()
    return {} if instance is None else {key: instance}


def find_indistinct(session: Session, rows: RowType, table: TrackedTable, keys: Sequence[str]) -> list[str]:
    """Return those keys, of which none has found a row, that are in JSON as the key of a row that is there."""
    key = rows.key
    plain = [column for column in key if not column.is_indistinct]
    conditions = [
        f"pg_catalog.to_jsonb(t.{identifier(column.name)}) operator(pg_catalog.=)"
        f" (k.whole operator(pg_catalog.->) {literally(psycopg.sql.Literal(column.name).as_string())})"
        for column in key
        if column.is_indistinct
    ] + [_comparison(column, f"k.k{place}") for place, column in enumerate(plain, start=1)]
    statement = (
        f"select k.place from {_keys(plain, whole=True)}"  # noqa: S608  (names that the server or psycopg has quoted)
        f" join {literally(table.quoted_name)} as t on {' and '.join(conditions)}"
    )
    return [keys[place - 1] for place in session.scalars(asking(statement, table, keys)).all()]


def check_key(session: Session, rows: RowType, table: TrackedTable, key: str) -> None:
    """Raise DBAPIError where a key is none by the types of its columns."""
    session.execute(asking(f"select from {_keys(rows.key)}", table, [key])).all()


def asking(statement: str, table: TrackedTable, keys: Sequence[str]) -> sqlalchemy.TextClause:
    """Return a statement with the keys that it reads from the parameter `keys`."""
    return sqlalchemy.text(statement).bindparams(keys=_asked(table, keys))


def _asked(table: TrackedTable, keys: Sequence[str]) -> str:
    fields = [f"{json.dumps(name, ensure_ascii=False)}: " for _, name, _ in table.key]
    asked = ",".join(key if all(map(key.__contains__, fields)) else _with_present_names(key, table) for key in keys)
    return f"[{asked}]"


def _with_present_names(key: str, table: TrackedTable) -> str:
    """Return a key of the log, as JSON text, under the names that its columns have now; they are not those it has.

    Raises:
        NotFound: it has other columns than the table's key; which of them is which is not known.
    """
    names = [name for _, name, _ in table.key]
    values: dict[str, Any] = json.loads(key, parse_float=Decimal)
    meant = [{present for former, present in table.former_key if former == name} | {name} for name in values]
    # A name may be one column's former one and another's present one.
    fitting = [found for found in itertools.islice(itertools.product(*meant), MOST_TRIED) if set(found) == set(names)]
    if len(fitting) != 1:
        raise NotFound(
            f"a row of {table.name} cannot be found by its key in the log ({', '.join(sorted(values))}): its key is"
            f" ({', '.join(names)}) now",
            hint="the table was given another key since; load the row by what change.object_data holds",
        )
    present = dict(zip(fitting[0], values.values(), strict=True))
    return json.dumps(present, ensure_ascii=False, default=str)


# The parts of the queries. Names and types come quoted from the server, or are quoted here.


def _query(rows: RowType, table: TrackedTable) -> Any:
    """Return the query of the rows whose keys are in the parameter `keys`; it is made once."""
    found = rows.queries.get(table.quoted_name)
    if found is None:
        keys = sqlalchemy.bindparam("keys", type_=sqlalchemy.String)
        statement: Any = sqlalchemy.text(_select_by_key(rows, table)).bindparams(keys)
        selected: Any = sqlalchemy.select(rows.cls, sqlalchemy.column(_place(rows)))
        found = rows.queries[table.quoted_name] = selected.from_statement(statement)
    return found


def _select_by_key(rows: RowType, table: TrackedTable, columns: Sequence[str] | None = None) -> str:
    # Column by column, in the mapper's order: rows are matched by place, and a column may have been added since.
    columns = columns or [_own(name) for name in _columns(rows)]
    return (
        f"select {', '.join(columns)}, k.place as {identifier(_place(rows))}"  # noqa: S608  (names are quoted)
        f" from {keys_and_rows(rows, table)}"
    )


def keys_alone(rows: RowType, table: TrackedTable, keys: Sequence[str]) -> sqlalchemy.TextClause:
    """Return a query of keys: k1, k2 ... and place."""
    asked = f"select k.* from {_keys(rows.key)}"  # noqa: S608  (names that the server or psycopg has quoted)
    return asking(asked, table, keys)


def keys_and_rows(rows: RowType, table: TrackedTable) -> str:
    """Return the FROM items `k`, the keys in the parameter `keys` with their places, and `t`, the rows with these."""
    condition = " and ".join(_comparison(column, f"k.k{place}") for place, column in enumerate(rows.key, start=1))
    return f"{_keys(rows.key)} join {literally(table.quoted_name)} as t on {condition}"


def _columns(rows: RowType) -> list[str]:
    mapper: Any = sqlalchemy.inspect(rows.cls)
    return [column.name for column in mapper.local_table.c]


def _own(column: str) -> str:
    return f"t.{identifier(column)}"


def _place(rows: RowType) -> str:
    """Return what the place of a row's key is called beside the columns: none of them has the name."""
    name = "rowhooks_place"
    while name in rows.attributes:
        name += "_"
    return name


def _comparison(column: KeyColumn, given: str) -> str:
    own = _own(column.name)
    if column.by_text:
        # Not a cast to text, which the type's owner may have made.
        return f"pg_catalog.format('%s', {own}) operator(pg_catalog.=) pg_catalog.format('%s', {given})"
    # From a domain to what is beneath it: this is no step for the index, and it finds the operator.
    return f"cast({own} as {literally(column.type)}) {literally(column.equal)} {given}"


def _keys(key: Sequence[KeyColumn], *, whole: bool = False) -> str:
    """Return the FROM item `k` of the keys in the parameter `keys`: k1, k2 ..., the `whole` as JSON, and place.

    The input functions of the types read them. A cast from text may have been made by the owner of a type.
    """
    given = "cast(:keys as pg_catalog.jsonb)"
    columns = ", ".join(f"{identifier(column.name)} {literally(column.type)}" for column in key)
    names = [f"k{place}" for place, _ in enumerate(key, start=1)]
    functions = [f"pg_catalog.jsonb_to_recordset({given}) as ({columns})"] if key else []
    if whole:
        names.append("whole")
        functions.append(f"pg_catalog.jsonb_array_elements({given})")
    return f"rows from ({', '.join(functions)}) with ordinality as k ({', '.join(names)}, place)"


def _textual(type_: int) -> str:
    """Return what a text that stands for a value of a type is read as: that type, or where it is no text's, text."""
    info = psycopg.adapters.types.get(type_)
    name = info.name if info is not None and info.name in _TEXTUAL else "text"
    return f"pg_catalog.{name}{'[]' if info is not None and info.array_oid == type_ else ''}"


def identifier(name: str) -> str:
    """Return a name quoted, for sqlalchemy.text()."""
    return literally(psycopg.sql.Identifier(name).as_string())


def literally(sql: str) -> str:
    """Return SQL for sqlalchemy.text(), to which a colon without a backslash begins a parameter."""
    return sql.replace(":", "\\:")
