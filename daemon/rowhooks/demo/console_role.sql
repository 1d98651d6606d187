-- A person who uses the console: it may see and change devices, and administers hooks and buttons.
create role ada login in role rowhooks_admin;
grant usage on schema dcim to ada;
grant select on all tables in schema dcim to ada;
grant update (status) on dcim.device to inventory_hooks;
