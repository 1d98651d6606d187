"""Django: who wrote, for each transaction; and Django's ORM inside of a receiver's transaction.

    INSTALLED_APPS = [..., "rowhooks.integrations.django"]
    MIDDLEWARE = [..., "rowhooks.integrations.django.AttributionMiddleware"]

Django is imported when a name of this package is used: its settings need not be there before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rowhooks.integrations.attribution import attributed, set_user

if TYPE_CHECKING:
    from rowhooks.integrations.django.lending import lent_to_django
    from rowhooks.integrations.django.middleware import AttributionMiddleware
    from rowhooks.integrations.django.transactions import install, mark_transaction

__all__ = ["AttributionMiddleware", "attributed", "install", "lent_to_django", "mark_transaction", "set_user"]

_MODULES = {
    "AttributionMiddleware": "middleware",
    "install": "transactions",
    "lent_to_django": "lending",
    "mark_transaction": "transactions",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
