-- The demo's inventory: sites and their devices, as an application would have had them before rowhooks came.

create schema dcim;

create table dcim.site (
  id integer generated always as identity primary key,
  name text not null unique,
  -- How many devices stand here: what the receiver DeviceCount keeps right.
  device_count integer not null default 0
);

create table dcim.device (
  id integer generated always as identity primary key,
  site_id integer not null references dcim.site (id),
  name text not null unique,
  serial text not null,
  status text not null default 'planned'
);

create index device_site_id_idx on dcim.device (site_id);

-- Where the receiver AuditLine writes.
create table dcim.audit_line (
  id integer generated always as identity primary key,
  line text not null,
  run_key text not null unique
);

insert into dcim.site (name, device_count)
select city || number, 25
from unnest(array['ams', 'fra', 'lhr', 'nyc', 'sjc', 'sin', 'syd', 'gru']) as city
cross join generate_series(1, 3) as number;

-- 25 devices a site: two routers, five distribution switches, eighteen access switches.
insert into dcim.device (site_id, name, serial, status)
select
  s.id,
  concat(s.name, '-', case when number <= 2 then 'rtr' when number <= 7 then 'dist' else 'acc' end, to_char(number, 'FM00')),
  concat('SN-', 100000 + s.id * 100 + number),
  case when number % 8 = 0 then 'planned' else 'active' end
from dcim.site as s
cross join generate_series(1, 25) as number;

-- The application's login owns nothing and has no right on schema rowhooks, now or later.
create role inventory_app login;
grant usage on schema dcim to inventory_app;
grant select, insert, update, delete on dcim.site, dcim.device to inventory_app;
grant select on dcim.audit_line to inventory_app;
