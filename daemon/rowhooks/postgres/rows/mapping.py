"""Row objects: a class for each tracked table, whose instances are its rows, and the query that finds them by key."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

import psycopg
import sqlalchemy
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import InstrumentedAttribute, Session, object_session, registry
from sqlalchemy.orm.exc import StaleDataError

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound, ObjectGone, ReceiverError, RowhooksError
from rowhooks.postgres.rows import in_place as inplace
from rowhooks.postgres.rows.columns import read_columns
from rowhooks.postgres.rows.row_security import find_binding
from rowhooks.postgres.rows.suppression import Writes


class KeyColumn(NamedTuple):
    """A column of a key, as it is compared.

    Args:
        name: of the column.
        equal: the operator of its index, qualified.
        type: what a value of the log is read as, qualified: below all domains, whose checks are their owner's code.
        by_text: it is compared by its text, for reading a value of its own type would run such checks too.
    """

    name: str
    equal: str
    type: str
    by_text: bool

    @property
    def is_indistinct(self) -> bool:
        """Whether JSON may not lead back to a value: bounds of arrays, and the null of jsonb."""
        others = ("pg_catalog.jsonb", "pg_catalog.int2vector", "pg_catalog.oidvector")
        return not self.by_text and (self.type.startswith("pg_catalog._") or self.type in others)

    @property
    def is_conflated(self) -> bool:
        """Whether Python takes several of its values for one: 10:00+00 and 11:00+01, the true and the 1 of jsonb."""
        return self.type.removeprefix("pg_catalog.").removeprefix("_") in ("timetz", "jsonb")


class SessionHolder(Protocol):
    """A run's workspace, as far as objects need it."""

    def with_session(self, work: Any, call: Callable[[], str]) -> Any:
        """Do some work on the run's session; an awaitable in `async def` receivers, which is `call` in messages."""
        ...


