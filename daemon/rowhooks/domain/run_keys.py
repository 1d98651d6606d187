"""Idempotency keys: what outside systems know a run by."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

from rowhooks.domain.change import ObjectChange
from rowhooks.domain.configuration import JobHook

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_VARIANT = str.maketrans("0123456789abcdef", "89ab" * 4)


class Keys:
    """Derives the keys of the runs that changes start: the same whoever derives them, and however often.

    Ids begin again where a backup is put back, and transactions too; what has the same ids then has another time.

    Args:
        history: new wherever the log goes on in another cluster or database; the namespace of the keys (RFC 9562).
        installation: what keys of the older form begin with.
        old_until: changes up to this id have keys of the older form.
    """

    def __init__(self, history: UUID, installation: UUID, old_until: int = 0) -> None:
        self._seed = hashlib.sha1(history.bytes, usedforsecurity=False)
        self._installation = installation
        self._old_until = old_until

    def of(self, change: ObjectChange, hook: JobHook) -> str:
        """Return the key of the run that a change starts through a hook."""
        if change.id <= self._old_until:
            return f"{self._installation}:{change.id}:{hook.id}"
        microseconds = (change.time - _EPOCH) // _MICROSECOND
        digest = self._seed.copy()
        digest.update(f"{change.id}:{change.transaction_id}:{microseconds}:{hook.id}".encode())
        # As uuid.uuid5 does, which takes three times as long: there is one for each run.
        text = digest.hexdigest()
        variant = text[16].translate(_VARIANT)
        return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{variant}{text[17:20]}-{text[20:32]}"
