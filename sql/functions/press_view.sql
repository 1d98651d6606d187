-- Purpose: the view into which presses are inserted. It has no rows; an insert becomes a run that waits for the daemon, in the
--          inserting transaction. Every role may insert: the two triggers decide, and both always fire.
-- Columns: button, object_table, idempotency_key  as in the function rowhooks.press
--          object_id                              key columns to values, or the value of a key of one column
--          object_text                            instead of object_id: the key as text
--          object_ids                             instead of both, for several rows at once: an array of keys. As text, a key
--                                                 is what object_text is
--          inputs                                 as in the function rowhooks.press
--          presser, object_repr, object_reprs, id written by the triggers, whatever was given
create or replace view rowhooks.press as
select
  null::bigint as id,
  null::pg_catalog.text as button,
  null::pg_catalog.regclass as object_table,
  null::pg_catalog.jsonb as object_id,
  null::pg_catalog.text as object_text,
  null::pg_catalog.text as idempotency_key,
  null::pg_catalog.name as presser,
  null::pg_catalog.text as object_repr,
  null::pg_catalog.jsonb as object_ids,
  null::pg_catalog.jsonb as object_reprs,
  null::pg_catalog.jsonb as inputs
where false;
