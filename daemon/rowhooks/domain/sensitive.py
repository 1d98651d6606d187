"""Names of tables and columns that seem to hold credentials or sessions."""

from __future__ import annotations

import re

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET = re.compile(
    r"passw(or)?d|passphrase|credential|token|secret(?!ar)|(api|private|access|session)_?key|session_?data"
    r"|(?:^|_)(pwd|totp|otp|jwt)s?(?:_|$)"
)


def is_sensitive_column(name: str) -> bool:
    """Say whether a column seems to hold credentials by its name: `password_hash`, `apiKey`, `reset_token`."""
    return _SECRET.search(_snake(name)) is not None


def is_sensitive_table(name: str) -> bool:
    """Say whether a table seems to hold credentials or sessions by its name: `auth_group`, `django_session`."""
    return is_sensitive_column(name) or "session" in _snake(name) or _snake(name).startswith("auth_")


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()
