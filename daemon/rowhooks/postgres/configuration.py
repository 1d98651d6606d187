"""Jobs, hooks, buttons and tracked tables, read by asyncpg: ConfigurationSource."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from typing import Any

import asyncpg

from rowhooks.domain.configuration import Configuration, JobButton, JobHook, TrackedTable
from rowhooks.domain.feed import Snapshot
from rowhooks.domain.job import Job, JobEntry
from rowhooks.domain.names import join_name
from rowhooks.postgres import synchronisation
from rowhooks.postgres.connections.encodings import of_connection
from rowhooks.postgres.connections.errors import translated
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.synchronisation import DeclaredHook
from rowhooks.postgres.unreadable import RAW

logger = logging.getLogger(__name__)

DESCRIPTION = """\
      'schema', n.nspname,
      'table', r.relname,
      'quoted_name', format('%I.%I', n.nspname, r.relname),
      'relation', r.oid::bigint,
      'columns', (
        select coalesce(json_agg(json_build_array(a.attname, a.atttypid::bigint) order by a.attnum), '[]')
        from pg_attribute as a
        where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
      )"""
"""What describes a table, as arguments of json_build_object: `r` is pg_class, `n` its pg_namespace. The server quotes
every name; with PINNED, format_type and %I write them so that they mean the same in any session."""

# One statement, so one snapshot: the version fits what stands beside it.
LOAD = f"""
select json_build_object(
  'version', rowhooks.configuration_version(),
  'notify', (select i.notify from rowhooks.installation as i),
  'tables', (
    select coalesce(json_agg(json_build_object(
      'id', t.id,
      'repr_column', t.repr_column,
      'identity', t.identity,
{DESCRIPTION},
      -- As it is now: a column may have been renamed since the table was tracked.
      'key', (
        select coalesce(json_agg(
          json_build_array(quote_ident(k.name), k.name, format_type(a.atttypid, a.atttypmod)) order by k.place
        ), '[]')
        from rowhooks.present_key_columns(t.id) as k
        join pg_attribute as a on a.attrelid = r.oid and a.attnum = k.number
      ),
      'former_key', (
        select coalesce(json_agg(json_build_array(f.name, k.name)), '[]')
        from (
          select o.name, o.number::smallint from jsonb_each_text(t.former_keys) as o (name, number)
          union
          select o.name, o.number
          from rows from (unnest(t.key_columns), unnest(t.key_numbers)) as o (name, number)
        ) as f
        join rowhooks.present_key_columns(t.id) as k on k.number = f.number and k.name <> f.name
      ),
      'loose_key', (
        select coalesce(json_object_agg(k.name, l.how), json_build_object())
        from rowhooks.present_key_columns(t.id) as k
        join pg_attribute as a on a.attrelid = r.oid and a.attnum = k.number
        left join pg_collation as c on c.oid = a.attcollation
        cross join lateral (
          with recursive base as (
            select y.oid, y.typbasetype, y.typname, y.typelem from pg_type as y where y.oid = a.atttypid
            union all
            select y.oid, y.typbasetype, y.typname, y.typelem
            from base as b
            join pg_type as y on y.oid = b.typbasetype or (b.typbasetype = 0 and y.oid = b.typelem)
          )
          select case
            when not coalesce(c.collisdeterministic, true) then 'text'
            when bool_or(b.oid = 'interval'::regtype) then 'any'
            when bool_or(b.oid = 'bpchar'::regtype or b.typname = 'citext') then 'text'
            when bool_or(b.oid = 'numeric'::regtype and a.atttypmod = -1 or b.oid = 'jsonb'::regtype) then 'number'
          end as how
          from base as b
        ) as l
        where l.how is not null
      )
    )), '[]')
    from rowhooks.tracked_table as t
    join pg_class as r on r.oid = t.relation
    join pg_namespace as n on n.oid = r.relnamespace
    -- Of one that was untracked, and tracked again, the log may still hold changes that start something.
    where t.untracked_at is null or t.id in (select m.id from rowhooks.table_meant as m)
  ),
  'jobs', (
    select coalesce(json_agg(json_build_object(
      'id', j.id, 'class_path', j.class_path, 'name', j.name, 'enabled', j.enabled, 'installed', j.installed,
      'enabled_since', j.enabled_since::text,
      'sensitive', j.meta -> 'has_sensitive_variables' is not distinct from 'true'
    )), '[]')
    from rowhooks.job as j
  ),
  'hooks', (
    select coalesce(json_agg(json_build_object(
      'id', h.id, 'name', h.name, 'job', h.job_id, 'enabled', h.enabled, 'enabled_since', h.enabled_since::text,
      'tables', (
        select coalesce(json_agg(distinct m.id), '[]')
        from rowhooks.table_meant as m
        where m.kind = 'hook' and m.owner_id = h.id
      ),
      'names', (
        select coalesce(json_object_agg(n.id, n.names), '{{}}')
        from (
          select m.id, json_object_agg(k.name, a.attname) as names
          from rowhooks.job_hook_table as x
          join rowhooks.tracked_table as t on t.id = x.tracked_table_id
          join rowhooks.table_meant as m on m.kind = 'hook' and m.owner_id = h.id and m.named_id = t.id
          join rowhooks.tracked_table as o on o.id = m.id and o.relation = t.relation
          cross join jsonb_each_text(x.numbers) as k (name, number)
          join pg_attribute as a
            on a.attrelid = t.relation and a.attnum = k.number::smallint and not a.attisdropped and a.attname <> k.name
          where x.job_hook_id = h.id
          group by m.id
        ) as n
      ),
      'create', h.type_create, 'update', h.type_update, 'delete', h.type_delete,
      'columns', h.columns, 'ignored_columns', h.ignored_columns,
      'conditions', h.conditions::text, 'on_undecided', h.on_undecided
    ) order by h.id), '[]')
    from rowhooks.job_hook as h
  ),
  'buttons', (
    select coalesce(json_agg(json_build_object('id', b.id, 'name', b.name, 'job', b.job_id) order by b.id), '[]')
    from rowhooks.job_button as b
  )
)
"""  # noqa: S608  (a constant)

_LOAD_RAW = f"select {RAW.format(f'({LOAD})::text')}"


class PostgresConfiguration:
    """Reads and synchronises the configuration over one connection."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def load(self) -> Configuration:
        """Return the present configuration."""
        with translated():
            async with self._connection.transaction():
                await self._connection.execute(PINNED)
                found = await self._connection.fetchval(_LOAD_RAW)
        # A name that is no text, where the database knows no encoding, costs what bears it.
        return read_configuration(found.decode("utf-8", "replace"))

    async def sync_jobs(self, jobs: Iterable[JobEntry]) -> list[str]:
        """Make rowhooks.job know the installed classes; see synchronisation.sync_jobs."""
        jobs = [job for job in jobs if self._can_know(job)]
        with translated():
            async with self._connection.transaction():
                return await synchronisation.sync_jobs(self._connection, jobs)

    async def tables_named(self, names: Iterable[str]) -> frozenset[tuple[str, int]]:
        """Return which of some names, `schema.table`, are those of tracked tables now, with their entries."""
        with translated():
            return await synchronisation.tables_named(self._connection, names)

    def _can_know(self, job: JobEntry) -> bool:
        can = self._holds(job.class_path)
        if not can:
            logger.error(
                "job %s cannot run here: the database's encoding does not have all characters of its module and class;"
                " rename them", job.class_path,
            )  # fmt: skip
        return can

    def _holds(self, class_path: str) -> bool:
        # By it the class is found again: nothing can stand in its place.
        return of_connection(self._connection).fitted(class_path) == class_path

    async def sync_hooks(self, declared: Iterable[tuple[str, DeclaredHook]]) -> list[str]:
        """Make rowhooks.job_hook follow the hooks declared in code; see synchronisation.sync_hooks."""
        declared = [(path, hook) for path, hook in declared if self._holds(path)]
        with translated():
            async with self._connection.transaction():
                return await synchronisation.sync_hooks(self._connection, declared)


