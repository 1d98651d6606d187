"""The console on a database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette

from rowhooks.web.live import streams
from tests.support.console import consoles_closed, make_console, make_people


@pytest.fixture
def quick_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Live pages look often: how long the pauses are is tried by itself."""
    monkeypatch.setattr(streams, "FASTEST", 0.01)
    monkeypatch.setattr(streams, "SLOWEST", 0.02)


@pytest.fixture
def console(dsn: str, db: psycopg.Connection[Any]) -> Iterator[Starlette]:
    """The console, and the roles alice (viewer), oscar (operator), ada (admin) and mallory (nothing)."""
    make_people(db)
    with consoles_closed():
        yield make_console(dsn)
