"""Jobs, changes and pages for the tests of what is configured in the console."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from typing import Any

import psycopg

Connection = psycopg.Connection[Any]
EVIL = "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>{{ 7777 * 7777 }}"
"""What would be a script, an attribute or an expression of a template, if it were not inert."""
RAW = ("<script>alert", "<img src=x", "60481729")
"""What a page has of EVIL only if it is not inert."""


def add_job(
    db: Connection, class_path: str, kind: str = "hook", *, enabled: bool = True, installed: bool = True,
    description: str = "", meta: Mapping[str, Any] | None = None, inputs: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Add a job, as a daemon does that has found its class."""
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, description, enabled, installed, meta, inputs_schema)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            class_path, kind, class_path.rpartition(".")[2], description, enabled, installed, json.dumps(meta or {}),
            None if inputs is None else json.dumps(inputs),
        ),
    )  # fmt: skip


def text_in(page: str) -> str:
    """Return what a page says, without its markup and with single spaces."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def without_tokens(page: str) -> str:
    """Return a page without its random values, any two characters of which may be those that are looked for."""
    return re.sub(r'value="[\w-]{20,}"', "", page)


def field_of(page: str, name: str) -> str:
    """Return what a text field of a form holds."""
    area = re.search(rf'<textarea[^>]* name="{name}"[^>]*>\n?(.*?)</textarea>', page, re.DOTALL)
    if area:
        return html.unescape(area[1])
    field = re.search(rf'<input[^>]* name="{name}"[^>]* value="([^"]*)"', page)
    assert field, f"there is no field {name}"
    return html.unescape(field[1])


def problem_of(page: str, name: str) -> str:
    """Return what is said beside a field of a form."""
    found = re.search(rf'<span class="error" id="problem-{name}">(.*?)</span>', page, re.DOTALL)
    return html.unescape(found[1]) if found else ""


def is_inert(page: str) -> bool:
    """Say whether nothing of EVIL has become markup, or was computed."""
    return not any(raw in page for raw in RAW)
