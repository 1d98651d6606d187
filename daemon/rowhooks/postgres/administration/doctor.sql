-- Each query returns sentences: what is wrong, then the way out in one or more columns. A text in the way out stands as it
-- is; an array holds the words of a command. Names stand only in such words, quoted by the server, so that the shell in
-- which the command is pasted sees one argument. SQL in a command is an argument of psql.

-- name: dropped_table
-- The event trigger or the daemon takes its entry away. Where neither exists, it is named here, unless a hook or button
-- waits for it.
select
  format('tracked table %I.%I was dropped%s', t.schema_name, t.table_name, case
    when s.namesake is not null then ' and made anew'
  end),
  case
    when s.namesake is null
      then array['psql', '-c', 'select rowhooks.refresh_tables()']
    else array['rowhooks', 'track', format('%I.%I', t.schema_name, t.table_name)]
      || {options} || {left_out_of_namesake}
  end
from rowhooks.tracked_table as t
cross join lateral (select {named}) as s (namesake)
where t.untracked_at is null and not exists (select from pg_class as c where c.oid = t.relation)
  and not (s.namesake is not null and (
    exists (
      select from rowhooks.job_hook as h join rowhooks.job_hook_table as x on x.job_hook_id = h.id
      where h.enabled and x.tracked_table_id = t.id
    ) or exists (
      select from rowhooks.job_button as b join rowhooks.job_button_table as x on x.job_button_id = b.id
      where b.enabled and x.tracked_table_id = t.id
    )
  ))
order by 1;

-- name: triggers
select
  case
    when g.oid is null then format('%s: trigger %s is missing', c.carrier, w.name)
    when (g.tgfoid is distinct from to_regproc(concat('rowhooks.capture_', t.id, w.suffix)))
      then format('%s: trigger %s does not call rowhooks', c.carrier, w.name)
    when g.tgenabled = case when t.always then 'A' else 'O' end
      then format('%s: trigger %s is not what rowhooks makes', c.carrier, w.name)
    else format('%s: trigger %s is %s', c.carrier, w.name, case g.tgenabled
      when 'D' then 'disabled' when 'R' then 'enabled for replicas alone'
      when 'A' then 'enabled always, though it is tracked without --always' else 'not enabled always'
    end)
  end,
  t.track
from ({tracked}) as t
cross join lateral (
  select t.relation as carrier
  union
  select p.child from (
    -- Not pg_partition_tree(), which waits for the lock of a partition.
    with recursive part (child) as (
      select i.inhrelid from pg_inherits as i where i.inhparent = t.relation and t.relkind = 'p'
      union
      select i.inhrelid from part as x join pg_inherits as i on i.inhparent = x.child
    )
    select x.child from part as x
  ) as p
) as c
join pg_class as r on r.oid = c.carrier
cross join lateral (
  select concat('!rowhooks_', k.kind, '_', t.id) as name, k.*
  from (
    values
    ('row', case when t.mark is null then 13 else 9 end, ''), ('update', 17, ''), ('truncate', 32, ''),
    ('create', 5, ''), ('inserted', 4, '_statement'), ('updated', 16, '_statement')
  ) as k (kind, type, suffix)
  where t.mark is not null or k.kind in ('row', 'update', 'truncate')
) as w
left join pg_trigger as g on g.tgrelid = c.carrier and g.tgname = w.name
where
  -- A TRUNCATE trigger is no row trigger: it stays on the table itself.
  (w.kind <> 'truncate' or (
    c.carrier = t.relation
    and (r.relkind <> 'f' or current_setting('server_version_num')::integer >= 160000)
  ))
  and (
    g.oid is null
    or g.tgfoid is distinct from to_regproc(concat('rowhooks.capture_', t.id, w.suffix))
    or g.tgenabled <> case when t.always then 'A' else 'O' end
    or g.tgtype <> w.type
    or g.tgqual is null and w.kind = 'create'
    or g.tgqual is null and w.kind = 'update' and current_setting('server_version_num')::integer < 180000
    or g.tgqual is not null and (w.kind not in ('update', 'create') or exists (
      select from pg_attribute as a where a.attrelid = c.carrier and a.attgenerated = 'v'
    ))
    -- Not pg_get_triggerdef(), which waits for the lock of the table.
    or w.kind = 'update' and c.carrier = t.relation and not (
      g.tgqual::text ~ format(
        case when t.mark is null then '^{OPEXPR :opno %s ' else '^{BOOLEXPR :boolop and .*{OPEXPR :opno %s ' end,
        '*<>(record,record)'::regoperator::oid
      )
      and g.tgqual::text ~ ':varno 1 ' and g.tgqual::text ~ ':varno 2 '
    )
    or cardinality(g.tgattr::smallint[]) > 0
  )
