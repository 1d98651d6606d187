"""A TCP proxy before PostgreSQL that cuts connections: at random, or at a named moment of a transaction."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

_ENCRYPTION_REQUESTS = (80877103, 80877104)
_CHUNK = 1 << 16

MOMENTS = ("before the result", "before the commit", "before the commit's answer")
"""Where a transaction that records a result can be cut."""
BEGINNING = "before a run's transaction begins"
"""Where a receiver's transaction can be cut too."""
PARTIES = ("receiver", "recorder", "group")
"""Whose transactions: a receiver's own, the recorder's, or one that runs share."""

CUT, RESET, VANISH = "cut", "reset", "vanish"
"""What becomes of connections: both ends are told, by a FIN or by an RST; or nothing comes through any more."""

_RESULTS = (b"rowhooks.record_run(", b"into rowhooks.job_result", b'COPY "rowhooks"."job_result"')
"""By which a result is recorded: a receiver's, a batch's or a group's, the recorder's."""
_ALONE = b"with leads as ("
"""With what a statement begins that records results and is a transaction by itself."""
_COMMITS = (b"COMMIT", b"CLOSE ROWHOOKS_GROUP; COMMIT")


@dataclass
class Trap:
    """Cuts the next transaction of that kind at that moment, once.

    Args:
        party: one of PARTIES.
        moment: one of MOMENTS, or BEGINNING.
        how: CUT or RESET, this connection; or VANISH, all of them, see `Proxy.vanish`.
    """

    party: str
    moment: str
    how: str = CUT
    sprung: threading.Event = field(default_factory=threading.Event)


