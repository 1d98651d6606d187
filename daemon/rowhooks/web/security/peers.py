"""Who asks: the machine at the other end, or the one that a trusted proxy names."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

UNIX = "unix"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class FindPeer:
    """Replaces a request's client and scheme by what a trusted proxy says (X-Forwarded-For, X-Forwarded-Proto).

    What anybody else says is not believed. `request.state.is_trusted_peer` tells which of the two it was.

    Args:
        app: the application.
        trusted: addresses, networks, or `unix` for the peers of a Unix socket.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._networks = [ipaddress.ip_network(one) for one in trusted if one != UNIX]
        self._trusts_unix = UNIX in trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http":
            is_trusted = self.trusts(scope.get("client"))
            scope.setdefault("state", {})["is_trusted_peer"] = is_trusted
            if is_trusted:
                headers = Headers(scope=scope)
                self._forward(scope, headers)
        await self._app(scope, receive, send)

    def trusts(self, client: tuple[str, int] | None) -> bool:
        """Say whether a client is a trusted proxy; None is the peer of a Unix socket."""
        if client is None:
            return self._trusts_unix
        address = _address(client[0])
        return address is not None and self._knows(address)

    def _knows(self, address: Address) -> bool:
        return any(address in network for network in self._networks if network.version == address.version)

    def _forward(self, scope: Scope, headers: Headers) -> None:
        protocols = [part.strip().lower() for part in headers.get("x-forwarded-proto", "").split(",")]
        if protocols[-1] in ("http", "https"):
            scope["scheme"] = protocols[-1]
        # The last address that no proxy of ours has added is the one that a proxy of ours has seen.
        for part in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            address = _address(part.strip())
            if address is None:
                return
            scope["client"] = (str(address), 0)
            if not self._knows(address):
                return


def is_loopback(client: tuple[str, int] | None) -> bool:
    """Say whether a client is on this machine."""
    if client is None:
        return True
    address = _address(client[0])
    return address is not None and address.is_loopback


def network_of(client: tuple[str, int] | None) -> str:
    """Return what counts as one client: an IPv4 address, or the network of an IPv6 address (/64)."""
    address = _address(client[0]) if client else None
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address or UNIX)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
