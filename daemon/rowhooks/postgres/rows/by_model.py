"""The query that finds rows of a user's own class by the keys that the log has of them.

SQLAlchemy writes it, because the class may be spread over tables, and say by itself what is loaded with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy
from sqlalchemy.orm import Load, Mapper, Session, class_mapper, selectin_polymorphic, selectinload

from rowhooks.domain.errors import ReceiverError
from rowhooks.domain.row_types import KeyColumn, RowType
from rowhooks.postgres.rows.column_types import ServerType
from rowhooks.postgres.rows.mapping import RowObject
from rowhooks.postgres.rows.models import class_path


def is_model(rows: RowType) -> bool:
    """Say whether the class of some rows is a user's own."""
    return not issubclass(rows.cls, RowObject)


def select_models(
    session: Session, rows: RowType, given: sqlalchemy.TextClause, ahead: Iterable[str] = ()
) -> Sequence[Any]:
    """Return the objects that exist, each with the place of its key.

    Args:
        session: any session.
        rows: the class.
        given: a query of the keys: k1, k2 ... and place.
        ahead: the relations to load with them, such as `location.parent`.

    Raises:
        ReceiverError: a name in `ahead` is no relation.
    """
    names = [f"k{place}" for place, _ in enumerate(rows.key, start=1)]
    keys = given.columns(*map(sqlalchemy.column, (*names, "place"))).subquery("rowhooks_keys")
    conditions = [
        _comparison(getattr(rows.cls, rows.attributes[column.name]), column, keys.c[name])
        for column, name in zip(rows.key, names, strict=True)
    ]
    query = sqlalchemy.select(rows.cls, keys.c.place).join(keys, sqlalchemy.and_(*conditions))
    if children := _with_tables_of_their_own(rows.cls):
        query = query.options(selectin_polymorphic(rows.cls, children))
    query = query.options(*(_loaded(rows, path) for path in ahead))
    return session.execute(query, execution_options=rows.loaded_with).unique().all()


def _loaded(rows: RowType, path: str) -> Load:
    mapper: Mapper[Any] = class_mapper(rows.cls)
    option: Any = None
    for name in path.split("."):
        if name not in mapper.relationships:
            names = ", ".join(mapper.relationships.keys()) or "none"
            raise ReceiverError(
                f"Meta.load: {class_path(mapper.class_)} has no relation {name!r}", hint=f"its relations: {names}"
            )
        attribute = getattr(mapper.class_, name)
        option = selectinload(attribute) if option is None else option.selectinload(attribute)
        mapper = attribute.property.mapper
    found: Load = option
    return found


def _comparison(own: Any, column: KeyColumn, given: sqlalchemy.ColumnElement[Any]) -> sqlalchemy.ColumnElement[bool]:
    if column.by_text:
        # Not a cast to text, which the type's owner may have made.
        texts = [sqlalchemy.func.pg_catalog.format(sqlalchemy.literal_column("'%s'"), one) for one in (own, given)]
        return texts[0].bool_op("operator(pg_catalog.=)")(texts[1])
    return sqlalchemy.cast(own, ServerType(column.type)).bool_op(column.equal)(given)


def _with_tables_of_their_own(model: type) -> list[type]:
    """Return the classes whose rows may be among those of a class, and that have further columns elsewhere."""
    mapper: Mapper[Any] = class_mapper(model)
    if mapper.polymorphic_on is None:
        return []
    return [one.class_ for one in mapper.self_and_descendants if one is not mapper and not one.single]
