-- Purpose: delete old lines of who did what, see rowhooks.prune_audit.
-- Parameters: older_than  lines of acts that are older than that; 90 days at least, so that nobody removes the traces of
--                         what it has just done
-- Returns: how many lines it deleted
-- Writes:  rowhooks.audit
create or replace function rowhooks.delete_audit(older_than interval) returns bigint
language plpgsql
set search_path = pg_catalog, pg_temp
as $$
declare
  deleted pg_catalog.int8;
begin
  if older_than is null or pg_catalog.now() - older_than > pg_catalog.now() - pg_catalog.make_interval(days => 90) then
    raise exception 'rowhooks.prune_audit: older_than must be 90 days or more, not %', coalesce(older_than::text, 'null')
      using errcode = 'invalid_parameter_value', hint = 'For example: interval ''1 year''';
  end if;
  delete from rowhooks.audit as a where a.time < pg_catalog.now() - older_than;
  get diagnostics deleted = row_count;
  return deleted;
end
$$;