class RowObject:
    """A row of a tracked table, an attribute per column.

    `save`, `delete` and `refresh_from_db` work in the run's transaction; in `async def` receivers they are awaited.
    A column whose name is already taken by one of them (or by SQLAlchemy's `metadata`) is found under its name and `_`,
    and each column, whatever its name, as an item: `obj["save"]`.
    """

    __rowhooks_table__: str
    __rowhooks_repr__: tuple[str, ...]
    __rowhooks_attributes__: dict[str, str]
    __rowhooks_key__: tuple[KeyColumn, ...]
    _rowhooks_workspace: SessionHolder | None = None

    def attach(self, workspace: SessionHolder) -> None:
        """Bind the object to a run's workspace."""
        self._rowhooks_workspace = workspace

    __iter__ = None

    def __getitem__(self, column: str) -> Any:
        return getattr(self, self._attribute_of(column))

    def __setitem__(self, column: str, value: Any) -> None:
        setattr(self, self._attribute_of(column), value)

    def _attribute_of(self, column: str) -> str:
        try:
            return self.__rowhooks_attributes__[column]
        except KeyError:
            names = ", ".join(self.__rowhooks_attributes__)
            raise KeyError(f"{self.__rowhooks_table__} has no column {column!r}; it has {names}") from None

    def save(self) -> Any:
        """Write the attributes that were assigned, or altered in place, since the row was loaded.

        Raises:
            ObjectGone: the row no longer exists.
            WriteSuppressed: it is there, and a trigger or a rule lets nothing be written.
            PermissionDenied: it is not there, or row security hides it.
        """
        return self._work("save", lambda session: session.flush())

    def delete(self) -> Any:
        """Delete the row; one that no longer exists is no error.

        Raises:
            WriteSuppressed: it is there, and a trigger or a rule lets it not be deleted.
            PermissionDenied: it is not there, or row security hides it.
        """

        def work(session: Session) -> None:
            session.delete(self)
            session.flush()

        return self._work("delete", work)

    def refresh_from_db(self) -> Any:
        """Read the row again, giving up what was assigned and not saved.

        Raises:
            ObjectGone: the row no longer exists.
            PermissionDenied: it is not there, or row security hides it.
        """

        def work(session: Session) -> None:
            inplace.forget(self)
            session.refresh(self)

        return self._work("refresh_from_db", work)

    def __setattr__(self, name: str, value: Any) -> None:
        # What is no column would be written nowhere.
        if not name.startswith("_") and not isinstance(getattr(type(self), name, None), InstrumentedAttribute):
            raise self._no_column(name)
        super().__setattr__(name, value)

    def _no_column(self, name: str) -> AttributeError:
        columns = [attribute.key for attribute in sqlalchemy.inspect(type(self)).column_attrs]
        nearest = [f"{name}_"] if f"{name}_" in columns else difflib.get_close_matches(name, columns, cutoff=0.5)
        named = f"nearest: {', '.join(nearest)}" if nearest else f"columns: {', '.join(columns)}"
        return AttributeError(f"{self.__rowhooks_table__} has no column {name!r}, which could be saved ({named})")

    def _work(self, call: str, work: Callable[[Session], None]) -> Any:
        if self._rowhooks_workspace is None:
            raise RuntimeError(f"{self!r} belongs to no run")

        def with_object(session: Session) -> None:
            state = sqlalchemy.inspect(self)
            if state.obj() is not self:
                # It shares its original's state: what it was assigned would be written nowhere.
                raise ReceiverError(f"{self!r} is a copy of the row, which cannot be used for {call}()")
            if call != "delete" and (state.deleted or self in session.deleted):
                raise ObjectGone(f"{self!r} no longer exists: this run has deleted it")
            if object_session(self) is None:
                session.add(self)
            inplace.attached(session, self)
            # Asked for before: a flush that fails leaves a session that answers no more, and an object without values.
            name, connection = repr(self), session.connection()
            writes = self._writes(name)
            try:
                with writes.watched(connection):
                    work(session)
            except StaleDataError as error:
                raise (writes.problem or self._not_there(name, connection)) from error
            except InvalidRequestError as error:
                if "Could not refresh" not in str(error):
                    raise
                raise self._not_there(name, connection) from error
            # SQLAlchemy says nothing of a row that was not deleted.
            if writes.problem is not None and not isinstance(writes.problem, ObjectGone):
                raise writes.problem

        return self._rowhooks_workspace.with_session(with_object, lambda: f"{call}() of {self!r}")

    def _writes(self, name: str) -> Writes:
        mapper = sqlalchemy.inspect(type(self))
        identity = sqlalchemy.inspect(self).identity or ()
        return Writes(mapper.local_table, list(zip(mapper.primary_key, identity, strict=False)), name)

    def check_deleted(self, connection: sqlalchemy.Connection) -> None:
        """Look whether a row is gone that the session was to delete.

        Raises:
            WriteSuppressed: it is there, and a trigger or a rule lets it not be deleted.
            PermissionDenied: it is not there, or row security hides it.
        """
        problem = self._writes(repr(self)).find(connection, "DELETE")
        if not isinstance(problem, ObjectGone):
            raise problem

    def _not_there(self, name: str, connection: sqlalchemy.Connection) -> RowhooksError:
        binding = find_binding(connection, self.__rowhooks_table__)
        if binding is not None:
            return binding.error(f"{name} is not found or may not be written")
        return ObjectGone(f"{name} no longer exists")

    def __str__(self) -> str:
        values = (self.__dict__.get(name) for name in self.__rowhooks_repr__)
        return ", ".join(str(value) for value in values if value is not None)

    def __repr__(self) -> str:
        return f"<{self.__rowhooks_table__} {self}>"


MOST_TRIED = 1000
"""Ways to read the names in a key from before columns of it were renamed."""
_TAKEN = set(dir(RowObject)) | {"metadata", "registry"}
_RESERVED = ("__", "_sa_", "_rowhooks_")


def attribute_names(columns: Iterable[str]) -> dict[str, str]:
    """Return the attribute for each column: its name, and `_` behind it for as long as that is taken."""
    found = {name: name for name in columns}
    for name in found:
        attribute = name
        while attribute in _TAKEN or attribute.startswith(_RESERVED) or (attribute != name and attribute in found):
            attribute = f"c{attribute}" if attribute.startswith(_RESERVED) else f"{attribute}_"
        found[name] = attribute
    return found


