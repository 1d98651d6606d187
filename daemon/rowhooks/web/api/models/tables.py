"""Tables and their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from rowhooks.domain import exact
from rowhooks.postgres.console.cells import Cell
from rowhooks.postgres.console.relations import Column as Known
from rowhooks.postgres.console.relations import ForeignKey as KnownKey
from rowhooks.postgres.console.relations import Relation
from rowhooks.postgres.labels import RenderedButton
from rowhooks.web.api.models.base import Asked, Cursor, Flag, Json, Name, Object, Page, Told, number_of_text

Operator = Literal["eq", "contains", "starts", "lt", "gt", "null", "notnull"]
KINDS = {"r": "table", "p": "partitioned table", "f": "foreign table", "v": "view", "m": "materialized view"}
_NUMBERS = ("smallint", "integer", "bigint", "numeric", "real", "double precision", "oid")
_NO_NUMBERS = ("NaN", "Infinity", "-Infinity")


class TablesWanted(Asked):
    """Which tables are listed."""

    search: Annotated[str | None, Field(max_length=200, description="A part of the name, in any case.")] = None
    cursor: Cursor | None = None


class TableSummary(Told):
    """A table or view whose rows you may see."""

    name: str = Field(description="schema.table")
    kind: str
    is_tracked: bool = Field(description="Whether rowhooks records its changes.")
    comment: str | None
    estimated_rows: int | None = Field(description="How many rows PostgreSQL believes it has.")


class TablePage(Page[TableSummary]):
    """Tables: those that rowhooks tracks first, then by name."""


class TableNamed(Asked):
    """A table in a path."""

    table: Annotated[str, Field(min_length=1, max_length=255, description="schema.table, as it is listed.")]


class Column(Told):
    """A column that you may read."""

    name: str
    type: str
    is_nullable: bool
    is_indexed: bool = Field(description="Whether an index begins with it: filters and orders by it are fast.")
    is_key: bool = Field(description="Whether it belongs to the primary key.")
    comment: str | None


class Reference(Told):
    """A foreign key."""

    name: str
    table: str = Field(description="The table at the other end.")
    columns: list[str] = Field(description="The columns of the key.")
    target_columns: list[str] = Field(description="The columns that they refer to.")

    @classmethod
    def of(cls, key: KnownKey) -> Reference:
        """Return what the API tells of a foreign key."""
        return cls(
            name=key.name, table=key.relation, columns=list(key.columns), target_columns=list(key.target_columns)
        )


class Table(Told):
    """A table or view."""

    name: str
    kind: str
    comment: str | None
    partition_of: str | None = Field(description="The partitioned table of which it is a partition.")
    key: list[str] = Field(description="The columns of its primary key; empty: its rows cannot be named.")
    columns: list[Column] = Field(description="The columns that you may read.")
    refers_to: list[Reference] = Field(description="Its foreign keys to tables that you may read.")
    referred_by: list[Reference] = Field(description="The foreign keys of such tables to it.")

    @classmethod
    def of(cls, relation: Relation) -> Table:
        """Return what the API tells of a table."""
        key = list(relation.key.columns) if relation.key else []
        return cls(
            name=relation.name, kind=KINDS[relation.kind], comment=relation.comment, partition_of=relation.root,
            key=key, columns=[_column(one, key) for one in relation.columns],
            refers_to=list(map(Reference.of, relation.referred)),
            referred_by=list(map(Reference.of, relation.referring)),
        )  # fmt: skip


class RowsWanted(Asked):
    """Which rows are listed."""

    column: list[Name] = Field(default=[], max_length=10, description="The columns of the filters, which all hold.")
    operator: list[Operator] = Field(default=[], max_length=10, description="What each is compared by, in this order.")
    value: list[Annotated[str, Field(max_length=500)]] = Field(
        default=[], max_length=10, description="What each is compared with; empty for null and notnull."
    )
    sort: Name | None = Field(default=None, description="The column of the order; else the primary key.")
    descending: Flag = Field(default=False, description="Whether the largest values come first.")
    show: list[Name] = Field(default=[], max_length=1600, description="The columns that are read; else all.")
    limit: Annotated[
        int, Field(ge=1, le=100, description="The largest number of rows."), BeforeValidator(number_of_text)
    ] = 50
    cursor: Cursor | None = None


class ListedRow(Told):
    """A row, as it is listed."""

    key: Json = Field(description="Its primary key, columns to values; null where the table has none.")
    values: Object = Field(description="Columns to values, in the forms that JSON has; else as PostgreSQL's text.")
    shortened: list[str] = Field(description="Columns of whose value there is only the beginning, as text.")
    unread: dict[str, int] = Field(description="Columns whose value is too large, to its size in bytes; null above.")

    @classmethod
    def of(cls, key: str | None, columns: Sequence[Known], cells: Sequence[Cell]) -> ListedRow:
        """Return what the API tells of a row."""
        return cls(key=None if key is None else exact.read_exactly(key), **_values(columns, cells))


class RowPage(Page[ListedRow]):
    """Rows of a table, in order."""

    is_cut: bool = Field(description="Whether there are more, which no page has: the table has no primary key.")


class RowWanted(Asked):
    """Which row is shown."""

    key: Annotated[str, Field(min_length=1, max_length=4000)] = Field(
        description="The value of a key of one column, else a JSON object of its columns to values."
    )


class RowButton(Told):
    """A button on a row."""

    name: str
    label: str = Field(description="Its label as HTML, with the row's values escaped.")
    group_name: str = Field(description="The group in which pages show it; empty: none.")
    button_class: str
    confirmation: bool = Field(description="Whether a person is asked before a press.")
    disabled: bool
    reason: str = Field(description="Why it is disabled.")
    inputs_schema: Json = Field(description="The JSON schema of what a press gives; null: nothing.")

    @classmethod
    def of(cls, button: RenderedButton) -> RowButton:
        """Return what the API tells of a button."""
        return cls(
            name=button.name, label=str(button.label), group_name=button.group_name,
            button_class=button.button_class, confirmation=button.confirmation, disabled=button.disabled,
            reason=button.reason, inputs_schema=button.inputs_schema,
        )  # fmt: skip


class TableRow(ListedRow):
    """A row with its buttons."""

    table: str
    buttons: list[RowButton] = Field(description="Its buttons, in the order of a page.")

    @classmethod
    def with_buttons(
        cls, relation: Relation, key: str, cells: Mapping[str, Cell], buttons: Sequence[RenderedButton]
    ) -> TableRow:
        """Return what the API tells of a row."""
        return cls(
            table=relation.name, key=exact.read_exactly(key), buttons=list(map(RowButton.of, buttons)),
            **_values(relation.columns, [cells[column.name] for column in relation.columns]),
        )  # fmt: skip


def value_of(column: Known, cell: Cell) -> Any:
    """Return a value of a row as JSON has it: numbers, truth values and documents as such, all else as text."""
    text = cell.text
    if text is None or cell.is_cut:
        return text
    if column.base_type in _NUMBERS:
        return text if text in _NO_NUMBERS else Decimal(text)
    if column.base_type == "boolean":
        return text == "t"
    if column.base_type in ("json", "jsonb"):
        return exact.read_exactly(text)
    return text


def _values(columns: Sequence[Known], cells: Sequence[Cell]) -> dict[str, Any]:
    pairs = list(zip(columns, cells, strict=True))
    return {
        "values": {column.name: value_of(column, cell) for column, cell in pairs},
        "shortened": [column.name for column, cell in pairs if cell.is_cut],
        "unread": {column.name: cell.size for column, cell in pairs if cell.text is None and cell.size is not None},
    }


def _column(known: Known, key: Sequence[str]) -> Column:
    return Column(
        name=known.name, type=known.type, is_nullable=known.is_nullable, is_indexed=known.is_indexed,
        is_key=known.name in key, comment=known.comment,
    )  # fmt: skip
