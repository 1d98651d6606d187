"""Runs what doctor prints as whoever pastes it into a shell would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict

from rowhooks.demo.embedded import find_binaries

_LIBPQ = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}


def run_as_printed(way_out: str, dsn: str) -> str:
    """Run the first command of a way out in a shell, connected as a DSN says; return what it printed.

    Args:
        way_out: what doctor printed: text, a colon, a command; or a command alone.
        dsn: for psql and rowhooks alike.
    """
    return run_in_a_shell(re.sub(r"^[^:']*: (?=psql|rowhooks)", "", re.split(r"; (?:or|where)\b", way_out)[0]), dsn)


def run_in_a_shell(command: str, dsn: str) -> str:
    """Run a command in a shell, connected as a DSN says to psql and rowhooks alike; return what it printed."""
    given = {_LIBPQ[name]: str(value) for name, value in conninfo_to_dict(dsn).items() if name in _LIBPQ}
    places = [str(find_binaries()), str(Path(sys.executable).parent), os.environ["PATH"]]
    done = subprocess.run(
        ["sh", "-ec", command],
        capture_output=True, text=True, check=False,
        env={**os.environ, **given, "PATH": os.pathsep.join(places), "ROWHOOKS_DSN": dsn},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
