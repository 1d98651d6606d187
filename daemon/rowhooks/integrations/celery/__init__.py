"""Celery as doorbell and router: its workers execute runs, and its monitoring shows them.

    celery -A rowhooks.integrations.celery worker -Q work,heavy

Or in an application's own Celery app:

    from rowhooks.integrations.celery import add_to

    add_to(app)

A message says which group of runs is meant, and nothing else. What is executed, in which order, and what has become of
it is between the daemon, the workers and PostgreSQL; a message that is lost, doubled or late changes nothing of that.
"""

from __future__ import annotations

from typing import Any

from rowhooks.integrations.celery.attached import add_to

__all__ = ["add_to"]


def __getattr__(name: str) -> Any:
    # `celery -A` asks for `app`. An application that calls `add_to` needs no settings for it.
    if name == "app":
        from rowhooks.integrations.celery.standalone import standalone_app

        return standalone_app()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
