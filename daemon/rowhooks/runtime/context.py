"""Context: what all leaderships of one daemon have in common."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from rowhooks.domain.events import Events
from rowhooks.domain.queues import DEFAULT, Queues
from rowhooks.pipeline.scheduling.board import Doorbell
from rowhooks.postgres.connections.poolers import recognised
from rowhooks.postgres.connections.target import Target
from rowhooks.postgres.rows.models import Models
from rowhooks.postgres.sessions.permissions import PostgresPermissions
from rowhooks.postgres.sessions.receiver_login import checked_receiver
from rowhooks.receivers.classes import ReceiverClass
from rowhooks.receivers.loading import load_permission_backend
from rowhooks.receivers.registry import Catalog
from rowhooks.settings import Settings


@dataclass(frozen=True)
class Targets:
    """The ways to the database.

    Args:
        main: for the feed, the results and everything else.
        listen: for LISTEN, the leader lock and the bell lock.
        receivers: for the receivers' own sessions.
    """

    main: Target
    listen: Target
    receivers: Target

    @classmethod
    def of(cls, settings: Settings, application: str) -> Self:
        """Return the targets that the settings name.

        Args:
            settings: of the daemon.
            application: the name that the server shows for each connection.
        """
        main = Target(settings.dsn, application, password=settings.password)
        # An empty one is libpq's own environment, as an empty dsn is.
        listen, receivers = settings.listen_dsn, settings.receiver_dsn
        return cls(
            main,
            main if listen is None else Target(listen, application, password=settings.password),
            # The password is that of the daemon's own login.
            main if receivers is None else Target(receivers, application),
        )

    def check(self) -> None:
        """Raise SettingsError where a target can never be reached; one that cannot be reached now is another matter."""
        for target in (self.main, self.listen, self.receivers):
            target.asyncpg_attempts()

    def named(self, application: str) -> Targets:
        """Return them with an application name by which their sessions can be found."""
        return Targets(self.main.named(application), self.listen.named(application), self.receivers.named(application))

    async def recognised(self) -> Targets:
        """Return them with what only the server can tell: where there is a pooler, and what the receivers' login is."""
        main = await recognised(self.main)
        listen = main if self.listen == self.main else await recognised(self.listen)
        receivers = main if self.receivers == self.main else await checked_receiver(main, self.receivers)
        return Targets(main, listen, receivers)


@dataclass(frozen=True)
class DaemonContext:
    """What all leaderships of one daemon have in common.

    Args:
        settings: of the daemon.
        catalog: the receivers that its code has.
        name: of the daemon: host and process id.
        targets: the ways to the database, as the settings name them.
        events: where the daemon publishes.
        stopping: set when the daemon is told to stop.
        clean: blanks secrets in what is stored and published.
        models: users' own classes for rows.
        lost_worker: called with the name, HOST:PID, of a worker that has not been heard of for too long.
        doorbell: rung for what is handed to workers; None: they find it by themselves.
    """

    settings: Settings
    catalog: Catalog
    name: str
    targets: Targets
    events: Events
    stopping: asyncio.Event
    clean: Callable[[str], str]
    models: Models = Models()
    lost_worker: Callable[[str], None] = lambda name: None
    doorbell: Doorbell | None = None


def process_name(pid: int | None = None) -> str:
    """Return the name HOST:PID of a process on this machine; None: this one."""
    # What a server shows of an application's name has 63 bytes at the most.
    return f"{socket.gethostname()[:40]}:{os.getpid() if pid is None else pid}"


def catalog_of(settings: Settings, classes: Sequence[ReceiverClass]) -> Catalog:
    """Return the catalogue of the receivers that were found.

    Raises:
        SettingsError: the permission backend is not there.
    """
    backend = settings.permission_backend
    return Catalog(
        classes,
        permissions=load_permission_backend(backend, settings.directory) if backend else PostgresPermissions(),
        soft_time_limit=settings.soft_time_limit or None,
        time_limit=settings.time_limit or None,
    )


def queues_of(settings: Settings) -> Queues:
    """Return the queues of a leader with these settings."""
    # Local worker processes, where there are any, execute what the daemon would, or certain queues alone.
    executes_nothing = settings.processes and not settings.process_queues
    own = frozenset[str]() if executes_nothing else frozenset({DEFAULT}) - frozenset(settings.process_queues)
    return Queues(tuple(settings.queues), settings.default_queue, own)
