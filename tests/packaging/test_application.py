"""rowhooks for applications: the wheel without its daemon, beside Django with psycopg2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import psycopg
import pytest

from tests.support.builds import CHECKOUT
from tests.support.results import add_button

pytestmark = pytest.mark.packaging

APPLICATION = """
    import json, sys
    from decimal import Decimal
    from django.conf import settings
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **json.loads(sys.argv[1])}},
        INSTALLED_APPS=["rowhooks.integrations.django"], USE_TZ=True,
    )
    import django
    django.setup()
    from django.core.checks import run_checks
    from django.db import connection
    from django.db.backends.postgresql.psycopg_any import is_psycopg3
    import rowhooks
    from rowhooks import Hook, JobHookReceiver, register_jobs, table
    from rowhooks.integrations.django import attributed
    from rowhooks.integrations.sqlalchemy import attribute
    from rowhooks.integrations.starlette import AttributionMiddleware

    with attributed(user="alice"):
        with connection.cursor() as cursor:
            cursor.execute("insert into device (id) values (1)")
        pressed = rowhooks.press(connection, "Reboot", "device", 1, inputs={"price": Decimal("1.50")})
    checks = [one.id for one in run_checks()]
    print(json.dumps({"module": rowhooks.__file__, "psycopg 3": is_psycopg3, "pressed": pressed, "checks": checks}))
"""


BUTTONS = """
    import json, sys
    from django.conf import settings
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", **json.loads(sys.argv[1])}},
        INSTALLED_APPS=["rowhooks.integrations.django"], ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
        ROWHOOKS_ROLE=lambda request: sys.argv[2], LOGGING_CONFIG=None, SECRET_KEY="x",
    )
    import django
    django.setup()
    from django.test import Client
    from django.urls import include, path

    urlpatterns = [path("rowhooks/", include("rowhooks.integrations.django.buttons"))]
    page = Client()
    row = {"object_table": "device", "object_text": "1"}
    shown = page.get("/rowhooks/row_buttons", row).json()
    pressed = page.post("/rowhooks/press", {"button": "Reboot", **row}, content_type="application/json")
    file = page.get("/rowhooks/rowhooks-buttons.js")
    print(json.dumps([shown["groups"][0]["buttons"][0]["label"], pressed.status_code, file["Content-Type"]]))
"""


MIGRATIONS = """
    import sys
    import psycopg2, sqlalchemy
    from alembic.autogenerate import compare_metadata
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from rowhooks.integrations.alembic import include_name
    import rowhooks.integrations.django_migrations

    engine = sqlalchemy.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(sys.argv[1]))
    metadata = sqlalchemy.MetaData()
    sqlalchemy.Table(
        "device", metadata, sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True), info={"rowhooks": True}
    )
    plugins = {"autogenerate_plugins": ["alembic.autogenerate.*", "rowhooks"], "include_name": include_name}
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": metadata, **plugins})
        before = [one[0] for one in compare_metadata(context, metadata)]
        with Operations.context(context) as op:
            op.track_table("device")
        print(before, compare_metadata(context, metadata))
"""
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ROWHOOKS_"))}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """An environment with Django, SQLAlchemy, Alembic, psycopg2 and rowhooks; its programs."""
    root = tmp_path_factory.mktemp("application")
    subprocess.run([sys.executable, "-m", "venv", str(root)], check=True)
    constraints = ["--constraint", str(CHECKOUT / "constraints.txt")]
    wanted = ["alembic", "django", "sqlalchemy", "psycopg2-binary", str(wheel)]
    pip = [str(root / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *constraints, *wanted], check=True, env=ENVIRONMENT)
    return root / "bin"


def test_it_brings_no_driver_and_no_daemon(application: Path) -> None:
    listed = subprocess.run(
        [application / "python", "-m", "pip", "list", "--format", "json"],
        check=True, capture_output=True, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    installed = {one["name"].lower() for one in json.loads(listed.stdout)}
    assert {"rowhooks", "regex", "django", "psycopg2-binary"} <= installed
    assert not installed & {"psycopg", "psycopg-binary", "asyncpg", "typer", "pydantic", "prometheus-client"}


def test_django_stays_with_psycopg2_and_presses_a_button(
    application: Path, db: psycopg.Connection[object], tmp_path: Path
) -> None:
    db.execute("create table device (id integer primary key)")
    db.execute("select rowhooks.track('device')")
    add_button(db, "device")
    db.execute("update rowhooks.job set inputs_schema = '{}'")
    info = db.info
    database = {"NAME": info.dbname, "HOST": info.host, "PORT": info.port, "USER": info.user, "PASSWORD": info.password}
    done = subprocess.run(
        [application / "python", "-c", textwrap.dedent(APPLICATION), json.dumps(database)],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["psycopg 3"], found["checks"]) == (False, [])
    assert Path(found["module"]).is_relative_to(application.parent)
    assert db.execute("select id, user_name, inputs from rowhooks.job_result").fetchall() == [
        (found["pressed"], "alice", {"price": "1.50"})
    ]
    assert db.execute("select user_name from rowhooks.object_change").fetchall() == [("alice",)]


def test_a_page_of_django_shows_buttons_over_psycopg2_and_says_what_it_needs(
    application: Path, db: psycopg.Connection[object], tmp_path: Path
) -> None:
    db.execute("create table device (id integer primary key); insert into device values (1)")
    db.execute("select rowhooks.track('device')")
    add_button(db, "device")
    info = db.info
    database = {"NAME": info.dbname, "HOST": info.host, "PORT": info.port, "USER": info.user, "PASSWORD": info.password}

    python = str(application / "python")

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-c", textwrap.dedent(BUTTONS), json.dumps(database), info.user]
        return subprocess.run(
            command, cwd=tmp_path, env={**ENVIRONMENT, **more}, capture_output=True, text=True, check=False
        )

    assert "pip install 'rowhooks[buttons]'" in run().stderr
    # What the extra brings.
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    constraints = ["--constraint", str(CHECKOUT / "constraints.txt")]
    subprocess.run([*pip, *constraints, "--target", str(tmp_path / "extra"), "jinja2"], check=True, env=ENVIRONMENT)
    done = run(PYTHONPATH=str(tmp_path / "extra"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["Reboot", 202, "text/javascript; charset=utf-8"]
    assert db.execute("select button_name, object_id from rowhooks.job_result").fetchall() == [("Reboot", {"id": 1})]


def test_migrations_need_no_daemon(application: Path, db: psycopg.Connection[object], dsn: str, tmp_path: Path) -> None:
    db.execute("create table device (id integer primary key)")
    done = subprocess.run(
        [application / "python", "-c", textwrap.dedent(MIGRATIONS), dsn],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "['track_table'] []\n"), done.stderr
    assert db.execute("select relation::text from rowhooks.tracked_table").fetchall() == [("device",)]


@pytest.mark.parametrize(("command", "extra"), [("status", "daemon"), ("demo", "embedded"), ("plan", "plan")])
def test_the_command_line_says_what_it_needs(application: Path, command: str, extra: str) -> None:
    done = subprocess.run(
        [application / "rowhooks", command], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"pip install 'rowhooks[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
