"""Answers in HTML: pages from templates, and redirections."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from rowhooks.domain import exact
from rowhooks.domain.display import LONG, SHORT, lines, value, visible
from rowhooks.web.linking.navigation import LEVELS, entries
from rowhooks.web.static_files import static_path
from rowhooks.web.wording.durations import took

_SURROGATES = re.compile("[\ud800-\udfff]")


def _iso(at: datetime | str) -> str:
    """Return a point in time with all its digits, in UTC."""
    return at if isinstance(at, str) else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _utc(at: datetime | str) -> str:
    """Return a point in time to the second, as it stands where there is no script."""
    return at if isinstance(at, str) else f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _shown_long(of: Any) -> str:
    return lines(of) if isinstance(of, str) else value(of, LONG)


def _is_shortened(of: Any) -> bool:
    return len(of if isinstance(of, str) else exact.write(of)) > SHORT


def _merged(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Return the keys of two dictionaries, each once."""
    return list({**first, **second})


TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""The templates; everything that is put into them is escaped."""
TEMPLATES.filters.update(
    iso=_iso,
    utc=_utc,
    shown=value,
    shown_long=_shown_long,
    is_shortened=_is_shortened,
    merged=_merged,
    until=took,
)


def page(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page.

    Args:
        request: the request. Templates have it as `request`, its person as `person` (None: nobody is logged in), the
            person's `level` (none, viewer, operator or admin), and the session's token as `csrf_token`, which each form
            sends in a field of that name. `static(name)` is the path of a static file.
        template: the name of a template, which extends base.html.
        status: the status code.
        values: what the template shows.
    """
    return HTMLResponse(fragment(request, template, **values), status_code=status)


def fragment(request: Request, template: str, **values: Any) -> str:
    """Return what a template makes, such as a part of a page that is sent alone.

    Args:
        request: the request; templates have what `page` gives them.
        template: the name of a template.
        values: what the template shows.
    """
    person = getattr(request.state, "person", None)
    level = person.level if person else "none"
    known = {
        "request": request,
        "person": person,
        "level": level,
        "level_title": LEVELS[level],
        "navigation": entries(request, level) if person else [],
        "csrf_token": getattr(request.state, "csrf_token", ""),
        "static": lambda name: static_path(request, name),
    }
    made = TEMPLATES.get_template(template).render({**known, **values})
    # Bytes that are no text, where a template shows them as they are.
    return _SURROGATES.sub(lambda found: visible(found[0], None), made)


def see(path: str) -> RedirectResponse:
    """Redirect the browser to another page of the console after an act.

    Args:
        path: an absolute path of ours, such as request.url_for("run", id=1).path.
    """
    assert path.startswith("/"), path
    assert not path.startswith(("//", "/\\")), path
    return RedirectResponse(path, status_code=303)
