"""The first page: how things are at a glance, the tables with buttons, who is logged in, and where else."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.postgres.console.home import glance
from rowhooks.postgres.console.status import MOST_FAILURES
from rowhooks.web.linking.navigation import at_least
from rowhooks.web.pages.status import samples_of
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import page
from rowhooks.web.showing.run_lines import line_of
from rowhooks.web.showing.status import facts, sample_of

SHOWN = ("Leader", "Backlog", "Requested", "Missing jobs")
"""What of the state stands here."""


async def home(request: Request) -> Response:
    """Show the first page."""
    person = person_of(request)
    found = await person.read(glance, looks_on=at_least(person.level, "viewer"))
    if found.status is not None:
        samples_of(request.app).add(sample_of(found.status))
    sessions = request.app.state.console.sessions.of_role(person.role)
    return page(
        request, "home.html", sessions=sessions, own=request.state.session, glance=found, most_failures=MOST_FAILURES,
        facts=[fact for fact in facts(found.status) if fact.name in SHOWN] if found.status else [],
        waiting=sum(one["runs"] for one in found.status["numbers"]["waiting"]) if found.status else None,
        failed=sum(one["failures"] for one in found.failures["jobs"]) if found.failures else None,
        lines=[line_of(request, run) for run in found.runs or ()],
    )  # fmt: skip


routes = [Route("/", home, name="home")]
