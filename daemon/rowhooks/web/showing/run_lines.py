"""Runs as lines of a listing: what a line shows, and where it leads."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from rowhooks.domain import exact
from rowhooks.domain.display import visible
from rowhooks.postgres.console.places import Place
from rowhooks.web.linking.links import json_in_address, path_of
from rowhooks.web.wording.durations import took

LONGEST_KEY, LONGEST_NAME = 300, 200
"""Characters of a row's key, as JSON, and of a name that are linked to."""
LONGEST_NAME_IN_LISTING = 60
"""The same of a name in a listing."""


def line_of(request: Request, run: dict[str, Any]) -> dict[str, Any]:
    """Return a run as a line: its row of a listing, with texts cut and links added."""
    name = run["hook_name"] or run["button_name"] or ""
    return {
        **run,
        "order": Place(run["created_at"], run["id"]).order,
        "path": path_of(request, "run", id=run["id"]),
        "origin": visible(name, 60),
        "origin_kind": "button" if run["button_name"] else "hook",
        "origin_path": origin_path(request, run) if len(name) <= LONGEST_NAME_IN_LISTING else None,
        "job": visible(run["class_path"], 80),
        "table": visible(run["object_type"] or "", 80),
        "row": visible(run["object_repr"] or "", 60),
        "row_path": row_path(request, run["object_type"], run["object_id"], LONGEST_KEY),
        "by": visible(run["user_name"] or run["db_user"], 40),
        "took": took(run["started_at"], run["finished_at"]),
        "error": "" if run["exception_type"] is None else visible(_error(run), 140),
        "is_finished": run["finished_at"] is not None,
    }


def origin_path(request: Request, run: dict[str, Any]) -> str | None:
    """Return the path of the page of a run's hook or button; None where there is none."""
    kind, name = ("hook", run["hook_name"]) if run["hook_name"] else ("button", run["button_name"])
    return path_of(request, kind, name=name) if name and len(name) <= LONGEST_NAME else None


def row_path(request: Request, table: str | None, key: Any, longest: int | None = None) -> str | None:
    """Return the path of the page of a user's row; None where there is none.

    Args:
        request: the request whose page links to it.
        table: `schema.table`.
        key: key columns to values; None: the row has no key.
        longest: characters of a key, as JSON, that is linked to; None: any number.
    """
    if table is None or not key:
        return None
    text = exact.write(key)
    if longest is not None and len(text) > longest:
        return None
    return path_of(request, "row", [("key", json_in_address(text))], table=table)


def _error(run: dict[str, Any]) -> str:
    message = run["exception_message"]
    return f"{run['exception_type']}: {message}" if message else str(run["exception_type"])