def read_configuration(document: str | dict[str, Any]) -> Configuration:
    """Return the configuration that LOAD, run with PINNED, has found: its JSON, or that decoded."""
    loaded = json.loads(document) if isinstance(document, str) else document
    tables = {t["id"]: read_table(t) for t in loaded["tables"]}
    jobs = {
        j["id"]: Job(
            j["id"],
            j["class_path"],
            j["name"],
            j["enabled"],
            j["installed"],
            _snapshot(j["enabled_since"]),
            j["sensitive"],
        )
        for j in loaded["jobs"]
    }
    hooks = tuple(
        JobHook(
            id=h["id"],
            name=h["name"],
            job=jobs[h["job"]],
            enabled=h["enabled"],
            tables=frozenset(h["tables"]),
            actions=frozenset(action for action in ("create", "update", "delete") if h[action]),
            enabled_since=_snapshot(h["enabled_since"]),
            columns=frozenset(h["columns"]),
            ignored_columns=frozenset(h["ignored_columns"]),
            conditions_json=h["conditions"],
            on_undecided=h["on_undecided"],
            names={int(table): names for table, names in h["names"].items()},
        )
        for h in loaded["hooks"]
    )
    buttons = tuple(JobButton(b["id"], b["name"], jobs[b["job"]]) for b in loaded["buttons"])
    return Configuration(loaded["version"], tables, tuple(jobs.values()), hooks, buttons, loaded["notify"])


def read_table(t: dict[str, Any]) -> TrackedTable:
    """Return a table of which the server has given id, repr_column, key and DESCRIPTION, decoded."""
    return TrackedTable(
        id=t["id"],
        name=join_name(t["schema"], t["table"]),
        quoted_name=t["quoted_name"],
        relation=t["relation"],
        columns=tuple((name, oid) for name, oid in t["columns"]),
        key=tuple((quoted, name, type_) for quoted, name, type_ in t["key"]),
        repr_column=t["repr_column"],
        identity=t.get("identity", "key"),
        former_key=tuple(sorted((former, present) for former, present in t.get("former_key", ()))),
        loose_key=t.get("loose_key", {}),
    )


def _snapshot(text: str | None) -> Snapshot | None:
    return None if text is None else Snapshot.parse(text)
