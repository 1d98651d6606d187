"""Attempts: the arguments by which asyncpg connects where libpq would connect, and as it would, server by server."""

from __future__ import annotations

import contextlib
import random
import ssl
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rowhooks.domain.errors import SettingsError
from rowhooks.postgres.connections import libpq
from rowhooks.postgres.connections.libpq import Place

# libpq parameters that asyncpg takes under another name; those that are missing here are known to libpq alone.
_NAMES = {"user": "user", "dbname": "database", "krbsrvname": "krbsrvname", "gsslib": "gsslib"}
_SERVER_SETTINGS = ("application_name", "options")
_TLS_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_TLS_VERSIONS = {"ssl_min_protocol_version": "minimum_version", "ssl_max_protocol_version": "maximum_version"}
_TLS_NAMES = ("sslmode", *_TLS_FILES, "sslpassword", *_TLS_VERSIONS)
# asyncpg would silently ignore these parameters; the values listed here ask for nothing.
_LIBPQ_ALONE: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("prefer", "disable"),
    "gssencmode": ("prefer", "disable"),
    "require_auth": (),
    "requirepeer": (),
    "sslcertmode": ("allow",),
    "sslcrldir": (),
}


def attempts(conninfo: str) -> list[dict[str, Any]]:
    """Return the arguments of `asyncpg.connect` for each server that will be tried, in their order.

    There is one call for each server: asyncpg itself would have one time-out and one password for all of them, and
    would stop at a server that refuses the login.

    Raises:
        SettingsError: the DSN asks for what asyncpg cannot do, or libpq would not connect; a file cannot be read.
    """
    options = libpq.options(conninfo)
    _refuse_what_is_libpqs_alone(options)
    places = libpq.places(conninfo, options)
    if options.get("load_balance_hosts") == "random":
        random.shuffle(places)
    wanted = options["target_session_attrs"]
    if wanted == "prefer-standby":
        return [_arguments(options, place, attribute) for attribute in ("standby", "any") for place in places]
    return [_arguments(options, place, wanted) for place in places]


def check_files(options: Mapping[str, str]) -> None:
    """Check that the named certificates and keys can be read; libpq would silently do without some of them.

    Raises:
        SettingsError: one of them cannot be read.
    """
    if options.get("sslmode") == "disable":
        return
    for name in _TLS_FILES:
        path = options.get(name, "system")
        try:
            if path != "system":
                Path(path).read_bytes()
        except OSError as error:
            raise SettingsError(
                f"a certificate cannot be read ({path}): {error.strerror}", hint=f"mend or leave out {name}"
            ) from error


def timeout(options: Mapping[str, str]) -> float | None:
    """Return the seconds that an attempt may take; None where libpq would wait for ever.

    Raises:
        SettingsError: the setting is not a number.
    """
    given = options["connect_timeout"]
    try:
        return float(given) if float(given) > 0 else None
    except ValueError as error:
        raise SettingsError(f"connect_timeout={given} is not a number of seconds") from error


def _refuse_what_is_libpqs_alone(options: Mapping[str, str]) -> None:
    for name, harmless in _LIBPQ_ALONE.items():
        if options.get(name) and options[name] not in harmless:
            raise SettingsError(
                f"{name}={options[name]} is understood by libpq alone, and the daemon has other connections too",
                hint=f"take {name} out of the DSN, the service file or the environment;"
                " sslmode=verify-full makes sure of the server",
            )


def _arguments(options: Mapping[str, str], place: Place, attribute: str) -> dict[str, Any]:
    if place.host.startswith("@") and place.is_socket:
        raise SettingsError(f"the abstract socket {place.host} is known to libpq alone", hint="name a directory")
    return {
        **{ours: options[theirs] for theirs, ours in _NAMES.items() if theirs in options},
        "host": [_destination(options, place)],
        "port": place.port,
        # Empty, not None: asyncpg would look for a password by its own rules.
        "password": place.password,
        "target_session_attrs": attribute,
        "timeout": timeout(options),
        "server_settings": {name: options[name] for name in _SERVER_SETTINGS if name in options},
        **({"ssl": False, "direct_tls": False} if place.is_socket else _tls(options)),
    }


def _destination(options: Mapping[str, str], place: Place) -> str:
    # asyncpg connects to the name in the certificate. With verify-full no other server can be there.
    by_name = place.host and options["sslmode"] == "verify-full"
    return place.host if by_name else place.address or place.host


def _tls(options: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments for TLS: a DSN that has nothing else, which asyncpg reads as libpq does."""
    given = {name: options[name] for name in _TLS_NAMES if name in options}
    for version in _TLS_VERSIONS.keys() & given:
        # libpq takes tlsv1.3 too.
        given[version] = given[version].lower().replace("tls", "TLS")
    direct = {"direct_tls": options.get("sslnegotiation") == "direct"}
    if given.get("sslrootcert") == "system":
        try:
            return {"ssl": _system_context(given), **direct}
        except OSError as error:
            raise SettingsError(f"a certificate cannot be read: {error}", hint="see sslcert, sslkey, sslcrl") from error
    return {"dsn": f"postgresql://?{urlencode(given)}", **direct}


def _system_context(given: Mapping[str, str]) -> ssl.SSLContext:
    """Trust the authorities that the operating system trusts: asyncpg does not know the name `system`."""
    context = ssl.create_default_context()
    for name, attribute in _TLS_VERSIONS.items():
        if name in given:
            setattr(context, attribute, ssl.TLSVersion[given[name].replace(".", "_")])
    for certificate in _named_or_usual(given, "sslcert", "postgresql.crt"):
        key = next(_named_or_usual(given, "sslkey", "postgresql.key"), None)
        context.load_cert_chain(certificate, key, lambda: given.get("sslpassword", ""))
    for revoked in _named_or_usual(given, "sslcrl", "root.crl"):
        context.load_verify_locations(revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    context.set_alpn_protocols(["postgresql"])
    return context


def _named_or_usual(given: Mapping[str, str], name: str, usual: str) -> Iterator[Path]:
    if name in given:
        yield Path(given[name])
        return
    # Without a home directory there are no files in it.
    with contextlib.suppress(RuntimeError):
        path = Path.home() / ".postgresql" / usual
        if path.exists():
            yield path
