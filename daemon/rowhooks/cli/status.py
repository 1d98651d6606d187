"""rowhooks status."""

from __future__ import annotations

from datetime import datetime

from rowhooks.cli.common import Config, Dsn, Json, print_json, settings
from rowhooks.cli.printing import print_fields
from rowhooks.domain.backlog import QUEUE_IS_FILLING
from rowhooks.domain.errors import SettingsError
from rowhooks.postgres.administration.common import Row
from rowhooks.postgres.administration.schema import installed_connection
from rowhooks.postgres.administration.status import status as read_status
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.live_workers import SILENCE
from rowhooks.settings import Settings

FIELDS = (
    "database", "schema_revision", "bell", "leader", "leader_since", "standbys", "other_receivers", "workers", "queues",
    "celery_broker",
    "backlog", "lag", "unfinished_runs", "requested", "missing_jobs", "tables", "enabled_jobs", "enabled_hooks",
    "last_1000_runs", "unreadable_changes",
)  # fmt: skip


def status(dsn: Dsn = None, config: Config = None, as_json: Json = False) -> None:
    """Show the state of rowhooks: the leader, the workers, the backlog, the unfinished runs."""
    chosen = settings(dsn, config)
    with installed_connection(Target(chosen.dsn, password=chosen.password)) as conn:
        found = read_status(conn)
    found["celery_broker"] = _broker(chosen) if chosen.celery_broker else None
    if as_json:
        print_json(found)
        return
    print_fields(_readable(found), FIELDS)


def _broker(chosen: Settings) -> str:
    """Say whether the broker of Celery that the settings name answers here."""
    from rowhooks.runtime.doorbell import problem_of_broker  # most have none

    try:
        problem = problem_of_broker(chosen)
    except SettingsError as error:
        return error.message
    return "reachable" if problem is None else f"cannot be reached from here: {problem}"


def _readable(found: Row) -> Row:
    """Return a status as people read it."""
    if found["running"] is None:
        found["leader"] = (
            f"not known on a standby server; the primary knows it (the last was {found['leader'] or 'none'})"
        )
    elif not found["running"]:
        found["leader"] = "none: no daemon runs (start one: rowhooks run)"
        found["leader_since"] = None
    if found["lock_held_by"]:
        found["leader"] += f"; its lock is held by {', '.join(found['lock_held_by'])}"
    found["standbys"] = ", ".join(found["standbys"]) or "none"
    found["bell"] = "NOTIFY" if found["notify"] else "none: the daemon polls (two-phase commit)"
    if found["notification_queue_usage"] >= QUEUE_IS_FILLING:
        found["bell"] += f"; the server's queue is {found['notification_queue_usage']:.0%} full, see: rowhooks doctor"
    if found["unreadable_changes"] is None:
        found["unreadable_changes"] = "not shown to this role"
    else:
        found["unreadable_changes"] = ", ".join(
            f"{change['id']} of {change['table']}" for change in found["unreadable_changes"]
        )
    found["other_receivers"] = "; ".join(
        f"{one['standby']}"
        + "".join(
            f" {what} {', '.join(one[name])}"
            for name, what in (("lacks", "lacks"), ("has", "has besides"))
            if one[name]
        )
        for one in found["standbys_with_other_receivers"]
    )
    found["workers"] = "; ".join(map(_worker, found["workers"] or ()))
    found["queues"] = "; ".join(
        f"{one['queue']}: {one['groups']} groups with {one['runs']} runs handed out, {one['unclaimed']} not taken yet"
        for one in found["queues"] or ()
    )
    found["missing_jobs"] = "; ".join(
        f"{one['job']}: {one['waiting']} of {found['waiting_limit']} runs wait"
        + (f", {one['missed']} changes were not kept" if one["missed"] else "")
        for one in found["missing_jobs"]
    )
    found["backlog"] = f"{found['backlog']} changes"
    found["lag"] = None if found["lag_seconds"] is None else f"{found['lag_seconds']:.1f} s"
    return found


def _worker(worker: Row) -> str:
    """Return a worker as people read it."""
    since = datetime.fromisoformat(worker["since"]).astimezone()
    parts = [
        f"queues {', '.join(worker['queues'])}" if len(worker["queues"]) > 1 else f"queue {worker['queues'][0]}",
        f"{worker['threads']} threads and {worker['tasks']} tasks", f"{worker['runs']} runs in hand",
        f"code {worker['code_version']}", f"since {since:%Y-%m-%d %H:%M:%S}",
    ]  # fmt: skip
    if worker["is_stopping"]:
        parts.append("stopping")
    if worker["silent_for"] > SILENCE:
        parts.append(f"not heard of for {worker['silent_for']:.0f} s, see: rowhooks doctor")
    return f"{worker['name']} ({'; '.join(parts)})"
