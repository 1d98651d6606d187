"""rowhooks quickstart, on a server that asks for passwords."""

from __future__ import annotations

import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rowhooks.cli import call
from rowhooks.cli.scaffold import Files
from rowhooks.demo.embedded import EmbeddedPostgres
from rowhooks.domain.errors import UsageError
from tests.support.cli import Rowhooks
from tests.support.databases import new_database, roles_dropped
from tests.support.imports import imports_undone
from tests.support.quickstart import TABLES, printed_commands, server_with_passwords
from tests.support.waiting import PATIENCE, wait

Connection = psycopg.Connection[Any]
RECEIVER = ["device_receiver.py", "test_device_receiver.py"]


@pytest.fixture(scope="module")
def strict_server() -> Iterator[EmbeddedPostgres]:
    with server_with_passwords() as server:
        yield server


@pytest.fixture(autouse=True)
def clean_imports(tmp_path: Path) -> Iterator[None]:
    with imports_undone(tmp_path):
        yield


@pytest.fixture
def app(strict_server: EmbeddedPostgres) -> Iterator[Connection]:
    """A database of an application, without rowhooks."""
    with (
        psycopg.connect(strict_server.dsn(), autocommit=True) as conn,
        roles_dropped(conn),
        new_database(conn, "app") as name,
        psycopg.connect(strict_server.dsn(name), autocommit=True) as app,
    ):
        app.execute(TABLES)
        yield app


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], app: Connection, empty_directory: Path) -> Rowhooks:
    return Rowhooks(capsys, app.info.dsn)


def files(directory: Path) -> list[str]:
    return sorted(str(file.relative_to(directory)) for file in directory.rglob("*") if file.is_file())


def is_untouched(app: Connection) -> bool:
    """Say whether nothing of rowhooks is in the database."""
    found = app.execute(
        "select to_regnamespace('rowhooks'), (select count(*) from pg_roles where rolname ~ '^rowhooks')"
    ).fetchone()
    return found == (None, 0)


def test_a_newcomer_pastes_the_three_commands_and_they_work(run: Rowhooks, app: Connection, tmp_path: Path) -> None:
    done = run("quickstart", "dcim.device", "--yes", "--into", "my hooks")
    assert (done.code, done.err) == (0, "")
    [daemon], enabling, [testing] = printed_commands(done.out)
    with (tmp_path / "log").open("w") as log, subprocess.Popen(daemon, stdout=log, stderr=log) as process:
        try:
            wait(lambda: '"ready' in (tmp_path / "log").read_text() or process.poll() is not None)
            for command in enabling:
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            app.execute("insert into dcim.device (location_id, name, status) values (1, 'sw1', 'off')")
            app.execute("update dcim.device set name = 'sw2'")
            wait(lambda: app.execute("select 1 from rowhooks.results having count(*) = 2").fetchone() is not None)
        finally:
            process.terminate()
            process.wait(PATIENCE)
    results = app.execute("select class_path, status, result #>> '{}' from rowhooks.results order by id").fetchall()
    job = "device_receiver.DeviceReceiver"
    assert results == [(job, "SUCCESS", "create"), (job, "SUCCESS", "name has changed")]
    tested = subprocess.run(testing, check=False, capture_output=True, text=True)
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr


def test_it_says_what_it_will_do_and_the_password_is_in_the_passfile_alone(
    run: Rowhooks, app: Connection, tmp_path: Path, strict_server: EmbeddedPostgres
) -> None:
    done = run("quickstart", "dcim.device", "--yes")
    assert done.code == 0
    for told in (
        "schema rowhooks will be installed",
        "create role rowhooks login in role rowhooks_daemon;",
        "grant usage on schema dcim to rowhooks_daemon;",
        "grant select, update on dcim.device to rowhooks_daemon;",
        "to be written: rowhooks.pgpass",
    ):
        assert told in done.out
    assert files(tmp_path) == sorted([".gitignore", "rowhooks.pgpass", "rowhooks.toml", *RECEIVER])
    passfile = tmp_path / "rowhooks.pgpass"
    assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
    assert (tmp_path / ".gitignore").read_text() == "rowhooks.pgpass\n"
    password = passfile.read_text().rstrip("\n").rpartition(":")[2]
    assert len(password) >= 32
    settings = tomllib.loads((tmp_path / "rowhooks.toml").read_text())
    assert settings["receivers"] == ["device_receiver.py"]
    assert conninfo_to_dict(settings["dsn"])["passfile"] == str(passfile)
    others = [(tmp_path / name).read_text() for name in files(tmp_path) if name != passfile.name]
    assert password not in "".join([done.out, done.err, strict_server.log.read_text(), *others])
    assert "SCRAM-SHA-256$" in strict_server.log.read_text()


