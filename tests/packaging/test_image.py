"""The image: buildah builds it as the Dockerfile says, on Debian's Python; podman runs it as the manifests have it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from rowhooks.cli import call
from rowhooks.demo.embedded import EmbeddedPostgres
from tests.support import machine
from tests.support.containers import Store, base_of, store
from tests.support.databases import embedded_server
from tests.support.machine import CannotRun, debian_root
from tests.support.waiting import PATIENCE, wait

CHECKOUT = Path(__file__).resolve().parents[2]
PYTHON = ("ca-certificates", "python3", "python3-pip", "python3-venv")
EXTRAS = "daemon,plan,uvloop"
SETTINGS = """
dsn = "postgresql://rowhooks@/app?host=/run/postgresql"
receivers = ["receivers.py"]
"""
RECEIVERS = """
import time
from pathlib import Path
from rowhooks import JobHookReceiver, register_jobs

class Seen(JobHookReceiver):
    def receive_job_hook(self, change, action, changed_object):
        while changed_object.name == "slow" and not Path("/etc/rowhooks/released").exists():
            time.sleep(0.01)
        changed_object.name = "seen"
        changed_object.save()

register_jobs(Seen)
"""
PLAN = """
tables: {public.thing: {}}
jobs: {receivers.Seen: {enabled: true}}
hooks:
  Seen: {job: receivers.Seen, tables: [public.thing], actions: [create]}
