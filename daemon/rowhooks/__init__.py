"""rowhooks: run small Python classes when rows of a PostgreSQL database change."""

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.errors import RowhooksError
from rowhooks.receivers.base import JobHookReceiver
from rowhooks.receivers.registry import register_jobs
from rowhooks.receivers.table import table

__version__ = "0.1.0"
__all__ = ["JobHookReceiver", "ObjectChange", "RowhooksError", "__version__", "register_jobs", "table"]
