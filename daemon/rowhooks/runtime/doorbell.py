"""Celery as a doorbell: one message for each group that is handed out, to the Celery queue of the same name.

Nothing depends on these messages. Workers find by themselves what no message has told them of.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from rowhooks.domain.dispatch import Group
from rowhooks.domain.errors import SettingsError
from rowhooks.observability.health import BrokerState
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)

TASK = "rowhooks.execute"
"""The Celery task; its argument is rowhooks.dispatch.id."""
EXPIRY = 3600
"""Seconds after which a message that nobody has taken is of no use: the group has been executed long before."""
PATIENCE = 5.0
"""Seconds that one step of the broker may take."""
AWAY_PAUSE = 1.0
"""Seconds before a broker that was away is tried again."""
MOST_WAITING = 1000
"""Messages that wait to be sent. Beyond that the oldest are dropped."""


class CeleryDoorbell:
    """Sends the messages, in a thread of its own.

    Args:
        app: Celery's, whose broker is that of the workers.
        broker: its address.
        clean: blanks secrets in what is logged.
    """

    def __init__(self, app: Any, broker: str, clean: Callable[[str], str]) -> None:
        self._app = app
        self._broker = broker
        self._clean = clean
        self._waiting: deque[Group] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._connection: Any = None
        self._is_away = False
        self._has_sent = False
        self._dropped = self._unsent = 0

    @property
    def state(self) -> BrokerState:
        """What is known of the broker; in any thread."""
        is_reachable = False if self._is_away else True if self._has_sent else None
        return BrokerState(is_reachable, self._unsent)

    def ring(self, groups: Sequence[Group]) -> None:
        """Have a message sent for each of these groups. It neither waits nor raises."""
        with self._changed:
            self._waiting.extend(groups)
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self._note_unsent()
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._send_all, name="celery doorbell", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Send nothing more. A message that is being sent is not waited for."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _send_all(self) -> None:
        while (group := self._next()) is not None:
            try:
                self._send(group)
            except Exception as error:
                # A broker's library may raise anything, and nothing depends on it.
                self._hang_up()
                self._note_away(error)
            else:
                self._note_back()
        self._hang_up()

    def _next(self) -> Group | None:
        """Wait for a group to ring for; None: it is closed."""
        with self._changed:
            if self._is_away:
                self._changed.wait_for(lambda: self._is_closed, AWAY_PAUSE)
                # Workers have found these meanwhile; the last one shows whether the broker is back.
                while len(self._waiting) > 1:
                    self._waiting.popleft()
                    self._note_unsent()
            self._changed.wait_for(lambda: self._is_closed or self._waiting)
            return None if self._is_closed else self._waiting.popleft()

    def _send(self, group: Group) -> None:
        if self._connection is None:
            self._connection = self._app.connection_for_write(
                self._broker, transport_options=_transport_options(self._broker)
            )
            self._connection.connect()
        self._app.send_task(
            TASK, [str(group.id)], task_id=str(group.id), queue=group.queue,
            producer=self._app.amqp.Producer(self._connection, auto_declare=False),
            shadow=shown_name(group), expires=EXPIRY, ignore_result=True, retry=False, add_to_parent=False,
            # The workers declare their queues, perhaps with options that are not known here.
            declare=[], delivery_mode="transient",
        )  # fmt: skip

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            connection.release()
        except Exception as error:
            logger.debug("the connection to the Celery broker was not closed in good order: %s", type(error).__name__)

    def _note_unsent(self) -> None:
        self._dropped += 1
        self._unsent += 1

    def _note_away(self, error: Exception) -> None:
        with self._changed:
            self._note_unsent()
        if not self._is_away:
            self._is_away = True
            logger.warning(
                "the Celery broker cannot be reached: %s; workers look for groups each second",
                self._clean(f"{type(error).__name__}: {error}"),
            )

    def _note_back(self) -> None:
        self._has_sent = True
        if self._is_away or (self._dropped and not self._waiting):
            logger.info(
                "the Celery broker %s; %d groups went without a message",
                "is back" if self._is_away else "is slow", self._dropped,
            )  # fmt: skip
            self._is_away, self._dropped = False, 0


def shown_name(group: Group) -> str:
    """Return what Celery's monitoring shows as the task's name: the job, or the first of several."""
    first, *others = group.class_paths
    return f"{first} and {len(others)} more" if others else first


def doorbell_of(settings: Settings) -> CeleryDoorbell | None:
    """Return the doorbell that the settings ask for; None: there is none.

    Raises:
        SettingsError: Celery, or what it needs for this broker, is not installed; or there is no such kind of broker.
    """
    if not settings.celery_broker:
        return None
    app = celery_app(settings)
    return CeleryDoorbell(app, settings.celery_broker, settings.redactor().clean)


def problem_of_broker(settings: Settings) -> str | None:
    """Connect to the broker that the settings name; return what is wrong with it, None where it answers.

    Raises:
        SettingsError: see `doorbell_of`.
    """
    broker = settings.celery_broker
    connection = celery_app(settings).connection_for_write(broker, transport_options=_transport_options(broker))
    try:
        connection.connect()
    except Exception as error:
        return settings.redactor().clean(f"{type(error).__name__}: {error}")
    finally:
        connection.release()
    return None


def celery_app(settings: Settings, **configuration: Any) -> Any:
    """Return an app of Celery's with the broker that the settings name.

    Args:
        settings: with `celery_broker`.
        configuration: more of Celery's own settings.

    Raises:
        SettingsError: see `doorbell_of`.
    """
    try:
        from celery import Celery  # an extra

        app = Celery("rowhooks", set_as_current=False, broker=settings.celery_broker, **configuration)
        # It imports what this kind of broker needs, and connects to nothing.
        app.connection_for_write(settings.celery_broker).transport  # noqa: B018
    except ImportError as error:
        raise SettingsError(
            f"celery_broker: a package is not installed: {error}",
            hint="install rowhooks[celery], or take the setting out",
        ) from error
    except (KeyError, ValueError) as error:
        clean = settings.redactor().clean
        raise SettingsError(
            f"celery_broker: this is no broker that Celery knows: {clean(str(error))}",
            hint="give an address such as redis://HOST:6379/0 or amqp://USER:PASSWORD@HOST:5672//",
        ) from error
    return app


def _transport_options(broker: str) -> dict[str, Any]:
    """Return what bounds how long a message takes, and shows that one has arrived."""
    if broker.startswith(("redis", "sentinel")):
        return {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE}
    return {
        "confirm_publish": True, "connect_timeout": PATIENCE, "read_timeout": PATIENCE, "write_timeout": PATIENCE,
    }  # fmt: skip
