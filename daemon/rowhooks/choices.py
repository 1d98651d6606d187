"""The choices that receivers compare with, under the names Nautobot users know."""

from __future__ import annotations

from typing import Final


class ObjectChangeActionChoices:
    """What happened to the row."""

    ACTION_CREATE: Final = "create"
    ACTION_UPDATE: Final = "update"
    ACTION_DELETE: Final = "delete"


class JobResultStatusChoices:
    """Where a run stands (the names of Celery's states, as in Nautobot)."""

    STATUS_PENDING: Final = "PENDING"
    STATUS_STARTED: Final = "STARTED"
    STATUS_RETRY: Final = "RETRY"
    STATUS_SUCCESS: Final = "SUCCESS"
    STATUS_FAILURE: Final = "FAILURE"
    STATUS_REVOKED: Final = "REVOKED"
