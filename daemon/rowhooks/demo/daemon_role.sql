-- The daemon's login: a member of the daemon's role, and beside that only what the three receivers need.
create role inventory_hooks login in role rowhooks_daemon;
grant usage on schema dcim to inventory_hooks;
-- Every receiver is handed the changed row.
grant select on dcim.site, dcim.device, dcim.interface to inventory_hooks;
-- SerialPolicy puts serials back, DeviceCount counts, AuditLine writes lines.
grant update (serial) on dcim.device to inventory_hooks;
grant update (device_count) on dcim.site to inventory_hooks;
grant insert on dcim.audit_line to inventory_hooks;
