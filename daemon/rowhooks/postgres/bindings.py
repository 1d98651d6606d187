"""What hooks and buttons are bound to, and where that is broken: for doctor and for the leader's log."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import psycopg

from rowhooks.domain import exact, shell
from rowhooks.domain.renaming import columns_in, without_columns
from rowhooks.postgres.connections.errors import translated
from rowhooks.postgres.connections.search_path import PINNED
from rowhooks.postgres.labels import columns_in as columns_in_text

# What `rowhooks track` was told of a table, or a rule, as words of the command; `t` is its entry, or the rule.
MARKS = """case when t.audit_receivers then array['--audit-receivers'] end
        || case when t.always then array['--always'] end"""
OPTIONS = f"""case when t.identity <> 'key' then
          array['--identity', coalesce((
            select string_agg(case
              when k.name ~ '[,"[:space:]]' or k.name = 'full' then format('"%s"', replace(k.name, '"', '""'))
              else k.name
            end, ',' order by k.place)
            from unnest(t.key_columns) with ordinality as k (name, place)
          ), 'full')]
        end
        || {MARKS}"""  # noqa: S608  (constants)


def columns_left_out(relation: str) -> str:
    """Return the options of `rowhooks track` for columns that are kept out of the log, or do not count.

    Args:
        relation: an expression of ours: the oid of the table that is to be tracked; `t` is the former entry.
    """
    return " || ".join(
        f"""(
        select array['{option}', string_agg(case
          when a.attname ~ '[,"[:space:]]' then format('"%s"', replace(a.attname, '"', '""')) else a.attname
        end, ',' order by a.attnum)]
        from pg_attribute as a
        where a.attrelid = {relation} and a.attname = any (t.{names}) and not a.attisdropped
        having count(*) > 0
      )"""  # noqa: S608  (of ours)
        for option, names in (("--exclude", "excluded_columns"), ("--ignore-columns", "ignored_columns"))
    )


def named(schema: str, name: str) -> str:
    """Return the oid of what has a name, as an expression; a login without USAGE on the schema gets it too.

    Args:
        schema: an expression of ours: the schema's name.
        name: likewise, the relation's.
    """
    return f"""(
        select k.oid from pg_class as k join pg_namespace as s on s.oid = k.relnamespace
        where s.nspname = {schema} and k.relname = {name}
      )"""  # noqa: S608  (of ours)


# A table `c`, of a schema `n`, as a link meets it.
_TABLE = """json_build_object(
        'name', format('%I.%I', n.nspname, c.relname),
        'relation', c.oid::bigint,
        'kind', c.relkind,
        'tracked', exists (
          select from rowhooks.tracked_table as i where i.relation = c.oid and i.untracked_at is null
        ),
        'root', case when c.relispartition then (
          select json_build_object('name', format('%I.%I', m.nspname, r.relname), 'tracked', exists (
            select from rowhooks.tracked_table as i where i.relation = r.oid and i.untracked_at is null
          ))
          from pg_partition_ancestors(c.oid) as a
          join pg_class as r on r.oid = a.relid and not r.relispartition
          join pg_namespace as m on m.oid = r.relnamespace
        ) end
      )"""

_FACTS = f"""
select coalesce(json_agg(json_build_object(
  'kind', o.kind, 'name', o.name, 'job', j.class_path, 'declared', o.declared, 'columns', o.columns,
  'conditions', o.conditions::text, 'text', o.text,
  'waits_for', (
    select coalesce(json_agg(json_build_object('name', w.name, 'quoted', (
      select format('%I.%I', n.nspname, c.relname) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
      where rowhooks.qualified_name(n.nspname, c.relname) = w.name and c.relkind in ('r', 'p', 'f')
      limit 1
    )) order by w.name), '[]')
    from unnest(o.waits_for) as w (name)
  ),
  'links', (
    select coalesce(json_agg(json_build_object(
      'given', format('%I.%I', x.schema_name, x.table_name),
      'plain', rowhooks.qualified_name(x.schema_name, x.table_name),
      'last', format('%I.%I', t.schema_name, t.table_name),
      'options', {OPTIONS} || {columns_left_out("coalesce(s.oid, c.oid)")},
      'table', case when c.oid is not null then {_TABLE} end,
      'namesake', (
        select {_TABLE}
        from pg_class as c
        join pg_namespace as n on n.oid = c.relnamespace
        where c.oid = s.oid and c.relkind in ('r', 'p', 'f')
      ),
      'last_exists', exists (select from pg_class as l where l.oid = t.relation),
      'excluded', coalesce(p.excluded_columns, '{{}}'),
      'ignored', coalesce(p.ignored_columns, '{{}}'),
      'columns', (
        select coalesce(json_object_agg(a.attname, a.attnum), '{{}}') from pg_attribute as a
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      ),
      -- Numbers mean nothing in a table that was made anew.
      'numbers', case when p.relation = t.relation then x.numbers else '{{}}' end
    ) order by t.schema_name, t.table_name, x.tracked_table_id), '[]')
    from (
      select h.tracked_table_id, h.schema_name, h.table_name, h.numbers
      from rowhooks.job_hook_table as h where o.kind = 'hook' and h.job_hook_id = o.id
      union all
      select b.tracked_table_id, b.schema_name, b.table_name, b.numbers
      from rowhooks.job_button_table as b where o.kind = 'button' and b.job_button_id = o.id
    ) as x
    join rowhooks.tracked_table as t on t.id = x.tracked_table_id
    left join rowhooks.table_meant as m
      on m.kind = o.kind and m.owner_id = o.id and m.named_id = x.tracked_table_id and m.is_present
    left join rowhooks.tracked_table as p on p.id = m.id
    left join pg_class as c on c.oid = p.relation
    left join pg_namespace as n on n.oid = c.relnamespace
    cross join lateral (
      select coalesce(
        {named("x.schema_name", "x.table_name")}, {named("t.schema_name", "t.table_name")}
      ) as oid
    ) as s
  )
) order by o.kind desc, o.name), '[]')::text
from (
  select 'hook' as kind, h.id, h.name, h.job_id, h.declared, h.columns, h.conditions, null as text, h.waits_for
  from rowhooks.job_hook as h where h.enabled
  union all
  select 'button', b.id, b.name, b.job_id, false, '{{}}', null, b.text, '{{}}'
  from rowhooks.job_button as b where b.enabled
) as o
join rowhooks.job as j on j.id = o.job_id
"""  # noqa: S608  (constants)

# Partitions that a table was seen with. Where one has become a tracked table, or a partition of one, it is captured.
_DETACHED = f"""
select
  format('%I.%I', n.nspname, c.relname), format('%I.%I', r.nspname, p.relname),
  {OPTIONS} || {columns_left_out("c.oid")}, {OPTIONS}
