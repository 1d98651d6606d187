"""The extras of the package: what brings the libraries that a command needs."""

from __future__ import annotations

from collections.abc import Iterable

from rowhooks.domain.errors import UsageError

_EXTRAS = {"apply": "plan", "demo": "embedded", "export": "plan", "plan": "plan", "stubs": "stubs"}
"""What a command needs beside the daemon's libraries, which each of these brings too."""


def library_missing(error: ModuleNotFoundError, words: Iterable[str]) -> UsageError:
    """Return the error of a command that lacks a library.

    Args:
        error: what the import raised.
        words: the words of the command line.

    Raises:
        ModuleNotFoundError: the same error, if the module that is missing is our own.
    """
    if str(error.name).partition(".")[0] == "rowhooks":
        raise error
    extra = next((_EXTRAS[word] for word in words if word in _EXTRAS), "daemon")
    return UsageError(
        f"there is no module {error.name}: this is rowhooks for applications, without the command line and the daemon",
        hint=f"where they are to run: pip install 'rowhooks[{extra}]'",
    )
