"""Configuration: the tracked tables, jobs, hooks and buttons as the leader knows them now.

It follows the database. Where the configuration cannot be read, the last good one stays in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any

from rowhooks.domain import shell
from rowhooks.domain.configuration import Configuration, HooksAndButtons, JobButton, JobHook
from rowhooks.domain.errors import ConnectionFailed, DatabaseError
from rowhooks.domain.events import ConfigurationLoaded, Events
from rowhooks.domain.queues import is_allowed, queue_of, with_stray_queues_kept
from rowhooks.postgres import maintenance
from rowhooks.postgres.bindings import PostgresBindings
from rowhooks.postgres.configuration_source import PostgresConfiguration
from rowhooks.postgres.connections.connect import connected
from rowhooks.postgres.connections.target import Target
from rowhooks.receivers.registry import Catalog
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

BINDINGS_INTERVAL = 60.0
"""Seconds between looks at what hooks and buttons are bound to."""

Use = Callable[[Configuration, HooksAndButtons], Awaitable[None]]
"""Puts a configuration into force. The second argument: hooks and buttons whose job the leader has from now on."""


class ConfigurationHolder:
    """Holds the configuration in force.

    Args:
        connection: the feed's; asyncpg.
        target: the database, for what is asked on another connection.
        catalog: the receivers that this daemon has.
        events: those of the daemon.
        settings: say which queues there are.
    """

    def __init__(self, connection: Any, target: Target, catalog: Catalog, events: Events, settings: Settings) -> None:
        self.current = Configuration(0, {}, (), ())
        self._connection = connection
        self._target = target
        self._events = events
        self._source = PostgresConfiguration(connection)
        self._catalog = catalog
        self._settings = settings
        self._declared = DeclaredHooks(self._source, catalog)
        self._use: Use | None = None
        # A configuration was loaded whose bindings have not been checked.
        self._is_new = asyncio.Event()
        self._is_in_force = self._is_outdated = False
        self._idle_hooks, self._hooks_that_lack_their_class = _Logged(), _Logged()
        self._without_queue, self._faults = _Logged(), _Logged()

    async def begin(self, use: Use) -> None:
        """Register the jobs and the hooks that receivers declare, and load the configuration for the first time.

        Args:
            use: puts this configuration into force, and each later one.
        """
        self._use = use
        for problem in await self._source.sync_jobs([job.entry for job in self._catalog]):
            logger.warning("%s", problem)
        await self._declared.synchronise()
        await self._load()
        self._is_in_force = True

    async def follow(self, version: int) -> None:
        """Load the configuration, unless this version of it is in force."""
        if version == self.current.version:
            return
        with self._keeping_the_last_good_one():
            await self._declared.follow()
            await self._load()

    async def reshape(self) -> None:
        """Follow DDL on a tracked table that no event trigger has reported."""
        with self._keeping_the_last_good_one():
            await maintenance.refresh_tables(self._connection)
            await self._load()

    async def watch_bindings(self) -> None:
        """Check for ever what hooks and buttons are bound to: whenever they were loaded, and now and then.

        On another connection: no change waits for it.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BINDINGS_INTERVAL):
                    await self._is_new.wait()
            self._is_new.clear()
            await self._check_bindings()

    async def _check_bindings(self) -> None:
        """Notice what DDL has done to hooks and buttons where neither a change nor an event trigger reports it."""
        try:
            async with connected(self._target) as connection:
                bindings = PostgresBindings(connection)
                await bindings.note_partitions()
                await self._log_faults(bindings)
        except DatabaseError as error:
            logger.warning("the bindings of hooks and buttons could not be checked: %s", error.message)

    @contextlib.contextmanager
    def _keeping_the_last_good_one(self) -> Iterator[None]:
        """Go on with the configuration in force where it cannot be read; the next look reads it again."""
        try:
            yield
        except ConnectionFailed:
            raise
        except (DatabaseError, LookupError, TypeError, ValueError) as error:
            if not self._is_in_force:
                raise
            if not self._is_outdated:
                logger.error("the configuration cannot be read, the last good one stays in force: %s", error)
            self._is_outdated = True
        else:
            if self._is_outdated:
                logger.info("the configuration could be read again")
            self._is_outdated = False

    async def _load(self) -> None:
        assert self._use is not None, "begin() comes first"
        bindings = PostgresBindings(self._connection)
        for message in await bindings.relink():
            logger.info("%s", message)
        without_class = self.current.without_class()
        loaded = await self._source.load()
        self.current = with_stray_queues_kept(loaded, self._has_its_queue)
        released = without_class.minus(self.current.without_class())
        self._log_hooks(loaded)
        self._log_queues(loaded)
        # Before anything newer is read.
        await self._use(self.current, released)
        hooks = sum(hook.enabled for hook in self.current.hooks)
        self._events.publish(ConfigurationLoaded(self.current.version, len(self.current.tables), hooks))
        self._is_new.set()

    def _log_hooks(self, loaded: Configuration) -> None:
        """Log each hook once that starts nothing, and each that waits for its job."""
        idle = _by_name(loaded.idle_hooks())
        for name in self._idle_hooks.news(idle):
            path = idle[name].job.class_path
            command = shell.command("rowhooks", "jobs", "enable", path)
            logger.warning("hook %s starts nothing: its job %s is disabled (%s)", name, path, command)
        lacking = _by_name(loaded.hooks_that_lack_their_class())
        for name in self._hooks_that_lack_their_class.news(lacking):
            path = lacking[name].job.class_path
            logger.warning(
                "hook %s waits: this daemon does not have its job %s; what it is to run is kept (start a daemon with"
                " its module; or, if it is gone for good: %s)",
                name, path, shell.command("rowhooks", "jobs", "remove", path),
            )  # fmt: skip

    def _log_queues(self, loaded: Configuration) -> None:
        """Log each hook and button once whose runs wait because the settings do not have their queue."""
        origins: list[JobHook | JobButton] = [hook for hook in loaded.hooks if hook.enabled]
        origins += loaded.buttons
        waiting = [one for one in origins if one.job.enabled and not self._has_its_queue(one)]
        for sentence in self._without_queue.news(list(map(self._about_its_queue, waiting))):
            logger.warning("%s", sentence)

    def _about_its_queue(self, origin: JobHook | JobButton) -> str:
        kind = "hook" if isinstance(origin, JobHook) else "button"
        edit = shell.command("rowhooks", f"{kind}s", "edit", "--queue", "QUEUE", *shell.operand(origin.name))
        way_out = edit if origin.queue else f"Meta.queue of {origin.job.class_path}"
        return (
            f"{kind} {origin.name} waits: its queue {self._queue_of(origin)} is not among queues in the settings"
            f" ({', '.join(self._settings.queues)}); what it is to run is kept (name the queue there, or give it"
            f" another one: {way_out})"
        )

    def _has_its_queue(self, origin: JobHook | JobButton) -> bool:
        return is_allowed(self._queue_of(origin), self._settings.queues)

    def _queue_of(self, origin: JobHook | JobButton) -> str:
        options = self._catalog.options(origin.job.class_path)
        return queue_of(origin, options, self._settings.default_queue)

    async def _log_faults(self, bindings: PostgresBindings) -> None:
        for fault in self._faults.news(dict.fromkeys(map(str, await bindings.find_faults()))):
            logger.warning("%s", fault)


