"""Logging out: on this browser, or everywhere."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from rowhooks.web.forms.reading import read_form
from rowhooks.web.login.entering import console_of
from rowhooks.web.people.cookies import forget_session_cookie, session_cookie
from rowhooks.web.people.person import person_of
from rowhooks.web.rendering import see

logger = logging.getLogger(__name__)


async def logout(request: Request) -> Response:
    """Log a person out; with the field `everywhere`, end all sessions of its role."""
    person = person_of(request)
    form = await read_form(request)
    sessions = console_of(request).sessions
    if form.get("everywhere"):
        count = sessions.end_all_of(person.role)
        logger.info("%s logged out everywhere: %d sessions", person.role, count)
    else:
        sessions.end(session_cookie(request))
        logger.info("%s logged out", person.role)
    answer = see(request.url_for("login").path)
    forget_session_cookie(request, answer)
    return answer


routes = [Route("/logout", logout, methods=["POST"], name="logout")]
