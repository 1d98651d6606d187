"""Tables of an inventory, with rows, in the form that published Nautobot receivers expect."""

from __future__ import annotations

SCHEMA = """
create schema inv;
create table inv.location (
  id integer primary key, name text not null unique, parent_id integer references inv.location
);
create table inv.role (id integer primary key, name text not null);
create table inv.device (
  id integer primary key, name text not null, serial text, status text not null default 'active', comments text,
  location_id integer references inv.location, role_id integer references inv.role
);
create table inv.interface (
  id integer generated always as identity primary key, device_id integer not null references inv.device,
  name text not null, enabled boolean not null default true
);
create table inv.journal (
  id integer generated always as identity primary key, device_id integer references inv.device, message text not null,
  author text
);
insert into inv.location values (1, 'Zurich', null), (2, 'Room 7', 1), (3, 'Spares', null), (4, 'Rack 1', 2);
insert into inv.role values (1, 'switch');
insert into inv.device (id, name, serial, location_id, role_id)
select n, 'd' || n, 'S' || n, 2, 1 from generate_series(1, 12) as n where n <> 2;
insert into inv.interface (device_id, name) values (3, 'eth0'), (3, 'eth1'), (12, 'eth0');
"""
