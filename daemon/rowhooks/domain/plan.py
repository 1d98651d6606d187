"""Plans: what is to be tracked and which hooks and buttons there are to be, compared with what there is.

A plan is a file (`rowhooks apply`) or stands in the metadata of a program's models (`integrations/alembic`). What it
does not say of a thing has the default, except `enabled`, which the operator decides where the plan does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, Literal, TypeVar

from rowhooks.domain import exact
from rowhooks.domain.queues import QUEUE_RULE, is_queue_name

Action = Literal["create", "update", "delete"]
OnUndecided = Literal["run", "skip"]
ButtonClass = Literal["default", "primary", "success", "info", "warning", "danger", "link"]
Capture = Literal["auto", "row", "statement"]
Identity = tuple[str, ...] | Literal["full"] | None

_NAME = re.compile(r'(?:("(?:[^"]|"")+"|[^".\s]+)\.)?("(?:[^"]|"")+"|[^".\s]+)')
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*", re.ASCII)
_STRICT = {"extra": "forbid"}
"""For pydantic, which reads plans from files."""
_UNORDERED = ("actions", "columns", "exclude", "ignore_columns", "ignored_columns", "roles", "tables")


@dataclass(frozen=True)
class PlannedTable:
    """A table that is to be tracked, with the options of `rowhooks track`.

    Args:
        identity: the columns that identify a row; `full`, or none: changes are recorded without a key; None: the
            primary key.
        audit_receivers: also record what hook receivers write.
        always: also fire under session_replication_role = replica.
        exclude: columns whose values are kept out of the log.
        ignore_columns: columns that do not count: an update of only these is not recorded.
        capture: by row triggers; by statement triggers, or an error; by statement triggers where they are safe (auto).
    """

    __pydantic_config__ = _STRICT

    identity: Identity = None
    audit_receivers: bool = False
    always: bool = False
    exclude: tuple[str, ...] = ()
    ignore_columns: tuple[str, ...] = ()
    capture: Capture = "row"

    def __post_init__(self) -> None:
        if self.identity == ():
            object.__setattr__(self, "identity", "full")


@dataclass(frozen=True)
class PlannedRule:
    """How tables created later that match a pattern are to be tracked; see PlannedTable."""

    __pydantic_config__ = _STRICT

    audit_receivers: bool = False
    always: bool = False
    capture: Literal["auto", "row"] = "row"


@dataclass(frozen=True)
class PlannedJob:
    """Whether a job is to be enabled."""

    __pydantic_config__ = _STRICT

    enabled: bool


@dataclass(frozen=True)
class PlannedHook:
    """A job hook; see `rowhooks hooks add`.

    Args:
        job: the class path of its job. A hook that is declared in code needs neither job nor tables nor actions.
        tables: its tables.
        actions: of create, update, delete.
        columns: an update that changes none of these starts nothing; empty: every column counts.
        ignored_columns: an update that changes only such columns starts nothing.
        conditions: as JSON has them; None for no conditions.
        on_undecided: what to do with a change for which the conditions cannot be decided.
        queue: the queue of its runs; None: that of its job.
        enabled: None: a new hook is enabled, another one stays as it is.
    """

    __pydantic_config__ = _STRICT

    job: str = ""
    tables: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    columns: tuple[str, ...] = ()
    ignored_columns: tuple[str, ...] = ()
    conditions: Any = None
    on_undecided: OnUndecided = "run"
    queue: str | None = None
    enabled: bool | None = None

    def __post_init__(self) -> None:
        _check_queue(self.queue)


@dataclass(frozen=True)
class PlannedButton:
    """A job button; see `rowhooks buttons add`."""

    __pydantic_config__ = _STRICT

    job: str
    tables: tuple[str, ...]
    text: str
    group_name: str = ""
    weight: int = 100
    button_class: ButtonClass = "default"
    confirmation: bool = True
    roles: tuple[str, ...] = ()
    queue: str | None = None
    enabled: bool | None = None

    def __post_init__(self) -> None:
        _check_queue(self.queue)


Planned = PlannedTable | PlannedRule | PlannedJob | PlannedHook | PlannedButton
_P = TypeVar("_P", bound=Planned)


@dataclass(frozen=True)
class Plan:
    """What there is to be. A section that is None is left alone.

    Args:
        tables: tables by name.
        future: rules for tables created later, by pattern.
        jobs: jobs by class path.
        hooks: hooks by name.
        buttons: buttons by name.
    """

    __pydantic_config__ = _STRICT

    tables: Mapping[str, PlannedTable | None] | None = None
    future: Mapping[str, PlannedRule | None] | None = None
    jobs: Mapping[str, PlannedJob] | None = None
    hooks: Mapping[str, PlannedHook] | None = None
    buttons: Mapping[str, PlannedButton] | None = None


@dataclass(frozen=True)
class Difference:
    """What differs between plan and database.

    Args:
        section: of the plan: `tables`, `future`, `jobs`, `hooks` or `buttons`.
        name: of the table, pattern, job, hook or button.
        present: what there is; None: nothing.
        wanted: what there is to be; None: nothing.
    """

    section: str
    name: str
    present: Planned | None
    wanted: Planned | None

    @property
    def action(self) -> str:
        """What resolves it: `add`, `change` or `remove`."""
        return "add" if self.present is None else "remove" if self.wanted is None else "change"

    def fields(self) -> dict[str, tuple[Any, Any]]:
        """Return what differs, each with its present and its wanted value; None for a side that is nothing."""
        if self.present is None or self.wanted is None:
            one = self.wanted or self.present
            given = {} if one is None else values(one)
            return {name: (None, value) if self.wanted else (value, None) for name, value in given.items()}
        pairs = {
            one.name: (getattr(self.present, one.name), getattr(self.wanted, one.name)) for one in fields(self.present)
        }
        undecided = getattr(self.wanted, "enabled", True) is None
        return {
            name: pair
            for name, pair in pairs.items()
            if not same(name, *pair) and not (name == "enabled" and undecided)
        }


def compared(section: str, present: Mapping[str, _P], wanted: Mapping[str, _P]) -> Iterator[Difference]:
    """Yield the differences between what there is and what there is to be, in the order of the names.

    What there is and no plan names is a difference too: the caller decides what becomes of it.
    """
    for name in sorted({*present, *wanted}):
        now, then = present.get(name), wanted.get(name)
        found = Difference(section, name, now, then)
        if now is None or then is None or found.fields():
            yield found


def values(planned: Planned) -> dict[str, Any]:
    """Return what is said of a thing: its values that are not the default."""
    found = {one.name: getattr(planned, one.name) for one in fields(planned)}
    return {name: value for name, value in found.items() if value != _default(type(planned), name)}


def same(name: str, now: Any, then: Any) -> bool:
    """Say whether two values of a field are the same. Most lists are sets."""
    if name in _UNORDERED:
        return set(now or ()) == set(then or ())
    return exact.same(_as_json(now), _as_json(then))


def from_values(kind: type[_P], what: str, given: Any) -> _P:
    """Return what is said in a dictionary, as it stands in a program. True stands for an empty one.

    Raises:
        ValueError: a key or a value is wrong.
    """
    known = {one.name: one for one in fields(kind)}
    if given is True:
        given = {}
    if not isinstance(given, Mapping):
        raise ValueError(  # noqa: TRY004  (all that is wrong is one error)
            f"{what}: {given!r} is neither a dictionary nor True"
        )
    if unknown := sorted(map(str, set(given) - set(known))):
        raise ValueError(f"{what}: unknown: {', '.join(unknown)} (known are: {', '.join(known)})")
    if missing := [one.name for one in known.values() if one.default is MISSING and one.name not in given]:
        raise ValueError(f"{what}: it needs {', '.join(missing)}")
    made = {name: _frozen(what, known[name], value) for name, value in given.items()}
    try:
        return kind(**made)
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


def complete(what: str, planned: PlannedHook | PlannedButton) -> None:
    """Make sure that a hook or button says what it must.

    Raises:
        ValueError: it does not.
    """
    if missing := [name for name in ("job", "tables", "actions") if not getattr(planned, name, True)]:
        raise ValueError(f"{what}: it needs {', '.join(missing)}")


def canonical(name: str, default_schema: str) -> str:
    """Return a table's name, which PostgreSQL would read, with its schema and no more quotes than it needs.

    Raises:
        ValueError: this is no name.
    """
    found = _NAME.fullmatch(name.strip())
    if found is None:
        raise ValueError(
            f"{name!r} is no name of a table (name it as schema.table; quote capitals: 'public.\"Device\"')"
        )
    return quoted(_stored(found[1]) if found[1] else default_schema, _stored(found[2]))


def quoted(schema: str | None, name: str) -> str:
    """Return a table's name as PostgreSQL reads it, from its stored parts."""
    parts = [part for part in (schema, name) if part is not None]
    return ".".join(part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in parts)


def _stored(part: str) -> str:
    if part.startswith('"'):
        return part[1:-1].replace('""', '"')
    return re.sub("[A-Z]+", lambda found: found[0].lower(), part)


def _default(kind: type[Planned], name: str) -> Any:
    return next(one.default for one in fields(kind) if one.name == name)


def _frozen(what: str, known: Field[Any], value: Any) -> Any:
    is_switch = isinstance(known.default, bool) or known.name == "enabled"
    if is_switch and not isinstance(value, bool) and value is not known.default:
        raise ValueError(f"{what}: {known.name} is True or False, and not {value!r}")
    if not isinstance(known.default, tuple) and not (known.name in _UNORDERED or known.name == "identity"):
        return value
    if value is None or value == "full":
        return value
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"{what}: {known.name} is a list, and not {value!r}")  # noqa: TRY004
    return tuple(value)


def _check_queue(queue: Any) -> None:
    if queue is not None and not is_queue_name(queue):
        raise ValueError(f"queue: {queue!r} is no name of a queue (a name has {QUEUE_RULE})")


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