order by 1;

-- name: tracked_twice
select
  format(
    '%s is tracked by itself and a partition of tracked table %s: its changes are recorded twice',
    t.relation, r.relation
  ),
  array['rowhooks', 'untrack', t.relation::text]
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation and c.relispartition
join pg_partition_ancestors(c.oid) as a on a.relid <> c.oid
join rowhooks.tracked_table as r on r.relation = a.relid and r.untracked_at is null
where t.untracked_at is null
order by 1;

-- name: lost_primary_key
select
  format('%s has lost its primary key: changes are recorded without a key', t.relation),
  'let it be so: ',
  array['rowhooks', 'track', t.relation::text, '--identity', 'full'] || {marks},
  '; or give the table a primary key again, and: ',
  array['rowhooks', 'track', t.relation::text] || {marks}
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation
where t.untracked_at is null and t.identity <> 'full'
  and not exists (select from rowhooks.present_key_columns(t.id))
order by 1;

-- name: altered_table
select
  format('rowhooks does not know yet that %s was altered or renamed', t.relation),
  array['psql', '-c', 'select rowhooks.refresh_tables()']
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation
join pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
  select array_agg(p.name order by p.place) as names from rowhooks.present_key_columns(t.id) as p
) as k
where t.untracked_at is null
  and ((t.schema_name, t.table_name) <> (n.nspname, c.relname) or k.names <> t.key_columns)
order by 1;

-- name: untracked_child
select
  format(
    '%s inherits from tracked table %s and is not tracked: its rows are not recorded',
    i.inhrelid::regclass, t.relation
  ),
  case when not k.has_key then 'by columns that identify its rows (--identity COLUMN,COLUMN), or without a key: ' end,
  array['rowhooks', 'track', i.inhrelid::regclass::text]
    || case when not k.has_key then array['--identity', 'full'] end || {marks} || {left_out}
from rowhooks.tracked_table as t
join pg_inherits as i on i.inhparent = t.relation
join pg_class as c on c.oid = i.inhrelid and not c.relispartition
cross join lateral (
  select exists(select from pg_index as x where x.indrelid = c.oid and x.indisprimary) as has_key
) as k
where t.untracked_at is null and not exists (
  select from rowhooks.tracked_table as x where x.relation = c.oid and x.untracked_at is null
)
order by 1;

-- name: untracked_by_rule
select
  format('%s matches %L and is not tracked%s', c.oid::regclass, t.pattern, case
    when not p.has_key then ': it has no primary key'
  end),
  case when not p.has_key then 'by columns that identify its rows (--identity COLUMN,COLUMN), or without a key: ' end,
  array['rowhooks', 'track', c.oid::regclass::text] || case when not p.has_key then array['--identity', 'full'] end
    || {marks}
from rowhooks.tracking_rule as t
join pg_class as c on c.relkind in ('r', 'p', 'f') and not c.relispartition and c.relpersistence <> 't'
join pg_namespace as n on n.oid = c.relnamespace
cross join lateral (
  select exists(select from pg_index as i where i.indrelid = c.oid and i.indisprimary) as has_key
) as p
where n.nspname not in ('rowhooks', 'pg_catalog', 'information_schema')
  and rowhooks.matches_glob(format('%s.%s', n.nspname, c.relname), t.pattern)
  and not exists (select from rowhooks.tracked_table as x where x.relation = c.oid)
order by 1;

-- name: disabled_job
select
  format('%s %s starts nothing: its job %s is disabled', o.kind, o.name, j.class_path),
  case when not j.installed then 'start a daemon that has it, and: ' end,
  array['rowhooks', 'jobs', 'enable', j.class_path]
from (
  select 'hook' as kind, h.name, h.job_id
  from rowhooks.job_hook as h where h.enabled
  union all
  select 'button', b.name, b.job_id
  from rowhooks.job_button as b where b.enabled
) as o
join rowhooks.job as j on j.id = o.job_id
where not j.enabled
order by 1;

-- name: missing_job
select
  format(
    'the present or last leader does not have job %s (waiting for it: %s): %s runs are kept%s',
    m.class_path,
    case when w.whose = '' then 'nothing that is enabled' else w.whose end,
    m.waiting, ', of ' || f.waiting_limit || ' at the most'
  ),
  'start a daemon that has it, and see why the leader does not (receivers in its rowhooks.toml; its log);'
  ' or, if the class no longer exists: ',
  array['rowhooks', 'jobs', 'remove', m.class_path]
