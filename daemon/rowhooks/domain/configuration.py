"""Tracked tables, hooks and buttons: the configuration that changes and presses are matched against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rowhooks.domain.feed import Snapshot
from rowhooks.domain.job import Job
from rowhooks.domain.names import TableName, split_name

ON_UNDECIDED = ("run", "skip")
"""What a hook may do with a change whose conditions cannot be decided; the first is the default."""


@dataclass(frozen=True)
class TrackedTable:
    """A table that carries rowhooks' triggers.

    Args:
        id: its id in rowhooks.tracked_table.
        name: `schema.table`; a part that holds a dot stands in double quotes.
        quoted_name: the same name, quoted by the server for use in SQL.
        relation: its oid.
        columns: name and type oid of every column, in order.
        repr_column: the column by which people call a row; None: they call it by its key.
        identity: what tells its rows apart: `key`, the primary key; `columns`, columns named by hand; `full`, nothing.
        key: quoted name, JSON name and type of each key column; names and types as the server writes them in SQL.
        former_key: former names of key columns, each with the present name: keys in the log may have them.
        loose_key: JSON names of the key columns in which one value may have several texts, and how; see keys.lane_key.
    """

    id: int
    name: TableName
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
    """A row of rowhooks.job_hook: which tables, actions and conditions start which job.

    Args:
        id: its id in rowhooks.job_hook.
        name: its name, unique among all hooks.
        job: the job that it starts.
        enabled: whether it starts the job.
        tables: ids of tracked tables.
        actions: some of `create`, `update` and `delete`.
        enabled_since: changes that are visible in this snapshot came before the hook and start nothing.
        columns: an update that changes none of these columns starts nothing. Empty: any column counts.
        ignored_columns: an update that changes only these columns starts nothing.
        conditions_json: what must hold of the two rows, as JSON; None: nothing.
        on_undecided: `run` or `skip`: what a change does whose conditions cannot be decided.
        names: by table, the former names of columns that were renamed since the hook named them, each with the present
            name.
        queue: the queue of its runs; None: that of the job.
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
    queue: str | None = None

    @property
    def lacks_class(self) -> bool:
        """Whether its runs are kept for a leader whose code has the job's class."""
        return self.enabled and self.job.enabled and not self.job.installed

    def predates(self, transaction_id: int) -> bool:
        """Say whether a change was made before the hook, or its job, was enabled."""
        for since in (self.enabled_since, self.job.enabled_since):
            # It is asked of every change; nearly all are newer than what was to come when the snapshot was taken.
            if since is not None and transaction_id < since.xmax and since.sees(transaction_id):
                return True
        return False


@dataclass(frozen=True)
class JobButton:
    """A row of rowhooks.job_button: a button that starts a job for the row on which it is pressed.

    Args:
        id: its id in rowhooks.job_button.
        name: its name, unique among all buttons.
        job: the job that it starts.
        queue: the queue of its runs; None: that of the job.
    """

    id: int
    name: str
    job: Job
    queue: str | None = None


@dataclass(frozen=True)
class HooksAndButtons:
    """Some hooks and buttons, by their ids."""

    hooks: frozenset[int] = frozenset()
    buttons: frozenset[int] = frozenset()

    def minus(self, other: HooksAndButtons) -> HooksAndButtons:
        """Return those that are not in the other."""
        return HooksAndButtons(self.hooks - other.hooks, self.buttons - other.buttons)

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self.hooks or self.buttons)


@dataclass(frozen=True)
class Configuration:
    """Everything that changes are matched against, in one version; and whether the bell is a NOTIFY."""

    version: int
    tables: dict[int, TrackedTable]
    jobs: tuple[Job, ...]
    hooks: tuple[JobHook, ...]
    buttons: tuple[JobButton, ...] = ()
    notify: bool = True

    def idle_hooks(self) -> list[JobHook]:
        """Return the enabled hooks that can start nothing because their job is disabled."""
        return [hook for hook in self.hooks if hook.enabled and not hook.job.enabled]

    def hooks_that_lack_their_class(self) -> list[JobHook]:
        """Return the hooks whose runs are kept for a leader that has their job's class."""
        return [hook for hook in self.hooks if hook.lacks_class]

    def without_class(self) -> HooksAndButtons:
        """Return the hooks and buttons whose runs this leader cannot execute, enabled or not."""
        return HooksAndButtons(
            frozenset(hook.id for hook in self.hooks if not hook.job.installed),
            frozenset(button.id for button in self.buttons if not button.job.installed),
        )