class DeclaredHooks:
    """Makes the hooks in the database follow those that receivers declare in their Meta.

    Args:
        source: the configuration in the database.
        catalog: the receivers that this daemon has.
    """

    def __init__(self, source: PostgresConfiguration, catalog: Catalog) -> None:
        self._source = source
        self._hooks = [(job.class_path, hook) for job in catalog for hook in job.meta.hooks]
        self._problems: list[str] = []
        self._tables: frozenset[tuple[str, int]] = frozenset()

    async def follow(self) -> None:
        """Synchronise again where a hook could not be declared, or where a table of such a name is tracked since."""
        if self._problems or await self._tables_named() != self._tables:
            await self.synchronise()

    async def synchronise(self) -> None:
        """Make rowhooks.job_hook follow the declarations; log each problem once."""
        problems = await self._source.sync_hooks(self._hooks)
        for problem in problems:
            if problem not in self._problems:
                logger.warning("%s", problem)
        self._problems = problems
        self._tables = await self._tables_named()

    async def _tables_named(self) -> frozenset[tuple[str, int]]:
        """Return the tracked tables whose name a receiver declares a hook for."""
        names = {table for _, hook in self._hooks for table in hook.tables}
        return await self._source.tables_named(names) if names else frozenset()


class _Logged:
    """What is true now and was logged; it is logged again when it has ceased to be true in between."""

    def __init__(self) -> None:
        self._present: set[str] = set()

    def news(self, present: Collection[str]) -> list[str]:
        """Note what is true now; return what was not true at the last call."""
        news = [one for one in present if one not in self._present]
        self._present = set(present)
        return news


def _by_name(hooks: Collection[JobHook]) -> dict[str, JobHook]:
    return {hook.name: hook for hook in hooks}
