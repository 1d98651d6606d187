-- Their columns may be others now, which `create or replace view` refuses.
drop view if exists rowhooks.results;
drop view if exists rowhooks.changes;

-- The login that needs what people grant: doctor asks what it lacks.
alter table rowhooks.feed add column rows_login name, add column rows_by_policy boolean not null default false;
