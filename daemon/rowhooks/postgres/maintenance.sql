-- What the leader maintains.

-- name: refresh_moved
-- Makes capture functions again: a function knows its table by an oid, which changes with a restore; and it is lent to the
-- table's owner, who may change where no event trigger sees it.
select rowhooks.refresh_tables() where exists (
  select from rowhooks.tracked_table as t
  join pg_catalog.pg_proc as p
    on p.pronamespace = 'rowhooks'::pg_catalog.regnamespace and p.proname = pg_catalog.concat('capture_', t.id)
  where t.untracked_at is null
    and (
      pg_catalog.strpos(p.prosrc, pg_catalog.concat(' ', t.relation::pg_catalog.oid, '::pg_catalog.oid')) = 0
      or exists (select from pg_catalog.pg_class as c where c.oid = t.relation and {is_lent_to_another})
    )
);

-- name: forget_new_keys
-- Forgets new keys once all runs from before them have ended. A run that follows a new key may be in memory alone for some
-- moments when that is noted.
delete from rowhooks.key_change as k
where k.created_at < clock_timestamp() - interval '10 minutes' and not exists (
  select from rowhooks.job_result as r where r.status in ('PENDING', 'STARTED', 'RETRY') and r.id < k.id
);

-- name: has_old_acts
-- Whether anybody did something longer ago than $1.
select exists(
  select from rowhooks.audit as a
  where a.time < now() - $1::interval
);

-- noqa: disable=PRS

-- name: is_lent_to_another
-- Whether a capture function, `p`, is lent to others than the owner of its table, `c`; see rowhooks.build_capture.
array(select distinct a.grantee from pg_catalog.aclexplode(p.proacl) as a where a.grantee <> p.proowner)
  <> pg_catalog.array_remove(array[c.relowner], p.proowner);
