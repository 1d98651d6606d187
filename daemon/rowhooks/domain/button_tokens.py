"""Tokens for `<rowhooks-buttons>` in pages of other origins: one person, one row, a few minutes.

They are JSON Web Tokens (RFC 7519) with HS256, so that an application in any language can make them, and PostgREST can
read them. Nothing else is accepted: no other algorithm, no longer life.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rowhooks.domain.errors import PermissionDenied, UsageError

AUDIENCE = "rowhooks"
"""The claim `aud`."""
LONGEST = 3600
"""Seconds after which a token must have expired."""
SHORTEST_SECRET = 32
"""Characters of a secret."""
_LARGEST = 4096
_HEADER = {"alg": "HS256", "typ": "JWT"}


@dataclass(frozen=True)
class ButtonToken:
    """What a token says.

    Args:
        role: the PostgreSQL role of the person.
        table: the table, as the component has it.
        key: the row's key, as the component has it.
        user: the name under which presses are put on record; empty: none.
    """

    role: str
    table: str
    key: str
    user: str = ""


def button_token(secret: str, *, role: str, table: str, key: str, user: str = "", seconds: int = 300) -> str:
    """Return a token for the attribute `token` of the component.

    Args:
        secret: what the application and the console share: `embed_secret` in the console's settings.
        role: the PostgreSQL role of the person who looks at the page.
        table: the text of the component's attribute `table`.
        key: the text of its attribute `key`.
        user: the person's name, under which presses are put on record; empty: none.
        seconds: how long it is good for; an hour at most.

    Raises:
        UsageError: the secret is too short, or the token would be good for too long.
    """
    if len(secret) < SHORTEST_SECRET:
        raise UsageError(f"the secret has less than {SHORTEST_SECRET} characters", hint="openssl rand -base64 32")
    if not 0 < seconds <= LONGEST:
        raise UsageError(f"a token is good for at least a second, and for {LONGEST} seconds at most")
    claims = {"aud": AUDIENCE, "exp": int(time.time()) + seconds, "role": role, "table": table, "key": key}
    if user:
        claims["sub"] = user
    signed = f"{_encoded(_HEADER)}.{_encoded(claims)}"
    return f"{signed}.{_text(_signature(secret, signed))}"


def read_button_token(secret: str, token: str, now: float) -> ButtonToken:
    """Return what a token says.

    Args:
        secret: what it must be signed with.
        token: the token.
        now: seconds since the epoch.

    Raises:
        PermissionDenied: it is not signed with this secret, it has expired, or it is good for too long.
    """
    signed, _, signature = token.rpartition(".")
    header, _, payload = signed.partition(".")
    if len(token) > _LARGEST or not _is_signature(secret, signed, signature):
        raise _refusal("is not signed by this application")
    if _decoded(header).get("alg") != "HS256" or "crit" in _decoded(header):
        raise _refusal("is of another kind")
    claims = _decoded(payload)
    expires = claims.get("exp")
    # JSON as Python reads it has NaN, with which no comparison is true.
    if not isinstance(expires, int | float) or isinstance(expires, bool) or not expires <= now + LONGEST:
        raise _refusal(f"does not expire within {LONGEST} seconds")
    if not expires > now:
        raise _refusal("has expired")
    audience = claims.get("aud")
    if AUDIENCE not in (audience if isinstance(audience, list) else [audience]):
        raise _refusal("is for somebody else")
    role, table, key, user = (claims.get(name) for name in ("role", "table", "key", "sub"))
    if not (isinstance(role, str) and isinstance(table, str) and isinstance(key, str) and role and table and key):
        raise _refusal("names no role, table and key as texts")
    if not isinstance(user, str | None):
        raise _refusal("names no user as a text")
    return ButtonToken(role, table, key, user or "")


def _refusal(why: str) -> PermissionDenied:
    return PermissionDenied(f"the token {why}", hint="load the page again")


def _is_signature(secret: str, signed: str, given: str) -> bool:
    return hmac.compare_digest(_bytes(given), _signature(secret, signed))


def _signature(secret: str, signed: str) -> bytes:
    return hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)


def _encoded(value: Mapping[str, Any]) -> str:
    return _text(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        return b""


def _decoded(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(_bytes(text))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