def load_objects(session: Session, cls: type[RowObject], table: TrackedTable, keys: Sequence[str]) -> dict[str, Any]:
    """Return the objects that exist, by their key as JSON text; they belong to no session."""
    if len(keys) > 1 and any(column.is_conflated for column in cls.__rowhooks_key__):
        # A session would take two rows for one.
        return {one: row for key in keys for one, row in load_objects(session, cls, table, [key]).items()}
    asked = ",".join(_with_present_names(key, table) for key in keys)
    statement = sqlalchemy.text(_select_by_key(cls, table)).bindparams(keys=f"[{asked}]")
    query: Any = sqlalchemy.select(cls, sqlalchemy.column(_place(cls)))
    rows = session.execute(query.from_statement(statement)).all()
    session.expunge_all()
    return {keys[place - 1]: instance for instance, place in rows}


def load_misspelt(session: Session, cls: type[RowObject], table: TrackedTable, key: str) -> dict[str, Any]:
    """Return the object of a key, if it exists, whose row holds bytes that are no text, with U+FFFD in their place.

    That is where the database's encoding is SQL_ASCII, which takes any bytes. A column that nobody assigns keeps them.
    """
    given = {"keys": f"[{_with_present_names(key, table)}]"}
    names = [column.name for column in sqlalchemy.inspect(cls).local_table.c]
    own = [_own(name) for name in names]
    raw = [
        f"pg_catalog.convert_to(pg_catalog.format('%s', {one}), 'SQL_ASCII'),"
        f" cast(pg_catalog.pg_typeof({one}) as pg_catalog.oid)"
        for one in own
    ]
    found = session.execute(sqlalchemy.text(_select_by_key(cls, table, raw)).bindparams(**given)).first()
    if found is None:
        return {}
    for place, (content, type_) in enumerate(zip(found[:-1:2], found[1::2], strict=True)):
        try:
            content.decode()
        except UnicodeDecodeError:
            given[f"text_{place}"] = content.decode("utf-8", "replace")
            named = _identifier(names[place]).replace(":", "\\:")
            own[place] = f"cast(:text_{place} as {_textual(type_)}) as {named}"
    statement = sqlalchemy.text(_select_by_key(cls, table, own)).bindparams(**given)
    query: Any = sqlalchemy.select(cls).from_statement(statement)
    instance = session.scalars(query).one_or_none()
    session.expunge_all()
    return {} if instance is None else {key: instance}


_TEXTUAL = ("varchar", "bpchar", "name", "json", "jsonb")


def _textual(type_: int) -> str:
    """Return what a text that stands for a value of a type is read as: that type, or where it is no text's, text."""
    info = psycopg.adapters.types.get(type_)
    name = info.name if info is not None and info.name in _TEXTUAL else "text"
    return f"pg_catalog.{name}{'[]' if info is not None and info.array_oid == type_ else ''}"


def find_indistinct(session: Session, cls: type[RowObject], table: TrackedTable, keys: Sequence[str]) -> list[str]:
    """Return those keys, of which none has found a row, that are in JSON as the key of a row that is there."""
    key = cls.__rowhooks_key__
    indistinct = [column for column in key if column.is_indistinct]
    plain = [column for column in key if not column.is_indistinct]
    conditions = [
        f"pg_catalog.to_jsonb(t.{_identifier(column.name)}) operator(pg_catalog.=)"
        f" (k.whole operator(pg_catalog.->) {psycopg.sql.Literal(column.name).as_string()})"
        for column in indistinct
    ] + [_comparison(column, f"k.k{place}") for place, column in enumerate(plain, start=1)]
    source = f"KEYS join {table.quoted_name} as t on {' and '.join(conditions)}".replace(":", "\\:")
    statement = f"select k.place from {source.replace('KEYS', _keys(plain, whole=True), 1)}"  # noqa: S608
    asked = ",".join(_with_present_names(one, table) for one in keys)
    places = session.scalars(sqlalchemy.text(statement).bindparams(keys=f"[{asked}]")).all()
    return [keys[place - 1] for place in places]


def check_key(session: Session, cls: type[RowObject], table: TrackedTable, key: str) -> None:
    """Raise DBAPIError where a key is none by the types of its columns."""
    statement = "select from KEYS".replace("KEYS", _keys(cls.__rowhooks_key__))
    session.execute(sqlalchemy.text(statement).bindparams(keys=f"[{_with_present_names(key, table)}]")).all()


