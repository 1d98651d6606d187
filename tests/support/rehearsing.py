"""A user's own database and receivers, for the tests of the testing kit."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from sqlalchemy import text

from rowhooks import Hook, JobHookReceiver, ObjectChange

SCHEMA = """
create schema dcim;
create table dcim.site (id integer primary key, name text not null);
create table dcim.device (
  id integer generated always as identity primary key,
  name text not null default 'unnamed',
  serial text,
  serial_length integer generated always as (length(serial)) stored,
  site integer references dcim.site on delete cascade deferrable initially deferred
);
create table dcim.cable (a integer, b text, length numeric(8, 2), made timestamptz, primary key (a, b));
create table dcim.port (
  id uuid primary key default gen_random_uuid(),
  device integer not null references dcim.device on delete cascade
);
create table dcim.note (message text);
insert into dcim.site values (1, 'Zurich');
insert into dcim.device (name, serial, site) values ('sw1', 'SN-1', 1);
"""


def contents(own: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """What another session sees: every row, trigger and object of the database."""
    found = {
        name: [row[0] for row in own.execute(f"select to_jsonb(t) from dcim.{name} as t order by 1")]
        for name in ("site", "device", "cable", "port", "note")
    }
    found["objects"] = own.execute(
        "select n.nspname, c.relname from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
        " where n.nspname !~ '^pg_toast' order by 1, 2"
    ).fetchall()
    found["triggers"] = own.execute("select tgname from pg_trigger where not tgisinternal").fetchall()
    found["functions"] = own.execute("select proname from pg_proc where proname ~ 'rowhooks'").fetchall()
    return found


class SerialPolicy(JobHookReceiver):
    """Puts a serial back that is not one of ours."""

    class Meta:
        hooks = (Hook("dcim.device", actions=["update"], columns=["serial"]),)

    def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        if action == "update" and not changed_object.serial.startswith("SN-"):
            assert change.prechange is not None
            changed_object.serial = change.prechange["serial"]
            changed_object.save()
            self.logger.warning(
                "serial of %s put back", changed_object, extra={"object": changed_object, "grouping": "serials"}
            )
        return {"action": action, "row": change.object_data}


class AsyncPolicy(JobHookReceiver):
    async def receive_job_hook(self, change: ObjectChange, action: str, changed_object: Any) -> Any:
        await asyncio.sleep(0)
        changed_object.serial = changed_object.serial.upper()
        await changed_object.save()
        count = (await self.session.execute(text("select count(*) from dcim.device"))).scalar()
        self.logger.info("one of %d", count)
        return [str(self.user), await self.user.has_perm("dcim.change_device")]
