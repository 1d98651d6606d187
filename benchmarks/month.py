"""Month: a database that has been in use for a month, for the console to show. Filled in bulk, as the triggers would.

Three tracked tables of which every row but the first ones has changed now and then. Among the rows are one that is
changed all the time and one that nobody has touched since the log began. Half of the changes have started a run, of
which one in a hundred has failed; some runs were pressed.
"""

from __future__ import annotations

from typing import LiteralString

from benchmarks.daemon_process import add_hooks, enable_only
from benchmarks.database import Database
from benchmarks.receivers import AsyncNoOp

TABLES = ("device", "interface", "cable")
"""The tables, whose parts of the changes are 6 : 3 : 1."""
BUSY, FORGOTTEN = 2, 3
"""Rows of the first table: one change in fifty is of the first one; the other one has the five oldest changes."""
BUTTON = "Reprovision"
"""The button of the first table."""
PART = 250_000
"""How many changes are written in a transaction."""

_CHANGES: LiteralString = """
insert into rowhooks.object_change
  (time, action, tracked_table, object_id, object_repr, prechange, postchange, db_user, user_name, request_id)
select
  now() - interval '30 days' * (1 - w.n::float8 / {changes}), 'update', t.id, jsonb_build_object('id', w.key),
  'device-' || w.key,
  jsonb_build_object(
    'id', w.key, 'name', 'device-' || w.key, 'serial', md5(w.n::text), 'status', 'planned', 'site', w.key % 100,
    'height', w.key % 42, 'comments', 'rack ' || w.key % 1000 || ', second row', 'last_updated', '2026-01-01T00:00:00Z'
  ),
  jsonb_build_object(
    'id', w.key, 'name', 'device-' || w.key, 'serial', md5((w.n + 1)::text), 'status', 'active', 'site', w.key % 100,
    'height', w.key % 42, 'comments', 'rack ' || w.key % 1000 || ', second row', 'last_updated', '2026-01-02T00:00:00Z'
  ),
  'app', 'user-' || w.n % 40, 'request-' || w.n / 4
from (
  select
    n,
    case when n <= 5 or n % 50 = 1 then 'device' when n % 10 < 6 then 'device' when n % 10 < 9 then 'interface'
      else 'cable' end as table_name,
    case when n <= 5 then {forgotten} when n % 50 = 1 then {busy}
      else 11 + (hashint8(n) & 1073741823) % ({rows} - 10) end as key
  from generate_series({first}::bigint, {last}::bigint) as n
) as w
join rowhooks.tracked_table as t on t.schema_name = 'bench' and t.table_name = w.table_name
order by w.n
"""
_RUNS: LiteralString = """
insert into rowhooks.job_result (
  object_change_id, job_hook_id, job_id, class_path, hook_name, tracked_table, object_id, object_repr, action, db_user,
  user_name, status, created_at, started_at, finished_at, exception_type, exception_message, traceback
)
select
  c.id, h.id, h.job_id, j.class_path, h.name, c.tracked_table, c.object_id, c.object_repr, 'update', c.db_user,
  c.user_name, f.status, c.time + interval '5 ms', c.time + interval '6 ms', c.time + interval '9 ms',
  case f.status when 'FAILURE' then 'TimeoutError' end,
  case f.status when 'FAILURE' then 'no answer from 10.0.0.' || c.id % 256 end,
  case f.status when 'FAILURE' then repeat('  File "receivers.py", line 42, in receive_job_hook' || chr(10), 10) end
from rowhooks.object_change as c
cross join lateral (select case when c.id % 200 = 0 then 'FAILURE' else 'SUCCESS' end as status) as f
cross join rowhooks.job_hook as h
join rowhooks.job as j on j.id = h.job_id
where h.enabled and c.id % 2 = 0
order by c.id
"""
_PRESSES: LiteralString = """
insert into rowhooks.job_result (
  trigger, job_button_id, job_id, class_path, button_name, tracked_table, object_id, object_repr, db_user, login,
  status, created_at, started_at, finished_at
)
select
  'press', b.id, b.job_id, j.class_path, b.name, t.id, jsonb_build_object('id', 1 + n % {rows}),
  'device-' || 1 + n % {rows}, 'app', 'app', 'SUCCESS',
  now() - n * interval '20 s', now() - n * interval '20 s', now() - n * interval '20 s'
from generate_series(1, {presses}) as n
cross join rowhooks.job_button as b
join rowhooks.job as j on j.id = b.job_id
join rowhooks.tracked_table as t on t.table_name = 'device'
"""
_LOG: LiteralString = """
insert into rowhooks.job_log_entry (job_result_id, time, level, message)
select r.id, r.started_at, 'info', 'line ' || n
from (select r.* from rowhooks.job_result as r order by r.id desc limit 1000) as r
cross join generate_series(1, 20) as n
"""


def live_through(database: Database, changes: int, rows: int) -> None:
    """Make the tables, a hook and a button, and write so many changes and half as many runs.

    Args:
        database: a fresh one.
        changes: how many.
        rows: of each table.
    """
    for table in TABLES:
        database.create_table(table, rows, tracked=True)
    add_hooks(database, *TABLES)
    enable_only(database, AsyncNoOp.__name__)
    _add_button(database)
    database.execute("select rowhooks.extend_object_change(1000000, {ahead})", ahead=changes // 1_000_000 + 2)
    for first in range(1, changes + 1, PART):
        database.execute(
            _CHANGES, changes=changes, rows=rows, busy=BUSY, forgotten=FORGOTTEN, first=first,
            last=min(first + PART - 1, changes),
        )  # fmt: skip
    database.execute(_RUNS)
    database.execute(_PRESSES, rows=rows, presses=max(changes // 250, 1))
    database.execute(_LOG)
    database.deal_with_all()
    database.execute("vacuum (analyze)")
    database.execute("checkpoint")


def _add_button(database: Database) -> None:
    database.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values ('bench.Button', 'button', 'Button', true)"
    )
    database.conn.execute(
        "with button as (insert into rowhooks.job_button (name, job_id, text, roles)"
        " select %s, j.id, 'Reprovision {{ obj.name }}', '{public}' from rowhooks.job as j where j.kind = 'button'"
        " returning id)"
        " insert into rowhooks.job_button_table (job_button_id, tracked_table_id)"
        " select b.id, t.id from button as b cross join rowhooks.tracked_table as t where t.table_name = 'device'",
        (BUTTON,),
    )
