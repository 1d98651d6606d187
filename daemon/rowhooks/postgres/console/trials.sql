-- Past changes against which the terms of a hook are tried.

-- name: past
-- The newest visible changes of some tables ($1, ids of tracked tables) that could start a hook, newest first: at most $2 of
-- them, among the newest $3 ids of the log. Once the rows of those before have $4 bytes, a change comes without its rows.
with newest as (
  select
    c.id, c.transaction_id, c.time, c.action, c.tracked_table, c.object_type, c.object_id, c.object_repr,
    c.prechange, c.postchange, c.db_user, c.user_name, c.request_id, c.change_context, c.capture_error,
    sum({size}) over (order by c.id desc) as size
  from (
    select v.*
    from {changes} as v
    where v.id > (select f.newest_id - $3 from rowhooks.feed as f)
      and v.tracked_table = any($1::integer[])
      and v.receiver is null and v.action <> 'truncate'
    order by v.id desc
    limit $2
  ) as c
)

select
  {visible_columns}, c.size > $4 as is_left_out,
  case when c.size <= $4 then c.prechange::text end as prechange,
  case when c.size <= $4 then c.postchange::text end as postchange
from newest as c
order by c.id desc;

-- name: ids
-- The entries of tables in the list of tracked tables, the former ones too: the log may still hold their changes.
select t.id
from rowhooks.tracked_table as t
where t.relation = any($1::text[]::regclass[]);
