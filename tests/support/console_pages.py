"""Every page of the console, with the address that shows most on it. A route that is new must be named here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from starlette.applications import Starlette
from starlette.routing import Route

from tests.support.console_receivers import closed_gates
from tests.support.console_world import World
from tests.support.waiting import wait

PAGES: dict[str, tuple[str, ...]] = {
    "login": ("/login",),
    "home": ("/",),
    "hooks": ("/hooks",),
    "hook": ("/hooks/NoteStatus",),
    "hook_new": ("/hooks/new", "/hooks/new?table=inv.device"),
    "hook_edit": ("/hooks/NoteStatus/edit",),
    "hook_try": ("/hooks/NoteStatus/try",),
    "jobs": ("/jobs",),
    "job": ("/jobs/tests.support.console_receivers.NoteStatus", "/jobs/tests.support.console_receivers.Provision"),
    "buttons": ("/buttons",),
    "button": ("/buttons/Provision",),
    "button_new": ("/buttons/new",),
    "button_edit": ("/buttons/Provision/edit",),
    "runs_retry": ("/runs/retry?status=FAILURE", "/runs/retry?status=REVOKED"),
    "runs_revoke": ("/runs/revoke",),
    "changes": ("/changes", "/changes?table=inv.device&since=7d", "/changes?user=nobody"),
    "change": ("/changes/{change}",),
    "run": ("/runs/{succeeded}", "/runs/{failed}", "/runs/{running}", "/runs/{waiting}", "/runs/{hook_run}"),
    "replay": ("/replay", "/replay?hook=NoteStatus&since=1h"),
    "status": ("/status", "/status?span=day"),
    "doctor": ("/status/doctor",),
    "replay_progress": ("/replay/progress?hook=NoteStatus&begun=2026-01-01T00:00:00Z",),
    "runs": ("/runs", "/runs?status=FAILURE&since=7d", "/runs?status=REVOKED&user=nobody"),
    "tables": ("/tables", "/tables?search=inv."),
    "table_rows": ("/tables/inv.device", "/tables/inv.device?column=id&operator=gt&value=1&sort_desc=name"),
    "row": ("/tables/inv.device/row?key={device}",),
    "press": ("/tables/inv.device/press?button=Provision&key={device}",),
    "batch": ("/batches/{batch}",),
}
"""The addresses of each page, by the name of its route; {...} is a field of `Scene`."""

API_PAGES: dict[str, tuple[str, ...]] = {
    "show_overview": ("/api/v1/docs",),
    "show_reference": ("/api/v1/docs/runs", "/api/v1/docs/tables"),
}
"""The pages of the API, by the names of its operations."""

NO_PAGES: dict[str, str] = {
    "oidc_begin": "sends the browser to an OpenID provider, where there is one",
    "oidc_finish": "takes a browser from there",
    "batch_events": "a stream of events",
    "replay_events": "a stream of events",
    "bulk_act": "the progress of an act, which has no address before somebody begins it; it is tried by itself",
    "bulk_act_events": "a stream of events",
    "run_events": "a stream of events",
    "runs_events": "a stream of events",
    "status_events": "a stream of events",
}
"""Routes that answer a GET with something else than a page, and what it is."""

ERRORS = (
    "/nowhere",
    "/runs/0",
    "/changes/0",
    "/hooks/none",
    "/jobs/none",
    "/buttons/none",
    "/batches/0",
    "/tables/no.one",
)
"""Addresses that show the error page."""

_NEW = {"text": "x", "name": "x", "button_class": "default", "weight": "100"}
FORMS: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "login": (("/login", {"role": "nobody", "password": "x"}),),
    "press_now": (
        ("/tables/inv.device/press", {"button": "Provision", "key": "{device}"}),
        ("/tables/inv.device/press", {"button": "Provision", "key": "{device}", "confirmed": "yes", "retries": "77"}),
        ("/tables/inv.device/press", {"button": "Provision"}),
    ),
    "hook_new": (("/hooks/new", {"name": "x"}),),
    "hook_edit": (("/hooks/NoteStatus/edit", {"name": "NoteStatus"}),),
    "hook_enabled": (("/hooks/none/enabled", {}),),
    "hook_remove": (("/hooks/none/remove", {}),),
    "job_enabled": (("/jobs/none/enabled", {}),),
    "job_move": (("/jobs/none/move", {}),),
    "job_remove": (("/jobs/none/remove", {}),),
    "button_new": (
        ("/buttons/new", {"name": "x"}),
        ("/buttons/new", {**_NEW, "act": "preview", "preview_table": "inv.device", "preview_key": "{device}"}),
    ),
    "button_edit": (("/buttons/Provision/edit", {"name": "Provision"}),),
    "button_enabled": (("/buttons/none/enabled", {}),),
    "button_remove": (("/buttons/none/remove", {}),),
    "run_retry": (("/runs/0/retry", {}), ("/runs/{running}/retry", {})),
    "run_revoke": (("/runs/0/revoke", {}), ("/runs/{succeeded}/revoke", {})),
    "runs_retry": (("/runs/retry", {}),),
    "runs_revoke": (("/runs/revoke", {}),),
    "replay_look": (("/replay/look", {}),),
    "replay_start": (("/replay/start", {}),),
}
"""What is sent to each route that takes forms so that it answers by a page, which does nothing; {...} as in PAGES."""
NO_FORMS = {"logout": "leads to the log-in"}
"""Routes whose forms have no page for an answer, and what they do."""


@dataclass(frozen=True)
class Scene:
    """What there is to see: a device with a history, and runs of each status. Each field is an id.

    Args:
        device: a device whose status and serial were changed, and on which buttons were pressed.
        change: its last change.
        succeeded: a run that ended well and wrote something.
        failed: a run that failed.
        running: a run that goes on.
        waiting: a run that has not begun.
        hook_run: a run that a hook started.
        batch: a press of two devices, by ada.
    """

    device: int
    change: int
    succeeded: int
    failed: int
    running: int
    waiting: int
    hook_run: int
    batch: int

    def addresses(self, route: str) -> list[str]:
        """Return the addresses of a page."""
        return [address.format(**asdict(self)) for address in {**PAGES, **API_PAGES}[route]]

    def forms(self, route: str) -> list[tuple[str, dict[str, str]]]:
        """Return what is sent to a route: addresses with fields."""
        ids = asdict(self)
        return [
            (address.format(**ids), {name: value.format(**ids) for name, value in fields.items()})
            for address, fields in FORMS[route]
        ]


def page_routes(app: Starlette) -> set[str]:
    """Return the names of the routes that answer a GET by a page."""
    return _routes(app, "GET") - NO_PAGES.keys()


def form_routes(app: Starlette) -> set[str]:
    """Return the names of the routes that answer a form by a page."""
    return _routes(app, "POST") - NO_FORMS.keys()


def _routes(app: Starlette, method: str) -> set[str]:
    return {route.name for route in app.routes if isinstance(route, Route) and method in (route.methods or ())}


@contextlib.contextmanager
def scene(world: World) -> Iterator[Scene]:
    """Let things happen in an inventory; in the block, one run goes on and one waits for it."""
    device, _ = world.new_device(serial=None)
    failed = world.press("Calibrate", device)
    world.settle()
    world.db.execute("update inv.device set serial = 'SN-7', status = 'planned' where id = %s", (device,))
    world.settle()
    succeeded = world.press("Calibrate", device)
    world.settle()
    hook_run = world.runs("id", "hook_name = 'NoteStatus'")[0][0]
    with world.as_("ada") as conn:
        [(batch,)] = conn.execute(
            "select rowhooks.press_many('Calibrate', 'inv.device', array[%s, %s])",
            (str(device), str(world.new_device()[0])),
        ).fetchall()
    world.settle()
    with closed_gates(world.dsn):
        running = world.press("Provision", device, inputs='{"template": "base", "note": "by night"}')
        wait(lambda: world.runs("status", "id = %s and status = 'STARTED'", running))
        waiting = world.press("Provision", device, inputs='{"template": "edge"}')
        [(change,)] = world.db.execute(
            "select max(c.id) from rowhooks.changes as c where c.object_type = 'inv.device'"
        ).fetchall()
        yield Scene(device, change, succeeded, failed, running, waiting, hook_run, batch)
    world.settle()
