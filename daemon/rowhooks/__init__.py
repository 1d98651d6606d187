"""rowhooks: run small Python classes when rows of a PostgreSQL database change."""

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import RowhooksError, SoftTimeLimitExceeded
from rowhooks.domain.permissions import PermissionBackend
from rowhooks.pressing import press
from rowhooks.receivers.base import JobButtonReceiver, JobHookReceiver
from rowhooks.receivers.declaration import Hook
from rowhooks.receivers.registry import register_jobs
from rowhooks.receivers.table import table

__version__ = "0.1.0"
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
    "register_jobs",
    "table",
]
