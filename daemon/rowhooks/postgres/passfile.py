r"""Passfile: ~/.pgpass, read as libpq does; asyncpg leaves in the backslashes that `:` and `\` are written with."""

from __future__ import annotations

import logging
import re
import stat
from collections.abc import Iterable
from pathlib import Path

logger = logging.getLogger(__name__)

_FIELD = re.compile(r"((?:\\.|[^:\\])*)(?::|$)", re.DOTALL)


def password_for(file: Path, hosts: Iterable[tuple[str, int]], database: str, user: str) -> str | None:
    """Return the password of the first host that the file knows, None where there is none.

    Args:
        file: need not exist; it is passed over where others than its owner may read it, as libpq does.
        hosts: names or a socket's directory, with their ports.
        database: its name.
        user: the login.
    """
    try:
        if not file.is_file():
            return None
        if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            logger.warning("%s is not read: others than its owner have access to it (chmod 0600)", file)
            return None
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        logger.warning("%s cannot be read: %s", file, error)
        return None
    entries = [_fields(line) for line in lines if line and not line.startswith("#")]
    for host, port in hosts:
        names = {host, "localhost"} if host.startswith("/") or not host else {host}
        for entry in entries:
            if len(entry) == 5 and entry[0] in {*names, "*"} and _fits(entry[1:4], (str(port), database, user)):
                return entry[4]
    return None


def _fields(line: str) -> list[str]:
    return [re.sub(r"\\(.)", r"\1", field) for field in _FIELD.findall(line)][:5]


def _fits(fields: list[str], wanted: tuple[str, ...]) -> bool:
    return all(field in ("*", value) for field, value in zip(fields, wanted, strict=True))