from rowhooks.tracked_table as t
cross join unnest(t.partitions) as x (oid)
join pg_class as c on c.oid = x.oid
join pg_namespace as n on n.oid = c.relnamespace
join pg_class as p on p.oid = t.relation
join pg_namespace as r on r.oid = p.relnamespace
where t.untracked_at is null and not exists (
  select from rowhooks.tracked_table as i
  where i.untracked_at is null
    and (i.relation = c.oid or i.relation in (select a.relid from pg_partition_ancestors(c.oid) as a))
)
order by 1
"""  # noqa: S608  (constants)

_NOTE_PARTITIONS = "select rowhooks.note_partitions()"

_RELINK = """
update rowhooks.job_{kind}_table as x
set tracked_table_id = m.id
from rowhooks.table_meant as m
join rowhooks.job_{kind} as o on o.id = m.owner_id
join rowhooks.tracked_table as t on t.id = m.id
where m.kind = '{kind}' and m.is_present and m.id <> m.named_id
  and x.job_{kind}_id = m.owner_id and x.tracked_table_id = m.named_id
  and not exists (
    select from rowhooks.table_meant as other
    where other.kind = m.kind and other.owner_id = m.owner_id and other.id = m.id and other.is_present
      and (other.named_id = m.id or other.named_id < m.named_id)
  )
