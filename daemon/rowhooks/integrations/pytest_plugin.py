"""The pytest plugin: the fixture `rowhooks`. It imports rowhooks.testing only when a test uses the fixture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rowhooks.testing import Rehearsal


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option and the setting that name the database."""
    what = "The database on which receivers are tested; everything in it is rolled back."
    parser.getgroup("rowhooks").addoption("--rowhooks-dsn", metavar="DSN", default=None, help=what)
    parser.addini("rowhooks_dsn", what, default="")
    parser.addini("rowhooks_models", "Modules with SQLAlchemy classes for rows, as in the setting models.", "args")


@pytest.fixture(scope="session")
def rowhooks_dsn(pytestconfig: pytest.Config) -> str:
    """The DSN of the database on which receivers are tested. Override the fixture to create a database."""
    dsn = (
        pytestconfig.getoption("--rowhooks-dsn")
        or pytestconfig.getini("rowhooks_dsn")
        or os.environ.get("ROWHOOKS_TEST_DSN")
    )
    if not dsn:
        pytest.fail(
            "rowhooks: no database to test on was named. Name one with the option --rowhooks-dsn, with rowhooks_dsn in"
            " pytest's settings, with ROWHOOKS_TEST_DSN in the environment, or with a fixture rowhooks_dsn of scope"
            ' "session" in conftest.py.',
            pytrace=False,
        )
    return str(dsn)


@pytest.fixture(scope="session")
def rowhooks_models(pytestconfig: pytest.Config) -> list[str]:
    """The modules with SQLAlchemy classes for rows. Override the fixture, or name them in pytest's settings."""
    return list(pytestconfig.getini("rowhooks_models"))


@pytest.fixture
def rowhooks(rowhooks_dsn: str, rowhooks_models: list[str]) -> Iterator[Rehearsal]:
    """A rehearsal: call `rowhooks.run_hook(...)` and `rowhooks.press_button(...)`. Its transaction is rolled back."""
    try:
        from rowhooks.testing import Rehearsal
    except ModuleNotFoundError as error:
        if str(error.name).partition(".")[0] == "rowhooks":
            raise
        pytest.fail(
            f"rowhooks: there is no module {error.name}. Receivers are tested with the daemon's libraries, also in an"
            " application: pip install 'rowhooks[daemon]'",
            pytrace=False,
        )
    with Rehearsal(rowhooks_dsn, models=rowhooks_models) as rehearsal:
        yield rehearsal
