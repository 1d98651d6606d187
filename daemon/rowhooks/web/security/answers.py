"""Answers that are given before a page is asked."""

from __future__ import annotations

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send


async def refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str, **headers: str) -> None:
    """Answer with one line of text.

    Args:
        scope: the request.
        receive: its body.
        send: takes the answer.
        status: the status code.
        why: what is wrong, and what to do about it.
        headers: more headers; an underscore is a hyphen.
    """
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    await PlainTextResponse(f"{why}\n", status, named)(scope, receive, send)