def _with_present_names(key: str, table: TrackedTable) -> str:
    """Return a key of the log, as JSON text, under the names that its columns have now.

    Raises:
        NotFound: it has other columns than the table's key; which of them is which is not known.
    """
    names = [name for _, name, _ in table.key]
    if all(f"{json.dumps(name, ensure_ascii=False)}: " in key for name in names):
        return key
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


def reflect(connection: sqlalchemy.Connection, table: TrackedTable) -> type[RowObject]:
    """Return a class for the rows of a table.

    Raises:
        NotFound: the table no longer exists.
    """
    names = [name for _, name, _ in table.key]
    columns = read_columns(connection, table.relation, names)
    if not columns:
        raise NotFound(f"table {table.name} no longer exists", hint="run: rowhooks doctor")
    keys = key_columns(connection, table)
    reflected = sqlalchemy.Table(table.table_name, sqlalchemy.MetaData(), *columns, schema=table.schema_name)
    attributes = attribute_names(column.name for column in reflected.c)
    representing = [column.name for column in reflected.c if column.name == table.repr_column]
    cls = type(
        table.table_name,
        (RowObject,),
        {
            "__rowhooks_table__": table.name,
            "__rowhooks_key__": keys,
            "__rowhooks_attributes__": attributes,
            "__rowhooks_repr__": tuple(attributes[name] for name in representing or names),
        },
    )
    registry().map_imperatively(
        cls,
        reflected,
        primary_key=[reflected.c[name] for name in names],
        # RETURNING brings generated columns and defaults back: an asynchronous object cannot load them later.
        eager_defaults=True,
        properties={attributes[column.name]: column for column in reflected.c},
        confirm_deleted_rows=False,
    )
    inplace.watch(cls)
    return cls


# Compared by the equality of the key's own index, whichever schema it is in; its primary key's before another's.
# A value is read as a type that runs a superuser's code: a base type, an enum, an array of such, or a superuser's own.
_KEY_COLUMNS = sqlalchemy.text("""
select
  a.attname::pg_catalog.text,
  coalesce(e.equal, 'operator(pg_catalog.=)'),
  case
    when b.by_text and b.is_array then 'pg_catalog._text'
    when b.by_text then 'pg_catalog.text'
    else pg_catalog.format('%I.%I', n.nspname, b.typname)
  end,
  b.by_text
from pg_catalog.pg_attribute as a
cross join lateral (
  with recursive beneath (type) as (
    select a.atttypid
    union all
    select t.typbasetype
    from beneath as d
    join pg_catalog.pg_type as t on t.oid operator(pg_catalog.=) d.type
    where t.typtype operator(pg_catalog.=) 'd'
  )
  select
    t.typname, t.typnamespace,
    t.typcategory operator(pg_catalog.=) 'A' and t.typelem operator(pg_catalog.<>) 0 as is_array,
    not (
      r.rolsuper
      or coalesce(m.typtype, t.typtype) operator(pg_catalog.=) any ('{b,e}'::pg_catalog."char"[])
    ) as by_text
  from beneath as d
  join pg_catalog.pg_type as t on t.oid operator(pg_catalog.=) d.type
  join pg_catalog.pg_roles as r on r.oid operator(pg_catalog.=) t.typowner
  left join pg_catalog.pg_type as m
    on m.oid operator(pg_catalog.=) t.typelem and t.typcategory operator(pg_catalog.=) 'A'
  where t.typtype operator(pg_catalog.<>) 'd'
) as b
join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) b.typnamespace
left join lateral (
  select pg_catalog.format('operator(%I.%s)', n.nspname, o.oprname) as equal
  from pg_catalog.pg_index as i
  cross join lateral pg_catalog.unnest(i.indkey::pg_catalog.int2[]) with ordinality as k (attnum, position)
  join pg_catalog.pg_opclass as c on c.oid operator(pg_catalog.=) i.indclass[k.position operator(pg_catalog.-) 1]
  join pg_catalog.pg_am as m on m.oid operator(pg_catalog.=) c.opcmethod and m.amname operator(pg_catalog.=) 'btree'
  join pg_catalog.pg_amop as e
    on e.amopfamily operator(pg_catalog.=) c.opcfamily
    and e.amopstrategy operator(pg_catalog.=) 3
    and e.amoplefttype operator(pg_catalog.=) c.opcintype
    and e.amoprighttype operator(pg_catalog.=) c.opcintype
  join pg_catalog.pg_operator as o on o.oid operator(pg_catalog.=) e.amopopr
  join pg_catalog.pg_namespace as n on n.oid operator(pg_catalog.=) o.oprnamespace
  where
    i.indrelid operator(pg_catalog.=) a.attrelid
    and k.attnum operator(pg_catalog.=) a.attnum
    and k.position operator(pg_catalog.<=) i.indnkeyatts
  order by i.indisprimary desc, i.indisunique desc, i.indexrelid
  limit 1
) as e on true
where a.attrelid operator(pg_catalog.=) cast(:relation as pg_catalog.oid) and a.attnum operator(pg_catalog.>) 0
""")


