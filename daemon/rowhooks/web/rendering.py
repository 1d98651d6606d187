"""Answers in HTML: pages from templates, and redirections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""The templates; everything that is put into them is escaped."""


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page.

    Args:
        request: the request. Templates have it as `request`, its person as `person` (None: nobody is logged in) and the
            session's token as `csrf_token`, which each form sends in a field of that name.
        template: the name of a template, which extends base.html.
        status: the status code.
        values: what the template shows.
    """
    state = request.state
    known = {
        "request": request,
        "person": getattr(state, "person", None),
        "csrf_token": getattr(state, "csrf_token", ""),
    }
    return HTMLResponse(TEMPLATES.get_template(template).render({**known, **values}), status_code=status)


def see(path: str) -> RedirectResponse:
    """Redirect the browser to another page of the console after an act.

    Args:
        path: an absolute path of ours, such as request.url_for("run", id=1).path.
    """
    assert path.startswith("/"), path
    assert not path.startswith(("//", "/\\")), path
    return RedirectResponse(path, status_code=303)