def test_it_can_be_repeated_and_says_what_is_there(run: Rowhooks, app: Connection, tmp_path: Path) -> None:
    assert run("quickstart", "dcim.device", "--yes").code == 0
    before = {name: (tmp_path / name).read_bytes() for name in files(tmp_path)}
    verifier = app.execute("select rolpassword from pg_authid where rolname = 'rowhooks'").fetchall()
    # No question is asked, so that no --yes is needed.
    done = run("quickstart", "dcim.device")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("done already: ") == 4
    assert done.out.count("there already: ") == 3
    assert len(printed_commands(done.out)) == 3
    assert {name: (tmp_path / name).read_bytes() for name in files(tmp_path)} == before
    assert app.execute("select rolpassword from pg_authid where rolname = 'rowhooks'").fetchall() == verifier


def test_what_is_missing_is_done_again(run: Rowhooks, app: Connection, tmp_path: Path) -> None:
    assert run("quickstart", "dcim.device", "--yes").code == 0
    (tmp_path / "test_device_receiver.py").unlink()
    app.execute("select rowhooks.untrack('dcim.device')")
    app.execute("revoke update on dcim.device from rowhooks_daemon")
    done = run("quickstart", "dcim.device", "--yes")
    assert done.code == 0
    assert "grant update on dcim.device to rowhooks_daemon;" in done.out
    assert "done already: schema rowhooks" in done.out
    assert "written: test_device_receiver.py" in done.out
    assert app.execute("select count(*) from rowhooks.tracked_table where untracked_at is null").fetchone() == (1,)


