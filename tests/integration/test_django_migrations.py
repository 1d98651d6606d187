"""Django's migrations of a program that track its tables, with either driver."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

CHECKOUT = Path(__file__).resolve().parents[2]
Connection = psycopg.Connection[Any]

MODELS = """
from django.db import models

class Location(models.Model):
    class Meta:
        app_label = "dcim"

class Device(models.Model):
    pin = models.TextField(db_column="PIN code")
    seen = models.TextField()
    location = models.ForeignKey(Location, on_delete=models.CASCADE)
    class Meta:
        app_label = "dcim"
        db_table = 'dcim"."device'
"""
FIRST = """
from django.db import migrations, models
from rowhooks.integrations.django_migrations import TrackTable

class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.RunSQL("create schema dcim", "drop schema dcim"),
        migrations.CreateModel("Location", [("id", models.BigAutoField(primary_key=True))]),
        migrations.CreateModel(
            "Device",
            [
                ("id", models.BigAutoField(primary_key=True)),
                ("pin", models.TextField(db_column="PIN code")),
                ("seen", models.TextField()),
                ("location", models.ForeignKey("Location", on_delete=models.CASCADE)),
            ],
            options={"db_table": 'dcim"."device'},
        ),
        TrackTable("device", exclude=["pin", "location"]),
        TrackTable("Location"),
    ]
"""
SECOND = """
from django.db import migrations
from rowhooks.integrations.django_migrations import TrackTable, UntrackTable

class Migration(migrations.Migration):
    dependencies = [("dcim", "0001_initial")]
    operations = [
        TrackTable("device", ignore_columns=["seen"], existing={"exclude": ["pin", "location"]}),
        UntrackTable("location"),
    ]
"""
SETTINGS = """
import json, os
SECRET_KEY = "test"
INSTALLED_APPS = ["dcim"]
DATABASES = json.loads(os.environ["DATABASES"])
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""


class Program:
    """A program of Django's with two migrations."""

    def __init__(self, directory: Path, database: dict[str, Any], driver: str) -> None:
        app = directory / "dcim" / "migrations"
        app.mkdir(parents=True)
        files = {
            "settings.py": SETTINGS, "dcim/__init__.py": "", "dcim/models.py": MODELS,
            "dcim/migrations/__init__.py": "", "dcim/migrations/0001_initial.py": FIRST,
            "dcim/migrations/0002_other.py": SECOND,
        }  # fmt: skip
        for name, text in files.items():
            (directory / name).write_text(text, encoding="utf-8")
        path = os.pathsep.join([str(directory), str(CHECKOUT / "daemon")])
        self._environment = {
            **os.environ, "PYTHONPATH": path, "DJANGO_SETTINGS_MODULE": "settings",
            "DATABASES": json.dumps({"default": database}),
        }  # fmt: skip
        # Django prefers psycopg 3 wherever it is installed.
        self._before = "sys.modules['psycopg'] = None; " if driver == "psycopg2" else ""

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = (
            f"import sys; {self._before}"
            "from django.core.management import execute_from_command_line as run; run(['manage', *sys.argv[1:]])"
        )
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", program, *arguments], env=self._environment, capture_output=True,
            text=True, check=False,
        )  # fmt: skip


def database_of(dsn: str) -> dict[str, Any]:
    given = conninfo_to_dict(dsn)
    return {
        "ENGINE": "django.db.backends.postgresql", "NAME": given["dbname"], "USER": given["user"],
        "PASSWORD": given.get("password", ""), "HOST": given["host"], "PORT": given["port"],
    }  # fmt: skip


@pytest.fixture(params=["psycopg"])
def program(dsn: str, tmp_path: Path, request: pytest.FixtureRequest) -> Program:
    return Program(tmp_path, database_of(dsn), request.param)


def tracked(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "select t.schema_name, t.table_name, t.excluded_columns, t.ignored_columns from rowhooks.tracked_table as t"
        " where t.untracked_at is null order by 1"
    ).fetchall()


Tracked = list[tuple[Any, ...]]
AT_FIRST: Tracked = [
    ("dcim", "device", ["PIN code", "location_id"], []),
    ("public", "dcim_location", [], []),
]
AT_LAST: Tracked = [("dcim", "device", [], ["seen"])]


