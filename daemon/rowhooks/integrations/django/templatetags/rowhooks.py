"""Template tags for the buttons of rows.

{% load rowhooks %}
{% rowhooks_buttons device %}
{% rowhooks_script %}
"""

from __future__ import annotations

import json
from typing import Any

from django import template
from django.db import connections, router
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag  # type: ignore[untyped-decorator]
def rowhooks_buttons(row: Model, **attributes: Any) -> SafeString:
    """Return the element that shows the buttons of a row.

    Args:
        row: an instance of a model.
        attributes: more attributes of the element; an underscore stands for a hyphen: `text_press="Los"`.
    """
    names = {name.replace("_", "-"): value for name, value in attributes.items()}
    given = {"table": _table(row), "key": _key(row), "src": _endpoint(), **names}
    return format_html("<rowhooks-buttons{}></rowhooks-buttons>", format_html_join("", ' {}="{}"', given.items()))


@register.simple_tag  # type: ignore[untyped-decorator]
def rowhooks_script(nonce: str = "") -> SafeString:
    """Return the element that loads the component; once in a page is enough.

    Args:
        nonce: what the page's Content-Security-Policy lets scripts in by.
    """
    with_nonce = format_html(' nonce="{}"', nonce) if nonce else ""
    return format_html('<script type="module" src="{}"{}></script>', reverse("rowhooks:component"), with_nonce)


def _endpoint() -> str:
    path: str = reverse("rowhooks:press")
    return path.removesuffix("press")


def _table(row: Model) -> str:
    meta = row._meta  # noqa: SLF001  (documented by Django)
    alias = row._state.db or router.db_for_read(type(row))  # noqa: SLF001
    quoted: str = connections[alias].ops.quote_name(meta.db_table)
    return quoted


def _key(row: Model) -> str:
    fields = getattr(row._meta, "pk_fields", None) or [row._meta.pk]  # noqa: SLF001
    values = {field.column: field.value_to_string(row) for field in fields}
    return next(iter(values.values())) if len(values) == 1 else json.dumps(values, ensure_ascii=False)
