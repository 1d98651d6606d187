"""rowhooks: run small Python classes when rows of a PostgreSQL database change."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rowhooks.domain.change import ObjectChange
    from rowhooks.domain.errors import RowhooksError, SoftTimeLimitExceeded
    from rowhooks.domain.permissions import PermissionBackend
    from rowhooks.pressing import press, press_many
    from rowhooks.receivers.base import JobButtonReceiver, JobHookReceiver
    from rowhooks.receivers.declaration import Hook
    from rowhooks.receivers.registry import register_jobs
    from rowhooks.receivers.table import table

__version__ = "0.2.0"
__all__ = [
    "Hook",
    "JobButtonReceiver",
    "JobHookReceiver",
    "ObjectChange",
    "PermissionBackend",
    "RowhooksError",
    "SoftTimeLimitExceeded",
    "__version__",
    "press",
    "press_many",
    "register_jobs",
    "table",
]

# Imported when first used: an application that presses buttons needs nothing of the receivers.
_MODULES = {
    "Hook": "rowhooks.receivers.declaration",
    "JobButtonReceiver": "rowhooks.receivers.base",
    "JobHookReceiver": "rowhooks.receivers.base",
    "ObjectChange": "rowhooks.domain.change",
    "PermissionBackend": "rowhooks.domain.permissions",
    "RowhooksError": "rowhooks.domain.errors",
    "SoftTimeLimitExceeded": "rowhooks.domain.errors",
    "press": "rowhooks.pressing",
    "press_many": "rowhooks.pressing",
    "register_jobs": "rowhooks.receivers.registry",
    "table": "rowhooks.receivers.table",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value