returning '{kind}', o.name, rowhooks.qualified_name(t.schema_name, t.table_name)
"""
_ANY_TO_RELINK = "select exists (select from rowhooks.table_meant as m where m.is_present and m.id <> m.named_id)"


@dataclass(frozen=True)
class Fault:
    """Something that a hook or button is bound to and that is not there, or not as it was.

    Args:
        level: `problem`, or `note` for what works all the same.
        what: one sentence.
        way_out: parts of a sentence: text, and the words of commands (`shell.sentence`).
    """

    level: str
    what: str
    way_out: tuple[str | list[str], ...]

    def __str__(self) -> str:
        """Return it as a line of a log."""
        return f"{self.what} ({shell.sentence(self.way_out)})"


def find_faults(conn: psycopg.Connection[Any]) -> list[Fault]:
    """Return what is broken; the connection has PINNED's search_path."""
    row = conn.execute(_FACTS).fetchone()
    assert row is not None, "an aggregate is always a row"
    return [*_faults(json.loads(row[0])), *_detached(conn.execute(_DETACHED).fetchall())]


class PostgresBindings:
    """The same for the leader, over one connection."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self._connection = connection

    async def find_faults(self) -> list[Fault]:
        """Return what is broken, but for what the declaring of hooks says itself."""
        with translated():
            async with self._connection.transaction():
                await self._connection.execute(PINNED)
                found = json.loads(await self._connection.fetchval(_FACTS))
                detached = await self._connection.fetch(_DETACHED)
        for owner in found:
            owner["waits_for"] = []
        return [*_faults(found), *_detached([tuple(row) for row in detached])]

    async def note_partitions(self) -> None:
        """Note the partitions that tracked tables have, so that one that is detached is missed."""
        with translated():
            await self._connection.execute(_NOTE_PARTITIONS)

    async def relink(self) -> list[str]:
        """Put hooks and buttons on the tables that they name and that are tracked again; return what was done."""
        with translated():
            if not await self._connection.fetchval(_ANY_TO_RELINK):
                return []
            done = []
            for kind in ("hook", "button"):
                with contextlib.suppress(asyncpg.UniqueViolationError):
                    # Another one says the same of that table by now: this one is on it, and stays on record as it was.
                    done += await self._connection.fetch(_RELINK.format(kind=kind))
        return [f"{kind} {name} is on {table} again, which was tracked anew" for kind, name, table in done]


def _detached(rows: list[tuple[Any, ...]]) -> list[Fault]:
    return [
        Fault(
            "note",
            f"{partition} was detached from tracked table {root}: its changes are not recorded any more",
            (
                ["rowhooks", "track", partition, *(options or [])],
                "; or, where that is meant: ",
                ["rowhooks", "track", root, *(of_root or [])],
            ),
        )
        for partition, root, options, of_root in rows
    ]


def _faults(owners: list[dict[str, Any]]) -> list[Fault]:
    return [fault for owner in owners for fault in _of_owner(owner)]


def _of_owner(owner: dict[str, Any]) -> Iterator[Fault]:
    for table in owner["waits_for"]:
        yield _never_tracked(owner, table)
    if not owner["links"] and not owner["waits_for"]:
        yield _fault(owner, "is on no table", *_drop(owner))
    for link in owner["links"]:
        if link["table"] is None:
            yield _waiting(owner, link)
        elif (fault := _moved(owner, link)) is not None:
            yield fault
    yield from _of_columns(owner)


def _fault(owner: dict[str, Any], what: str, *way_out: str | list[str], level: str = "problem") -> Fault:
    return Fault(level, f"{owner['kind']} {owner['name']} {what}", way_out)


def _edit(owner: dict[str, Any], *words: str) -> list[str]:
    return ["rowhooks", f"{owner['kind']}s", "edit", *words, *shell.operand(owner["name"])]


def _off(owner: dict[str, Any]) -> list[str]:
    return ["rowhooks", f"{owner['kind']}s", "disable", *shell.operand(owner["name"])]


def _in_code(owner: dict[str, Any], what: str) -> str:
    return f"{what} in Hook(...) of class Meta of {owner['job']}, and restart the daemon"


def _track(link: dict[str, Any], table: str) -> list[str]:
    return ["rowhooks", "track", table, *(link["options"] or [])]


def _never_tracked(owner: dict[str, Any], table: dict[str, Any]) -> Fault:
    if table["quoted"] is None:
        change = _in_code(owner, f"name another table than {table['name']}")
        return _fault(owner, f"waits for {table['name']}, which does not exist", f"{change}; or: ", _off(owner))
    what = f"waits for {table['quoted']}, which is not tracked"
    return _fault(owner, what, ["rowhooks", "track", table["quoted"]])


def _waiting(owner: dict[str, Any], link: dict[str, Any]) -> Fault:
    found = link["namesake"]
    if found is None:
        return _fault(owner, f"waits for {link['last']}, which was dropped", *_drop(owner, link))
    if (root := found["root"]) is not None:
        what = f"waits for {found['name']}, which is a partition of {root['name']} now"
        return _fault(owner, what, *_to_root(owner, link, root, link["given"]))
    what = "is no longer tracked" if link["last_exists"] else "was dropped and made anew"
    return _fault(owner, f"waits for {found['name']}, which {what}", _track(link, found["name"]))


def _drop(owner: dict[str, Any], link: dict[str, Any] | None = None) -> list[str | list[str]]:
    """Return how something stops to wait for a table that is gone."""
    if owner["declared"]:
        table = "a tracked table" if link is None else f"another table than {link['plain']}"
        others = len(owner["links"]) > 1
        change: list[str | list[str]] = [_in_code(owner, f"name {table}")]
        return change if others else [*change, "; or: ", _off(owner)]
    if link is not None and len(owner["links"]) > 1:
        return [_edit(owner, "--remove-table", link["last"])]
    remove: list[str] = ["rowhooks", f"{owner['kind']}s", "remove", *shell.operand(owner["name"])]
    return [remove]


def _to_root(owner: dict[str, Any], link: dict[str, Any], root: dict[str, Any], leaf: str) -> list[str | list[str]]:
    """Return how something is put on the partitioned table that its own table has become a part of."""
    steps: list[str | list[str]] = []
    if not root["tracked"]:
        steps += [_track(link, root["name"]), " && "]
    if link["table"] is not None:
        steps += [["rowhooks", "untrack", link["table"]["name"]], " && "]
    if steps and link["given"] == root["name"]:
        # It is on that one by its name then; a daemon that runs has put it there before another command could.
        return steps[:-1]
    if owner["declared"]:
        return [*steps[:-1], ", and name it: " if steps else "", _in_code(owner, root["name"])]
    return [*steps, _edit(owner, "--add-table", root["name"], "--remove-table", leaf)]


def _moved(owner: dict[str, Any], link: dict[str, Any]) -> Fault | None:
    """Return what has become of a table that is tracked still, and is not what was meant any more."""
    table, other = link["table"], link["namesake"]
    if (root := table["root"]) is not None:
        what = f"is on {table['name']}, which is a partition of {root['name']} now: other changes of that start nothing"
        return _fault(owner, what, *_to_root(owner, link, root, table["name"]))
    others = {one["table"]["relation"] for one in owner["links"] if one["table"] is not None}
    is_borne = other is not None and link["given"] == other["name"] and other["relation"] not in others
    if is_borne:
        what = f"is on {table['name']}, and {link['given']}, as that was called before, is another table now"
        steps: list[str | list[str]] = [] if other["tracked"] else [_track(link, other["name"])]
        if owner["declared"]:
            return _fault(owner, what, *steps)
        move = _edit(owner, "--add-table", other["name"], "--remove-table", table["name"])
        stay = _edit(owner, "--add-table", table["name"])
        return _fault(
            owner, what, *steps, *([" && "] if steps else []), move, "; or, where it is to stay where it is: ", stay
        )
    if owner["declared"] and link["given"] != table["name"]:
        what = f"is on {table['name']}, which its declaration calls {link['plain']}"
        return _fault(owner, what, _in_code(owner, f"name {table['name']}"), level="note")
    return None


def _of_columns(owner: dict[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the columns that a hook or a button's text asks for."""
    links = [link for link in owner["links"] if link["table"] is not None]
    if not links:
        return
    conditions = None if owner["conditions"] is None else exact.read_exactly(owner["conditions"])
    asked = (
        columns_in_text(owner["text"]) if owner["kind"] == "button" else {*owner["columns"], *columns_in(conditions)}
    )
    gone: dict[str, str] = {}
    for column in sorted(asked):
        states = [_state(link, column) for link in links]
        tables = ", ".join(link["table"]["name"] for link in links)
        if dropped := [link["table"]["name"] for link, state in zip(links, states, strict=True) if state is None]:
            gone[column] = f"{column}, which {', '.join(dropped)} {'have' if len(dropped) > 1 else 'has'} no more"
        elif not any(states):
            gone[column] = f"{column}, which {tables} {'do' if len(links) > 1 else 'does'} not have"
        for link, state in zip(links, states, strict=True):
            if isinstance(state, str) and owner["declared"]:
                what = f"asks for column {column} of {link['table']['name']}, which is called {state} now"
                yield _fault(owner, what, _in_code(owner, f"call it {state}"), level="note")
        if owner["kind"] != "hook" or column in gone:
            continue
        if excluded := _tables_where("excluded", column, links, states):
            gone[column] = f"{column}, which is kept out of the log of {excluded}"
        elif column in owner["columns"] and (ignored := _tables_where("ignored", column, links, states)):
            gone[column] = f"{column}, an update of nothing but which is not recorded of {ignored}"
    if gone:
        what = f"asks for column {'; and for '.join(gone.values())}"
        yield _fault(owner, what, *_without(owner, conditions, gone.__contains__))


