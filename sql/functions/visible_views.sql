-- What happened, as the asking role may see it of the rows themselves. The views are security barriers: a reader's condition
-- never sees another line. Nobody reads the tables through them with the rights of the owner: the functions in a view run
-- with the reader's.
-- All of it is for a role that may read the log or the results themselves: superusers, the owner, the daemon's role and
-- those to which it was granted. Only they see what happened to tables that are gone.
-- They are ordered, because a barrier hands down neither the order nor the limit of the query that reads it: so a query for
-- the newest 50 lines reads the index backwards, and looks at no other lines than it needs. For the other direction there are
-- views that begin with the oldest. A condition is handed down if its operators are leakproof, as those of numbers, texts
-- and times are, and if it has no COALESCE in it.

-- Purpose: the log in readable form, as rowhooks.changes, as far as the asking role may see it; newest first.
-- Columns: those of rowhooks.changes
--          tracked_table  rowhooks.tracked_table.id
--          relation       the table; null where its entry is gone
--          object_key     object_id as text, by which a condition is handed down
create or replace view rowhooks.visible_changes with (security_barrier) as
with access as materialized (
  select a.* from rowhooks.table_access as a
)

select
  c.id,
  c.time,
  c.action,
  (select rowhooks.qualified_name(t.schema_name, t.table_name) from rowhooks.tracked_table as t where t.id = c.tracked_table)
    as object_type,
  case when l.columns is null then c.object_id else l.object_id end as object_id,
  case
    when l.columns is null then c.object_repr
    else rowhooks.readable_repr(
      c.object_repr, l.object_id, l.key_columns,
      coalesce(rowhooks.readable_part(coalesce(c.postchange, c.prechange), l.columns), '{}'), false
    )
  end as object_repr,
  case when l.columns is null then c.prechange else rowhooks.readable_part(c.prechange, l.columns) end as prechange,
  case when l.columns is null then c.postchange else rowhooks.readable_part(c.postchange, l.columns) end as postchange,
  c.user_name,
  c.db_user,
  c.request_id,
  c.change_context,
  c.receiver,
  case
    when l.columns is null or c.capture_error is null then c.capture_error
    else 'not shown: it may tell values of columns that you may not read'
  end as capture_error,
  c.transaction_id,
  c.tracked_table,
  (select t.relation::pg_catalog.oid from rowhooks.tracked_table as t where t.id = c.tracked_table) as relation,
  (case when l.columns is null then c.object_id else l.object_id end)::text as object_key
from rowhooks.object_change as c
-- Nothing is looked up for a line of which all may be seen.
left join lateral (
  select
    a.columns,
    a.key_columns,
    a.by_policy,
    a.queries,
    a.renamed,
    case when c.object_id - a.columns = '{}' then c.object_id end as object_id
  from access as a
  where a.id = c.tracked_table
    and not (select pg_catalog.has_table_privilege('rowhooks.object_change'::pg_catalog.regclass, 'SELECT'))
  limit 1
) as l on true
where (
  (select pg_catalog.has_table_privilege('rowhooks.object_change'::pg_catalog.regclass, 'SELECT'))
  or c.tracked_table in (select a.id from access as a)
)
and (l.by_policy is not true or rowhooks.sees_row(l.queries, c.object_id, l.renamed))
order by c.id desc;

-- Purpose: the same changes, to be found by their row: those whose key the asking role may read as a whole. An index of the
--          log on (tracked_table, (object_id::text), id) finds them, where an administrator has made one.
-- Columns: those of rowhooks.visible_changes
do $$
declare
  path constant pg_catalog.text := pg_catalog.current_setting('search_path');
  source pg_catalog.text;
begin
  -- So that names are written out.
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  source := pg_catalog.pg_get_viewdef('rowhooks.visible_changes'::pg_catalog.regclass);
  source := pg_catalog.regexp_replace(
    source,
    '\(?\s+CASE\s+WHEN \(?l\.columns IS NULL\)? THEN c\.object_id\s+ELSE l\.object_id\s+END\)?::text AS object_key',
    ' c.object_id::text AS object_key'
  );
  source := pg_catalog.regexp_replace(
    source, '(ORDER BY \S+ DESC;?)$', 'AND (l.columns IS NULL OR l.object_id IS NOT NULL) \1'
  );
  -- Otherwise a key would be found that the asking role may not read.
  if source !~ 'c\.object_id::text AS object_key'
    or source !~ 'AND \(l\.columns IS NULL OR l\.object_id IS NOT NULL\) ORDER BY'
  then
    raise exception 'rowhooks.visible_changes has another form than is expected here';
  end if;
  execute 'create or replace view rowhooks.visible_changes_by_row with (security_barrier) as ' || source;
  perform pg_catalog.set_config('search_path', path, true);
end
$$;

-- Purpose: the runs in readable form, as rowhooks.results, as far as the asking role may see the row that a run was for;
--          those created last come first. What came of a run is visible with it: its result, its error and its log.
-- Columns: those of rowhooks.results
--          tracked_table  rowhooks.tracked_table.id
--          relation       the table; null where its entry is gone
--          job_hook_id, job_button_id  the origin
--          object_key     object_id as text, by which a condition is handed down
create or replace view rowhooks.visible_results with (security_barrier) as
with access as materialized (
  select a.* from rowhooks.table_access as a
)

