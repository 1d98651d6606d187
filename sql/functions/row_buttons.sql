-- Purpose: list the buttons of one row for the asking role, as a page shows them that can render no labels. The row is looked
--          up with the rights of that role, as by a press.
-- Parameters: object_table  the table; a partition counts as the table it belongs to
--             object_text   the row's key, as for rowhooks.press
-- Returns: {"groups": [{"name", "buttons": [{"name", "label", "group_name", "weight", "button_class", "confirmation",
--          "disabled", "reason", "inputs_schema", "input_fields"}]}]}, the groups by name, in each the buttons by weight and
--          name. Disabled buttons are left out, and those whose text is blank. A text with marks of a template or of HTML is not shown: the
--          button's name is its label then.
-- Reads:   the table, rowhooks.buttons
create or replace function rowhooks.row_buttons(object_table regclass, object_text text) returns jsonb
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  -- Whatever is found of the row: that there is one, and that the role may see it.
  pressed constant rowhooks.press := rowhooks.find_rows(
    row(null, '', object_table, null, object_text, null, current_user, null, null, null, null)::rowhooks.press
  );
begin
  return pg_catalog.jsonb_build_object(
    'groups',
    (
      select coalesce(
        pg_catalog.jsonb_agg(
          pg_catalog.jsonb_build_object('name', g.group_name, 'buttons', g.buttons)
          order by g.group_name collate "C"
        ),
        '[]'
      )
      from (
        select
          b.group_name,
          pg_catalog.jsonb_agg(
            pg_catalog.jsonb_build_object(
              'name', b.name,
              'label', case when b.text ~ '[{<&]' then b.name else pg_catalog.btrim(b.text) end,
              'group_name', b.group_name,
              'weight', b.weight,
              'button_class', b.button_class,
              'confirmation', b.confirmation,
              'disabled', not (b.job_enabled and b.may_press),
              'reason', case
                when not b.job_enabled then pg_catalog.format('its job %s is disabled', b.job)
                when not b.may_press then 'you may not press it'
                else ''
              end,
              'inputs_schema', b.inputs_schema,
              'input_fields', rowhooks.input_fields(b.inputs_schema)
            )
            order by b.weight, b.name collate "C"
          ) as buttons
        from rowhooks.buttons as b
        where b.relation = pressed.object_table and b.enabled and b.text ~ '\S'
        group by b.group_name
      ) as g
    )
  );
end
$$;
