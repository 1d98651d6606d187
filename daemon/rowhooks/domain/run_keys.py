"""Idempotency keys: what outside systems know a run by."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


class Keys:
    """Derives the keys of the runs that changes start: the same whoever derives them, and however often.

    Where a backup is restored, ids and transaction ids begin again; a change with the same ids then has another time.

    Args:
        history: the namespace of the keys (RFC 9562); new wherever the log goes on in another cluster or database.
    """

    def __init__(self, history: UUID) -> None:
        self._seed = hashlib.sha1(history.bytes, usedforsecurity=False)

    def of(self, change: ObjectChange, hook: JobHook) -> str:
        """Return the key of the run that a change starts through a hook."""
        microseconds = (change.time - _EPOCH) // _MICROSECOND
        digest = self._seed.copy()
        digest.update(f"{change.id}:{change.transaction_id}:{microseconds}:{hook.id}".encode())
        # As uuid.uuid5 does, which takes three times as long: there is one for each run.
        text = digest.hexdigest()
        return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
