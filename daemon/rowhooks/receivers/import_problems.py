"""Why a module could not be imported: the real cause first, and a traceback that begins in the user's code."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

from rowhooks.domain.errors import RowhooksError

_OURS = str(Path(__file__).parents[1])


@dataclass(frozen=True)
class ImportProblem:
    """A module that could not be imported.

    Args:
        module: its name, as the settings have it.
        message: the error that everything began with, in one line, and where it was raised.
        traceback: the frames of the user's code, as text; of a refused class its registration and the way out.
        is_refusal: a class was refused: there is no traceback, but two lines.
    """

    module: str
    message: str
    traceback: str
    is_refusal: bool = False


def import_problem(module: str, error: BaseException) -> ImportProblem:
    """Describe why a module could not be imported.

    Args:
        module: its name, as the settings have it.
        error: what importing it has raised.
    """
    cause = _first(error)
    if isinstance(error, RowhooksError):
        # What was refused is named with its place; the frames say nothing more.
        place = raised_in(error)
        lines = [f"  registered in {place}" if place else None, f"  write: {error.hint}" if error.hint else None]
        return ImportProblem(module, error.message, "\n".join(filter(None, lines)), is_refusal=True)
    place = raised_in(cause)
    message = f"{type(cause).__name__}: {cause}"
    if place is not None and not isinstance(cause, SyntaxError):
        message += f" ({place})"
    if cause is not error:
        message += f"; because of it {type(error).__name__}: {error}"
    return ImportProblem(module, message, _shortened(error))


def raised_in(error: BaseException) -> str | None:
    """Return the line of a user's code that an error came from."""
    found = [one for one in traceback.extract_tb(error.__traceback__) if not _is_machinery(one)]
    return f"{found[-1].filename}, line {found[-1].lineno}" if found else None


def _first(error: BaseException) -> BaseException:
    """Return the error that an error was raised from, or because of."""
    seen = {id(error)}
    while True:
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is None or id(before) in seen:
            return error
        seen.add(id(before))
        error = before


def _is_machinery(frame: traceback.FrameSummary) -> bool:
    """Say whether a frame is the import system's, or ours."""
    return frame.filename.startswith(("<frozen", _OURS)) or frame.filename.endswith("importlib/__init__.py")


def _shortened(error: BaseException) -> str:
    found: traceback.TracebackException | None = traceback.TracebackException.from_exception(error)
    whole = found
    while found is not None:
        kept = [one for one in found.stack if not _is_machinery(one)]
        found.stack = traceback.StackSummary.from_list(kept)
        found = found.__cause__ or found.__context__
    assert whole is not None
    return "".join(whole.format())
