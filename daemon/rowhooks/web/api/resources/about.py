"""The API itself: its document, its reference for people, and who is asking."""

from __future__ import annotations

from starlette.responses import Response

from rowhooks.postgres.console.access import access
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.document import document
from rowhooks.web.api.models.about import Me, SubjectNamed
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.operations import Answer, Call, Operation, Operations
from rowhooks.web.api.reference import overview, reference
from rowhooks.web.api.writing import json_response

Plain = Call[Nothing, Nothing, None]


async def show_me(call: Plain) -> Answer:
    """Say who is asking."""
    found = await call.caller.person.read(access)
    scopes = sorted(call.caller.scopes, key=list(Level).index)
    return Answer(Me(role=found.role, level=found.level, scopes=scopes, is_token=call.caller.is_token))


async def show_document(call: Plain) -> Response:
    """Return the document of the API."""
    return json_response(document(call.operations, call.root))


async def show_overview(call: Plain) -> Response:
    """Show what the document describes as a page."""
    return overview(call.request, document(call.operations, call.root))


async def show_reference(call: Call[SubjectNamed, Nothing, None]) -> Response:
    """Show the operations of a subject as a page."""
    return reference(call.request, document(call.operations, call.root), call.path.subject)


OPERATIONS: Operations = (
    Operation("show_me", "GET", "/me", show_me, "Say who is asking, and with which scopes.", Level.READ, answer=Me),
    Operation(
        "show_document", "GET", "/openapi.json", show_document, "Return this document: OpenAPI 3.1.", None,
    ),
    Operation(
        "show_overview", "GET", "/docs", show_overview, "Show the operations that this document describes, as a page.",
        None, media_type="text/html",
    ),
    Operation(
        "show_reference", "GET", "/docs/{subject}", show_reference, "Show the operations of a subject, as a page.",
        None, path_model=SubjectNamed, errors=(400, 404, 422), media_type="text/html",
    ),
)  # fmt: skip
