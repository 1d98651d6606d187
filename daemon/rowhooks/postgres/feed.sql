-- The log, as the feed reads it. `offset 0` without an order keeps a level from being merged with another.

-- name: look
-- The present snapshot and the version of the configuration in it.
select
  pg_current_snapshot()::text as snapshot,
  rowhooks.configuration_version() as version;

-- name: newest_id
-- The highest id in the log.
select coalesce(max(c.id), 0) from rowhooks.object_change as c;

-- name: begin_with_few
-- The same where no transaction was open at the old snapshot, for FEW changes at the most of whatever size. What has rung
-- may have been a request: that is asked along with it.
select
  {text_columns},
  0 as size,
  convert_to(json_build_array(h.snapshot, h.version, ({shapes_of_one}), {is_any_requested})::text, {byte_encoding}) as header
from ({look}) as h
left join (
  select
    c.*,
    {texts}
  from (
    select c.* from rowhooks.object_change as c
    where c.id > $1::bigint and c.transaction_id >= (select $2::text::xid8) and {starts_hooks}
    order by c.id
    limit {FEW}
  ) as c
  offset 0
) as c on true
order by c.id;

-- name: first_found
-- The changes that a batch begins with. The two halves have no row in common: see is_fresh and ended.
(
  select c.* from rowhooks.object_change as c
  where {is_fresh}
  order by c.id
  limit $1
)
union all
(
  select l.*
  from {ended}
  cross join lateral (
    select c.* from rowhooks.object_change as c
    where c.transaction_id = ended.transaction_id and {starts_hooks}
    order by c.id
    limit $1
  ) as l
  order by l.id
  limit $1
);

-- name: later_found
-- The same of a batch in hand: after id $5, as far as snapshot $6 sees them.
(
  select c.* from rowhooks.object_change as c
  where {is_fresh} and pg_visible_in_snapshot(c.transaction_id, (select $6::text::pg_snapshot))
  order by c.id
  limit $1
)
union all
(
  select l.*
  from {ended}
  cross join lateral (
    select c.* from rowhooks.object_change as c
    where c.transaction_id = ended.transaction_id and c.id > $5::bigint and {starts_hooks}
    order by c.id
    limit $1
  ) as l
  order by l.id
  limit $1
);

-- name: sized
-- The changes that were found, with what is stored of them and of those before them, without unpacking it.
-- Rows are counted by that first, and then by their texts; there is always one.
select
  b.*,
  coalesce(sum(b.stored) over (order by b.id rows between unbounded preceding and 1 preceding), 0) as stored_before
from (
  select
    c.*,
    {stored_size} as stored
  from found as c
  order by c.id
  limit $1
) as b;

-- name: shapes_of_batch
-- What the tables of a batch look like.
select json_agg({shape})
from rowhooks.tracked_table as t
join pg_class as r on r.oid = t.relation
join pg_namespace as n on n.oid = r.relnamespace
where t.id in (select b.tracked_table from batch as b);

-- name: shapes_of_one
-- What the table of a change looks like.
select json_agg({shape})
from rowhooks.tracked_table as t
join pg_class as r on r.oid = t.relation
join pg_namespace as n on n.oid = r.relnamespace
where t.id = c.tracked_table;

-- name: sizes
-- How large changes are.
select
  c.id,
  {stored_size} as size
from rowhooks.object_change as c
where c.id = any($1::bigint[])
order by c.id;

-- name: by_id
-- Changes by their ids, until there are PART_SIZE bytes of texts.
with wanted as (
  select c.* from rowhooks.object_change as c
  where c.id = any($1::bigint[])
)

select {text_columns} from ({in_part}) as c;

-- The linter does not know a common table expression that is a placeholder. A level above `sized` would lose its order.
-- noqa: disable=PRS

-- name: changes_of_batch
-- A part of the batch that was found. One row says when this was read and what the tables look like: in a snapshot that
-- sees a change, no table looks older than the change. The other rows are the changes.
batch as materialized ({sized}),

wanted as (
  select b.* from batch as b
  where b.stored_before < {PART_SIZE}
)

select
  {no_change},
  null as size,
  {header}
union all
select
  {text_columns},
  greatest(c.stored_before + c.stored, c.text_size) as size,
  null as header
from ({in_part}) as c;

-- name: begin
-- The first changes of a batch. Everything that the statement sees belongs to the batch that begins with it.
with found as ({first_found}),

{changes_of_batch};

-- name: fetch
-- The next changes of a batch.
with found as ({later_found}),

{changes_of_batch};

-- name: next_id
-- The id of the next change of a batch.
with found as ({later_found}),

batch as materialized ({sized})

select min(b.id) from batch as b;

-- name: is_fresh
-- Of transactions at or above the old snapshot's xmax. Those need not have begun after it: xmax is one past the last
-- transaction that had ended, and younger ones may have been running. So their ids need not lie above those already
-- delivered; but they lie above floor_id, see the reader. The text is read in a subquery, once and not for each row.
c.id > $2::bigint and c.transaction_id >= (select $3::text::xid8) and {starts_hooks};

-- name: ended
-- Transactions that were open at the old snapshot and have ended since: their changes are found by transaction id.
unnest($4::text[]::xid8[]) as ended(transaction_id);

-- name: is_any_requested
-- Whether anything that was requested by hand waits.
exists(select from rowhooks.job_result as r where r.status = 'PENDING' and r.leader_epoch is null);

-- name: starts_hooks
-- What hook receivers wrote (on tables that audit them) starts no hook, and a truncate has no row.
c.receiver is null and c.action <> 'truncate';

-- name: no_change
-- The text_columns of no change.
null, null, null, null, null, null, null, null, null, null, null, null, null, null, null;

-- name: header
-- The present snapshot, the version of the configuration, and the tables of the batch. As bytes: a table's name need not
-- be text where the database knows no encoding.
convert_to(json_build_array(
  pg_current_snapshot(),
  rowhooks.configuration_version(),
  ({shapes_of_batch})
)::text, {byte_encoding});

-- name: shape
-- What a table looks like.
json_build_array(
  t.id, rowhooks.qualified_name(n.nspname, r.relname),
  (
    select json_agg(json_build_array(a.attname, a.atttypid::bigint) order by a.attnum) from pg_attribute as a
    where a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  )
);
