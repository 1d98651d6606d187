"""All runs that match: how many there are, a confirmation, and the act with its progress."""

from __future__ import annotations

import re
import secrets
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.domain.errors import Conflict, UsageError
from rowhooks.postgres.console.bulk import MOST, RETRY, REVOKE, choose
from rowhooks.postgres.console.places import Place
from rowhooks.web.acts.bulk import BulkAct
from rowhooks.web.forms.reading import read_form
from rowhooks.web.linking.asked_runs import AskedRuns
from rowhooks.web.linking.links import with_query
from rowhooks.web.live.parts import PartWatch
from rowhooks.web.live.streams import EventStream, stream
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page, see
from rowhooks.web.showing.run_lines import line_of

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}", re.ASCII)


async def retry(request: Request) -> Response:
    """Show which runs would be run again, or begin to."""
    return await _ask(request, RETRY) if request.method == "GET" else await _begin(request, RETRY)


async def revoke(request: Request) -> Response:
    """Show which runs would be given up, or begin to."""
    return await _ask(request, REVOKE) if request.method == "GET" else await _begin(request, REVOKE)


async def _ask(request: Request, act: str) -> Response:
    asked = AskedRuns(request.query_params)
    chosen = await person_of(request).read(choose, act, asked.filter())
    return page(
        request, "bulk.html", act=act, chosen=chosen, most=MOST, asked=asked.fixed(), filters=asked.in_words(),
        lines=[line_of(request, run) for run in chosen.sample], token=secrets.token_urlsafe(24),
        listing=with_query(request.url_for("runs").path, asked.query()),
    )  # fmt: skip


async def _begin(request: Request, act: str) -> Response:
    person, form = person_of(request), await read_form(request)
    acts, stopping = request.app.state.console.bulk_acts, request.app.state.console.stopping
    token, newest = str(form.get("act", "")), str(form.get("newest", ""))
    if not _TOKEN.fullmatch(token) or not newest:
        raise UsageError("this form is not one of the console's", hint="open the page again")
    asked = AskedRuns(form)
    if acts.find(token, person.role) is None:
        chosen = await person.read(choose, act, asked.filter(), until=Place.parse(newest), sample=0)
        # The form may have been sent twice meanwhile, and what matched is done then.
        if acts.find(token, person.role) is None:
            if not chosen.ids:
                raise Conflict("no run matches any more", hint="see the list of runs")
            query = with_query("", asked.query()).removeprefix("?")
            acts.begin(token, person, BulkAct(act, person.role, query, len(chosen.ids)), chosen.ids, stopping)
    return see(request.url_for("bulk_act", token=token).path)


async def progress(request: Request) -> Response:
    """Show how far an act on many runs is."""
    act, role = request.app.state.console.bulk_acts, person_of(request).role
    return page(request, "bulk_progress.html", **_shown(request, act.get(request.path_params["token"], role)))


def _shown(request: Request, act: BulkAct) -> dict[str, Any]:
    listing = request.url_for("runs").path
    return {"bulk": act, "listing": f"{listing}?{act.query}" if act.query else listing, "here": _path(request)}


def _path(request: Request) -> str:
    return request.url_for("bulk_act", token=request.path_params["token"]).path


async def events(request: Request) -> Response | EventStream:
    """Tell how far an act on many runs is."""
    acts = request.app.state.console.bulk_acts
    act = acts.get(request.path_params["token"], person_of(request).role)

    async def ask() -> tuple[dict[str, Any], bool]:
        return _shown(request, act), act.state != "running"

    return stream(request, PartWatch(request, ask, "bulk_state.html").look)


routes = [
    Route("/runs/retry", retry, methods=["GET", "POST"], name="runs_retry"),
    Route("/runs/revoke", revoke, methods=["GET", "POST"], name="runs_revoke"),
    Route("/runs/acts/{token:name}", progress, name="bulk_act"),
    Route("/runs/acts/{token:name}/events", events, name="bulk_act_events"),
]
