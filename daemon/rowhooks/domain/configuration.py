"""Tracked tables, hooks and buttons: the configuration that changes and presses are matched against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rowhooks.domain.feed import Snapshot
from rowhooks.domain.job import Job
from rowhooks.domain.names import split_name

ON_UNDECIDED = ("run", "skip")
"""What a hook may do with a change of which its conditions cannot be decided; the first is the default."""


@dataclass(frozen=True)
class TrackedTable:
    """A table that carries rowhooks' triggers.

    Args:
        id: rowhooks.tracked_table.id.
        name: `schema.table`; in double quotes what holds a dot.
        quoted_name: the same, quoted by the server for use in SQL.
        relation: its oid.
        columns: name, type oid, of every column, in order.
        repr_column: the column that stands for a row; None: its key does.
        identity: `key`, the primary key; `columns`, named by hand; `full`, nothing tells its rows apart.
        key: quoted name, JSON name and type of each key column; names and types as the server writes them in SQL.
        former_key: names that columns of the key have had, each with its present one: the log's keys may bear them.
        loose_key: JSON names of key columns of which one value has several texts, and how, see keys.lane_key.
    """

    id: int
    name: str
    quoted_name: str
    relation: int
    columns: tuple[tuple[str, int], ...]
    key: tuple[tuple[str, str, str], ...]
    repr_column: str | None = None
    identity: str = "key"
    former_key: tuple[tuple[str, str], ...] = ()
    loose_key: Mapping[str, str] = field(default_factory=dict)

    @property
    def schema_name(self) -> str:
        """The schema's name, as PostgreSQL stores it."""
        return self._parts[0]

    @property
    def table_name(self) -> str:
        """The table's name, as PostgreSQL stores it."""
        return self._parts[1]

    @property
    def _parts(self) -> tuple[str, str]:
        parts = split_name(self.name)
        assert parts is not None, self.name
        return parts


@dataclass(frozen=True)
class JobHook:
    """Which tables and actions start which job.

    Args:
        tables: ids of tracked tables.
        actions: of `create`, `update`, `delete`.
        enabled_since: changes visible in this snapshot came before the hook and start nothing.
        columns: an update that changes none of these starts nothing; empty: any counts.
        ignored_columns: an update that changes nothing else starts nothing.
        conditions_json: what must hold of the two rows, as JSON; None: nothing.
        on_undecided: `run` or `skip`: whether a change starts it of which the conditions cannot be decided.
        names: by table, what columns that were renamed were called when the hook asked for columns, with what they are
            called now.
    """

    id: int
    name: str
    job: Job
    enabled: bool
    tables: frozenset[int]
    actions: frozenset[str]
    enabled_since: Snapshot | None = None
    columns: frozenset[str] = frozenset()
    ignored_columns: frozenset[str] = frozenset()
    conditions_json: str | None = None
    on_undecided: str = "run"
    names: Mapping[int, Mapping[str, str]] = field(default_factory=dict, hash=False)

    @property
    def waits(self) -> bool:
        """Whether what it starts is kept for a leader whose code has the job."""
        return self.enabled and self.job.enabled and not self.job.installed

    def predates(self, transaction_id: int) -> bool:
        """Say whether a change comes from before the hook, or its job, was enabled."""
        since = self.enabled_since
        if since is not None and since.sees(transaction_id):
            return True
        since = self.job.enabled_since
        return since is not None and since.sees(transaction_id)


@dataclass(frozen=True)
class JobButton:
    """A button that starts a job for the row it is pressed on."""

    id: int
    name: str
    job: Job


@dataclass(frozen=True)
class WithoutClass:
    """Hooks and buttons, by their ids, whose job the leader's code does not have."""

    hooks: frozenset[int] = frozenset()
    buttons: frozenset[int] = frozenset()

    def minus(self, other: WithoutClass) -> WithoutClass:
        """Return those that are not among the other ones."""
        return WithoutClass(self.hooks - other.hooks, self.buttons - other.buttons)

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self.hooks or self.buttons)


@dataclass(frozen=True)
class Configuration:
    """Everything changes are matched against, as of one version; and whether the bell is a NOTIFY."""

    version: int
    tables: dict[int, TrackedTable]
    jobs: tuple[Job, ...]
    hooks: tuple[JobHook, ...]
    buttons: tuple[JobButton, ...] = ()
    notify: bool = True

    def idle_hooks(self) -> list[JobHook]:
        """Return the enabled hooks that can start nothing because their job is disabled."""
        return [hook for hook in self.hooks if hook.enabled and not hook.job.enabled]

    def waiting_hooks(self) -> list[JobHook]:
        """Return the hooks whose changes are kept for a leader that has their job."""
        return [hook for hook in self.hooks if hook.waits]

    def without_class(self) -> WithoutClass:
        """Return the hooks and buttons whose runs cannot be run by this leader, enabled or not."""
        return WithoutClass(
            frozenset(hook.id for hook in self.hooks if not hook.job.installed),
            frozenset(button.id for button in self.buttons if not button.job.installed),
        )
