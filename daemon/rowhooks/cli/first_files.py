"""The files of a quick start: settings, password file, a receiver and its test; which of them are there already."""

from __future__ import annotations

import contextlib
import os
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from rowhooks.cli.scaffold import Files, NewReceiver, TestRow, rendered, toml_text
from rowhooks.domain.errors import Conflict, SettingsError
from rowhooks.postgres.connections.derived import dsn_for_login, login_of, passfile_line, passfile_of
from rowhooks.postgres.connections.target import Target
from rowhooks.settings import read_file

_PGPASSWORD = "PGPASSWORD"


class FirstFiles:
    """The files of a quick start in one directory.

    Args:
        target: the database, as the administrator.
        receiver: the receiver to be written.
        login: the daemon's login.
        is_new_login: whether it is created, with a password.
    """

    def __init__(self, target: Target, receiver: NewReceiver, login: str, *, is_new_login: bool) -> None:
        self._target = target
        self._receiver = receiver
        self._login = login
        self._is_new_login = is_new_login
        self.directory = receiver.directory
        self.settings = self.directory / "rowhooks.toml"
        self.passfile = self.directory / "rowhooks.pgpass"
        self._ignored = self.directory / ".gitignore"

    @cached_property
    def _in_settings(self) -> dict[str, object] | None:
        return read_file(self.settings)[1] if self.settings.exists() else None

    @property
    def dsn(self) -> str:
        """The daemon's DSN: that of the settings file, where it is there."""
        if self._in_settings is not None:
            return str(self._in_settings.get("dsn") or "")
        return dsn_for_login(self._target, self._login, self.passfile.resolve() if self._is_new_login else None)

    @property
    def has_passfile(self) -> bool:
        """Whether the DSN names a password file."""
        return bool(passfile_of(self.dsn))

    @property
    def present(self) -> list[Path]:
        """The files that are there already."""
        return [file for file in self._planned() if file.exists() or file.is_symlink()]

    @property
    def missing(self) -> dict[Path, str]:
        """The files that are to be written, with what each of them is."""
        return {file: what for file, what in self._planned().items() if file not in self.present}

    def _planned(self) -> dict[Path, str]:
        planned = {
            self._receiver.file: "the receiver",
            self._receiver.test_file: "its test",
            self.settings: "the daemon's settings",
        }
        if self._is_new_login:
            planned[self.passfile] = "the daemon's password, mode 0600"
            if not self._ignored.exists():
                planned[self._ignored] = "keeps the password out of git"
        return planned

    def check(self) -> None:
        """Make sure that what is there was made by a quick start like this one, and that the rest can be written.

        Raises:
            Conflict: a file is there that would have to be overwritten.
            UsageError: the directory cannot be written to.
        """
        hint = "choose another directory with --into"
        if self._in_settings is None and (present := self.present):
            raise Conflict(f"{', '.join(map(str, present))}: there already; nothing was done", hint=hint)
        if self._in_settings is not None:
            self._check_settings(hint)
        if self._is_new_login and self.passfile in self.present:
            raise Conflict(
                f"{self.passfile} is there already, but login {self._login} is not; nothing was done",
                hint="remove the file, with the password of a login that is gone; or choose another directory with"
                " --into",
            )
        Files(dict.fromkeys(self.missing, "")).check()

    def _check_settings(self, hint: str) -> None:
        assert self._in_settings is not None, "it is there"
        named = self._in_settings.get("receivers")
        if not isinstance(named, list) or self._receiver.entry not in named:
            raise Conflict(
                f"{self.settings} is there already, and its receivers do not name {self._receiver.entry}; nothing was"
                " done",
                hint=f"{hint}; or, for one more receiver of that daemon: rowhooks new receiver NAME --table TABLE",
            )
        if login_of(self.dsn) != self._login:
            raise Conflict(
                f"{self.settings} is there already, with another login than {self._login}; nothing was done", hint=hint
            )
        if self._is_new_login and Path(passfile_of(self.dsn)) != self.passfile.resolve():
            raise Conflict(
                f"{self.settings} is there already, with another password file than {self.passfile}; nothing was done",
                hint=hint,
            )

    def made(self, row: TestRow, password: str) -> Files:
        """Return the files that are missing, with their texts.

        Args:
            row: that of the test.
            password: the new login's.
        """
        notes = ["The password of the login is in the passfile."] if self._is_new_login else []
        texts = {
            self._receiver.file: self._receiver.source(),
            self._receiver.test_file: self._receiver.test_source(row),
            self.settings: rendered(
                "rowhooks.toml", dsn=toml_text(self.dsn), receivers=toml_text(self._receiver.entry), notes=notes
            ),
            self.passfile: passfile_line(self._target, self._login, password),
            self._ignored: f"{self.passfile.name}\n",
        }
        _check_toml(texts[self.settings])
        return Files({file: texts[file] for file in self.missing}, frozenset([self.passfile]))


@contextlib.contextmanager
def passwords_of_environment_left_out(dsn: str) -> Iterator[None]:
    """Let a DSN's password file count while the block runs: libpq would take PGPASSWORD first."""
    kept = os.environ.pop(_PGPASSWORD, None) if passfile_of(dsn) else None
    try:
        yield
    finally:
        if kept is not None:
            os.environ[_PGPASSWORD] = kept


def _check_toml(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"the settings could not be read back: {error}") from error
