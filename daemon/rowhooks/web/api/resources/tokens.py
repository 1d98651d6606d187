"""Tokens: created for oneself, listed, revoked. A token itself creates and revokes none."""

from __future__ import annotations

from typing import Any

from rowhooks.postgres.administration import tokens as administration
from rowhooks.web.api.authentication import Level
from rowhooks.web.api.models.base import Nothing
from rowhooks.web.api.models.tokens import TokenAsked, TokenMade, TokenNumbered, TokenPage, TokensWanted
from rowhooks.web.api.operations import Answer, Call, Keyed, Operation, Operations


async def list_tokens(call: Call[Nothing, TokensWanted, None]) -> Answer:
    """List tokens."""
    rows = await call.caller.person.read(administration.list_tokens, ended=call.query.ended)
    return call.page(TokenPage, rows, None)


async def create_token(call: Call[Nothing, Nothing, TokenAsked]) -> Answer:
    """Create a token for the caller."""
    given = call.body
    token, row = await call.caller.person.act(
        administration.create_token, given.name, scopes=given.scopes, expires_at=given.expires_at
    )  # fmt: skip
    made = TokenMade.model_validate({**row, "token": token})
    return Answer(made, headers={"Location": call.path_to("/tokens/{id}", id=made.id)})


async def revoke_token(call: Call[TokenNumbered, Nothing, None]) -> Answer:
    """Revoke a token."""
    await call.caller.person.act(administration.revoke_token, call.path.id)
    return Answer(None)


_BY_SESSION: dict[str, Any] = {
    "is_for_sessions": True,
    "description": "It is for a session: whoever got hold of a token could otherwise make it last.",
}
OPERATIONS: Operations = (
    Operation(
        "list_tokens", "GET", "/tokens", list_tokens, "List your tokens and those that you have created.", Level.READ,
        query=TokensWanted, answer=TokenPage,
    ),
    Operation(
        "create_token", "POST", "/tokens", create_token, "Create a token for yourself.", Level.READ, body=TokenAsked,
        answer=TokenMade, status=201, keyed=Keyed.ONCE, headers={"Location": "The path of the token."}, **_BY_SESSION,
    ),
    Operation(
        "revoke_token", "DELETE", "/tokens/{id}", revoke_token, "Revoke a token.", Level.READ,
        path_model=TokenNumbered, status=204, errors=(404,), **_BY_SESSION,
    ),
)  # fmt: skip