def key_columns(connection: sqlalchemy.Connection, table: TrackedTable) -> tuple[KeyColumn, ...]:
    """Return how the columns of a table's key are compared, in the key's order.

    Raises:
        NotFound: one of them is gone.
    """
    found = {row[0]: KeyColumn(*row) for row in connection.execute(_KEY_COLUMNS, {"relation": table.relation})}
    missing = [name for _, name, _ in table.key if name not in found]
    if missing:
        raise NotFound(f"column {missing[0]!r} of {table.name} no longer exists", hint="run: rowhooks doctor")
    return tuple(found[name] for _, name, _ in table.key)


def _select_by_key(cls: type[RowObject], table: TrackedTable, columns: Sequence[str] | None = None) -> str:
    # Column by column, in the mapper's order: rows are matched by place, and a column may have been added since.
    columns = columns or [_own(column.name) for column in sqlalchemy.inspect(cls).local_table.c]
    key = cls.__rowhooks_key__
    condition = " and ".join(_comparison(column, f"k.k{place}") for place, column in enumerate(key, start=1))
    # The table's name was written by the server; a colon in a name is no parameter.
    place = _identifier(_place(cls))
    source = f"KEYS join {table.quoted_name} as t on {condition}".replace(":", "\\:").replace("KEYS", _keys(key), 1)
    return f"select {', '.join(columns)}, k.place as {place} from {source}"  # noqa: S608


def _own(column: str) -> str:
    return f"t.{_identifier(column)}".replace(":", "\\:")


def _place(cls: type[RowObject]) -> str:
    """Return what the place of a row's key is called beside the columns: none of them has the name."""
    name = "rowhooks_place"
    while name in cls.__rowhooks_attributes__:
        name += "_"
    return name


def _comparison(column: KeyColumn, given: str) -> str:
    own = f"t.{_identifier(column.name)}"
    if column.by_text:
        # Not a cast to text, which the type's owner may have made.
        return f"pg_catalog.format('%s', {own}) operator(pg_catalog.=) pg_catalog.format('%s', {given})"
    # From a domain to what is beneath it, which is no step for the index and finds the operator.
    return f"{own}::{column.type} {column.equal} {given}"


def _keys(key: Sequence[KeyColumn], *, whole: bool = False) -> str:
    """Return the FROM item `k` of the keys in the parameter `keys`: k1, k2 ..., the `whole` as JSON, and place.

    The input functions of the types read them. A cast from text may have been made by the owner of a type.
    """
    given = "cast(:keys as pg_catalog.jsonb)"
    columns = ", ".join(f"{_identifier(column.name)} {column.type}" for column in key).replace(":", "\\:")
    names = [f"k{place}" for place, _ in enumerate(key, start=1)]
    functions = [f"pg_catalog.jsonb_to_recordset({given}) as ({columns})"] if key else []
    if whole:
        names.append("whole")
        functions.append(f"pg_catalog.jsonb_array_elements({given})")
    return f"rows from ({', '.join(functions)}) with ordinality as k ({', '.join(names)}, place)"


def _identifier(name: str) -> str:
    return psycopg.sql.Identifier(name).as_string()
