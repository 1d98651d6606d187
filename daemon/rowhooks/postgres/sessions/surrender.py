"""Surrender: how an asynchronous receiver that was abandoned, and goes on, loses its session with its connection."""

from __future__ import annotations

import logging

from sqlalchemy.exc import IllegalStateChangeError
from sqlalchemy.ext.asyncio import AsyncSession

from rowhooks.postgres.sessions.grip import Grip

logger = logging.getLogger(__name__)

SURRENDER_AFTER = 0.1
"""Seconds after which an asynchronous receiver that was abandoned and has not ended loses its session."""
SURRENDER_PATIENCE = 5.0
"""Seconds for which what still waits on its connection is waited for."""


async def surrendered(session: AsyncSession, grip: Grip) -> bool:
    """Take the session away from a receiver that was abandoned; return False where that is to be tried again.

    Args:
        session: its own, on a connection that has been cut.
        grip: the hold on that connection.
    """
    try:
        # Not under a call that still waits; it ends, as the connection is cut. libuv ends the process where a
        # descriptor is closed that it is about to watch.
        async with grip.idle(SURRENDER_PATIENCE):
            await session.invalidate()
    except IllegalStateChangeError:
        # It waits for a connection, or it flushes: that comes to an end, and nothing more begins.
        return False
    except Exception as error:  # noqa: BLE001  (nothing waits for this)
        logger.warning("an abandoned receiver keeps its connection: %s", error)
    return True