from ({missing_jobs}) as m
cross join rowhooks.feed as f
cross join lateral (
  select coalesce(string_agg(concat(o.kind, o.name), ', ' order by o.kind desc, o.name asc), '')
  from (
    select 'hook ', n.name from unnest(m.hooks) as n (name)
    union all
    select 'button ', n.name from unnest(m.buttons) as n (name)
  ) as o (kind, name)
) as w (whose)
order by 1;

-- name: stray_queue
-- What waits though the leader has its job.
select
  format('%s %s: %s runs wait, because queues in the leader''s settings does not name its queue %s',
    o.kind, o.name, count(*), o.queue),
  case
    when o.is_own then 'name it there and restart the daemon; or, for the queue of its job: '
    else 'name it there and restart the daemon, or name another one in its class'
  end,
  case when o.is_own then array['rowhooks', concat(o.kind, 's'), 'edit', '--no-queue', '--', o.name] end
from (
  select
    'hook' as kind, h.name, coalesce(h.queue, j.meta ->> 'queue') as queue,
    h.queue is not null and not h.declared as is_own
  from rowhooks.job_result as r
  join rowhooks.job_hook as h on h.id = r.job_hook_id
  join rowhooks.job as j on j.id = h.job_id
  where j.installed and {is_kept}
  union all
  select 'button' as kind, b.name, coalesce(b.queue, j.meta ->> 'queue') as queue, b.queue is not null as is_own
  from rowhooks.job_result as r
  join rowhooks.job_button as b on b.id = r.job_button_id
  join rowhooks.job as j on j.id = b.job_id
  where j.installed and {is_kept}
) as o
where o.queue is not null
group by o.kind, o.name, o.queue, o.is_own
order by 1;

