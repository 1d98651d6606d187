"""Which drivers this environment has: Django takes psycopg 3 as soon as it is there. Nothing here imports one."""

from __future__ import annotations

from importlib.util import find_spec

BOTH_DRIVERS = "psycopg 3 and psycopg2 are both installed here, and Django uses psycopg 3 without saying so"
WAY_OUT = (
    "if the application is to keep psycopg2, give it an environment with rowhooks alone, without rowhooks[daemon]; if"
    " it is to use psycopg 3, uninstall psycopg2"
)


def has_both_drivers() -> bool:
    """Say whether psycopg 3 and psycopg2 are both installed."""
    return find_spec("psycopg") is not None and find_spec("psycopg2") is not None


def chooses_for_django() -> bool:
    """Say whether Django is installed, and has two drivers to choose from."""
    return find_spec("django") is not None and has_both_drivers()
