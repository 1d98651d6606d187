-- What a preview of a button asks beside the row.

-- name: pressers
-- Whether the asking role may press a button that names the roles $1, what the job $2 takes, and who has those roles: of each,
-- how many logins are its members, and some of them.
select
  rowhooks.may_press(current_user, $1::text[], (select i.daemon_role from rowhooks.installation as i)) as may_press,
  j.enabled as job_enabled,
  j.inputs_schema,
  coalesce(
    (
      select jsonb_agg(
        jsonb_build_object('name', x.name, 'exists', r.oid is not null, 'logins', l.logins, 'examples', l.examples) order by x.place
      )
      from unnest($1::text[]) with ordinality as x (name, place)
      left join pg_roles as r on r.rolname::text = x.name
      cross join lateral (
        select count(*) as logins, coalesce((array_agg(p.rolname::text order by p.rolname))[1:5], '{}') as examples
        from pg_roles as p
        where p.rolcanlogin and not p.rolsuper and pg_has_role(p.oid, r.oid, 'member')
      ) as l
      where x.name <> 'public'
    ),
    '[]'
  ) as pressers
from (values ($2::text)) as g (job)
left join rowhooks.job as j on j.class_path = g.job;
