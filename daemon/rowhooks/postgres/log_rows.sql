-- What is read of rowhooks.object_change, which is `c`; see log_rows.py for the sizes. `offset 0` keeps a level from being merged with
-- another.

-- name: in_part
-- Changes of the relation `wanted` with their texts, until there are PART_SIZE bytes of texts; text_size is the sum.
-- The sum is kept beside the rows and not by a window, for which the texts of all of them would have to be made. No
-- level is merged with another (offset 0), so that a row goes through all of them before the next one does.
select
  c.*,
  set_config('rowhooks.part_text', (c.text_before + {text_size})::text, true)::bigint as text_size
from (
  select
    c.*,
    {texts}
  from (
    select
      o.*,
      current_setting('rowhooks.part_text')::bigint as text_before
    from (
      select w.* from wanted as w
      where (select set_config('rowhooks.part_text', '0', true)) is not null
      order by w.id
      offset 0
    ) as o
    offset 0
  ) as c
  where c.text_before < {PART_SIZE}
  offset 0
) as c
offset 0;

-- noqa: disable=PRS

-- name: large_by_id
-- One change with large rows; without them where they have more than LARGEST bytes as JSON text.
-- Each text is made once. Merged with nothing, a jsonb is as large as it is without compression.
select
  {columns_before_rows},
  case when not l.is_too_large then t.prechange end as prechange,
  case when not l.is_too_large then t.postchange end as postchange,
  {columns_after_rows},
  nullif(concat_ws(
    '; ',
    case when {has_large_key} then 'the key of the change is too large' end,
    case when l.is_too_large then '{TOO_LARGE}' end,
    c.capture_error
  ), '') as capture_error
from rowhooks.object_change as c
cross join lateral (
  select
    coalesce(pg_column_size(c.prechange || '{}'::jsonb), 0)
    + coalesce(pg_column_size(c.postchange || '{}'::jsonb), 0) <= {LARGEST} as is_tried
  offset 0
) as s
cross join lateral (
  select
    case when s.is_tried then c.prechange::text end as prechange,
    case when s.is_tried then c.postchange::text end as postchange
  offset 0
) as t
cross join lateral (
  select
    not s.is_tried
    or coalesce(octet_length(t.prechange), 0) + coalesce(octet_length(t.postchange), 0) > {LARGEST} as is_too_large
  offset 0
) as l
where c.id = $1;

-- name: columns
-- Everything that an object change is made of.
{columns_before_rows}, c.prechange::text, c.postchange::text, {columns_after_rows}, {capture_error};

-- name: small_columns
-- The same without large rows, and whether they are large.
{columns_before_rows},
case when not {is_large} then c.prechange::text end,
case when not {is_large} then c.postchange::text end,
{columns_after_rows}, {capture_error}, {is_large};

-- name: text_columns
-- The same of a source with texts; rows that are large only as text are left out too.
{columns_before_rows},
case when not {is_large_as_text} then c.prechange_text end,
case when not {is_large_as_text} then c.postchange_text end,
{columns_after_rows}, {capture_error}, {is_large_as_text};

-- name: columns_before_rows
-- What an object change is made of, up to its rows; a key that is too large is null.
c.id, c.transaction_id::text::bigint, c.time, c.action, c.tracked_table,
case when pg_column_size(c.object_id) <= {LARGE} then c.object_id::text end, left(c.object_repr, {LONGEST_TEXT});

-- name: columns_after_rows
-- The rest, except the error.
c.db_user::text, left(c.user_name, {LONGEST_TEXT}), left(c.request_id, {LONGEST_TEXT}),
left(c.change_context, {LONGEST_TEXT});

-- name: visible_columns
-- The same of a view of the log, by name and without the rows.
c.id, c.transaction_id::text::bigint as transaction_id, c.time, c.action::text as action, c.tracked_table, c.object_type,
c.object_id::text as object_id_json, c.object_repr, c.db_user::text as db_user, c.user_name, c.request_id,
c.change_context, c.capture_error;

-- name: capture_error
-- The error that capture has noted.
case
  when {has_large_key} then concat_ws('; ', 'the key of the change is too large', c.capture_error)
  else c.capture_error
end;

-- name: has_large_key
-- What capture writes is shorter, but the log's owner may write anything.
coalesce(pg_column_size(c.object_id) > {LARGE}, false);

-- name: is_large
-- Whether the stored rows are so large that the change is read by itself.
coalesce(greatest(pg_column_size(c.prechange), pg_column_size(c.postchange)) > {LARGE}, false);

-- name: is_large_as_text
-- The same of a source with texts: or their texts are so large.
({is_large} or {text_size} > {PART_SIZE});

-- name: texts
-- The texts of rows that are not stored as large. They are made once: a number of a few bytes (1e131071) may have a
-- hundred thousand characters, which only its text tells.
case when not {is_large} then c.prechange::text end as prechange_text,
case when not {is_large} then c.postchange::text end as postchange_text;

-- name: text_size
-- The bytes of the texts.
coalesce(octet_length(c.prechange_text), 0) + coalesce(octet_length(c.postchange_text), 0);

-- name: stored_size
-- Roughly the bytes, without compression, of everything in a change that a user has made; nothing is unpacked for it.
coalesce(pg_column_size(c.prechange), 0)
* case when pg_column_compression(c.prechange) is null then 1 else {COMPRESSED} end
+ coalesce(pg_column_size(c.postchange), 0)
* case when pg_column_compression(c.postchange) is null then 1 else {COMPRESSED} end
+ coalesce(pg_column_size(c.object_id), 0)
* case when pg_column_compression(c.object_id) is null then 1 else {COMPRESSED} end
+ coalesce(pg_column_size(c.object_repr), 0)
* case when pg_column_compression(c.object_repr) is null then 1 else {COMPRESSED} end
+ coalesce(pg_column_size(c.user_name), 0)
* case when pg_column_compression(c.user_name) is null then 1 else {COMPRESSED} end
+ coalesce(pg_column_size(c.request_id), 0)
* case when pg_column_compression(c.request_id) is null then 1 else {COMPRESSED} end
+ coalesce(pg_column_size(c.change_context), 0)
* case when pg_column_compression(c.change_context) is null then 1 else {COMPRESSED} end
+ coalesce(pg_column_size(c.capture_error), 0)
* case when pg_column_compression(c.capture_error) is null then 1 else {COMPRESSED} end;
