-- What <rowhooks-buttons> asks. The session's search_path is its own: every name is qualified. Each value is a text.

-- name: become
-- Sets, for the rest of the transaction, the role, the user whom the application names, and how long a statement may take.
select
  pg_catalog.set_config('role', cast({role} as pg_catalog.text), true) as role,
  pg_catalog.set_config('rowhooks.user', cast({username} as pg_catalog.text), true) as username,
  pg_catalog.set_config('statement_timeout', cast({patience} as pg_catalog.text), true) as patience;

-- name: name_user
-- Sets the user whom the application names, for the rest of the transaction.
select pg_catalog.set_config('rowhooks.user', cast({username} as pg_catalog.text), true) as username;

-- name: present_role
-- The role in force, and what is set of what `become` sets. `none` is no role that was set.
select
  cast(current_user as pg_catalog.text) as role,
  pg_catalog.current_setting('role') as given,
  coalesce(pg_catalog.current_setting('rowhooks.user', true), '') as username,
  pg_catalog.current_setting('statement_timeout') as patience;

-- name: press
-- Presses a button; the request's body has the parameters of rowhooks.press by their names. JSON's null is none.
select rowhooks.press(
  b.body ->> 'button', cast(b.body ->> 'object_table' as pg_catalog.regclass), b.body ->> 'object_text',
  b.body ->> 'idempotency_key', nullif(b.body -> 'inputs', 'null')
) as id
from (select cast(cast({body} as pg_catalog.text) as pg_catalog.jsonb) as body) as b;

-- name: run_state
-- What has become of a press of the asking role, for the user whom the application named.
select
  p.id,
  p.status,
  p.finished_at is not null as is_finished,
  p.message,
  p.object_type,
  cast(p.object_id as pg_catalog.text) as object_id
from rowhooks.my_presses as p
where p.id = cast(cast({run} as pg_catalog.text) as pg_catalog.int8)
  and coalesce(p.user_name, '') = pg_catalog.left(cast({username} as pg_catalog.text), 255);

-- name: table_meant
-- The table that a text names, as rowhooks.my_presses has it: of a partition, the table it belongs to.
select rowhooks.qualified_name(n.nspname, c.relname) as object_type
from (select pg_catalog.to_regclass(cast({table} as pg_catalog.text)) as given) as g
inner join pg_catalog.pg_class as c on c.oid = coalesce(pg_catalog.pg_partition_root(g.given), g.given)
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid;

-- name: key_meant
-- The key of the row that a text means, as it stands in the row; an error if the asking role sees no such row.
select cast((f.found).object_id as pg_catalog.text) as object_id
from (
  select
    rowhooks.find_rows(
      cast(
        row(
          null, '', cast(cast({table} as pg_catalog.text) as pg_catalog.regclass), null, cast({key} as pg_catalog.text),
          null, current_user, null, null, null, null
        ) as rowhooks.press
      )
    ) as found
) as f;
