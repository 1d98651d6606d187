"""`Hook`: a hook declared in code, in a receiver's Meta."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from rowhooks.domain.configuration import ON_UNDECIDED
from rowhooks.domain.errors import ConditionsError, ReceiverError
from rowhooks.domain.names import join_name, quoting_hint, split_name
from rowhooks.domain.queues import QUEUE_RULE, is_queue_name
from rowhooks.domain.tables import table_of_class
from rowhooks.pipeline.conditions import parse_json

ACTIONS = ("create", "update", "delete")
_EXAMPLE = 'for example Hook("dcim.device", actions=["update"], columns=["serial"])'


class Hook:
    """A hook declared beside its receiver: `class Meta: hooks = [Hook("dcim.device", actions=["update"])]`.

    When the daemon starts, it writes the declaration into rowhooks.job_hook. There an operator may enable and disable
    the hook; everything else is changed in the code.

    Args:
        tables: at least one: `schema.table` as PostgreSQL stores it, with double quotes around a part that holds a dot;
            or what `table()` returns; or a class that SQLAlchemy maps, with a schema.
        actions: some of `create`, `update` and `delete`.
        columns: an update that changes none of these columns starts nothing. Empty: any column counts.
        ignore_columns: an update that changes only these columns starts nothing; for what an ORM writes each time.
        conditions: what must hold of the two rows, in the form that `rowhooks hooks add --conditions` takes.
        on_undecided: what a change does whose conditions cannot be decided: `run` or `skip`.
        queue: the queue of its runs; None: that of the job, `Meta.queue`.
        name: the hook's name, unique among all hooks. None: it is made of the names of the class and the tables.
        enabled: whether the hook is enabled when it is first written, or waits for `rowhooks hooks enable`.

    Raises:
        ReceiverError: there is no table, an action or `on_undecided` is unknown, a queue cannot have that name, or the
            conditions are malformed. The message names what is wrong.
    """

    def __init__(
        self,
        *tables: str | type[Any],
        actions: Iterable[str] = ACTIONS,
        columns: Iterable[str] = (),
        ignore_columns: Iterable[str] = (),
        conditions: dict[str, Any] | None = None,
        on_undecided: str = "run",
        queue: str | None = None,
        name: str | None = None,
        enabled: bool = True,
    ) -> None:
        named = [table_of_class(one) or _table_name(one) for one in tables]
        self.actions = _names("actions", actions)
        self.columns = _names("columns", columns)
        self.ignored_columns = _names("ignore_columns", ignore_columns)
        self.name = name
        self.enabled = bool(enabled)
        if not named:
            raise ReceiverError("Hook() names no table", hint=_EXAMPLE)
        self.tables = tuple(dict.fromkeys(named))
        if unknown := [action for action in self.actions if action not in ACTIONS]:
            raise ReceiverError(f"{self!r}: unknown action {unknown[0]!r}", hint=f"choose from: {', '.join(ACTIONS)}")
        if not self.actions:
            raise ReceiverError(f"{self!r}: You must select at least one type: create, update, and/or delete.")
        if name is not None and not (isinstance(name, str) and name):
            raise ReceiverError(f"{self!r}: a name is a string, and not empty")
        if on_undecided not in ON_UNDECIDED:
            raise ReceiverError(
                f"{self!r}: unknown on_undecided {on_undecided!r}", hint=f"choose from: {', '.join(ON_UNDECIDED)}"
            )
        if queue is not None and not is_queue_name(queue):
            raise ReceiverError(f"{self!r}: {queue!r} is no name of a queue", hint=f"a name has {QUEUE_RULE}")
        self.on_undecided = on_undecided
        self.queue = queue
        self.conditions_json = self._conditions(conditions)

    def _conditions(self, conditions: Any) -> str | None:
        if conditions is None:
            return None
        try:
            text = json.dumps(conditions, ensure_ascii=False)
            parse_json(text)
        except ConditionsError as error:
            raise ReceiverError(f"{self!r}: {error.message}", hint=error.hint) from error
        except (TypeError, ValueError, RecursionError) as error:
            raise ReceiverError(f"{self!r}: conditions: JSON cannot hold them: {error}") from error
        return text

    def __repr__(self) -> str:
        return f"Hook({', '.join(map(repr, self.tables))})"


def _table_name(table: Any) -> str:
    parts = split_name(table) if isinstance(table, str) else None
    if parts is None:
        raise ReceiverError(f"Hook({table!r}): a table is named with its schema", hint=quoting_hint(table) or _EXAMPLE)
    return join_name(*parts)


def _names(what: str, value: Iterable[str]) -> tuple[str, ...]:
    # A string is iterable too, letter by letter.
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ReceiverError(f"Hook(): {what} is not a list of names", hint=_EXAMPLE)
    names = list(value)
    if not all(isinstance(name, str) and name for name in names):
        raise ReceiverError(f"Hook(): {what} is not a list of names", hint=_EXAMPLE)
    return tuple(dict.fromkeys(names))
