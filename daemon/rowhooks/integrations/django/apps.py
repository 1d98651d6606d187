"""The app: it marks transactions outside of web requests too, and checks which driver Django uses."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.core.checks import CheckMessage, Info, register

from rowhooks.integrations.django.transactions import install
from rowhooks.postgres.connections.drivers import BOTH_DRIVERS, WAY_OUT, has_both_drivers


class RowhooksConfig(AppConfig):  # type: ignore[misc]
    """`rowhooks.integrations.django` in INSTALLED_APPS."""

    name = "rowhooks.integrations.django"
    label = "rowhooks"
    verbose_name = "rowhooks"

    def ready(self) -> None:
        """Begin to mark transactions, and register the check."""
        install()
        register(_check_drivers)


def _check_drivers(**_: Any) -> list[CheckMessage]:
    if not has_both_drivers():
        return []
    return [Info(BOTH_DRIVERS, hint=WAY_OUT, id="rowhooks.I001")]
