-- Changes that cannot be read as others are.

-- name: fixed
-- What every change has: no text that a user has made, except the name of a login.
select
  c.id,
  c.transaction_id::text::bigint as transaction_id,
  least(greatest(c.time, '0001-01-02'), '9999-12-30') as time,
  c.action,
  c.tracked_table,
  convert_to(c.db_user::text, {byte_encoding}) as db_user
from rowhooks.object_change as c
where c.id = $1;

-- name: text_of_column
-- One column of a change as bytes (null where it is too large), and whether it has a value.
select
  case
    when pg_column_size(c.{column}) <= {LARGE} and octet_length(c.{column}::text) <= {PART_SIZE}
      then convert_to(c.{column}::text, {byte_encoding})
  end as value,
  c.{column} is not null as is_there
from rowhooks.object_change as c
where c.id = $1;

-- name: note
-- Names a change in rowhooks.feed, once; the oldest names go.
update rowhooks.feed as f
set unreadable = jsonb_path_query_array(
  jsonb_build_array($2::text::jsonb) || f.unreadable, '$[0 to {LAST_NOTED}]'
)
where not f.unreadable @> jsonb_build_array(jsonb_build_object('id', $1::bigint));

-- noqa: disable=PRS

-- name: byte_encoding
-- The encoding by which convert_to makes bytes of a text. A database that knows no encoding may hold what is not UTF-8.
case when getdatabaseencoding() = 'SQL_ASCII' then 'SQL_ASCII' else 'UTF8' end;
