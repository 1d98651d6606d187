"""Answers that are given before a page is asked."""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from rowhooks.web.api.refusing import is_for_api, problem_response


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str, **headers: str) -> None:
    """Answer with one line of text; to a request to the API, with a problem.

    Args:
        scope: the request.
        receive: its body.
        send: takes the answer.
        status: the status code.
        why: what is wrong, and what to do about it.
        headers: more headers; an underscore is a hyphen.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if is_for_api(scope):
        await problem_response(scope, status, why, named)(scope, receive, send)
        return
    await PlainTextResponse(f"{why}\n", status, named)(scope, receive, send)
