-- name: button
-- A button ($1) on a table ($2), if the asking role may see it.
select b.name, b.confirmation, b.enabled and b.job_enabled and b.may_press as is_pressable, b.button_class, b.inputs_schema
from rowhooks.buttons as b
where b.name = $1::text and b.object_type = $2::text;

-- name: press
-- Presses a button on one row.
select rowhooks.press(
  $1::text, format('%I.%I', $2::text, $3::text)::regclass, $4::jsonb, $5::text, $6::jsonb
) as id;

-- name: press_many
-- Presses a button on several rows.
insert into rowhooks.press (button, object_table, object_ids, idempotency_key, inputs)
values ($1::text, format('%I.%I', $2::text, $3::text)::regclass, $4::jsonb, $5::text, $6::jsonb)
returning id;

-- name: is_earlier
-- Whether a press of this transaction was one that has been on record for longer than a double click takes.
select coalesce(min(p.created_at) < now() - interval '10 seconds', false) as is_earlier
from rowhooks.my_presses as p
where p.id = $1 or p.batch_id = $1;
