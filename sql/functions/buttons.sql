-- Purpose: the buttons as a presser sees them: one row for each button and table, of the tables that the asking role may
--          read. Every role may read the view. It is a security barrier: a reader's condition never sees the other rows.
create or replace view rowhooks.buttons with (security_barrier) as
select
  b.id,
  b.name,
  rowhooks.qualified_name(t.schema_name, t.table_name) as object_type,
  t.relation,
  b.text,
  b.group_name,
  b.weight,
  b.button_class,
  b.confirmation,
  j.class_path as job,
  b.enabled,
  -- Whether the job is enabled and of the right kind. Where the leader does not have the class, a press waits.
  j.enabled and j.kind = 'button' as job_enabled,
  -- In a view, unlike in a SECURITY DEFINER function, current_user is the asking role.
  rowhooks.may_press(current_user, b.roles, i.daemon_role) as may_press,
  t.repr_column,
  -- The names that columns had when the text was written, to the names that they have now.
  coalesce(
    (
      select pg_catalog.jsonb_object_agg(k.name, a.attname)
      from pg_catalog.jsonb_each_text(x.numbers) as k (name, number)
      inner join pg_catalog.pg_attribute as a
        on t.relation = a.attrelid and a.attnum = k.number::smallint and not a.attisdropped
      where m.id = x.tracked_table_id and k.name <> a.attname
    ),
    '{}'
  ) as renamed_columns,
  -- What its job takes, as a JSON schema; null: nothing.
  j.inputs_schema
from rowhooks.job_button as b
cross join rowhooks.installation as i
inner join rowhooks.job as j on b.job_id = j.id
inner join rowhooks.job_button_table as x on b.id = x.job_button_id
inner join rowhooks.table_meant as m
  on m.kind = 'button' and b.id = m.owner_id and x.tracked_table_id = m.named_id and m.is_present
inner join rowhooks.tracked_table as t on m.id = t.id
inner join pg_catalog.pg_class as c on t.relation = c.oid
where pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE') and pg_catalog.has_table_privilege(c.oid, 'SELECT');
