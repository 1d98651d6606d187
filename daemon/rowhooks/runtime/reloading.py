"""Reloading in development: the daemon loads new code when a file of its receivers is saved (`rowhooks run --reload`).

What is done then is what SIGHUP does. watchfiles tells of the files; it is an extra.
"""

from __future__ import annotations

import logging
import sys
import sysconfig
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from rowhooks.domain import shell
from rowhooks.domain.errors import SettingsError, UsageError
from rowhooks.settings import Settings

logger = logging.getLogger(__name__)


def check_reloading(environment: Mapping[str, str]) -> None:
    """Make sure that files can be watched.

    Raises:
        UsageError: the daemon is a service of systemd, which reloads it by itself.
        SettingsError: the package watchfiles is not installed.
    """
    if environment.get("NOTIFY_SOCKET"):
        raise UsageError(
            "--reload is for development; this daemon is a service of systemd",
            hint=f"take it out of the unit; to load new code: {shell.command('systemctl', 'reload', 'rowhooks')}",
        )
    try:
        import watchfiles  # noqa: F401  (an extra)
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"--reload: the package {error.name} is not installed",
            hint=f"run: {shell.command('pip', 'install', 'rowhooks[reload]')}",
        ) from error
    # It tells of each change, also of those that are none of ours.
    logging.getLogger("watchfiles").setLevel(logging.WARNING)


def watched_directories(settings: Settings) -> list[Path]:
    """Return the directories with the code of receivers and models, as far as it is not installed.

    They are those of the settings file, of the modules that it names, and of what was imported from beside these.
    """
    directory = settings.directory.resolve()
    entries = [entry.partition(":")[0] for entry in (*settings.receivers, *settings.models)]
    files = [(directory / entry).resolve() for entry in entries if entry.endswith(".py")]
    packages = {entry.partition(".")[0] for entry in entries if not entry.endswith(".py")}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and (name.partition(".")[0] in packages or Path(file).resolve().is_relative_to(directory)):
            files.append(Path(file).resolve())
    installed = [Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib", "stdlib")]
    found = {directory, *(file.parent for file in files)}
    return sorted(one for one in found if one.is_dir() and not any(map(one.is_relative_to, installed)))


async def watch(directories: Iterable[Path], since: int, changed: Callable[[], Awaitable[None]]) -> None:
    """Call a function whenever a .py or .toml file in one of these directories was written; end by cancellation.

    Args:
        directories: without those below them.
        since: the time in nanoseconds at which the code was loaded: what was written later counts at once.
        changed: is called once for files that were written together.
    """
    from watchfiles import Change, awatch  # an extra

    named = list(directories)

    def is_code(change: Change, path: str) -> bool:
        return path.endswith((".py", ".toml"))

    is_first = True
    try:
        # The first round ends soon: only then is it sure that the directories are watched.
        async for changes in awatch(
            *named, watch_filter=is_code, recursive=False, yield_on_timeout=True, rust_timeout=1000
        ):
            if changes or (is_first and _is_newer(named, since)):
                names = ", ".join(sorted({Path(path).name for _, path in changes})) or "a file"
                logger.info("%s was written", names)
                await changed()
            is_first = False
    except OSError as error:
        logger.error("the files of receivers are not watched any more; to load new code, start again: %s", error)


def _is_newer(directories: Iterable[Path], since: int) -> bool:
    return any(
        file.stat().st_mtime_ns > since
        for directory in directories
        for ending in ("*.py", "*.toml")
        for file in directory.glob(ending)
        if file.exists()
    )
