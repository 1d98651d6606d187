"""The constants that receivers compare with, under Nautobot's names."""

from __future__ import annotations

from typing import Final


class ObjectChangeActionChoices:
    """What happened to a row; the values of `action`."""

    ACTION_CREATE: Final = "create"
    ACTION_UPDATE: Final = "update"
    ACTION_DELETE: Final = "delete"


class JobResultStatusChoices:
    """The states of a run, under the names that Celery and Nautobot use."""

    STATUS_PENDING: Final = "PENDING"
    STATUS_STARTED: Final = "STARTED"
    STATUS_RETRY: Final = "RETRY"
    STATUS_SUCCESS: Final = "SUCCESS"
    STATUS_FAILURE: Final = "FAILURE"
    STATUS_REVOKED: Final = "REVOKED"