class Link:
    """One client's connection through the proxy, with an eye on what the client says."""

    def __init__(self, proxy: Proxy, client: Any, server: Any) -> None:
        self._proxy = proxy
        self._client_reader, self._client = client
        self._server_reader, self._server = server
        self._statements: dict[bytes, bytes] = {}
        self._started = False
        self._buffer = b""
        self._has_effect = self._has_result = self._is_shared = False
        self._cut_at_answer: Trap | None = None
        self._is_cut = asyncio.Event()
        self.silent = False

    def has_said(self, text: bytes) -> bool:
        """Say whether the client has prepared a statement with this in it."""
        return any(text in statement for statement in self._statements.values())

    async def run(self) -> None:
        """Carry bytes until one side ends."""
        tasks = [asyncio.create_task(self._upwards()), asyncio.create_task(self._downwards())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.cut()

    def cut(self, how: str = CUT) -> None:
        """End both sides at once, by a FIN or by an RST."""
        self._is_cut.set()
        if how == RESET:
            end = self._client.transport.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for writer in (self._client, self._server):
            writer.transport.abort()

    async def _upwards(self) -> None:
        while data := await self._client_reader.read(_CHUNK):
            if self.silent:
                continue
            self._buffer += data
            ready = self._observed()
            if ready is None:
                return
            self._server.write(ready)
            await self._server.drain()
        await self._keep_the_end_back()

    async def _downwards(self) -> None:
        while data := await self._server_reader.read(_CHUNK):
            if self._cut_at_answer is not None and self._spring(self._cut_at_answer):
                return
            if self.silent:
                continue
            self._client.write(data)
            await self._client.drain()
        await self._keep_the_end_back()

    async def _keep_the_end_back(self) -> None:
        """Where nothing comes through, neither does the end of a connection."""
        if self.silent:
            await self._is_cut.wait()

    def _spring(self, trap: Trap) -> bool:
        """Do what a trap does; say whether the connection has ended by it."""
        self._cut_at_answer = None
        if trap.how == VANISH:
            self._proxy.swallow_all()
        else:
            self.cut(trap.how)
        trap.sprung.set()
        return trap.how != VANISH

    def _observed(self) -> bytes | None:
        """Return the complete messages in the buffer; None where a trap has sprung before one of them."""
        ready = b""
        while (message := self._next_message()) is not None:
            if self._started:
                self._proxy.count(message)
            trap = self._trap(message) if self._started else None
            if not self._started and struct.unpack("!I", message[4:8])[0] not in _ENCRYPTION_REQUESTS:
                self._started = True
            if trap is not None and trap.moment == MOMENTS[2]:
                self._cut_at_answer = trap
            elif trap is not None:
                # What came with it goes no further where this ends the connection. Else it was under way already.
                return None if self._spring(trap) else ready
            ready += message
        return ready

    def _next_message(self) -> bytes | None:
        start = 1 if self._started else 0
        if len(self._buffer) < start + 4:
            return None
        length = start + struct.unpack("!I", self._buffer[start : start + 4])[0]
        if len(self._buffer) < length:
            return None
        message, self._buffer = self._buffer[:length], self._buffer[length:]
        return message

    def _trap(self, message: bytes) -> Trap | None:
        """Follow the transaction; return the trap that this message springs."""
        statement = self._executed(message)
        if statement is None:
            return None
        if statement.startswith(b"begin; set local "):
            self._is_shared = b"declare rowhooks_group" in statement
            return self._proxy.springs(PARTIES[0], BEGINNING)
        if statement.startswith(_ALONE):
            return self._proxy.springs(PARTIES[1], MOMENTS[0], MOMENTS[2])
        if b"into effect" in statement:
            self._has_effect = True
        party = PARTIES[1] if not self._has_effect else PARTIES[2] if self._is_shared else PARTIES[0]
        if any(one in statement for one in _RESULTS):
            self._has_result = True
            return self._proxy.springs(party, MOMENTS[0])
        command = statement.strip(b" ;\x00").upper()
        if command in _COMMITS and self._has_result:
            self._has_effect = self._has_result = self._is_shared = False
            return self._proxy.springs(party, *MOMENTS[1:])
        if command in (*_COMMITS, b"ROLLBACK"):
            self._has_effect = self._has_result = self._is_shared = False
        return None

    def _executed(self, message: bytes) -> bytes | None:
        kind, body = message[:1], message[5:]
        if kind == b"Q":
            return body
        if kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            self._statements[name] = text
        if kind == b"B":
            _, name, _ = body.split(b"\0", 2)
            return self._statements.get(name)
        return None


class Proxy:
    """Listens on a TCP port of localhost and leads to a server's Unix socket; runs in a thread of its own.

    Args:
        upstream: the path of the server's socket.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._links: set[Link] = set()
        self._traps: list[Trap] = []
        self.statements = self.round_trips = self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self.port = 0
        self.cuts = 0
        self._swallows = False

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._call(self._listen())
        return self

    def __exit__(self, *error: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def count(self, message: bytes) -> None:
        """Count what a client sends: statements, and what it waits for an answer to (Query, Sync)."""
        kind = message[:1]
        self.statements += kind in (b"Q", b"E")
        self.round_trips += kind in (b"Q", b"S")

    def cut(self, choose: Callable[[list[Link]], list[Link]] = lambda links: links) -> None:
        """Cut connections: all, or those that `choose` picks."""

        async def work() -> None:
            for link in choose(list(self._links)):
                self.cuts += 1
                link.cut()

        self._call(work())

    def reset(self) -> None:
        """Cut all connections by an RST."""

        async def work() -> None:
            for link in list(self._links):
                self.cuts += 1
                link.cut(RESET)

        self._call(work())

    def vanish(self) -> None:
        """Let nothing come through any more, neither the end of a connection nor the answer to a new one."""

        async def work() -> None:
            self.swallow_all()

        self._call(work())

    def swallow_all(self) -> None:
        """Do what `vanish` does, in the proxy's own thread."""
        self._swallows = True
        for link in self._links:
            link.silent = True

    def come_back(self) -> None:
        """End what `vanish` has begun: the clients hear that the server knows their connections no more."""

        async def work() -> None:
            self._swallows = False
            for link in list(self._links):
                if link.silent:
                    link.cut(RESET)

        self._call(work())

    def silence(self, choose: Callable[[list[Link]], list[Link]]) -> None:
        """Swallow what is said on some connections, without closing them."""

        async def work() -> None:
            for link in choose(list(self._links)):
                link.silent = True

        self._call(work())

    def set_trap(self, party: str, moment: str, how: str = CUT) -> Trap:
        """Cut the next transaction of that kind at that moment."""
        trap = Trap(party, moment, how)
        self._traps.append(trap)
        return trap

    def springs(self, party: str, *moments: str) -> Trap | None:
        """Return, and take away, the trap that is set for one of these moments."""
        for trap in self._traps:
            if trap.party == party and trap.moment in moments:
                self._traps.remove(trap)
                self.cuts += 1
                return trap
        return None

    def disarm(self) -> None:
        """Take away all traps, and end the connections that were silenced."""
        self._traps.clear()
        self.cut(lambda links: [link for link in links if link.silent])

    def _call(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _listen(self) -> asyncio.Server:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            writer.transport.abort()
            return
        link = Link(self, (reader, writer), server)
        link.silent = self._swallows
        self._links.add(link)
        self.connections += 1
        try:
            with contextlib.suppress(ConnectionError):
                await link.run()
        finally:
            self._links.discard(link)

    async def _close(self) -> None:
        self._server.close()
        for link in list(self._links):
            link.cut()
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
