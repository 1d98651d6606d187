-- Every name is qualified, and every operator: the search_path is the receivers' own. The linter would put a space into
-- operator(pg_catalog.=).
-- noqa: disable=LT01,LT06

-- name: place
-- Which database of which cluster this is.
select
  d.oid,
  (pg_catalog.pg_control_system()).system_identifier as cluster
from pg_catalog.pg_database as d
where d.datname operator(pg_catalog.=) pg_catalog.current_database();

-- name: receivers_role
select i.receiver_role::pg_catalog.text from rowhooks.installation as i;

-- name: is_member
-- The login, and whether it has a role.
select
  current_user::pg_catalog.text as login,
  exists (
    select from pg_catalog.pg_roles as r
    where r.rolname operator(pg_catalog.=) $1 and pg_catalog.pg_has_role(r.oid, 'member')
  ) as is_member;
