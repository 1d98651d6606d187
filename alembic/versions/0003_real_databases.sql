-- Their columns may be others now, which `create or replace view` refuses.
drop view if exists rowhooks.results;
drop view if exists rowhooks.changes;