-- name: missed_changes
select
  format('hook %s: %s changes between %s and %s were not kept for it: too many runs waited for its job',
    h.name, m.changes, date_trunc('second', m.first_at), date_trunc('second', m.last_at)),
  case when not j.installed then format('start a daemon that has job %s, and then: ', j.class_path) end,
  array[
    'rowhooks', 'replay',
    '--since', to_char(m.first_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
    '--until', to_char(
      (m.last_at + interval '1 microsecond') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'
    ),
    concat('--hook=', h.name)
  ]
from rowhooks.job_hook_missed as m
join rowhooks.job_hook as h on h.id = m.job_hook_id
join rowhooks.job as j on j.id = h.job_id
order by 1;

-- name: standby_with_other_receivers
select
  concat_ws('',
    format('standby %s', s.standby),
    case when s.lacks <> '{}' then format(' does not have %s', array_to_string(s.lacks, ', ')) end,
    case when s.lacks <> '{}' and s.has <> '{}' then ', and' end,
    case
      when s.has <> '{}' then format(' has %s, which the leader does not have', array_to_string(s.has, ', '))
    end,
    case when s.lacks <> '{}' then ': their runs would wait if it led' end
  ),
  'give both the same receivers (receivers in rowhooks.toml, the code that is installed), and restart that one'
from ({other_receivers}) as s
where s.lacks <> '{}' or s.has <> '{}'
order by 1;

-- name: no_partition
select
  'the log has no partition for the ids in use: changes go into the default partition',
  array['psql', '-c', 'select rowhooks.extend_object_change()'], ' (or start a daemon: it makes partitions ahead)'
from rowhooks.object_change_id_seq as s
where not exists (
  select from rowhooks.log_partitions() as p where s.last_value >= p.lower_id and s.last_value < p.upper_id
);

-- name: default_partition
-- As much as rowhooks.default_partition_is_small() allows.
select
  format('the default partition of the log holds %s of changes: no partition is made ahead until it is emptied',
    pg_size_pretty(d.size)),
  array['psql', '-c', 'select rowhooks.empty_default_partition()'],
  ' (a daemon that runs does it within a minute, unless a transaction on the log stays open)'
from pg_relation_size('rowhooks.object_change_default') as d (size)
where d.size > 8 * 1024 * 1024;

-- name: capture_function
select
  format('%s: its capture function %s', t.relation, case
    when p.oid is null then 'is missing' else 'is not what rowhooks makes'
  end),
  t.track
from ({tracked}) as t
cross join lateral rowhooks.functions_of_capture(t.id) as f
left join pg_proc as p
  on p.pronamespace = 'rowhooks'::regnamespace and p.proname = f.name and p.pronargs = 0
where p.oid is null or p.prosrc <> f.body or not p.prosecdef or p.proconfig is distinct from f.settings
order by 1;

-- name: unsafe_statement_form
-- What the event triggers would have seen, had they been there all the time.
select
  format('%s is captured by statement triggers, which are not safe: %s', t.relation, r.reason),
  array['psql', '-c', 'select rowhooks.refresh_tables()']
from rowhooks.tracked_table as t
cross join lateral (select rowhooks.why_not_by_statement(t.*)) as r (reason)
where t.untracked_at is null and rowhooks.form_in_force(t.*) = 'statement' and r.reason is not null
order by 1;

-- name: left_statement_form
-- Statement triggers are asked for, and row triggers capture the table.
select
  format('%s is captured by row triggers, though it is tracked with --capture statement: %s', t.relation, coalesce(
    r.reason, 'statement triggers were not safe for a time'
  )),
  -- The form is the last word of the command.
  case when r.reason is null then t.track else trim_array(t.track, 1) || array['row'] end
from ({tracked}) as t
join rowhooks.tracked_table as k on k.id = t.id
cross join lateral (select rowhooks.why_not_by_statement(k.*)) as r (reason)
where t.capture = 'statement' and rowhooks.form_in_force(k.*) = 'row'
order by 1;

-- name: key_types
-- A row is looked up by its key, which is made a value of the key's types first.
select distinct
  format(
    'rows of %s cannot be loaded by %s: it may not use schema %s, where type %s of key column %s is',
    t.relation, l.rolname, n.nspname, y.typname, k.name
  ),
  array['psql', '-c', format('grant usage on schema %I to %I', n.nspname, g.rolname)]
from rowhooks.installation as i
cross join rowhooks.tracked_table as t
cross join lateral rowhooks.present_key_columns(t.id) as k
join pg_attribute as a on a.attrelid = t.relation and a.attnum = k.number
join pg_type as y on y.oid = rowhooks.base_type(a.atttypid)
join pg_namespace as n on n.oid = y.typnamespace
join pg_roles as g on g.rolname in (i.daemon_role, i.receiver_role)
join pg_roles as l on l.rolcanlogin and not l.rolsuper and pg_has_role(l.oid, g.oid, 'member')
where t.untracked_at is null and not has_schema_privilege(l.oid, n.oid, 'usage')
order by 1;

-- name: dead_leader
select
  format('%s runs of a former leader have not finished (%s)', sum(s.runs), string_agg(
    format('%s %s', s.runs, s.status), ', ' order by s.status
  )),
  array['rowhooks', 'run'],
  ' (the next leader takes them up)'
from (
  select r.status, count(*) as runs
  from rowhooks.job_result as r
  where r.status in ('PENDING', 'STARTED', 'RETRY') and r.leader_epoch is not null and not {is_kept}
  group by r.status
) as s
where not {leads}
having count(*) > 0;

-- name: unread
-- How the feed stands; by the index on transaction_id.
select
  format('%s changes wait to be dealt with, the oldest since %s%s', w.changes, date_trunc('second', w.oldest), case
    when not l.leads then ', and no daemon runs'
    when m.stands then format(', and the leader, %s, has dealt with nothing since %s',
      f.leader, date_trunc('second', f.moved_at))
    else format(': the leader, %s, lags behind', f.leader)
  end),
  case
    when not l.leads then null
    when m.stands then 'see the log of that daemon, and: '
    else 'more threads or tasks, a batch receiver, conditions (docs/troubleshooting.md, "The backlog grows"); see: '
  end,
  array['rowhooks', case when l.leads then 'status' else 'run' end]
from rowhooks.feed as f
cross join (select {leads}) as l (leads)
cross join lateral (
  select coalesce(f.moved_at, '-infinity') < clock_timestamp() - interval '5 minutes' as stands
) as m
cross join (select count(*) as changes, min(w.time) as oldest from ({waiting}) as w) as w
where w.oldest < clock_timestamp() - interval '5 minutes';

-- name: no_event_trigger
select
  'no event trigger follows DDL: altered tables are noticed with their next change, new ones are not tracked',
  'let a superuser run: ', array['rowhooks', 'upgrade']
where not exists (select from pg_event_trigger as e where e.evtname = 'rowhooks_after_ddl' and e.evtenabled <> 'D');

-- name: unreadable_change
select
  format(
    'change %s of %s was delivered by its key, without its rows: %s',
    u.change ->> 'id', u.change ->> 'table', u.change ->> 'error'
  ),
  'see: ',
  array['rowhooks', 'changes', 'show', u.change ->> 'id']
from rowhooks.feed as f
cross join jsonb_array_elements(f.unreadable) with ordinality as u (change, place)
where exists (select from rowhooks.object_change as c where c.id = (u.change ->> 'id')::bigint)
order by u.place;

-- name: tracked
-- Tracked tables, with the command that makes them what they are.
select t.*, r.relkind, array['rowhooks', 'track', t.relation::text] || {options} as track
from rowhooks.tracked_table as t
join pg_class as r on r.oid = t.relation
where t.untracked_at is null;
