-- The log as a role may see it, followed.

-- name: begin
-- Where to begin: what is committed from now on is new. Its id may be lower than that of a change that is committed already,
-- as far as its transaction was open for $1 at most.
select
  pg_current_snapshot()::text as seen,
  rowhooks.first_change_since(clock_timestamp() - $1::interval) - 1 as floor;

-- name: look
-- What is committed and was not in the snapshot $2, of ids above $1. The feed leaves out too what hook receivers wrote, and
-- truncates.
select
  pg_current_snapshot()::text as seen,
  pg_snapshot_xmin(pg_current_snapshot())::text::bigint as oldest,
  pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next,
  (select c.id from rowhooks.visible_changes as c order by c.id desc limit 1) as newest_id,
  array(
    select c.id
    from rowhooks.visible_changes_oldest_first as c
    where c.id > $1 and not pg_visible_in_snapshot(c.transaction_id, $2::pg_snapshot)
      and c.receiver is null and c.action <> 'truncate'
    order by c.id
  ) as ids;
