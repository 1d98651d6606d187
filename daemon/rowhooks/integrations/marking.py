"""What a transaction of an application carries: the session variables that name its author.

They are local to the transaction and are set before its first statement that may write, so that a transaction that only
reads costs nothing and asks for no user.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from enum import Enum
from typing import Any

from rowhooks.domain.encodings import repertoire
from rowhooks.integrations.attribution import NOBODY, Attribution, is_open, present


class Kind(Enum):
    """What a statement may do to rows."""

    READS = "reads"
    WRITES = "writes"
    """It may also stand in a transaction of its own."""
    UNKNOWN = "unknown"
    """It may write, and may be one that PostgreSQL refuses inside a transaction: CALL, DO ..."""


_FIRST_WORD = re.compile(r"(?:[\s(]|--[^\n]*(?:\n|$)|/\*.*?\*/)*([a-z]*)", re.DOTALL | re.IGNORECASE)
# Both are linear in the length of a statement, which may have long literals in it.
_CALL = re.compile(r'(?<![\w$."])([\w$."]++)\s*+\(')
_COMMENT_BEFORE_CALL = re.compile(r"\*/\s*+\(")
_WRITING_WORD = re.compile(r"\b(?:insert|update|delete|merge)\b|;\s*\S", re.IGNORECASE)
_ENDS = re.compile(r"\b(?:rollback|abort|commit|begin|prepare)\b|^\s*(?:end|start|call|do)\b", re.IGNORECASE)
_WRITES = frozenset(("insert", "update", "delete", "merge", "truncate", "copy", "execute"))
_NO_ROWS = frozenset((
    "", "abort", "alter", "analyze", "begin", "checkpoint", "close", "cluster", "comment", "commit", "create",
    "deallocate", "discard", "drop", "end", "fetch", "grant", "import", "listen", "lock", "move", "notify",
    "prepare", "reassign", "refresh", "reindex", "release", "reset", "revoke", "rollback", "savepoint", "security",
    "set", "show", "start", "unlisten", "vacuum",
))  # fmt: skip
"""Statements that write no row of a table. Before SET TRANSACTION nothing else may be asked."""
_HARMLESS = frozenset((
    # Words of SQL after which a parenthesis stands.
    "", "all", "and", "any", "array", "as", "between", "by", "case", "cast", "conflict", "cube", "distinct", "else",
    "except", "exists", "filter", "from", "group", "grouping", "having", "ilike", "in", "intersect", "interval",
    "is", "join", "lateral", "like", "limit", "materialized", "not", "of", "offset", "on", "only", "or", "over",
    "partition", "recursive", "rollup", "row", "select", "sets", "similar", "some", "then", "to", "union", "using",
    "values", "when", "where", "with", "within",
    # Functions of PostgreSQL's own that ORMs write.
    "abs", "array_agg", "avg", "bool_and", "bool_or", "btrim", "ceil", "ceiling", "char_length", "coalesce",
    "concat", "count", "date_part", "date_trunc", "decimal", "dense_rank", "extract", "first_value", "floor",
    "generate_series", "greatest", "jsonb_agg", "jsonb_array_elements", "jsonb_build_object", "lag", "last_value",
    "lead", "least", "left", "length", "lower", "lpad", "ltrim", "max", "md5", "min", "mod", "now", "nullif",
    "numeric", "nth_value", "ntile", "percent_rank", "position", "power", "random", "rank", "regexp_replace",
    "replace", "reverse", "right", "round", "row_number", "row_to_json", "rpad", "rtrim", "sqrt",
    "statement_timestamp", "strpos", "substring", "sum", "to_char", "to_json", "to_jsonb", "to_tsvector", "trim",
    "unnest", "upper", "varchar", "websearch_to_tsquery",
))  # fmt: skip
"""What may stand before a parenthesis in a query that only reads. Any other name may be a function that writes."""


def kind_of(statement: object) -> Kind:
    """Say what a statement may do. One that is no text may do anything."""
    if not isinstance(statement, str):
        return Kind.UNKNOWN
    word = first_word(statement)
    if word in ("select", "with", "values", "table", "declare"):
        return Kind.WRITES if _may_write(statement) else Kind.READS
    if word in _NO_ROWS:
        return Kind.UNKNOWN if ";" in statement.rstrip().rstrip(";") else Kind.READS
    return Kind.WRITES if word in _WRITES else Kind.UNKNOWN


def first_word(statement: str) -> str:
    """Return a statement's first word, in lower case, behind comments and parentheses."""
    found = _FIRST_WORD.match(statement)
    return found[1].lower() if found else ""


def _may_write(query: str) -> bool:
    if _WRITING_WORD.search(query) or _COMMENT_BEFORE_CALL.search(query):
        return True
    return any(name.lower().removeprefix("pg_catalog.") not in _HARMLESS for name in _CALL.findall(query))


class Marks:
    """What the present transaction of one connection carries."""

    def __init__(self) -> None:
        self._carried: Attribution | None = NOBODY
        """None: we have set something, and it may have been taken back."""
        self._has_set = False

    def begun(self) -> None:
        """Note that a transaction has begun or ended: it carries nothing."""
        self._carried, self._has_set = NOBODY, False

    def sent(self, statement: object) -> None:
        """Note that a statement was sent. One that rolls back to a savepoint may have taken the variables back."""
        # What the application has set itself is left alone.
        if self._has_set and (not isinstance(statement, str) or _ENDS.search(statement)):
            self._carried = None

    def wanted(self, statement: object) -> Attribution | None:
        """Return what has to be set before a statement; None for nothing."""
        if self._carried == NOBODY and not is_open():
            return None
        if kind_of(statement) is Kind.READS:
            return None
        wanted = present()
        return None if wanted == self._carried else wanted

    def set(self, wanted: Attribution, driver_connection: Any) -> tuple[str, list[str]]:
        """Count an attribution as set; return the query that sets it, with psycopg's placeholders, and its values."""
        carried = {} if self._carried is None else asdict(self._carried)
        self._carried, self._has_set = wanted, True
        fitted = _fitting(driver_connection)
        values = {name: fitted(value) for name, value in asdict(wanted).items() if carried.get(name) != value}
        calls = ", ".join(["pg_catalog.set_config(%s, %s, true)"] * len(values))
        return f"select {calls}", [text for name, value in values.items() for text in (f"rowhooks.{name}", value)]


def _fitting(driver_connection: Any) -> Any:
    """Return the function that replaces what neither the database nor the connection's encoding has, and NUL."""
    info = getattr(driver_connection, "info", None)
    if info is None:
        # asyncpg speaks UTF-8; the server converts.
        settings = getattr(driver_connection, "get_settings", None)
        server = getattr(settings(), "server_encoding", "UTF8") if settings else "UTF8"
        return repertoire(server).fitted
    server, client = (info.parameter_status(f"{side}_encoding") or "UTF8" for side in ("server", "client"))
    # Python's drivers write ASCII where the connection has no encoding.
    ours = repertoire("US_ASCII" if client == "SQL_ASCII" else client).fitted
    held = repertoire(server).fitted
    return lambda text: ours(held(text))
