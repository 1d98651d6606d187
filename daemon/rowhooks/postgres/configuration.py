"""Jobs, hooks and tracked tables, read by asyncpg: ConfigurationSource."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import asyncpg

from rowhooks.domain.feed import Snapshot
from rowhooks.domain.hook import Configuration, Hook, Job, TrackedTable
from rowhooks.postgres.errors import translated

# One statement, so one snapshot: the version fits what stands beside it. The server quotes every name; with
# search_path empty, format_type and %I write them so that they mean the same in any session.
_LOAD = """
select json_build_object(
  'version', (select c.version from rowhooks.configuration as c),
  'tables', (
    select coalesce(json_agg(json_build_object(
      'id', t.id,
      'name', format('%s.%s', n.nspname, r.relname),
      'quoted_name', format('%I.%I', n.nspname, r.relname),
      'relation', r.oid::bigint,
      'repr_column', t.repr_column,
      'columns', (
        select json_agg(json_build_array(a.attname, a.atttypid::bigint) order by a.attnum)
        from pg_attribute as a
        where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
      ),
      -- As it is now: a column may have been renamed since the table was tracked.
      'key', (
        select coalesce(json_agg(
          json_build_array(quote_ident(a.attname), a.attname, format_type(a.atttypid, a.atttypmod)) order by k.position
        ), '[]')
        from pg_index as i
        cross join lateral unnest(i.indkey::smallint[]) with ordinality as k (attnum, position)
        join pg_attribute as a on a.attrelid = i.indrelid and a.attnum = k.attnum
        where i.indrelid = r.oid and i.indisprimary and k.position <= i.indnkeyatts
      )
    )), '[]')
    from rowhooks.tracked_table as t
    join pg_class as r on r.oid = t.relation
    join pg_namespace as n on n.oid = r.relnamespace
    where t.untracked_at is null
  ),
  'jobs', (
    select coalesce(json_agg(json_build_object(
      'id', j.id, 'class_path', j.class_path, 'name', j.name, 'enabled', j.enabled, 'installed', j.installed,
      'enabled_since', j.enabled_since::text
    )), '[]')
    from rowhooks.job as j
  ),
  'hooks', (
    select coalesce(json_agg(json_build_object(
      'id', h.id, 'name', h.name, 'job', h.job_id, 'enabled', h.enabled, 'enabled_since', h.enabled_since::text,
      'tables', (
        select coalesce(json_agg(t.tracked_table_id), '[]')
        from rowhooks.job_hook_table as t
        where t.job_hook_id = h.id
      ),
      'create', h.type_create, 'update', h.type_update, 'delete', h.type_delete
    ) order by h.id), '[]')
    from rowhooks.job_hook as h
  )
)
"""

_SYNC_JOBS = """
with found as (
  select * from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as f (class_path, name, grouping, description)
), changed as (
  update rowhooks.job as j
  set name = f.name, grouping = f.grouping, description = f.description, installed = true
  from found as f
  where j.class_path = f.class_path
    and (j.name, j.grouping, j.description, j.installed) is distinct from (f.name, f.grouping, f.description, true)
), gone as (
  update rowhooks.job as j
  set installed = false
  where j.installed and not exists (select from found as f where f.class_path = j.class_path)
)
insert into rowhooks.job (class_path, kind, name, grouping, description)
select f.class_path, 'hook', f.name, f.grouping, f.description
from found as f
where not exists (select from rowhooks.job as j where j.class_path = f.class_path)
on conflict (class_path) do nothing
"""


class PostgresConfiguration:
    """Reads the configuration over one connection, whose search_path is empty."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def load(self) -> Configuration:
        """Return the present configuration."""
        with translated():
            async with self._connection.transaction():
                await self._connection.execute("set local search_path = ''")
                loaded = json.loads(await self._connection.fetchval(_LOAD))
        tables = {
            t["id"]: TrackedTable(
                id=t["id"],
                name=t["name"],
                quoted_name=t["quoted_name"],
                relation=t["relation"],
                columns=tuple((name, oid) for name, oid in t["columns"]),
                key=tuple((quoted, name, type_) for quoted, name, type_ in t["key"]),
                repr_column=t["repr_column"],
            )
            for t in loaded["tables"]
        }
        jobs = {
            j["id"]: Job(
                j["id"], j["class_path"], j["name"], j["enabled"], j["installed"], _snapshot(j["enabled_since"])
            )
            for j in loaded["jobs"]
        }
        hooks = tuple(
            Hook(
                id=h["id"],
                name=h["name"],
                job=jobs[h["job"]],
                enabled=h["enabled"],
                tables=frozenset(h["tables"]),
                actions=frozenset(action for action in ("create", "update", "delete") if h[action]),
                enabled_since=_snapshot(h["enabled_since"]),
            )
            for h in loaded["hooks"]
        )
        return Configuration(loaded["version"], tables, tuple(jobs.values()), hooks)

    async def sync_jobs(self, jobs: Iterable[tuple[str, str, str, str]]) -> None:
        """Make rowhooks.job know the installed classes: class path, name, grouping, description of each."""
        columns = list(zip(*jobs, strict=True)) or [(), (), (), ()]
        with translated():
            await self._connection.execute(_SYNC_JOBS, *map(list, columns))


def _snapshot(text: str | None) -> Snapshot | None:
    return None if text is None else Snapshot.parse(text)
