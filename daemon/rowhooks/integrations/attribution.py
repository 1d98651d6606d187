"""Who did it: for whom this code writes. The frameworks' integrations read it; it needs no framework itself.

with attributed(user="alice", context="import"):
    session.commit()
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass

from rowhooks.domain.errors import UsageError

logger = logging.getLogger(__name__)

Value = object | Callable[[], object]
"""What stands for itself, or a function that returns it before a statement that may write; None says nothing."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """What a transaction says of its author; an empty text says nothing.

    Args:
        user: `rowhooks.user`.
        request_id: `rowhooks.request_id`.
        context: `rowhooks.context`.
    """

    user: str = ""
    request_id: str = ""
    context: str = ""


NOBODY = Attribution()
_LENGTHS = {"user": 255, "request_id": 255, "context": 1000}
"""Characters that the log keeps."""


@dataclass(slots=True)
class _Block:
    """What `attributed` was given. Every task and thread of the block has the same object, so that all see a change."""

    user: Value
    request_id: Value
    context: Value
    outer: _Block | None = None


_block: ContextVar[_Block | None] = ContextVar("rowhooks_attribution", default=None)
_is_asking: ContextVar[bool] = ContextVar("rowhooks_asks_for_the_user", default=False)


@contextlib.contextmanager
def attributed(*, user: Value = None, request_id: Value = None, context: Value = None) -> Iterator[None]:
    """Write for a user: the transactions of this block carry these values into the log of changes.

    The block holds for the tasks, and for the threads of `asyncio.to_thread`, that begin in it. It has an effect on
    Django's connections and on SQLAlchemy's engines that the integrations were told of. What is None is as in the block
    around it.

    Args:
        user: the user's name, or a function that returns it. A function is called before each statement that may
            write; None from it is nobody.
        request_id: what the changes have in common, such as the id of the web request, or a function; 255 characters
            of it are kept.
        context: where the changes come from, or a function; 1,000 characters of it are kept.
    """
    around = _block.get()
    outer = around or _Block(None, None, None)
    inner = _Block(
        outer.user if user is None else user,
        outer.request_id if request_id is None else request_id,
        outer.context if context is None else context,
        around,
    )
    _block.set(inner)
    try:
        yield
    finally:
        _end(inner)


def _end(block: _Block) -> None:
    """Take a block away. The block of a generator may end before one that began inside of it, or in another context."""
    inside = _block.get()
    if inside is block:
        _block.set(block.outer)
        return
    while inside is not None and inside.outer is not block:
        inside = inside.outer
    if inside is None:
        _warn_of_context()
    else:
        inside.outer = block.outer


@functools.cache
def _warn_of_context() -> None:
    logger.warning(
        "attributed() has ended in another task or thread than it began in, so it named no author between; this happens"
        " to a dependency of FastAPI that is `def` and has a yield: make it `async def`"
    )


def set_user(user: Value) -> None:
    """Name the user of the present block (of the present request), where it is only now known.

    Raises:
        UsageError: no block is open.
    """
    block = _block.get()
    if block is None:
        raise UsageError(
            "set_user() was called outside of a request and of attributed()",
            hint="add the middleware (docs/applications.md), or write: with attributed(user=...)",
        )
    block.user = user


def is_open() -> bool:
    """Say whether this code runs inside of `attributed`, or of a request."""
    return _block.get() is not None


def present() -> Attribution | None:
    """Return for whom this code writes; None while this is being asked for."""
    block = _block.get()
    if block is None:
        return NOBODY
    if _is_asking.get():
        return None
    return Attribution(
        _text("user", block.user), _text("request_id", block.request_id), _text("context", block.context)
    )


def _text(name: str, value: Value) -> str:
    token = _is_asking.set(True)
    try:
        found = value() if callable(value) else value
        return "" if found is None else str(found)[: _LENGTHS[name]]
    except Exception:
        # The application's write does not fail because its author cannot be found out.
        logger.exception("rowhooks.%s of a transaction cannot be found out: it is written without", name)
        return ""
    finally:
        _is_asking.reset(token)