@pytest.mark.parametrize("name", ["device_receiver.py", "test_device_receiver.py", "rowhooks.toml", "rowhooks.pgpass"])
def test_no_file_is_overwritten_and_nothing_is_done(run: Rowhooks, app: Connection, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("# mine")
    done = run("quickstart", "dcim.device", "--yes")
    assert done.code == 1
    assert f"{name}" in done.err
    assert "nothing was done" in done.err
    assert files(tmp_path) == [name]
    assert (tmp_path / name).read_text() == "# mine"
    assert is_untouched(app)


def test_without_a_yes_nothing_is_done(run: Rowhooks, app: Connection, tmp_path: Path) -> None:
    done = run("quickstart", "dcim.device")
    assert done.code == 2
    assert "repeat the command with --yes" in done.err
    assert is_untouched(app)
    assert files(tmp_path) == []


def test_where_a_file_cannot_be_written_the_database_is_as_it_was(
    run: Rowhooks, app: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Files._write

    def full(self: Files, file: Path, text: str) -> None:
        if file.name == "rowhooks.toml":
            raise OSError(28, "No space left on device", str(file))
        write(self, file, text)

    monkeypatch.setattr(Files, "_write", full)
    done = run("quickstart", "dcim.device", "--yes", "--into", "new/one")
    assert done.code == 2
    assert "No space left on device" in done.err
    assert is_untouched(app)
    assert list(tmp_path.iterdir()) == []


def test_where_the_database_refuses_no_file_is_left(run: Rowhooks, app: Connection, tmp_path: Path) -> None:
    with psycopg.connect(app.info.dsn) as other:
        other.execute("lock table dcim.device in row exclusive mode")
        done = run("quickstart", "dcim.device", "--yes", "--wait", "1s")
    assert done.code == 1
    assert "did not get the lock on" in done.err
    assert is_untouched(app)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("table", "said", "hint"),
    [
        ("dcim.devise", "there is no table dcim.devise", "did you mean dcim.device?"),
        ("device", "there is no table device", "did you mean dcim.device?"),
        ("dcim.nothing", "dcim.nothing has no primary key", "rowhooks track TABLE --identity"),
        ("dcim.names", "rowhooks cannot track dcim.names: it is a view", "a table of your own"),
        ("dcim.day_default", "rowhooks cannot track dcim.day_default: it is a partition", "dcim.day"),
        ("pg_catalog.pg_class", "it is a table of rowhooks or of PostgreSQL itself", "a table of your own"),
    ],
)
def test_what_cannot_be_tracked_is_refused_first(
    run: Rowhooks, app: Connection, tmp_path: Path, table: str, said: str, hint: str
) -> None:
    done = run("quickstart", table, "--yes")
    assert done.code == 1
    assert said in done.err
    assert hint in done.err
    assert is_untouched(app)
    assert files(tmp_path) == []


def test_a_wrong_dsn_is_named(run: Rowhooks, app: Connection) -> None:
    done = run("quickstart", "dcim.device", "--yes", dsn=make_conninfo(app.info.dsn, dbname="no_such"))
    assert done.code == 1
    assert 'database "no_such" does not exist' in done.err
    done = run("quickstart", "dcim.device", "--yes", dsn=make_conninfo(app.info.dsn, user="nobody"))
    assert done.code == 1
    assert "cannot connect to" in done.err


def test_who_may_not_is_told_which_role_may(run: Rowhooks, app: Connection, tmp_path: Path) -> None:
    app.execute("create role free login")
    free = make_conninfo(app.info.dsn, user="free")
    done = run("quickstart", "dcim.device", "--yes", dsn=free)
    assert done.code == 1
    assert "permission denied for schema dcim: free may not look at dcim.device" in done.err
    assert done.err.endswith("\n  connect as postgres, which owns the table\n")
    app.execute("create role keeper; alter table dcim.device owner to keeper")
    told = "connect as keeper, which owns the table; or let an administrator run: grant keeper to free"
    assert told in run("quickstart", "dcim.device", "--yes", dsn=free).err
    app.execute("alter table dcim.device owner to current_user; drop role keeper")
    app.execute("grant usage on schema dcim to free")
    free = make_conninfo(app.info.dsn, user="free")
    done = run("quickstart", "dcim.device", "--yes", dsn=free)
    assert done.code == 1
    assert "role free may not create the role rowhooks_owner" in done.err
    run("init")
    app.execute("grant rowhooks_owner to free")
    app.execute("create role other login in role rowhooks_daemon password 'unknown'")
    done = run("quickstart", "dcim.device", "--yes", dsn=free)
    assert done.code == 1
    assert "role free may not: create role rowhooks login in role rowhooks_daemon" in done.err
    assert "CREATEROLE" in done.err
    app.execute("create role owner login in role rowhooks_daemon")
    done = run("quickstart", "dcim.device", "--yes", "--login", "owner", dsn=free)
    assert done.code == 1
    assert "role free may not: grant select, update on dcim.device to rowhooks_daemon" in done.err
    assert "connect as postgres, which owns the table" in done.err
    assert files(tmp_path) == []


def test_a_login_that_exists_is_used_if_the_server_lets_it_in(run: Rowhooks, app: Connection, tmp_path: Path) -> None:
    app.execute("create role free login")
    app.execute("create role closed login password 'unknown'")
    done = run("quickstart", "dcim.device", "--yes", "--login", "closed")
    assert done.code == 1
    assert "role closed exists already, and cannot be used" in done.err
    assert is_untouched(app)
    done = run("quickstart", "dcim.device", "--yes", "--login", "free")
    assert done.code == 0
    assert "grant rowhooks_daemon to free;" in done.out
    assert files(tmp_path) == sorted(["rowhooks.toml", *RECEIVER])
    app.execute("alter role free nologin")
    assert "role free cannot log in" in run("quickstart", "dcim.device", "--login", "free").err


def test_the_commands_do_not_depend_on_the_environment_of_the_administrator(
    run: Rowhooks, app: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROWHOOKS_DSN", app.info.dsn)
    monkeypatch.setenv("PGPASSWORD", "the administrator's")
    done = run("quickstart", "dcim.device", "--yes")
    assert done.code == 0
    [daemon], enabling, _ = printed_commands(done.out)
    for command in (daemon, *enabling):
        assert command[:5] == ["env", "-u", "ROWHOOKS_DSN", "-u", "PGPASSWORD"]
    assert run("quickstart", "dcim.device").code == 0
    listed = subprocess.run(
        [*daemon[:5], sys.executable, "-m", "rowhooks", "jobs", "list"], capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stderr


def test_on_a_terminal_it_asks(run: Rowhooks, app: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def confirm(question: str, *, abort: bool) -> None:
        asked.append((question, abort))
        raise UsageError("no")

    monkeypatch.setattr("rowhooks.cli.quickstart.typer.confirm", confirm)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    assert run("quickstart", "dcim.device").code == 2
    assert asked == [("Go on?", True)]
    assert is_untouched(app)


def test_odd_names_are_quoted(run: Rowhooks, app: Connection, tmp_path: Path) -> None:
    app.execute('create schema "Odd ""one"""; create table "Odd ""one"""."from x" ("Key" text primary key, "%s" int)')
    done = run("quickstart", '"Odd ""one"""."from x"', "--yes", "--login", "Row Hooks", "--grant", "delete")
    assert (done.code, done.err) == (0, "")
    assert 'create role "Row Hooks" login in role rowhooks_daemon;' in done.out
    assert 'grant select, delete on "Odd ""one"""."from x" to rowhooks_daemon;' in done.out
    assert "from_x_receiver.py" in files(tmp_path)
    _, enabling, _ = printed_commands(done.out)
    assert '"Odd ""one"""."from x"' in enabling[1]


def test_a_login_that_the_server_does_not_let_in_is_named_at_the_end(run: Rowhooks, app: Connection) -> None:
    done = run("quickstart", "dcim.device", "--yes", "--login", "shut")
    assert done.code == 1
    assert "everything is done, but the daemon's login shut is not let in" in done.err
    assert app.execute("select count(*) from rowhooks.tracked_table").fetchone() == (1,)


def test_a_second_daemon_has_a_directory_of_its_own(run: Rowhooks, app: Connection, tmp_path: Path) -> None:
    assert run("quickstart", "dcim.device", "--yes").code == 0
    with imports_undone(tmp_path):
        done = run("quickstart", "dcim.device", "--yes", "--into", "other", "--login", "rowhooks_other")
    assert (done.code, done.err) == (0, "")
    assert "done already: schema rowhooks" in done.out
    assert len(files(tmp_path / "other")) == 5


def test_the_password_of_the_administrator_is_not_printed(
    app: Connection, capsys: pytest.CaptureFixture[str], empty_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = make_conninfo(app.info.dsn, password="its secret")
    monkeypatch.setenv("ROWHOOKS_DSN", secret)
    assert call(["quickstart", "dcim.device", "--yes"]) == 0
    printed = capsys.readouterr().out
    assert printed_commands(printed)[2][0][-1] == "$ROWHOOKS_DSN"
    assert call(["quickstart", "dcim.device", "--dsn", secret]) == 0
    printed += capsys.readouterr().out
    assert "The password of --dsn is left out here" in printed
    assert "its secret" not in printed


def test_with_the_login_of_the_daemon_the_test_is_for_another(run: Rowhooks, tmp_path: Path) -> None:
    assert run("quickstart", "dcim.device", "--yes").code == 0
    dsn = tomllib.loads((tmp_path / "rowhooks.toml").read_text())["dsn"]
    done = run("quickstart", "dcim.device", dsn=dsn)
    assert done.code == 0
    assert "put an administrator's DSN in place of the daemon's" in done.out


def test_an_unknown_privilege_is_refused(run: Rowhooks) -> None:
    done = run("quickstart", "dcim.device", "--grant", "select,truncate")
    assert done.code == 2
    assert "unknown privilege 'truncate'" in done.err
