"""Forms: what a person sends. The token of its session and the page that it comes from are checked here."""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

import python_multipart  # noqa: F401  (Starlette reads forms with it, and would miss it only at the first one)
from starlette.datastructures import FormData
from starlette.requests import Request

from rowhooks.domain.errors import PermissionDenied
from rowhooks.web.people.person import person_of


async def read_form(request: Request) -> FormData:
    """Return the fields of a form that a page of this console has sent.

    Raises:
        NotLoggedIn: its session has ended.
        PermissionDenied: it comes from another site, or without the session's token.
    """
    person_of(request)
    form = await request.form(max_files=0, max_fields=200)
    token = form.get("csrf_token")
    expected = getattr(request.state, "csrf_token", "")
    is_ours = isinstance(token, str) and expected and hmac.compare_digest(token.encode(), expected.encode())
    if not is_ours or not comes_from_here(request):
        raise PermissionDenied("this form was not sent by a page of this console", hint="open the page again")
    return form


def comes_from_here(request: Request) -> bool:
    """Say whether a page of this console sends a request, as far as the browser tells."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    parts = urlsplit(origin)
    # A page that came over plain HTTP may be anybody's.
    return parts.netloc == request.url.netloc and not (request.url.scheme == "https" and parts.scheme == "http")
