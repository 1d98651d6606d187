"""Tracing: the subscriber that makes spans, where the settings ask for it; its packages are an extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rowhooks.domain.errors import SettingsError
from rowhooks.domain.events import Events
from rowhooks.settings import Settings

if TYPE_CHECKING:
    from rowhooks.observability.traces import Tracing


def tracing_of(settings: Settings, events: Events) -> Tracing | None:
    """Return what makes spans of the runs of a daemon or a worker; None: the setting `traces` is off.

    Args:
        settings: of the process.
        events: those that it listens to.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    if not settings.traces:
        return None
    try:
        from rowhooks.observability.traces import Tracing
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"traces: the package {error.name} is not installed",
            hint="install rowhooks[otel], or take the setting out",
        ) from error
    return Tracing(events)
