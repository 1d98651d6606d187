-- A press. The session's search_path is its own: every name is qualified.

-- name: press_by_text
-- Presses a button on the row whose key is this text.
select rowhooks.press(
  cast({button} as pg_catalog.text), cast(cast({table} as pg_catalog.text) as pg_catalog.regclass),
  cast({key} as pg_catalog.text), cast({idempotency_key} as pg_catalog.text),
  cast(cast({inputs} as pg_catalog.text) as pg_catalog.jsonb)
);

-- name: press_by_json
-- Presses a button on the row whose key columns have these values.
select rowhooks.press(
  cast({button} as pg_catalog.text), cast(cast({table} as pg_catalog.text) as pg_catalog.regclass),
  cast(cast({key} as pg_catalog.text) as pg_catalog.jsonb), cast({idempotency_key} as pg_catalog.text),
  cast(cast({inputs} as pg_catalog.text) as pg_catalog.jsonb)
);

-- name: press_many
-- Presses a button on the rows whose keys are in this array, each as JSON or as text.
insert into rowhooks.press (button, object_table, object_ids, idempotency_key, inputs)
values (
  cast({button} as pg_catalog.text), cast(cast({table} as pg_catalog.text) as pg_catalog.regclass),
  cast(cast({key} as pg_catalog.text) as pg_catalog.jsonb), cast({idempotency_key} as pg_catalog.text),
  cast(cast({inputs} as pg_catalog.text) as pg_catalog.jsonb)
)
returning id;
