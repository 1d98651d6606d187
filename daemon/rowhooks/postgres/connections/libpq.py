"""libpq: how it reads a DSN, the environment, the service file and the password file. Nothing connects here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from psycopg import pq
from psycopg.conninfo import make_conninfo
from psycopg.pq.abc import PGconn

from rowhooks.domain.errors import OptionsRefused

DEFAULT_PORT = 5432
# The value of the last parameter that libpq checks before it would connect. It refuses it by name, in any language.
_STOP = "rowhooks-stops-here"


@dataclass(frozen=True)
class Place:
    """One of the servers that a DSN names.

    Args:
        host: a name, an address or a socket's directory; libpq's default where the DSN has none.
        address: the numeric address that `hostaddr` gives for it, or empty.
        port: its port.
        password: what is sent there, from wherever libpq takes it; empty where there is none.
    """

    host: str
    address: str
    port: int
    password: str = field(repr=False)

    @property
    def is_socket(self) -> bool:
        """Whether it is a Unix socket."""
        return not self.address and self.host.startswith(("/", "@"))


def options(conninfo: str) -> dict[str, str]:
    """Return the options that libpq would connect with, without the password.

    Raises:
        OptionsRefused: libpq would not connect: a service does not exist, or it does not know the value of an option.
    """
    # With a password in the DSN, libpq does not look for one in a file.
    found = _values(_ask(conninfo, "target_session_attrs", password=_STOP))
    found["target_session_attrs"] = _values(_ask(conninfo, "port", password=_STOP))["target_session_attrs"]
    del found["password"]
    return found


def has_password(conninfo: str) -> bool:
    """Say whether the DSN or its service has a password; the environment's and the password file's do not count."""
    try:
        found = _values(_ask(conninfo, "target_session_attrs")).get("password")
    except OptionsRefused:
        # The error is reported where a connection is opened.
        return False
    return found is not None and found != os.environ.get("PGPASSWORD")


def places(conninfo: str, found: Mapping[str, str]) -> list[Place]:
    """Return the servers in their order, each with the password that libpq would send it.

    Args:
        conninfo: the DSN.
        found: its `options`.
    """
    hosts, addresses, ports = (found.get(name, "").split(",") for name in ("host", "hostaddr", "port"))
    number = max(len(hosts), len(addresses))
    hosts, addresses, ports = (
        listed if len(listed) == number else listed * number for listed in (hosts, addresses, ports)
    )
    return [_place(conninfo, *one) for one in zip(hosts, addresses, ports, strict=True)]


def _place(conninfo: str, host: str, address: str, port: str) -> Place:
    asked = _ask(conninfo, "target_session_attrs", host=host, hostaddr=address, port=port)
    return Place(asked.host.decode(), address, int(port or DEFAULT_PORT), asked.password.decode())


def _ask(conninfo: str, stop_at: str, **given: str) -> PGconn:
    asked = pq.PGconn.connect_start(make_conninfo(conninfo, **{**given, stop_at: _STOP}).encode())
    said = asked.error_message.decode(errors="replace").strip()
    if _STOP not in said:
        raise OptionsRefused(
            said, hint="mend the DSN, the service file or libpq's environment (PGSERVICE, PGSSLMODE ...)"
        )
    return asked


def _values(asked: PGconn) -> dict[str, str]:
    return {option.keyword.decode(): option.val.decode() for option in asked.info if option.val}