"""
RUNNING = (
    "import re, urllib.request as r; text = r.urlopen('http://127.0.0.1:9187/metrics').read().decode(); "
    "print(re.search(r'^rowhooks_runs_running (.*)$', text, re.M)[1])"
)
"""Prints how many runs go on."""
TABLES = """
create table thing (id integer primary key, name text);
grant select, update on thing to rowhooks_daemon;
"""

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with the images `base` and `rowhooks`."""
    with ExitStack() as stack:
        try:
            made = stack.enter_context(store())
            root = debian_root(CHECKOUT / "build" / "image", PYTHON)
            has = machine.call(
                "chroot", str(root), "python3", "-c", "import sys; print(*sys.version_info[:2], sep='.')"
            )
            if has.strip() != "{}.{}".format(*sys.version_info):
                # What is fetched below would not fit.
                raise CannotRun(f"Debian's Python here is {has.strip()}, and the tests' is another")
            base_of(root, made, "base")
        except CannotRun as reason:
            pytest.skip(f"no image can be built and run here: {reason}")
        # The image is built without a network: what pip would fetch is there already.
        offline = tmp_path_factory.mktemp("offline")
        wheels = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(offline / "wheels")]
        constraint = ["--constraint", str(CHECKOUT / "constraints.txt")]
        subprocess.run([*wheels, *constraint, "hatchling>=1.27", "iniconfig", f"{CHECKOUT}[{EXTRAS}]"], check=True)
        (offline / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        made.offline = (
            "--volume", f"{offline}/wheels:/wheels:ro", "--volume", f"{offline}/pip.conf:/etc/pip.conf:ro",
        )  # fmt: skip
        made.build(CHECKOUT, "rowhooks", options=made.offline, BASE="localhost/base", EXTRAS=EXTRAS)
        yield made


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    """A server that containers reach by its socket."""
    with embedded_server({}) as made:
        made.directory.chmod(0o711)
        yield made


@pytest.fixture
def db(server: EmbeddedPostgres) -> Iterator[psycopg.Connection[Any]]:
    """A database with the schema, a table, and a login."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("drop database if exists app with (force)")
        admin.execute("create database app")
    assert call(["init", "--dsn", server.dsn("app")]) == 0
    with psycopg.connect(server.dsn("app"), autocommit=True) as conn:
        conn.execute(TABLES.encode())
        for login in ("rowhooks", "secured"):
            if conn.execute("select 1 from pg_roles where rolname = %s", (login,)).fetchone() is None:
                conn.execute(f"create role {login} login in role rowhooks_daemon".encode())
        yield conn


@pytest.fixture
def code(tmp_path: Path, server: EmbeddedPostgres, db: psycopg.Connection[Any], images: Store) -> Path:
    """The directory of receivers and settings; jobs and hooks are in the database."""
    directory = tmp_path / "code"
    directory.mkdir(mode=0o755)
    for name, text in (("rowhooks.toml", SETTINGS), ("receivers.py", RECEIVERS), ("plan.yaml", PLAN)):
        (directory / name).write_text(text)
    given = mounts(server, directory)
    for command in (
        ["jobs", "sync"],
        ["apply", "plan.yaml", "--dsn", "postgresql://postgres@/app?host=/run/postgresql"],
    ):
        done = images.run("rowhooks", *command, options=given)
        assert done.returncode == 0, done.stdout + done.stderr
    return directory


def mounts(server: EmbeddedPostgres, code: Path | None = None) -> list[str]:
    receivers = ["--volume", f"{code}:/etc/rowhooks:ro"] if code else []
    return ["--volume", f"{server.directory}:/run/postgresql", *receivers]


def names(db: psycopg.Connection[Any]) -> list[str]:
    return [name for (name,) in db.execute("select name from thing order by id").fetchall()]


def test_the_image_has_rowhooks_and_little_besides(images: Store) -> None:
    made, base = images.image("rowhooks"), images.image("base")
    config = made["Config"]
    assert (config["User"], config["Entrypoint"], config["Cmd"]) == ("10001:10001", ["rowhooks"], ["run"])
    assert made["Size"] - base["Size"] < 160 * 10**6
    left = images.run("rowhooks", "-c", "ls /src; find / -xdev -newer /etc/passwd -not -path '/proc/*' -maxdepth 2",
                      options=["--entrypoint", "sh"])  # fmt: skip
    assert "/src" not in left.stdout
    assert images.run("rowhooks", "--version").stdout.startswith("rowhooks ")


@pytest.mark.parametrize("user", ["10001:10001", "54321:0"])
def test_a_daemon_runs_as_any_user_and_writes_nothing(
    images: Store, server: EmbeddedPostgres, code: Path, db: psycopg.Connection[Any], user: str
) -> None:
    with images.running("rowhooks", options=[*mounts(server, code), "--user", user]) as daemon:
        daemon.wait_for("ready:")
        db.execute("insert into thing values (1, 'new')")
        wait(lambda: names(db) == ["seen"])
        status = daemon.execute("sh", "-c", "grep -E '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/1/status").stdout
        assert status.split() == [
            "Uid:", *[user.partition(":")[0]] * 4, "CapEff:", "0" * 16, "NoNewPrivs:", "1", "Seccomp:", "2",
        ]  # fmt: skip
        assert daemon.health() == 0
        assert (daemon.ask("/livez"), daemon.ask("/readyz"), daemon.ask("/metrics")) == (200, 200, 200)
        # JSON, because nobody types here.
        assert [line for line in daemon.log.read_text().splitlines() if not line.startswith("{")] == []
        assert daemon.stop(60) == 0
        assert daemon.says("SIGTERM received")


def test_of_two_one_leads_and_the_other_takes_over(
    images: Store, server: EmbeddedPostgres, code: Path, db: psycopg.Connection[Any]
) -> None:
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(images.running("rowhooks", options=mounts(server, code))) for _ in range(2)
        )
        for one in (first, second):
            wait(lambda one=one: one.says("ready:") or one.says("standing by"), 2 * PATIENCE)
        leader, standby = (first, second) if first.says("ready:") else (second, first)
        assert not standby.says("ready:")
        assert (leader.ask("/readyz"), standby.ask("/readyz")) == (200, 200)
        leader.signal("KILL")
        assert leader.ends() == 137
        standby.wait_for("ready:")
        db.execute("insert into thing values (1, 'new')")
        wait(lambda: names(db) == ["seen"])


def test_sigterm_lets_a_running_receiver_end(
    images: Store, server: EmbeddedPostgres, code: Path, db: psycopg.Connection[Any]
) -> None:
    with images.running("rowhooks", options=mounts(server, code)) as daemon:
        daemon.wait_for("ready:")
        db.execute("insert into thing values (1, 'slow')")
        wait(lambda: daemon.execute("python", "-c", RUNNING).stdout.strip() == "1.0")
        daemon.signal("TERM")
        daemon.wait_for("SIGTERM received")
        assert daemon.ask("/readyz") == 503
        assert daemon.ask("/livez") == 200
        (code / "released").touch()
        assert daemon.ends() == 0
    assert names(db) == ["seen"]


def test_sigterm_ends_a_daemon_that_waits_for_its_database(images: Store, code: Path) -> None:
    with images.running("rowhooks", options=["--volume", f"{code}:/etc/rowhooks:ro"]) as daemon:
        daemon.wait_for("attempt 1")
        assert daemon.health() == 0
        assert (daemon.ask("/livez"), daemon.ask("/readyz")) == (200, 503)
        daemon.signal("TERM")
        assert daemon.ends() == 0


def test_sigterm_ends_a_daemon_that_imports_its_receivers(images: Store, server: EmbeddedPostgres, code: Path) -> None:
    (code / "receivers.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(3600)\n")
    with images.running("rowhooks", options=mounts(server, code)) as daemon:
        daemon.wait_for("importing")
        daemon.signal("TERM")
        assert daemon.ends() == 128 + 15


def test_a_second_sigterm_ends_a_daemon_at_once(
    images: Store, server: EmbeddedPostgres, code: Path, db: psycopg.Connection[Any]
) -> None:
    with images.running("rowhooks", options=mounts(server, code)) as daemon:
        daemon.wait_for("ready:")
        db.execute("insert into thing values (1, 'slow')")
        wait(lambda: daemon.execute("python", "-c", RUNNING).stdout.strip() == "1.0")
        daemon.signal("TERM")
        daemon.wait_for("SIGTERM received")
        daemon.signal("TERM")
        assert daemon.ends() == 128 + 15
    assert names(db) == ["slow"]


def test_a_password_comes_from_a_file_and_a_wrong_one_ends_the_daemon(
    images: Store, server: EmbeddedPostgres, code: Path, db: psycopg.Connection[Any], tmp_path: Path
) -> None:
    db.execute("alter role secured password 'c0rrect h0rse'")
    hba = server.data / "pg_hba.conf"
    if "secured" not in hba.read_text():
        hba.write_text("local all secured scram-sha-256\n" + hba.read_text())
        db.execute("select pg_reload_conf()")
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o755)
    (credentials / "password").write_text("c0rrect h0rse\n")
    given = [
        *mounts(server, code), "--volume", f"{credentials}:/run/credentials/rowhooks:ro",
        "--env", "CREDENTIALS_DIRECTORY=/run/credentials/rowhooks",
        "--env", "ROWHOOKS_DSN=postgresql://secured@/app?host=/run/postgresql",
    ]  # fmt: skip
    with images.running("rowhooks", options=given) as daemon:
        daemon.wait_for("ready:")
        assert daemon.stop(60) == 0
        assert not daemon.says("h0rse")
    (credentials / "password").write_text("wrong\n")
    refused = images.run("rowhooks", options=given)
    assert refused.returncode == 1
    assert re.search("password authentication failed for user .*secured", refused.stderr), refused.stderr


@pytest.mark.parametrize(
    ("setting", "code_of_exit", "said"),
    [
        ("ROWHOOKS_DSN=postgresql:/nowhere", 2, "the DSN cannot be read"),
        ("ROWHOOKS_TASKS=many", 2, "tasks"),
        ("ROWHOOKS_RECEIVERS=missing.py", 2, "this daemon has no receiver"),
        ("ROWHOOKS_DSN=host=/run/postgresql dbname=app user=nobody", 1, "role .*nobody.* does not exist"),
    ],
)
def test_what_is_wrong_is_said_and_ends_the_container(
    images: Store, server: EmbeddedPostgres, code: Path, setting: str, code_of_exit: int, said: str
) -> None:
    done = images.run("rowhooks", options=[*mounts(server, code), "--env", setting])
    assert (done.returncode, bool(re.search(said, done.stderr))) == (code_of_exit, True), done.stderr


def test_a_database_that_is_not_there_is_named_and_waited_for(
    images: Store, server: EmbeddedPostgres, code: Path, db: psycopg.Connection[Any]
) -> None:
    other = ["--env", "ROWHOOKS_DSN=postgresql://rowhooks@/other?host=/run/postgresql"]
    with images.running("rowhooks", options=[*mounts(server, code), *other]) as daemon:
        daemon.wait_for("attempt 1")
        assert re.search("database .*other.* does not exist", daemon.log.read_text())
        assert (daemon.ask("/livez"), daemon.ask("/readyz")) == (200, 503)


def test_a_worker_is_in_the_same_image(
    images: Store, server: EmbeddedPostgres, code: Path, db: psycopg.Connection[Any]
) -> None:
    given = [*mounts(server, code), "--env", "ROWHOOKS_QUEUES=default,work", "--env", "ROWHOOKS_DEFAULT_QUEUE=work"]
    with ExitStack() as stack:
        daemon, worker = (
            stack.enter_context(images.running("rowhooks", *command, options=given))
            for command in (["run"], ["worker", "--queue", "work"])
        )
        for one in (daemon, worker):
            one.wait_for("ready:")
        db.execute("insert into thing values (1, 'new')")
        wait(lambda: names(db) == ["seen"])
        assert worker.stop(90) == 0


def test_receivers_and_libraries_are_layered_into_an_image(
    images: Store, server: EmbeddedPostgres, code: Path, db: psycopg.Connection[Any], tmp_path: Path
) -> None:
    [text] = re.findall(
        r"^```dockerfile\n(.*?)^```$", (CHECKOUT / "docs/how-to/containers.md").read_text("utf-8"), re.S | re.M
    )
    context = tmp_path / "context"
    (context / "receivers").mkdir(parents=True)
    (context / "Dockerfile").write_text(text.replace("FROM rowhooks", "FROM localhost/rowhooks"))
    (context / "requirements.txt").write_text("iniconfig\n")
    (context / "rowhooks.toml").write_text(SETTINGS)
    (context / "receivers.py").write_text("import iniconfig\n" + RECEIVERS)
    images.build(context, "shop", options=images.offline)
    with images.running("shop", options=mounts(server)) as daemon:
        daemon.wait_for("ready:")
        db.execute("insert into thing values (1, 'new')")
        wait(lambda: names(db) == ["seen"])


def test_the_schema_is_installed_as_the_job_does(
    images: Store, server: EmbeddedPostgres, db: psycopg.Connection[Any], tmp_path: Path
) -> None:
    job = yaml.safe_load((CHECKOUT / "contrib/kubernetes/init/job.yaml").read_text("utf-8"))
    [container] = job["spec"]["template"]["spec"]["containers"]
    db.execute("drop database if exists fresh with (force)")
    db.execute("create database fresh")
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o755)
    (secret / "dsn").write_text("postgresql://postgres@/fresh?host=/run/postgresql\n")
    [credentials] = container["volumeMounts"]
    given = [
        *mounts(server), "--volume", f"{secret}:{credentials['mountPath']}:ro",
        *(word for one in container["env"] for word in ("--env", f"{one['name']}={one['value']}")),
    ]  # fmt: skip
    for _ in range(2):
        done = images.run("rowhooks", *container["args"], options=given)
        assert done.returncode == 0, done.stderr
    with psycopg.connect(server.dsn("fresh")) as conn:
        assert conn.execute("select count(*) from rowhooks.object_change").fetchone() == (0,)
