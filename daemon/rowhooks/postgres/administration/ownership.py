"""Whose things are: tables whose owner has changed, and roles that more than one database has."""

from __future__ import annotations

from rowhooks.postgres.administration.common import Connection
from rowhooks.postgres.administration.grants import Found
from rowhooks.postgres.maintenance import LENT_TO_ANOTHER

# The owner adds partitions, for which he needs the right on the function.
_FORMER_OWNERS = f"""
select
  format(
    'rowhooks has not followed that %s belongs to %I now%s%s', t.relation, o.rolname,
    case when not has_function_privilege(o.oid, p.oid, 'execute') then ', who cannot add partitions' end,
    '; ' || (
      select string_agg(a.grantee::regrole::text, ', ' order by a.grantee::regrole::text)
      from aclexplode(p.proacl) as a
      where a.grantee not in (p.proowner, c.relowner, 0)
    ) || ' cannot be dropped'
  ),
  array['psql', '-c', 'select rowhooks.refresh_tables()']
from rowhooks.tracked_table as t
join pg_class as c on c.oid = t.relation
join pg_roles as o on o.oid = c.relowner
join pg_proc as p
  on p.pronamespace = 'rowhooks'::regnamespace and p.proname = concat('capture_', t.id) and p.pronargs = 0
where t.untracked_at is null and {LENT_TO_ANOTHER}
order by 1
"""  # noqa: S608  (a constant)


# A role is the whole cluster's. Templates are nobody's databases.
_ELSEWHERE = """
select distinct d.oid, d.datname, quote_ident(d.datname) as name
from pg_shdepend as s
join pg_roles as r on r.oid = s.refobjid
join pg_database as d on d.oid = s.dbid and d.datname <> current_database() and not d.datistemplate
where s.refclassid = 'pg_authid'::regclass
"""

# Direct members; before PostgreSQL 16 there is one grant of each, and nobody asks who gave it.
_OWNER = f"""
select
  n.nspowner::regrole::text as owner, m.member::regrole::text as member,
  string_agg(distinct format(
    'revoke %s from %s%s cascade', n.nspowner::regrole, m.member::regrole,
    case when current_setting('server_version_num')::integer >= 160000 then ' granted by ' || m.grantor::regrole end
  ), '; ') as revoking,
  (
    select string_agg(d.name, ', ' order by d.name)
    from ({_ELSEWHERE} and s.classid = 'pg_namespace'::regclass and s.deptype = 'o' and r.oid = n.nspowner) as d
  ) as elsewhere
from pg_namespace as n
join pg_auth_members as m on m.roleid = n.nspowner
join pg_roles as r on r.oid = m.member and not r.rolsuper
where n.nspname = 'rowhooks'
group by n.nspowner, m.member
order by 2
"""  # noqa: S608  (constants)

_SHARED = f"""
select
  string_agg(distinct quote_ident(g.rolname), ', ') as roles,
  string_agg(distinct quote_ident(l.rolname), ', ') as logins,
  string_agg(distinct d.name, ', ') as databases
from rowhooks.installation as i
join pg_roles as g on g.rolname in (i.daemon_role, i.receiver_role)
join pg_roles as l on l.rolcanlogin and not l.rolsuper and pg_has_role(l.oid, g.oid, 'member')
cross join lateral ({_ELSEWHERE} and s.deptype = 'a' and r.oid = g.oid) as d
where has_database_privilege(l.oid, d.oid, 'connect')
having count(*) > 0
"""  # noqa: S608  (constants)


def members_of_the_owner(conn: Connection) -> list[Found]:
    """Return who may act as the owner of the schema without being a superuser, and where else that counts."""
    found: list[Found] = []
    for owner, member, revoking, elsewhere in conn.execute(_OWNER):
        take_back = ["psql", "-c", revoking]
        what = f"{member}, no superuser, may act as {owner} and so read and replace what rowhooks has in this database"
        if elsewhere is None:
            way_out = "as it must to track and upgrade; where it is not to, let an administrator run: "
            found.append(("note", what, way_out, take_back))
        else:
            found.append((
                "problem", f"{what}, and in {elsewhere} too", "let an administrator run: ", take_back,
                f" (to upgrade: grant {owner} to {member}, and take it back), or install with roles of its own",
            ))  # fmt: skip
    return found


def shared_roles(conn: Connection) -> list[Found]:
    """Return whose logins may read and write what rowhooks has in other databases of the cluster too."""
    return [
        (
            "note",
            f"{logins} may connect to {databases} too, where {roles} may do what it may here",
            "where they are not to: roles of its own for each database (rowhooks init --daemon-role ... --receiver-role"
            " ...), or take CONNECT on the others from these logins",
        )
        for roles, logins, databases in conn.execute(_SHARED)
    ]


def former_owners(conn: Connection) -> list[Found]:
    """Return the tables whose change of owner nobody has followed."""
    return [("problem", what, *way_out) for what, *way_out in conn.execute(_FORMER_OWNERS)]
