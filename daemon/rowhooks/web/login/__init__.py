"""Logging in: with a role's password, by the word of a trusted proxy, or of an OpenID provider; and out."""

from __future__ import annotations

from rowhooks.web.login import leaving, oidc, password

routes = [*password.routes, *oidc.routes, *leaving.routes]
