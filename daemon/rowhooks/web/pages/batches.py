"""A press of several rows, and what has become of its runs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import NoMatchFound, Route

from rowhooks.postgres.console.presses import show_batch
from rowhooks.web.person import person_of
from rowhooks.web.rendering import page


async def batch(request: Request) -> Response:
    """Show a press of several rows."""
    number = request.path_params["id"]
    found = await person_of(request).read(show_batch, number)
    try:
        runs = f"{request.url_for('runs').path}?batch={number}"
    except NoMatchFound:
        runs = ""
    return page(request, "batch.html", batch=found, runs=runs)


routes = [Route("/batches/{id:int}", batch, name="batch")]
