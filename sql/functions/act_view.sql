-- Purpose: the view into which acts are inserted. It has no rows; an insert is done in the inserting transaction, and written
--          into rowhooks.audit. Every role may insert: the two triggers decide, and both always fire. The functions of
--          sql/functions/acts.sql insert here.
-- Columns: act, object, arguments  what is to be done, see rowhooks.known_acts
--          actor, noted, result    written by the triggers, whatever was given: the role in force; what it may see of the
--                                  object; what came of it
-- A SECURITY DEFINER function could not do the same: there, the role in force is its owner, and the login may be a superuser
-- that runs somebody else's expression (REINDEX). The first trigger runs as the role in force, whichever that is.
create or replace view rowhooks.act as
select
  null::pg_catalog.text as act,
  null::pg_catalog.text as object,
  null::pg_catalog.jsonb as arguments,
  null::pg_catalog.name as actor,
  null::pg_catalog.jsonb as noted,
  null::pg_catalog.jsonb as result
where false;
