"""Opening: what asyncpg is told so that it does what libpq would do with the same DSN."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import asyncpg

from rowhooks.domain.errors import SettingsError
from rowhooks.postgres.passfile import password_for

DEFAULT_PORT = 5432
ASYNCPG_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    OSError,
    TimeoutError,
    asyncpg.exceptions.TargetServerAttributeNotMatched,
)
"""What asyncpg raises when the server refuses, or the connection is lost."""

_TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_TLS_NAMES = (
    "sslmode", *_TLS_FILES, "sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version",
)  # fmt: skip
# What somebody asks for with these, asyncpg would not do, and say nothing.
_LIBPQ_ALONE = ("sslcrldir", "channel_binding", "require_auth", "requirepeer", "gssencmode")
_HARMLESS = ("", "prefer", "disable")
_PASSES = {"prefer-standby": ("standby", "any")}


def password_from_file(resolved: dict[str, str]) -> dict[str, str]:
    """Return the password that a password file has for the first host that it knows."""
    file = Path(resolved.get("passfile") or Path.home() / ".pgpass")
    hosts = resolved["host"].split(",")
    ports = [int(port or DEFAULT_PORT) for port in resolved.get("port", "").split(",")]
    pairs = zip(hosts, ports * len(hosts) if len(ports) == 1 else ports, strict=False)
    user = resolved.get("user", "")
    password = password_for(file, pairs, resolved.get("dbname") or user, user)
    return {} if password is None else {"password": password}


def tls_arguments(resolved: dict[str, str]) -> dict[str, Any]:
    """Return what asyncpg is to be told of TLS: a DSN that has nothing else, which it reads as libpq does."""
    if resolved.get("hostaddr", resolved["host"]) != resolved["host"]:
        raise SettingsError("hostaddr beside host is understood by libpq alone", hint="give one of them")
    for name in _LIBPQ_ALONE:
        if resolved.get(name, "") not in _HARMLESS:
            raise SettingsError(
                f"{name}={resolved[name]} is understood by libpq alone, and the daemon has other connections too",
                hint=f"take {name} out of the DSN, the service file or the environment",
            )
    given = {name: resolved[name] for name in _TLS_NAMES if resolved.get(name)}
    try:
        for name in _TLS_FILES:
            if given.get(name, "system") != "system":
                Path(given[name]).read_bytes()
        if given.get("sslrootcert") == "system":
            # The authorities that the operating system trusts, which asyncpg does not know by this name.
            context = ssl.create_default_context()
            for bound, name in (
                ("minimum_version", "ssl_min_protocol_version"),
                ("maximum_version", "ssl_max_protocol_version"),
            ):
                if name in given:
                    setattr(context, bound, _tls_version(name, given[name]))
            if "sslcrl" in given:
                context.load_verify_locations(given["sslcrl"])
                context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
            if "sslcert" in given:
                context.load_cert_chain(given["sslcert"], given.get("sslkey"), lambda: given.get("sslpassword", ""))
            return {"ssl": context}
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(given[name] for name in _TLS_FILES if name in given)
        raise SettingsError(f"a certificate cannot be read ({files}): {error}") from error
    return {"dsn": f"postgresql://?{urlencode({'sslmode': 'prefer', **given})}"}


def _tls_version(name: str, value: str) -> ssl.TLSVersion:
    known = {version.name.replace("_", ".").lower(): version for version in ssl.TLSVersion}
    if value.lower() not in known:
        raise SettingsError(f"{name}={value} is no version of TLS", hint="for example TLSv1.3")
    return known[value.lower()]


async def first_that_fits(arguments: dict[str, Any], patience: float | None) -> asyncpg.Connection[Any]:
    """Ask one host after the other, each for as long as the time-out says; asyncpg would divide it among them."""
    hosts, port = arguments.pop("host", []), arguments.pop("port", DEFAULT_PORT)
    places = list(zip(hosts, port if isinstance(port, list) else [port] * len(hosts), strict=True)) or [(None, port)]
    wanted = arguments.pop("target_session_attrs", None)
    attempts = [(place, one) for one in _PASSES.get(wanted, (wanted,)) for place in places]
    for number, ((host, its_port), attributes) in enumerate(attempts, 1):
        try:
            return await asyncpg.connect(
                **arguments, host=host, port=its_port, target_session_attrs=attributes, command_timeout=patience
            )
        except ASYNCPG_ERRORS:
            if number == len(attempts):
                raise
    raise AssertionError("there is one attempt at the least")
