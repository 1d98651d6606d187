"""The classes of a database's tables, in one version of these: mapped when they are first used, related on demand."""

from __future__ import annotations

import keyword
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import sqlalchemy
from sqlalchemy.orm import backref, registry, relationship

from rowhooks.domain.configuration import TrackedTable
from rowhooks.domain.errors import NotFound, ReceiverError
from rowhooks.domain.row_types import RowType, describe_rows
from rowhooks.domain.tables import current_rows
from rowhooks.postgres.rows import in_place as inplace
from rowhooks.postgres.rows.catalogue import find_tables, read_shapes
from rowhooks.postgres.rows.columns import as_column
from rowhooks.postgres.rows.key_columns import key_of
from rowhooks.postgres.rows.mapping import RowMeta, RowObject, attribute_names, names_taken
from rowhooks.postgres.rows.model_tables import ModelTables
from rowhooks.postgres.rows.publishing import making, prepare
from rowhooks.postgres.rows.related import Related, RelatedRows, follow_key
from rowhooks.postgres.rows.shapes import ForeignKey, RelationNames, Shape, relation_names

Connect = Callable[[], sqlalchemy.Connection]
"""Gives a connection on which the catalogue can be read."""


class RowClasses:
    """The classes of the tables as they are at one time; when a table is altered there is another such set.

    Several threads use it.

    Args:
        models: users' own classes for rows.
        shapes: what is known of tables; more is read when it is needed.
        tracked: the tracked tables, by their oids.
        missed: told when something is asked for that is not known: a table may have been altered.
    """

    def __init__(
        self,
        models: ModelTables,
        shapes: Iterable[Shape],
        tracked: Mapping[int, TrackedTable],
        missed: Callable[[], None],
    ) -> None:
        self.models = models
        self.tracked = tracked
        self.missed = missed
        self.shapes: dict[int, Shape] = {}
        self._oids: dict[str, int] = {}
        self._named: dict[str, type] = {}
        self._registry = registry()
        self._lock = threading.RLock()
        self._tables: dict[int, sqlalchemy.Table] = {}
        self._row_types: dict[int, RowType] = {}
        self._relations: dict[int, RelationNames] = {}
        self._made: set[ForeignKey] = set()
        self._being_made: set[ForeignKey] = set()
        self.add_shapes(shapes)

    def add_shapes(self, shapes: Iterable[Shape]) -> None:
        """Take tables that were not known yet."""
        for shape in shapes:
            self.shapes.setdefault(shape.relation, shape)
            self._oids.setdefault(shape.name, shape.relation)

    def row_class(self, name: str, connect: Connect) -> Any:
        """Return the class for the rows of a table; where nothing tells these apart, SQLAlchemy's table.

        Args:
            name: `schema.table`.
            connect: gives a connection on which the table is looked up where it is not known.

        Raises:
            NotFound: there is no table of that name.
        """
        known = self._named.get(name)
        if known is not None:
            return known
        if name not in self._oids:
            self.missed()
            connection = connect()
            self.add_shapes(read_shapes(connection, find_tables(connection, [name])))
        relation = self._oids.get(name)
        if relation is None:
            raise NotFound(
                f"table({name!r}): there is no table {name} in this database",
                hint="named schema.table, as PostgreSQL stores it; it may have been dropped or renamed",
            )
        found = self.row_type(relation, connect)
        if found is None:
            return self.table(relation)
        # A join of two of them finds the foreign key between them.
        self.relate_among({*self._named.values(), found.cls})
        self._named[name] = found.cls
        return found.cls

    def relate_among(self, classes: Collection[type]) -> None:
        """Make the relations between some classes, from which SQLAlchemy knows which row is written first."""
        ours = {self.relation_of(cls): cls for cls in classes if vars(cls).get("_rowhooks_owner") is self}
        for relation, cls in ours.items():
            for name, found in self._names(relation).relations.items():
                if found.is_forward and found.leads_to in ours and found.key not in self._made:
                    # Nothing has to be read for it.
                    self.add_relation(cls, name)

    def row_type(self, relation: int, connect: Connect | None = None) -> RowType | None:
        """Return the row type of a table; None where nothing tells its rows apart.

        Args:
            relation: the table's oid.
            connect: see `shape`.

        Raises:
            NotFound: the table no longer exists, or a column of its key does not.
        """
        known = self._row_types.get(relation)
        if known is not None:
            return known
        shape = self.shape(relation, connect)
        if not self._key_of(shape):
            return None
        with self._lock:
            if relation not in self._row_types:
                self._row_types[relation] = self._mapped(shape)
            return self._row_types[relation]

    def table(self, relation: int) -> sqlalchemy.Table:
        """Return SQLAlchemy's table."""
        with self._lock:
            found = self._tables.get(relation)
            if found is None:
                shape = self.shape(relation)
                key = self._key_of(shape)
                columns = [as_column(column, is_key=column.name in key) for column in shape.columns]
                found = sqlalchemy.Table(
                    # Metadata of its own: SQLAlchemy takes "a.b".c and a."b.c" for one table.
                    shape.table_name, sqlalchemy.MetaData(), *columns, schema=shape.schema_name,
                )  # fmt: skip
                self._tables[relation] = found
            return found

    def shape(self, relation: int, connect: Connect | None = None) -> Shape:
        """Return the shape of a table.

        Args:
            relation: its oid.
            connect: gives the connection on which it is read, if it is not known; None: the run's.

        Raises:
            NotFound: the table no longer exists.
        """
        if relation not in self.shapes:
            self.add_shapes(read_shapes((connect or _of_the_run)(), [relation]))
        found = self.shapes.get(relation)
        if found is None or not found.columns:
            tracked = self.tracked.get(relation)
            raise NotFound(
                f"table {tracked.name if tracked else relation} no longer exists", hint="run: rowhooks doctor"
            )
        return found

    def add_relation(self, cls: type, name: str, connect: Connect | None = None) -> bool:
        """Give a class the relation of a name; see ClassOwner."""
        relation = self.relation_of(cls)
        names = self._names(relation)
        if name in names.ambiguous:
            raise AttributeError(
                f"{self.shapes[relation].name} has several relations that {name!r} could mean:"
                f" {', '.join(names.ambiguous[name])}"
            )
        found = names.relations.get(name)
        if found is None:
            return False
        # The catalogue is read before the lock is taken: no thread waits for the server there.
        child, parent = (self.row_type(oid, connect) for oid in (found.key.relation, found.key.target))
        if child is None or parent is None:
            raise ReceiverError(
                f"{self.shapes[relation].name}.{name} cannot be followed: nothing tells the rows of"
                f" {self.shapes[found.leads_to].name} apart",
                hint=f"add a primary key, or query it: table({self.shapes[found.leads_to].name!r})",
            )
        with self._lock:
            if found.key in self._being_made:
                # SQLAlchemy asks whether the name is free.
                return False
            if found.key not in self._made:
                self._being_made.add(found.key)
                try:
                    self._relate(found.key, child, parent)
                    self._made.add(found.key)
                finally:
                    self._being_made.discard(found.key)
        return True

    def relation_names(self, cls: type) -> list[str]:
        """Return what the relations of a class are called."""
        return list(self._names(self.relation_of(cls)).relations)

    def names(self, relation: int) -> RelationNames:
        """Return the relations of a table."""
        return self._names(relation)

    def relation_of(self, cls: type) -> int:
        """Return the oid of the table of a class."""
        return int(vars(cls)["_rowhooks_relation"])

    def _key_of(self, shape: Shape) -> tuple[str, ...]:
        tracked = self.tracked.get(shape.relation)
        return shape.key if tracked is None else tuple(name for _, name, _ in tracked.key)

    def _names(self, relation: int) -> RelationNames:
        known = self._relations.get(relation)
        if known is None:
            known = self._relations[relation] = names_in(self.shapes[relation])
        return known

    def _mapped(self, shape: Shape) -> RowType:
        tracked, table = self.tracked.get(shape.relation), self.table(shape.relation)
        key = self._key_of(shape)
        if tracked is not None:
            compared = key_of(tracked, shape.compared)
        else:
            compared = tuple(shape.compared[name] for name in key)
        own = self.models.row_type(shape, compared)
        if own is not None:
            return _described(own)
        attributes = attribute_names(column.name for column in table.c)
        representing = shape.representing if tracked is None else tracked.repr_column
        named_by = [representing] if representing in attributes else key
        cls: Any = RowMeta(
            shape.table_name,
            (RowObject,),
            {
                "_rowhooks_repr": tuple(attributes[str(name)] for name in named_by),
                "_rowhooks_owner": self,
                "_rowhooks_relation": shape.relation,
                # Another object with each deletion.
                "_rowhooks_deleted": [None],
            },
        )
        self._registry.map_imperatively(
            cls,
            table,
            primary_key=[table.c[name] for name in key],
            # RETURNING brings generated columns and defaults back, which a row of an AsyncSession cannot load later.
            eager_defaults=True,
            properties={attributes[column.name]: column for column in table.c},
            confirm_deleted_rows=False,
        )
        inplace.watch(cls)
        prepare(cls)
        return _described(RowType(cls, shape.name, compared, attributes))

    def _relate(self, key: ForeignKey, child: RowType, parent: RowType) -> None:
        """Make both ends of a foreign key. A class of a user's own keeps what it has, and gets nothing."""
        forward = self._names(key.relation).name_of(key, is_forward=True)
        reverse = None if key.is_of_partition else self._names(key.target).name_of(key, is_forward=False)
        own = {name for relation in (key.relation, key.target) for name in self._names(relation).relations}
        child_columns, parent_columns = _columns(child, key.columns), _columns(parent, key.target_columns)
        ways: dict[str, Any] = {
            "primaryjoin": sqlalchemy.and_(
                *(ours == theirs for ours, theirs in zip(child_columns, parent_columns, strict=True))
            ),
            "foreign_keys": child_columns,
            # Several foreign keys may have a column in common.
            "overlaps": ",".join(own),
        }
        order = list(_mapper(child).primary_key)
        back = {
            "uselist": not key.is_unique, "passive_deletes": "all", "order_by": order, "overlaps": ways["overlaps"],
            **({} if key.is_unique else {"collection_class": RelatedRows}),
        }  # fmt: skip
        child_is_ours, parent_is_ours = (issubclass(one.cls, RowObject) for one in (child, parent))
        pending: dict[Any, set[str]] = {}
        if child_is_ours:
            pending.setdefault(child.cls, set()).add(forward)
        if reverse and parent_is_ours:
            pending.setdefault(parent.cls, set()).add(reverse)
        if child_is_ours:
            self.table(key.relation).append_constraint(
                sqlalchemy.ForeignKeyConstraint(child_columns, parent_columns, name=key.name)
            )
        self._registry.configure()
        with making(pending, Related):
            if child_is_ours:
                back_way = backref(reverse, **back) if reverse and parent_is_ours else None
                made = relationship(
                    parent.cls, **ways, remote_side=parent_columns, uselist=False, backref=back_way
                )  # fmt: skip
                _mapper(child).add_property(forward, made)
                follow_key(child.cls, forward)
            elif reverse:
                _mapper(parent).add_property(reverse, relationship(child.cls, **ways, **back, viewonly=True))


def classes_of(cls: type) -> RowClasses | None:
    """Return the set to which a class belongs; None for a class of a user's own."""
    found: RowClasses | None = vars(cls).get("_rowhooks_owner")
    return found


def names_in(shape: Shape) -> RelationNames:
    """Return what the relations of a table are called, beside its columns and a row's methods."""
    attributes = attribute_names(column.name for column in shape.columns)
    return relation_names(shape, {*attributes.values(), *names_taken(), *keyword.kwlist})


def _of_the_run() -> sqlalchemy.Connection:
    source = current_rows.get()
    if source is None:
        raise ReceiverError("a table is looked up outside a run: only a run has a database to look into")
    found: sqlalchemy.Connection = source.connect()
    return found


def _mapper(rows: RowType) -> Any:
    return sqlalchemy.inspect(rows.cls)


def _columns(rows: RowType, names: Iterable[str]) -> list[sqlalchemy.Column[Any]]:
    return [_mapper(rows).local_table.c[name] for name in names]


def _described(rows: RowType) -> RowType:
    describe_rows(rows)
    return rows
