"""An OpenID provider: where it is, what it is asked, and what its tokens must be like. Needs the extra `oidc`."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

from rowhooks.domain.display import visible
from rowhooks.domain.errors import ConnectionFailed, PermissionDenied, SettingsError
from rowhooks.web.settings import ConsoleSettings

logger = logging.getLogger(__name__)
TIMEOUT = 10.0
"""Seconds that an answer of the provider may take."""
KEEP = 3600.0
"""Seconds for which the provider's description and keys are kept."""
LARGEST_ANSWER = 1_000_000
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""How tokens may be signed: by keys that only the provider has."""
LEEWAY = 60
"""Seconds by which the clocks of provider and console may differ."""


class ProviderFailed(ConnectionFailed):
    """The OpenID provider cannot be reached, or answers with what it should not."""


class Provider:
    """The OpenID provider of a console.

    Args:
        settings: the console's settings.
        clock: returns the time in seconds.

    Raises:
        SettingsError: the extra `oidc` is not installed.
    """

    def __init__(self, settings: ConsoleSettings, clock: Callable[[], float] = time.monotonic) -> None:
        try:
            import authlib  # noqa: F401
            import httpx  # noqa: F401
        except ImportError:
            raise SettingsError(
                "login by oidc needs more libraries", hint="install them: pip install 'rowhooks[oidc]'"
            ) from None
        self._settings, self._clock = settings, clock
        self._kept: dict[str, tuple[float, dict[str, Any]]] = {}

    async def address(self, *, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Return where a browser is sent to log in.

        Args:
            redirect_uri: where the provider sends it back.
            state: what it brings back.
            nonce: what the token will have.
            verifier: the secret of which the provider gets a hash.

        Raises:
            ProviderFailed: the provider cannot be reached.
        """
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        description = await self._description()
        address: str = prepare_grant_uri(
            description["authorization_endpoint"], self._settings.oidc_client_id, "code", redirect_uri,
            self._settings.oidc_scope, state, nonce=nonce, code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )  # fmt: skip
        return address

    async def user(self, code: str, *, redirect_uri: str, nonce: str, verifier: str) -> str:
        """Return the user for whom the provider has given a code.

        Args:
            code: what the browser has brought.
            redirect_uri: as it was asked.
            nonce: as it was asked.
            verifier: the secret whose hash was sent.

        Raises:
            ProviderFailed: the provider cannot be reached, or does not take the code.
            PermissionDenied: its token is not for this log-in, or does not name the user.
        """
        description = await self._description()
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier,
            "client_id": self._settings.oidc_client_id,
        }  # fmt: skip
        secret = self._settings.oidc_client_secret
        # As client_secret_basic, unless the provider knows only the other way.
        methods = description.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        is_basic = bool(secret) and "client_secret_basic" in methods
        if secret and not is_basic:
            form["client_secret"] = secret
        auth = _quoted(self._settings.oidc_client_id, secret) if is_basic else None
        tokens = await self._ask("POST", description["token_endpoint"], data=form, auth=auth)
        claims = await self._claims(description, tokens, nonce)
        name = self._settings.oidc_claim
        if name not in claims and "userinfo_endpoint" in description:
            headers = {"authorization": f"Bearer {tokens.get('access_token', '')}"}
            more = await self._ask("GET", description["userinfo_endpoint"], headers=headers)
            if more.get("sub") != claims["sub"]:
                raise PermissionDenied("the provider's user info is about another user")
            claims = {**more, **claims}
        user = claims.get(name)
        if not isinstance(user, str) or not user:
            raise PermissionDenied(
                f"the provider does not say who you are: there is no claim {name}",
                hint="set oidc_claim or oidc_scope in [console] of rowhooks.toml",
            )
        # An address that nobody has proved to have is nobody's name.
        if name == "email" and claims.get("email_verified") is not True:
            raise PermissionDenied("the provider has not verified your e-mail address")
        return user

    async def _claims(self, description: dict[str, Any], tokens: dict[str, Any], nonce: str) -> dict[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        text = tokens.get("id_token")
        if not isinstance(text, str):
            raise ProviderFailed("the OpenID provider has sent no ID token")
        try:
            for is_fresh in (False, True):
                keys = await self._get(description["jwks_uri"], is_fresh=is_fresh)
                try:
                    token = jwt.decode(text, KeySet.import_key_set(keys), algorithms=list(ALGORITHMS))  # type: ignore[arg-type]
                    break
                except (JoseError, ValueError):
                    # The provider may have new keys.
                    if is_fresh:
                        raise
            claims = CodeIDToken(
                token.claims, token.header,
                options={
                    "iss": {"essential": True, "value": description["issuer"]},
                    "aud": {"essential": True, "value": self._settings.oidc_client_id},
                    "sub": {"essential": True}, "nonce": {"essential": True, "value": nonce},
                },
                params={
                    "nonce": nonce, "client_id": self._settings.oidc_client_id,
                    "access_token": tokens.get("access_token"),
                },
            )  # fmt: skip
            claims.validate(leeway=LEEWAY)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            logger.warning("an ID token was refused: %s", visible(error))
            raise PermissionDenied("the provider's token is not valid for this log-in", hint="log in again") from error
        return dict(claims)

    async def _description(self) -> dict[str, Any]:
        issuer = self._settings.oidc_issuer.rstrip("/")
        description = await self._get(f"{issuer}/.well-known/openid-configuration")
        if str(description.get("issuer", "")).rstrip("/") != issuer:
            raise ProviderFailed(f"the OpenID provider at {issuer} says that it is another one")
        missing = {"authorization_endpoint", "token_endpoint", "jwks_uri"} - description.keys()
        if missing:
            raise ProviderFailed(f"the OpenID provider at {issuer} does not say its {', '.join(sorted(missing))}")
        return description

    async def _get(self, address: str, *, is_fresh: bool = False) -> dict[str, Any]:
        until, found = self._kept.get(address, (0.0, {}))
        if is_fresh or not found or until < self._clock():
            found = await self._ask("GET", address)
            self._kept[address] = self._clock() + KEEP, found
        return found

    async def _ask(self, method: str, address: str, **options: Any) -> dict[str, Any]:
        import httpx

        try:
            async with httpx.AsyncClient(timeout=TIMEOUT) as client:
                answer = await client.request(method, address, **options)
            found = answer.json() if len(answer.content) <= LARGEST_ANSWER else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ProviderFailed(f"the OpenID provider cannot be asked: {type(error).__name__}") from error
        if answer.status_code >= 400 or not isinstance(found, dict):
            said = found.get("error") if isinstance(found, dict) else None
            logger.warning("the OpenID provider answered %d %s: %s", answer.status_code, address, visible(said))
            raise ProviderFailed("the OpenID provider has refused this log-in", hint="log in again")
        return found


def _quoted(client: str, secret: str) -> tuple[str, str]:
    """Return name and secret as RFC 6749 (2.3.1) wants them in a header: each encoded as in a form."""
    return quote_plus(client), quote_plus(secret)