select
  r.id,
  r.status,
  r.trigger,
  r.original_id,
  r.class_path,
  r.hook_name,
  r.button_name,
  r.action,
  (select rowhooks.qualified_name(t.schema_name, t.table_name) from rowhooks.tracked_table as t where t.id = r.tracked_table)
    as object_type,
  case when l.columns is null then r.object_id else l.object_id end as object_id,
  case
    when l.columns is null then r.object_repr
    else rowhooks.readable_repr(r.object_repr, l.object_id, l.key_columns, null, l.is_repr_readable)
  end as object_repr,
  r.object_change_id,
  r.user_name,
  r.db_user,
  r.attempt,
  r.retries,
  r.retry_at,
  r.created_at,
  r.started_at,
  r.finished_at,
  r.result,
  r.exception_type,
  r.exception_message,
  r.traceback,
  r.key,
  (
    select coalesce(pg_catalog.jsonb_object_agg(n.level, n.lines), '{}')
    from (
      select
        e.level,
        pg_catalog.count(*) as lines
      from rowhooks.job_log_entry as e
      where e.job_result_id = r.id
      group by e.level
    ) as n
  ) as log_counts,
  r.login,
  case
    when r.inputs is null or r.finished_at is not null then r.inputs
    when exists (
      select from rowhooks.job as j
      where j.id = r.job_id or j.id = (select b.job_id from rowhooks.job_button as b where b.id = r.job_button_id)
      having pg_catalog.bool_or(j.meta -> 'has_sensitive_variables' = 'true') is not true and pg_catalog.count(*) > 0
    ) then r.inputs
    else 'null'
  end as inputs,
  r.batch_id,
  -- See rowhooks.results.
  (
    select (x.next - ((x.next - r.xmin::text::bigint) & 4294967295))::text::xid8
    from (select pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::bigint as next) as x
  ) as transaction_id,
  r.tracked_table,
  (select t.relation::pg_catalog.oid from rowhooks.tracked_table as t where t.id = r.tracked_table) as relation,
  r.job_hook_id,
  r.job_button_id,
  (case when l.columns is null then r.object_id else l.object_id end)::text as object_key
from rowhooks.job_result as r
left join lateral (
  select
    a.columns,
    a.key_columns,
    a.is_repr_readable,
    a.by_policy,
    a.queries,
    a.renamed,
    case when r.object_id - a.columns = '{}' then r.object_id end as object_id
  from access as a
  where a.id = r.tracked_table
    and not (select pg_catalog.has_table_privilege('rowhooks.job_result'::pg_catalog.regclass, 'SELECT'))
  limit 1
) as l on true
where (
  (select pg_catalog.has_table_privilege('rowhooks.job_result'::pg_catalog.regclass, 'SELECT'))
  or r.tracked_table in (select a.id from access as a)
)
and (l.by_policy is not true or rowhooks.sees_row(l.queries, r.object_id, l.renamed))
order by r.created_at desc, r.id desc;

-- Purpose: the same two views, the oldest lines first.
do $$
declare
  path constant pg_catalog.text := pg_catalog.current_setting('search_path');
  view_name pg_catalog.text;
  source pg_catalog.text;
begin
  -- So that names are written out.
  perform pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  foreach view_name in array array['visible_changes', 'visible_results'] loop
    source := pg_catalog.pg_get_viewdef(pg_catalog.format('rowhooks.%I', view_name)::pg_catalog.regclass);
    execute pg_catalog.format(
      'create or replace view rowhooks.%I with (security_barrier) as %s',
      view_name || '_oldest_first',
      pg_catalog.regexp_replace(source, '(ORDER BY \S+) DESC(?:(, \S+) DESC)?;?$', '\1\2')
    );
  end loop;
  perform pg_catalog.set_config('search_path', path, true);
end
$$;

-- Purpose: the lines that runs have logged, of those runs that the asking role may see.
-- Columns: those of rowhooks.job_log_entry
create or replace view rowhooks.visible_log with (security_barrier) as
select
  e.id,
  e.job_result_id,
  e.time,
  e.level,
  e.grouping,
  e.message,
  e.object_type,
  e.object_repr
from rowhooks.job_log_entry as e
where exists (select from rowhooks.visible_results as r where r.id = e.job_result_id);

-- Purpose: presses of several rows, each with what has become of its runs, as far as the asking role may see them.
-- Columns: those of rowhooks.batches; only the runs that it may see count in states and finished
--          tracked_table  rowhooks.tracked_table.id
create or replace view rowhooks.visible_batches with (security_barrier) as
select
  b.id,
  b.button_name,
  b.class_path,
  (select rowhooks.qualified_name(t.schema_name, t.table_name) from rowhooks.tracked_table as t where t.id = b.tracked_table)
    as object_type,
  b.row_count,
  s.finished,
  s.states,
  b.user_name,
  b.db_user,
  b.login,
  b.created_at,
  case when s.finished = s.runs then s.last_at end as finished_at,
  b.tracked_table
from rowhooks.press_batch as b
cross join lateral (
  select
    coalesce(pg_catalog.sum(c.runs), 0)::bigint as runs,
    coalesce(pg_catalog.sum(c.runs) filter (where c.is_finished), 0)::bigint as finished,
    coalesce(pg_catalog.jsonb_object_agg(c.status, c.runs) filter (where c.status is not null), '{}') as states,
    pg_catalog.max(c.last_at) as last_at
  from (
    select
      r.status,
      r.finished_at is not null as is_finished,
      pg_catalog.count(*) as runs,
      pg_catalog.max(r.finished_at) as last_at
    from rowhooks.visible_results as r
    where r.batch_id = b.id
      and not exists (
        select from rowhooks.job_result as n where n.original_id = coalesce(r.original_id, r.id) and n.id > r.id
      )
    group by r.status, r.finished_at is not null
  ) as c
) as s
where s.runs > 0 or pg_catalog.has_table_privilege('rowhooks.job_result'::pg_catalog.regclass, 'SELECT');
