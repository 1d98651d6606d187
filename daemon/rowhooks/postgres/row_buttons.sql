-- What a session that presses buttons asks about them. Its search_path is its own.

-- name: is_installed
-- Whether rowhooks is installed in a release that has buttons.
select pg_catalog.to_regclass(cast('rowhooks.press' as pg_catalog.text)) is not null;

-- name: inputs_schema
-- What the job of a button takes.
select b.inputs_schema from rowhooks.buttons as b
where b.name = cast($1 as text)
limit 1;