def _tables_where(which: str, column: str, links: list[dict[str, Any]], states: list[bool | str | None]) -> str:
    """Return the names of the tables of which a column, as each of them calls it now, is on a list of theirs."""
    return ", ".join(
        link["table"]["name"]
        for link, state in zip(links, states, strict=True)
        if (state if isinstance(state, str) else column) in link[which]
    )


def _state(link: dict[str, Any], column: str) -> bool | str | None:
    """Say what a table has of a column: itself (True), under another name (that), no more (None), never had (False)."""
    number = link["numbers"].get(column)
    if number is None:
        return column in link["columns"]
    for name, known in link["columns"].items():
        if known == number:
            return True if name == column else str(name)
    # One that was made anew under its name does as well.
    return True if column in link["columns"] else None


def _without(owner: dict[str, Any], conditions: Any, is_gone: Callable[[str], bool]) -> list[str | list[str]]:
    """Return how a hook or button does without columns."""
    if owner["declared"]:
        return [_in_code(owner, "take them out"), "; or: ", _off(owner)]
    if owner["kind"] == "button":
        return ["give it another text: ", _edit(owner, "--text", owner["name"]), "; or: ", _off(owner)]
    words: list[str] = []
    if any(map(is_gone, owner["columns"])):
        left = [column for column in owner["columns"] if not is_gone(column)]
        words += [word for column in left for word in ("--column", column)] or ["--no-columns"]
    if any(map(is_gone, columns_in(conditions))):
        rest = without_columns(conditions, is_gone)
        words += ["--no-conditions"] if rest is None else ["--conditions", exact.write(rest)]
    return ["without them: ", _edit(owner, *words), "; or: ", _off(owner)]
