-- The words of a `rowhooks track` command that makes a table what it is; `t` is its entry, or a rule.
-- noqa: disable=PRS

-- name: options
-- What the command was told of a table, except its columns.
case when t.identity <> 'key' then
  array['--identity', coalesce((
    select string_agg(case
      when k.name ~ '[,"[:space:]]' or k.name = 'full' then format('"%s"', replace(k.name, '"', '""'))
      else k.name
    end, ',' order by k.place)
    from unnest(t.key_columns) with ordinality as k (name, place)
  ), 'full')]
end
|| {marks};

-- name: marks
-- What the command was told of a table or a rule.
case when t.audit_receivers then array['--audit-receivers'] end
|| case when t.always then array['--always'] end
|| case when t.capture <> 'row' then array['--capture', t.capture] end;

-- name: columns_left_out
-- The options for columns that are kept out of the log, or do not count, of the relation that will be tracked.
(
  select array['--exclude', {listed}]
  from pg_attribute as a
  where a.attrelid = {relation} and a.attname = any(t.excluded_columns) and not a.attisdropped
  having count(*) > 0
)
|| (
  select array['--ignore-columns', {listed}]
  from pg_attribute as a
  where a.attrelid = {relation} and a.attname = any(t.ignored_columns) and not a.attisdropped
  having count(*) > 0
);

-- name: listed
-- Names of columns as the options take them.
string_agg(
  case when a.attname ~ '[,"[:space:]]' then format('"%s"', replace(a.attname, '"', '""')) else a.attname end,
  ',' order by a.attnum
);

-- name: named
-- The oid of what has a name; a login without USAGE on the schema gets it too.
(
  select k.oid from pg_class as k join pg_namespace as s on s.oid = k.relnamespace
  where s.nspname = {schema} and k.relname = {name}
);
