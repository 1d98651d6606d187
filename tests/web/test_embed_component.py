"""The component's file as it is shipped."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from rowhooks.web.embed.component import component

LARGEST = 8000
"""Bytes, as it is: neither minified nor compressed."""


def test_it_is_small_and_needs_no_other_file() -> None:
    source = component().decode()
    assert len(component()) < LARGEST
    assert not re.search(r"\b(?:import|from)\s*[\"'({]", source)
    assert "http://" not in source
    assert "https://" not in source


@pytest.mark.parametrize("way", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function(",
                                 ".style", "DOMParser", "setHTML", "srcdoc"])  # fmt: skip
def test_nothing_is_read_as_html_run_as_code_or_styled_inline(way: str) -> None:
    assert way not in component().decode()


def test_the_integrations_need_neither_uvicorn_nor_the_console() -> None:
    """And Django's none of Starlette, SQLAlchemy and psycopg."""
    program = """
import sys
for name in {hidden}:
    sys.modules[name] = None
import {module}
"""
    for module, hidden in (
        ("rowhooks.integrations.starlette_buttons", ["uvicorn", "psycopg", "asyncpg", "multipart", "django"]),
        ("rowhooks.integrations.starlette", ["starlette", "sqlalchemy", "psycopg", "jinja2"]),
        ("rowhooks.web.embed.answers", ["uvicorn", "sqlalchemy", "psycopg", "asyncpg", "multipart", "pydantic"]),
        ("rowhooks.integrations.django.buttons", ["starlette", "sqlalchemy", "psycopg", "asyncpg", "pydantic"]),
        ("rowhooks.postgres.embedded_buttons", ["starlette", "sqlalchemy", "psycopg", "asyncpg", "pydantic"]),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program.format(hidden=hidden, module=module)], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{module}: {done.stderr}"
