"""Problems where the console answers before the API has seen a request: too many, too large, from a wrong host ..."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Scope

from rowhooks.web.api.problems import refusal_of_status

PATH = "/api/v1"
"""Where the API is."""


def is_for_api(scope: Scope) -> bool:
    """Say whether a request is one to the API."""
    path: str = scope["path"].removeprefix(root_of(scope))
    return path == PATH or path.startswith(f"{PATH}/")


def problem_response(scope: Scope, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a problem with this status.

    Args:
        scope: the request, as the console has got it.
        status: the status code.
        detail: what is wrong.
        headers: more headers of the answer.
    """
    return refusal_of_status(status, detail, headers).response(root_of(scope) + PATH)


def root_of(scope: Scope) -> str:
    """Return the path under which the console is. A route that has matched has changed `root_path`."""
    root: str = scope.get("app_root_path", scope.get("root_path", ""))
    return root
