"""Settings of the example."""

import os
from pathlib import Path

SECRET_KEY = os.environ.get("INVENTORY_SECRET", "only for trying it out")
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "inventory.urls"
USE_TZ = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "rowhooks.integrations.django",
    "inventory",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "rowhooks.integrations.django.AttributionMiddleware",
    "inventory.views.policy",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [Path(__file__).parent / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["INVENTORY_DB"],
        "HOST": os.environ.get("INVENTORY_HOST", ""),
        "PORT": os.environ.get("INVENTORY_PORT", ""),
        "USER": os.environ.get("INVENTORY_USER", ""),
        # Django's own tables are in a schema of their own.
        "OPTIONS": {"options": "-c search_path=django"},
    }
}
LOGIN_REDIRECT_URL = "/devices/42"

ROWHOOKS_ROLE = "inventory.views.role_of"
