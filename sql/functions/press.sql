-- Purpose: press a button on a row, in this transaction. A press that is rolled back has no effect.
-- Parameters: button           its name
--             object_table     the table, tracked and among the button's; a partition counts as the table it belongs to
--             object_id        key columns to values; the value alone is enough for a key of one column
--             idempotency_key  two presses of a button by one role with one key are one press; 255 characters at most
--             inputs           what the button's job takes, as an object: names to values
-- Returns: rowhooks.job_result.id of the run; the earlier one's for a key that was used before
-- Writes:  rowhooks.press
create or replace function rowhooks.press(
  button text, object_table regclass, object_id jsonb, idempotency_key text default null, inputs jsonb default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.press (button, object_table, object_id, idempotency_key, inputs)
  values (button, object_table, object_id, idempotency_key, inputs)
  returning id
$$;

-- Purpose: the same with the key as text: the value of a key of one column, or a JSON object for a longer one. Its parameter
--          has another name, because callers that name them (PostgREST) choose between the two by the names alone.
create or replace function rowhooks.press(
  button text, object_table regclass, object_text text, idempotency_key text default null, inputs jsonb default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.press (button, object_table, object_text, idempotency_key, inputs)
  values (button, object_table, object_text, idempotency_key, inputs)
  returning id
$$;

-- Purpose: press a button on several rows at once: on all of them, or on none.
-- Parameters: keys             of at least one row, each as object_text is for rowhooks.press; no row twice
--             others           as for rowhooks.press. An idempotency key is for the whole
-- Returns: rowhooks.press_batch.id, see the view rowhooks.batches
-- Writes:  rowhooks.press
create or replace function rowhooks.press_many(
  button text, object_table regclass, keys text[], idempotency_key text default null, inputs jsonb default null
) returns bigint
language sql
set search_path = pg_catalog, pg_temp
as $$
  insert into rowhooks.press (button, object_table, object_ids, idempotency_key, inputs)
  values (button, object_table, pg_catalog.to_jsonb(keys), idempotency_key, inputs)
  returning id
$$;
