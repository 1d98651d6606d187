"""The source of typed classes for tables: sqlacodegen's, with what receivers need of it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy
from sqlacodegen.generators import Base, DeclarativeGenerator, LiteralImport
from sqlacodegen.models import Model, RelationshipAttribute, RelationshipType
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase

from rowhooks.domain.names import join_name

_OPTIONS = ("noindexes", "nojoined")
"""A key that refers to another table is a relationship. Whether it means inheritance, the table does not say."""
_TAKEN = {
    *(name for base in (AsyncAttrs, DeclarativeBase) for name in dir(base)),
    *("metadata", "registry", "type_annotation_map", "awaitable_attrs"),
    # Names of modules and classes that the source imports.
    *("Any", "Base", "Decimal", "Mapped", "Optional", "ServerType", "UUID", "datetime", "enum", "sqlalchemy"),
}
End = tuple[str, tuple[str, ...], bool]
"""One end of a foreign key: the table that refers, its columns, and whether it leads to the other table."""
_OBJECT = re.compile(r"\bobject\b")
_BY_NAME = {"uuid.UUID": ("uuid", "UUID"), "decimal.Decimal": ("decimal", "Decimal")}
"""Types that are imported by their names: columns are often called as their modules are."""


_SERVER_TYPE = '''

class ServerType(UserDefinedType[str]):
    """A type that SQLAlchemy does not have. Its values are text, as PostgreSQL writes them."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **kw: object) -> str:
        return self.name
'''


class ServerType(sqlalchemy.types.UserDefinedType[str]):
    """What stands in the place of such a type while the source is written.

    Args:
        name: the type's name, as the server writes it.
    """

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """Return the type's name."""
        return self.name

    @property
    def python_type(self) -> type[str]:
        """The class of its values."""
        return str


class StubGenerator(DeclarativeGenerator):
    """Writes classes that can be named as models, for plain and for `async def` receivers.

    Args:
        metadata: the tables; they are altered.
        connection: any connection to their database.
        names: what relations are called.
    """

    def __init__(
        self, metadata: sqlalchemy.MetaData, connection: sqlalchemy.Connection, names: Mapping[End, str]
    ) -> None:
        super().__init__(metadata, connection, _OPTIONS)
        self._names = names

    def generate_base(self) -> None:
        """Let relationships be awaited in `async def` receivers."""
        self.base = Base(
            literal_imports=[
                LiteralImport("sqlalchemy.ext.asyncio", "AsyncAttrs"),
                LiteralImport("sqlalchemy.orm", "DeclarativeBase"),
            ],
            declarations=[f"class {self.base_class_name}(AsyncAttrs, DeclarativeBase):", f"{self.indentation}pass"],
            metadata_ref=f"{self.base_class_name}.metadata",
        )

    def fix_column_types(self, table: sqlalchemy.Table) -> None:
        """Keep the defaults: a column that takes its value from a sequence need not be part of the key."""
        defaults = {column: column.server_default for column in table.c}
        super().fix_column_types(table)
        for column, default in defaults.items():
            column.server_default, column.default = default, None

    def add_literal_import(self, pkgname: str, name: str) -> None:
        """Import one class of each name."""
        if pkgname == __name__:
            # The source has a class of its own for it.
            pkgname, name = "sqlalchemy.types", "UserDefinedType"
        super().add_literal_import("sqlalchemy.dialects.postgresql" if name == "ARRAY" else pkgname, name)

    def render_module_variables(self, models: list[Model]) -> str:
        """Return the base, and the type of what SQLAlchemy does not know, if there is such a column."""
        rendered = super().render_module_variables(models)
        is_needed = any(isinstance(column.type, ServerType) for model in models for column in model.table.c)
        return rendered + _SERVER_TYPE.rstrip() * is_needed

    def find_free_name(self, name: str, global_names: set[str], local_names: Collection[str] = ()) -> str:
        """Return a name that means nothing else in the source."""
        return super().find_free_name(name, global_names | _TAKEN | set(self.enum_values), local_names)

    def generate_relationship_name(
        self, relationship: RelationshipAttribute, global_names: set[str], local_names: set[str]
    ) -> None:
        """Name a relationship as `table()` names it; one by way of a third table, as sqlacodegen does."""
        constraint = relationship.constraint
        if constraint is None or relationship.association_table is not None:
            super().generate_relationship_name(relationship, global_names, local_names)
            return
        table = constraint.table
        columns = [column.name for column in constraint.columns]
        is_forward = table is relationship.source.table and (
            relationship.source is not relationship.target
            or [attribute.column.name for attribute in relationship.remote_side] != columns
        )
        name = self._names[(join_name(str(table.schema), table.name), tuple(columns), is_forward)]
        relationship.name = self.find_free_name(name, global_names, local_names)

    def render_column_python_type(self, column: sqlalchemy.Column[Any]) -> str:
        """Return the type of a column's values; Any where SQLAlchemy names none."""
        found = super().render_column_python_type(column)
        for name, (module, imported) in _BY_NAME.items():
            if name in found:
                self.module_imports.discard(module)
                self.add_literal_import(module, imported)
                found = found.replace(name, imported)
        found, unknown = _OBJECT.subn("Any", found)
        if unknown:
            self.add_literal_import("typing", "Any")
        return found

    def render_relationship_annotation(self, relationship: RelationshipAttribute) -> str:
        """Return the type of a relationship; the other end of a one-to-one may not be there."""
        found = super().render_relationship_annotation(relationship)
        constraint = relationship.constraint
        is_other_end = constraint is not None and constraint.referred_table is relationship.source.table
        if relationship.type is not RelationshipType.ONE_TO_ONE or not is_other_end or found.startswith("Optional"):
            return found
        self.add_literal_import("typing", "Optional")
        return f"Optional[{found}]"


def plain_type(type_: sqlalchemy.types.TypeEngine[Any], name: str) -> sqlalchemy.types.TypeEngine[Any]:
    """Return the type that a class declares for a column.

    Args:
        type_: as SQLAlchemy has reflected it.
        name: as the server writes it.
    """
    # The checks of a domain are PostgreSQL's business.
    while isinstance(type_, postgresql.DOMAIN):
        type_ = type_.data_type
    if isinstance(type_, postgresql.ARRAY):
        type_.item_type = plain_type(type_.item_type, name.removesuffix("[]"))
    if isinstance(type_, sqlalchemy.String):
        type_.collation = None
    return ServerType(name) if isinstance(type_, sqlalchemy.types.NullType) else type_
