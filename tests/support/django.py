"""A Django project in the test's own process, over either driver."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator
from typing import Any

from psycopg.conninfo import conninfo_to_dict

APP = "inventory_models"


def _forget() -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in ("django", APP) or name.startswith("rowhooks.integrations.django"):
            del sys.modules[name]


def _database(dsn: str) -> dict[str, Any]:
    found = conninfo_to_dict(dsn)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": found["dbname"], "HOST": found["host"], "PORT": found["port"], "USER": found["user"],
        "PASSWORD": found.get("password") or "",
    }  # fmt: skip


@contextlib.contextmanager
def django_project(driver: str, **settings: Any) -> Iterator[None]:
    """Set Django up with psycopg or psycopg2, as if the other were not installed; forget it afterwards.

    It has a model, `Device`, in the module inventory_models, and two databases: see `use_database`.
    """
    _forget()
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "psycopg"}
    if driver == "psycopg2":
        # What cannot be imported is None.
        sys.modules.update(dict.fromkeys(kept, None))  # type: ignore[arg-type]
    try:
        from django.conf import settings as configured

        configured.configure(
            **{
                "DATABASES": {alias: {"ENGINE": "django.db.backends.postgresql"} for alias in ("default", "other")},
                "INSTALLED_APPS": [
                    "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                    "rowhooks.integrations.django",
                ],
                "MIDDLEWARE": [
                    "rowhooks.integrations.django.AttributionMiddleware",
                    "django.contrib.sessions.middleware.SessionMiddleware",
                    "django.contrib.auth.middleware.AuthenticationMiddleware",
                ],
                "SECRET_KEY": "for tests", "ROOT_URLCONF": APP, "USE_TZ": True, "TIME_ZONE": "Asia/Kolkata",
                "ALLOWED_HOSTS": ["*"], "LOGGING_CONFIG": None,
                **settings,
            }
        )  # fmt: skip
        import django

        django.setup()
        import django.db.backends.postgresql.psycopg_any as chosen

        assert chosen.is_psycopg3 is (driver == "psycopg")
        module = types.ModuleType(APP)
        sys.modules[APP] = module
        module.__dict__.update(_models(), urlpatterns=[])
        yield
    finally:
        sys.modules.update(kept)
        with contextlib.suppress(ImportError):
            from django.db import connections

            connections.close_all()
        _forget()


def _models() -> dict[str, Any]:
    from django.db import models

    class Device(models.Model):  # type: ignore[misc]
        id = models.IntegerField(primary_key=True)
        name = models.TextField()
        serial = models.TextField(null=True)
        seen = models.DateTimeField(null=True)
        data = models.JSONField(null=True)
        address = models.GenericIPAddressField(null=True)

        class Meta:
            app_label = APP
            managed = False
            db_table = 'dcim"."device'

    return {"Device": Device}


TABLE = "alter table dcim.device add seen timestamptz, add data jsonb, add address inet"


@contextlib.contextmanager
def use_database(dsn: str, **options: Any) -> Iterator[None]:
    """Let both of the project's databases be this one, with these settings of DATABASES."""
    from django.db import connections

    for alias in ("default", "other"):
        connections.settings[alias].update(_database(dsn))
        connections.settings[alias] |= {"OPTIONS": {}, "AUTOCOMMIT": True, **options}
        _drop(connections, alias)
    try:
        yield
    finally:
        for alias in ("default", "other"):
            _drop(connections, alias)


def _drop(connections: Any, alias: str) -> None:
    if hasattr(connections._connections, alias):
        connection = connections[alias]
        connection.close()
        if connection.settings_dict["OPTIONS"].get("pool"):
            connection.close_pool()
        del connections[alias]
