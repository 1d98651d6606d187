-- The demo's inventory: sites, devices and interfaces, as an application would have had them before rowhooks came.

create schema dcim;

create table dcim.site (
  id integer generated always as identity primary key,
  name text not null unique,
  region text not null,
  -- How many devices stand here: what the receiver DeviceCount keeps right.
  device_count integer not null default 0
);

create table dcim.device (
  id integer generated always as identity primary key,
  site_id integer not null references dcim.site (id),
  name text not null unique,
  role text not null,
  model text not null,
  serial text not null,
  status text not null default 'planned'
    constraint device_status_check check (status in ('planned', 'staged', 'active', 'retired'))
);

create index device_site_id_idx on dcim.device (site_id);

create table dcim.interface (
  id integer generated always as identity primary key,
  device_id integer not null references dcim.device (id) on delete cascade,
  name text not null,
  speed_mbps integer not null,
  enabled boolean not null default true,
  constraint interface_device_id_name_key unique (device_id, name)
);

-- Where the receiver AuditLine writes.
create table dcim.audit_line (
  id integer generated always as identity primary key,
  time timestamptz not null default now(),
  line text not null,
  run_key text not null unique
);

insert into dcim.site (name, region)
select
  format('%s%s', city.code, number) as name,
  city.region
from unnest(
  array['ams', 'fra', 'lhr', 'nyc', 'sjc', 'sin', 'syd', 'gru'],
  array['emea', 'emea', 'emea', 'amer', 'amer', 'apac', 'apac', 'amer']
) as city (code, region)
cross join generate_series(1, 3) as number;

-- 25 devices a site: two routers, five distribution switches, eighteen access switches.
insert into dcim.device (site_id, name, role, model, serial, status)
select
  s.id,
  format('%s-%s%s', s.name, kind.prefix, to_char(number, 'FM00')) as name,
  kind.role,
  kind.model,
  format('SN-%s', to_char(100000 + s.id * 100 + number, 'FM000000')) as serial,
  case when number % 8 = 0 then 'planned' else 'active' end as status
from dcim.site as s
cross join generate_series(1, 25) as number
cross join lateral (
  values
    (1, 2, 'rtr', 'router', 'R-9400'),
    (3, 7, 'dist', 'distribution', 'D-4800'),
    (8, 25, 'acc', 'access', 'A-2400')
) as kind (first, last, prefix, role, model)
where number between kind.first and kind.last;

insert into dcim.interface (device_id, name, speed_mbps, enabled)
select
  d.id,
  format('eth%s', port) as name,
  case when d.role = 'access' then 1000 else 10000 end as speed_mbps,
  port <= 6 as enabled
from dcim.device as d
cross join generate_series(1, 8) as port;

update dcim.site as s
set device_count = (
  select count(*)
  from dcim.device as d
  where d.site_id = s.id
);

analyze;

-- The application's login owns nothing and has no right on schema rowhooks, now or later.
create role inventory_app login;
grant usage on schema dcim to inventory_app;
grant select, insert, update, delete on dcim.site, dcim.device, dcim.interface to inventory_app;
grant select on dcim.audit_line to inventory_app;