def test_tables_are_tracked_forwards_and_backwards_and_by_a_script(program: Program, db: Connection) -> None:
    assert "Track the table of device" in program("migrate", "--plan")
    program("migrate", "dcim", "0001")
    assert tracked(db) == AT_FIRST
    program("migrate")
    assert tracked(db) == AT_LAST
    script = program("sqlmigrate", "dcim", "0002")
    assert 'rowhooks.untrack("target" => \'"dcim_location"\'::regclass);' in script
    backwards = program("sqlmigrate", "dcim", "0002", "--backwards")
    db.execute(backwards.encode())
    assert tracked(db) == AT_FIRST
    db.execute(script.encode())
    program("migrate", "dcim", "0001")
    assert tracked(db) == AT_FIRST
    program("migrate", "dcim", "zero")
    assert tracked(db) == []
    program("migrate")
    assert tracked(db) == AT_LAST


@pytest.mark.parametrize("program", ["psycopg2"], indirect=True)
def test_tables_are_tracked_through_psycopg2(program: Program, db: Connection) -> None:
    program("migrate", "dcim", "0001")
    assert tracked(db) == AT_FIRST
    db.execute(program("sqlmigrate", "dcim", "0002").encode())
    assert tracked(db) == AT_LAST


def test_on_another_database_nothing_is_done(tmp_path: Path) -> None:
    database = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "db.sqlite3")}
    program = Program(tmp_path / "program", database, "psycopg")
    (tmp_path / "program" / "dcim" / "migrations" / "0001_initial.py").write_text(
        FIRST.replace('migrations.RunSQL("create schema dcim", "drop schema dcim"),', "").replace(
            "'dcim\".\"device'", "'device'"
        ),
        encoding="utf-8",
    )
    program("migrate")
    program("migrate", "dcim", "zero")


# Databases without rowhooks, as Django's test runner makes them

TESTS = """
from django.db import connection
from django.test import TestCase
from .models import Device, Location

class Tests(TestCase):
    def test_a_change_is_in_the_log(self):
        Device(pin="1", seen="never", location=Location.objects.create()).save()
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from rowhooks.object_change")
            self.assertEqual(cursor.fetchone(), (1,))
"""


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_a_database_without_rowhooks_is_named_with_the_ways_out(empty_dsn: str, tmp_path: Path, driver: str) -> None:
    database = database_of(empty_dsn)
    failed = Program(tmp_path, database, driver).run("migrate")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == (
        f"rowhooks.domain.errors.SchemaMismatch: TrackTable('device'): rowhooks is not installed in database"
        f""" {database["NAME"]} (before the migrations, run: rowhooks init --dsn dbname={database["NAME"]};"""
        ' for Django\'s tests, DATABASES["default"]["TEST"]["TEMPLATE"] names a database with rowhooks, or set'
        " ROWHOOKS_TRACK = False)"
    )


def test_the_recipe_for_djangos_tests(dsn: str, tmp_path: Path) -> None:
    database = database_of(dsn)
    program = Program(tmp_path, database, "psycopg")
    page = (CHECKOUT / "docs" / "migrations.md").read_text("utf-8")
    (recipe,) = re.findall(r"^```python\n(DATABASES.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert "rowhooks_template" in recipe
    settings = SETTINGS + recipe.replace("rowhooks_template", database["NAME"])
    (tmp_path / "settings.py").write_text(settings, encoding="utf-8")
    (tmp_path / "dcim" / "tests.py").write_text(TESTS, encoding="utf-8")
    done = program.run("test", "dcim")
    assert done.returncode == 0, done.stderr
    assert "Ran 1 test" in done.stderr


def test_tables_are_left_alone_where_the_settings_say_so(empty_dsn: str, tmp_path: Path) -> None:
    program = Program(tmp_path, database_of(empty_dsn), "psycopg")
    (tmp_path / "settings.py").write_text(f"{SETTINGS}\nROWHOOKS_TRACK = False\n", encoding="utf-8")
    done = program.run("migrate")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "ROWHOOKS_TRACK = False: no table of database default is tracked or untracked by its migrations"
    ]
    program("migrate", "dcim", "zero")
