"""The app of `celery -A rowhooks.integrations.celery`, configured from rowhooks' own settings."""

from __future__ import annotations

from functools import cache
from typing import Any

from celery import signals

from rowhooks.domain.errors import SettingsError
from rowhooks.integrations.celery.attached import Attached
from rowhooks.observability.logs import configure_logging
from rowhooks.runtime.doorbell import celery_app
from rowhooks.settings import Settings, load_settings


@cache
def standalone_app() -> Any:
    """Return the app.

    Raises:
        SettingsError: a setting is wrong, or `celery_broker` is not set.
    """
    settings = load_settings()
    if not settings.celery_broker:
        raise SettingsError(
            "celery_broker is not set: Celery's workers have no broker",
            hint="name it in rowhooks.toml or in ROWHOOKS_CELERY_BROKER, here and for the daemon",
        )
    app = celery_app(settings)
    app.conf.update(
        # Without -Q.
        task_default_queue=settings.default_queue,
        # What a process does not execute yet, another one may.
        worker_prefetch_multiplier=1,
        # Flower and `celery events` show what is executed.
        worker_send_task_events=True,
        # A broker that is away is waited for; groups are found without it.
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        accept_content=["json"],
    )
    Attached(app, None, exits=True).attach()
    signals.setup_logging.connect(lambda **_: _log(settings), weak=False, dispatch_uid="rowhooks")
    return app


def _log(settings: Settings) -> None:
    """Log as the daemon does: secrets are blanked, and runs are named."""
    configure_logging(settings.log_level, settings.log_format, settings.redactor().clean)
