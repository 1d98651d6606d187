"""Users' own SQLAlchemy classes: which table each of them is for, and whether it fits that table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Mapper, Session, class_mapper, registry

from rowhooks.domain.errors import SettingsError
from rowhooks.domain.names import join_name
from rowhooks.domain.row_types import RowType, describe_rows


@dataclass(frozen=True)
class Models:
    """The classes for rows of tables.

    Args:
        by_table: by the names of the tables, `schema.table`.
        without_schema: by bare names, where the class leaves the schema to the search_path.
    """

    by_table: Mapping[str, type] = field(default_factory=dict)
    without_schema: Mapping[str, type] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.by_table or self.without_schema)


def class_path(cls: type) -> str:
    """Return what messages call a class: `module.Class`."""
    return f"{cls.__module__}.{cls.__qualname__}"


def find_models(modules: Iterable[tuple[ModuleType, str | None]]) -> Models:
    """Return the mapped classes that modules lead to: their own, and all others of the same registries.

    Args:
        modules: each with the name of the class that is to have its table; None: none of them in particular.

    Raises:
        SettingsError: two classes map one table; a module has no mapped class; classes do not fit each other.
    """
    registries: dict[registry, ModuleType] = {}
    chosen: set[type] = set()
    for module, name in modules:
        if name is not None:
            chosen.add(_chosen(module, name))
        found = dict.fromkeys(_registries(module))
        if not any(one.mappers for one in found):
            raise SettingsError(
                f"models: module {module.__name__} has no class that SQLAlchemy maps",
                hint="name the module in which the classes are, or one that imports it",
            )
        registries |= dict.fromkeys(found, module)
    claims: dict[tuple[str | None, str], list[type]] = {}
    for one, module in registries.items():
        _configure(one, module)
        for mapper in one.mappers:
            table = mapper.local_table
            # The classes of one table, by single-table inheritance, have one mapper that is not `single`.
            if isinstance(table, sqlalchemy.Table) and not mapper.single:
                claims.setdefault((_text(table.schema), str(table.name)), []).append(mapper.class_)
    models = {table: _only(table, classes, chosen) for table, classes in claims.items()}
    return Models(
        {join_name(schema, name): cls for (schema, name), cls in models.items() if schema is not None},
        {name: cls for (schema, name), cls in models.items() if schema is None},
    )


def describe_models(models: Mapping[str, type]) -> None:
    """Let logs name rows of these classes, also of tables that are not tracked."""
    for table, cls in models.items():
        describe_rows(RowType(cls, table, attributes=attributes_of(cls), name_of=name_of))


def attributes_of(model: type) -> dict[str, str]:
    """Return the columns of a class's own table that it maps, with its attributes."""
    mapper: Mapper[Any] = class_mapper(model)
    return {
        column.name: attribute.key
        for attribute in mapper.column_attrs
        for column in attribute.columns
        if isinstance(column, sqlalchemy.Column) and column.table is mapper.local_table
    }


def name_of(row: Any) -> str:
    """Return what logs call a row: its key."""
    state = sqlalchemy.inspect(row)
    key = state.identity or state.mapper.primary_key_from_instance(row)
    return ", ".join(str(value) for value in key)


def adopt(session: Session, row: Any) -> Any:
    """Put a row that was loaded elsewhere into a session; return the object that is there.

    What was loaded with it may belong to other rows too, and to the sessions of other runs. So it is copied.
    """
    state = sqlalchemy.inspect(row)
    if any(name in state.dict for name in state.mapper.relationships.keys()):  # noqa: SIM118  (it has no other way)
        return session.merge(row, load=False)
    session.add(row)
    return row


def misfit(model: type, table: str, columns: Iterable[str], key: Iterable[str]) -> str | None:
    """Return why a class cannot be used for a table, or None.

    Args:
        model: the class.
        table: `schema.table`.
        columns: the table's columns.
        key: those that tell its rows apart.
    """
    mapped, present = attributes_of(model), set(columns)
    if absent := [name for name in mapped if name not in present]:
        return f"{class_path(model)} maps {', '.join(absent)}, which {table} does not have"
    if lacking := [name for name in key if name not in mapped]:
        return f"{class_path(model)} does not map {', '.join(lacking)}, by which the rows of {table} are found"
    return None


def _registries(module: ModuleType) -> Iterator[registry]:
    for value in vars(module).values():
        for found in (value, *(getattr(value, name, None) for name in ("registry", "_sa_registry"))):
            if isinstance(found, registry):
                yield found
        mapper = _mapper(value)
        if mapper is not None:
            yield mapper.registry


def _configure(one: registry, module: ModuleType) -> None:
    try:
        one.configure(cascade=True)
    except SQLAlchemyError as error:
        raise SettingsError(f"models: the classes of {module.__name__} do not fit each other: {error}") from error


def _chosen(module: ModuleType, name: str) -> type:
    mapper = _mapper(getattr(module, name, None))
    if mapper is None:
        raise SettingsError(f"models: {module.__name__} has no class {name} that SQLAlchemy maps")
    return mapper.class_


def _only(table: tuple[str | None, str], classes: list[type], chosen: set[type]) -> type:
    meant = [cls for cls in classes if cls in chosen] or classes
    if len(meant) == 1:
        return meant[0]
    one, other = sorted(meant, key=class_path)[:2]
    raise SettingsError(
        f"models: {class_path(one)} and {class_path(other)} both map {'.'.join(filter(None, table))}",
        hint="choose the one whose instances receivers get, beside the modules: "
        f'models = [..., "{one.__module__}:{one.__qualname__}"]',
    )


def _mapper(value: object) -> Mapper[Any] | None:
    found: Any = sqlalchemy.inspect(value, raiseerr=False) if isinstance(value, type) else None
    return found if isinstance(found, Mapper) else None


def _text(name: str | None) -> str | None:
    return None if name is None else str(name)
