"""The console's settings: table [console] of rowhooks.toml, ROWHOOKS_CONSOLE_..., credentials named console_..."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from rowhooks.domain.button_tokens import SHORTEST_SECRET
from rowhooks.domain.errors import SettingsError
from rowhooks.domain.setting_values import is_address, split
from rowhooks.settings import CONSOLE, Layered, explain, read_credentials, read_file, refusal

UNIX = "unix"
"""What `trusted_peers` calls the peers of a Unix socket, and the beginning of such an address (unix:/run/x.sock)."""
_CREDENTIALS = ("dsn", "password", "oidc_client_secret", "embed_secret")
_LOOPBACK = ("", "localhost")
Names = tuple[str, ...]


class ConsoleSettings(Layered):
    """The console's settings. Times are in seconds."""

    prefix = "ROWHOOKS_CONSOLE_"

    dsn: str = Field("", description="the database, with the console's own login; empty: that of rowhooks", repr=False)
    password: str = Field("", description="the console's own login's password, if its DSN has none", repr=False)
    listen: str = Field("127.0.0.1:8090", description="host:port, or unix:/path/of/a/socket")
    hosts: Names = Field((), description="names by which browsers reach the console, beside loopback ones")
    login: tuple[Literal["postgres", "proxy", "oidc"], ...] = Field(
        ("postgres",), min_length=1, description="ways to log in"
    )
    roles: dict[str, str] = Field(
        default_factory=dict, description="the roles of users that a proxy or an OpenID provider names"
    )
    unlisted: Literal["refuse", "same"] = Field(
        "refuse", description="users that `roles` does not name: refuse them, or take their name as the role"
    )
    impersonation: Literal["set_role", "connect"] = Field(
        "set_role", description="how such a user gets its role's rights: SET LOCAL ROLE, or a session of the role's"
    )
    trusted_peers: Names = Field((), description="proxies whose headers are believed: addresses, networks, or unix")
    proxy_header: str = Field("X-Remote-User", pattern=r"^[A-Za-z0-9-]+$", description="the header with the user")
    oidc_issuer: str = Field("", description="the OpenID provider's address")
    oidc_client_id: str = Field("", description="the console's name at the provider")
    oidc_client_secret: str = Field("", description="its secret", repr=False)
    oidc_claim: str = Field("preferred_username", min_length=1, description="the claim that names the user")
    oidc_scope: str = Field("openid profile", description="what the provider is asked for")
    public_url: str = Field("", description="the console's address in browsers, where a proxy is before it")
    idle: float = Field(900.0, gt=0, allow_inf_nan=False, description="when an unused session ends")
    longest: float = Field(28_800.0, gt=0, allow_inf_nan=False, description="when a session ends in any case")
    connections: int = Field(2, ge=1, le=20, description="connections of each session that a password has opened")
    own_connections: int = Field(10, ge=1, description="connections of the console's own login")
    sessions: int = Field(200, ge=1, description="sessions at the same time")
    sessions_per_person: int = Field(10, ge=1, description="sessions of one role; a further one ends the oldest")
    requests_per_person: int = Field(40, ge=1, description="requests of one role at the same time")
    streams_per_person: int = Field(20, ge=1, description="live streams of one role at the same time")
    largest_body: int = Field(1_048_576, ge=1024, description="bytes of a request's body")
    slowest: float = Field(30.0, gt=0, allow_inf_nan=False, description="how long a client may take for its part")
    allow_superusers: bool = Field(default=False, description="let superusers log in")
    allow_passwordless: bool = Field(default=False, description="let roles in that the server asks for no password")
    allow_plain_http: bool = Field(default=False, description="speak HTTP without TLS to other machines")
    tls_certificate: Path | None = Field(None, description="a certificate (PEM), with those that lead to its root")
    tls_key: Path | None = Field(None, description="its key (PEM)")
    embed_origins: Names = Field((), description="origins of pages that may embed buttons, such as https://app.example")
    embed_secret: str = Field(
        "", description="what applications sign the tokens of their pages' buttons with; 32 characters", repr=False
    )
    access_log: Literal["none", "paths", "full"] = Field(
        "none", description="log each request: never, without its query, or with it"
    )
    grace_period: float = Field(10.0, ge=0, allow_inf_nan=False, description="how long SIGTERM waits for requests")

    @field_validator("hosts", "login", "trusted_peers", "embed_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return split(value)

    @field_validator("roles", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError('not a JSON object such as {"ada@example.org": "ada"}') from None

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not (value.startswith(f"{UNIX}:/") or is_address(value)):
            raise ValueError("give host:port or unix:/path, for example 127.0.0.1:8090")
        return value

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if any(not host or set(host) & set("/@*?#: ") for host in values):
            raise ValueError("give names without scheme, port and path, for example console.example.org")
        return tuple(host.lower() for host in values)

    @field_validator("trusted_peers")
    @classmethod
    def _are_peers(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if value != UNIX:
                ipaddress.ip_network(value)
        return values

    @field_validator("embed_origins")
    @classmethod
    def _are_origins(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        if any(not _is_origin(origin) for origin in values):
            raise ValueError("give origins without a path, for example https://app.example.org")
        return values

    @field_validator("embed_secret")
    @classmethod
    def _is_long(cls, value: str) -> str:
        if value and len(value) < SHORTEST_SECRET:
            raise ValueError(
                f"give at least {SHORTEST_SECRET} characters, for example those of: openssl rand -base64 32"
            )
        return value

    @field_validator("public_url")
    @classmethod
    def _is_url(cls, value: str) -> str:
        if value and not _is_origin(value.rstrip("/")):
            raise ValueError("give an address without a path, for example https://console.example.org")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if "proxy" in self.login and not self.trusted_peers:
            raise ValueError("login by proxy needs trusted_peers")
        if self.embed_secret and not self.dsn:
            raise ValueError("embed_secret needs dsn: the console's own login, which takes up the roles of tokens")
        if "oidc" in self.login and not (self.oidc_issuer and self.oidc_client_id):
            raise ValueError("login by oidc needs oidc_issuer and oidc_client_id")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key need each other")
        if not (self.allow_plain_http or self.tls_certificate or self.trusted_peers or self.is_loopback):
            raise ValueError(
                f"listen = {self.listen!r} would let other machines speak HTTP without TLS; give tls_certificate and"
                " tls_key, name the proxy that has them in trusted_peers, or set allow_plain_http = true"
            )
        return self

    @property
    def names(self) -> frozenset[str]:
        """The names under which the console answers, beside the loopback ones."""
        listens = self.listen.rpartition(":")[0] if not self.listen.startswith(f"{UNIX}:") else ""
        public = urlsplit(self.public_url).hostname or ""
        return frozenset({*self.hosts, listens.lower(), public}) - {"", "0.0.0.0", "[::]"}  # noqa: S104

    @property
    def is_loopback(self) -> bool:
        """Whether the console listens to this machine alone."""
        host = self.listen.rpartition(":")[0].strip("[]")
        if self.listen.startswith(f"{UNIX}:") or host in _LOOPBACK:
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


def _is_origin(text: str) -> bool:
    scheme, separator, host = text.partition("://")
    return scheme in ("http", "https") and bool(separator and host) and not set(host) & set("/?#@* ")


def load_console_settings(file: Path | None = None, **given: Any) -> ConsoleSettings:
    """Read the console's settings.

    Args:
        file: a TOML file; None: `rowhooks.toml` in the working directory, if it exists.
        given: settings from the command line; None means not given.

    Raises:
        SettingsError: the file is missing or malformed, or a setting is unknown or wrong; the message names it.
    """
    file, whole = read_file(file)
    table = whole.get(CONSOLE, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{file}: console is not a table", hint="write [console] above the console's settings")
    found = read_credentials([f"{CONSOLE}_{name}" for name in _CREDENTIALS])
    credentials = {name.removeprefix(f"{CONSOLE}_"): value for name, value in found.items()}
    wanted = {name: value for name, value in given.items() if value is not None}
    try:
        return ConsoleSettings.read(given=wanted, credentials=credentials, in_file=table)
    except ValidationError as error:
        problems = [f"{name}: {what}" if name else what for name, what in explain(error)]
        raise refusal({f"[console] of {file or 'the settings'}": problems}, "console") from error
