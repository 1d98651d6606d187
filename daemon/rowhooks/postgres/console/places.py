"""Places in listings that are ordered by a time and an id, as they stand in addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rowhooks.domain.errors import UsageError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TEXT = re.compile(r"(-?\d{1,18})\.(\d{1,18})", re.ASCII)


@dataclass(frozen=True, order=True)
class Place:
    """A place in a listing: rows come before or after it.

    Args:
        at: the time of the row there.
        id: its id, which tells it from others of the same time.
    """

    at: datetime
    id: int

    def __str__(self) -> str:
        """Return the text that `parse` reads: microseconds since 1970, a dot, the id."""
        return f"{(self.at - _EPOCH) // _MICROSECOND}.{self.id}"

    @property
    def order(self) -> str:
        """A text that sorts as the place does."""
        return f"{(self.at - _EPOCH) // _MICROSECOND:020d}.{self.id:020d}"

    @classmethod
    def parse(cls, text: str) -> Place:
        """Read a place in an address.

        Raises:
            UsageError: it is none.
        """
        found = _TEXT.fullmatch(text)
        try:
            if found is None:
                raise ValueError
            return cls(_EPOCH + int(found[1]) * _MICROSECOND, int(found[2]))
        except (ValueError, OverflowError):
            raise UsageError(f"{text[:50]!r} is not a place in a listing", hint="begin with the newest") from None
