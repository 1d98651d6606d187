"""The endpoint of `<rowhooks-buttons>` in a Django project, over its own connection, as its users.

    path("rowhooks/", include("rowhooks.integrations.django.buttons"))

Settings: ROWHOOKS_ROLE, a function (or its dotted path) that returns the PostgreSQL role of a request's user, or None
for nobody; ROWHOOKS_DATABASE, the alias of the database with rowhooks (`default`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.urls import path
from django.utils.module_loading import import_string
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_GET, require_POST

from rowhooks.integrations.attribution import attributed, is_open, present
from rowhooks.postgres.embedded_buttons import LARGEST_BODY, acting_as, press, read_press, run_state
from rowhooks.postgres.embedded_problems import NOBODY, Refused, problem_of
from rowhooks.web.embed.component import CONTENT_TYPE, HEADERS, NAME, component, etag
from rowhooks.web.embed.questions import row_buttons

__all__ = ["app_name", "urlpatterns"]

View = Callable[[HttpRequest], HttpResponse]


def _answered(view: Callable[[HttpRequest, str], dict[str, Any]], status: int = 200) -> View:
    """Return the view that answers with what another one returns for a request and its role, or with the problem."""

    @transaction.non_atomic_requests  # type: ignore[untyped-decorator]
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            return _json(view(request, _role_of(request)), status)
        except (ImproperlyConfigured, Http404, PermissionDenied, SuspiciousOperation):
            # Django answers these.
            raise
        except Exception as error:  # whatever it is, the page gets an answer
            problem = problem_of(error)
            return _json(problem.as_json(), problem.status)

    return answer  # type: ignore[no-any-return]


def _role_of(request: HttpRequest) -> str:
    role_of = getattr(settings, "ROWHOOKS_ROLE", None)
    if isinstance(role_of, str):
        role_of = import_string(role_of)
    if not callable(role_of):
        raise ImproperlyConfigured(
            "ROWHOOKS_ROLE must be a function, or its dotted path, that returns the PostgreSQL role of a request's user"
        )
    role = role_of(request)
    if not role:
        raise NOBODY
    return str(role)


def _user_of(request: HttpRequest) -> str:
    if is_open() and (said := present()) is not None:
        return said.user
    user = getattr(request, "user", None)
    return user.get_username() if user is not None and user.is_authenticated else ""


def _ask(request: HttpRequest, role: str, question: Callable[..., dict[str, Any]], *args: Any) -> dict[str, Any]:
    """Ask in a transaction of its own, or in a savepoint where one is open."""
    alias = getattr(settings, "ROWHOOKS_DATABASE", DEFAULT_DB_ALIAS)
    user = _user_of(request)
    # Where the app marks transactions, it names the same user.
    with attributed(user=user or None), transaction.atomic(using=alias), acting_as(connections[alias], role, user):
        return question(connections[alias], *args)


def _row_buttons(request: HttpRequest, role: str) -> dict[str, Any]:
    table, key = _parameter(request, "object_table"), _parameter(request, "object_text")
    found = _ask(request, role, row_buttons, table, key, role)
    # A press sends Django's own token back; a page of another site cannot read it.
    name = settings.CSRF_HEADER_NAME.removeprefix("HTTP_").replace("_", "-")
    return {**found, "headers": {name: get_token(request)}}


def _press(request: HttpRequest, role: str) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise Refused(415, "a press is JSON")
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise Refused(413, f"a press has at most {LARGEST_BODY} bytes") from error
    if len(body) > LARGEST_BODY:
        raise Refused(413, f"a press has at most {LARGEST_BODY} bytes")
    read_press(body)
    return _ask(request, role, press, body)


def _run_state(request: HttpRequest, role: str) -> dict[str, Any]:
    return _ask(request, role, run_state, _parameter(request, "id"), _user_of(request))


def _component(request: HttpRequest) -> HttpResponse:
    is_kept = etag() in request.headers.get("If-None-Match", "")
    answer = HttpResponse(b"" if is_kept else component(), status=304 if is_kept else 200, content_type=CONTENT_TYPE)
    for name, value in {**HEADERS, "ETag": etag()}.items():
        answer[name] = value
    return answer


def _parameter(request: HttpRequest, name: str) -> str:
    values = request.GET.getlist(name)
    if len(values) != 1 or "\0" in values[0]:
        raise Refused(422, f"the request names no {name}, or several")
    return str(values[0])


def _json(content: dict[str, Any], status: int) -> HttpResponse:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    answer = HttpResponse(text, status=status, content_type="application/json")
    answer["Cache-Control"] = "no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


app_name = "rowhooks"
urlpatterns = [
    # It gives Django's cookie to those who have none yet.
    path("row_buttons", require_GET(csrf_protect(_answered(_row_buttons))), name="row_buttons"),
    path("press", require_POST(csrf_protect(_answered(_press, 202))), name="press"),
    path("run_state", require_GET(_answered(_run_state)), name="run_state"),
    path(NAME, require_GET(_component), name="component"),
]
