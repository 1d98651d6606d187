"""What people import: nothing comes or goes unnoticed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import rowhooks
from rowhooks import choices, events
from rowhooks.domain.computed import computed

PUBLIC = [
    "Hook",
    "JobButtonReceiver",
    "JobHookReceiver",
    "ObjectChange",
    "PermissionBackend",
    "RowhooksError",
    "SoftTimeLimitExceeded",
    "__version__",
    "press",
    "press_many",
    "register_jobs",
    "table",
]


def test_the_public_names_are_these() -> None:
    assert sorted(rowhooks.__all__) == PUBLIC
    # Written in order, so that a diff of it can be read.
    assert list(rowhooks.__all__) == PUBLIC


EVENTS = [
    "AttemptEnded",
    "AttemptStarted",
    "BacklogCounted",
    "BellRung",
    "ConfigurationLoaded",
    "DaemonState",
    "DeadlineMet",
    "DeadlineSet",
    "DeadlinesDropped",
    "Event",
    "FeedRead",
    "InternalErrorOccurred",
    "LeadershipChanged",
    "RunEnded",
    "RunExecuted",
    "RunFailed",
    "RunLost",
    "RunRetried",
    "RunStarted",
    "RunSubmitted",
    "subscribe",
]


def test_the_public_events_are_these() -> None:
    assert list(events.__all__) == EVENTS
    assert {one.__name__ for one in events.Event.__subclasses__()} < set(EVENTS)


@pytest.mark.parametrize("name", EVENTS)
def test_every_event_is_described_and_in_the_docs(name: str) -> None:
    value = getattr(events, name)
    assert value.__doc__
    if name != "Event":
        assert f"`{name}" in (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_and_described(name: str) -> None:
    value = getattr(rowhooks, name)
    if name == "__version__":
        assert re.fullmatch(r"\d+\.\d+\.\d+\S*", value)
        return
    assert inspect.getdoc(value)
    assert value.__doc__, "the documentation is inherited, not its own"


@pytest.mark.parametrize(
    "cls", [rowhooks.JobHookReceiver, rowhooks.ObjectChange, rowhooks.PermissionBackend, rowhooks.RowhooksError]
)
def test_every_public_method_and_property_is_described(cls: type) -> None:
    undescribed = {
        name
        for name, value in vars(cls).items()
        if not name.startswith("_")
        and (inspect.isroutine(value) or inspect.isclass(value) or isinstance(value, property | computed))
        and not inspect.getdoc(value)
    }
    # A field, described with the class; its default only happens to be a function.
    assert undescribed <= {"decoder"}


def test_the_package_is_described() -> None:
    assert rowhooks.__doc__


def test_the_actions_are_written_as_nautobot_writes_them() -> None:
    actions = choices.ObjectChangeActionChoices
    assert (actions.ACTION_CREATE, actions.ACTION_UPDATE, actions.ACTION_DELETE) == ("create", "update", "delete")


def test_the_states_are_written_as_celery_writes_them() -> None:
    states = {name: value for name, value in vars(choices.JobResultStatusChoices).items() if name.startswith("STATUS_")}
    assert states == {f"STATUS_{value}": value for value in states.values()}
    assert sorted(states.values()) == ["FAILURE", "PENDING", "RETRY", "REVOKED", "STARTED", "SUCCESS"]


def test_the_specifications_classes_are_found_under_their_names() -> None:
    parameters = inspect.signature(rowhooks.JobHookReceiver.receive_job_hook).parameters
    assert list(parameters) == ["self", "change", "action", "changed_object"]
    assert list(inspect.signature(rowhooks.JobHookReceiver.run).parameters) == ["self", "object_change"]


def test_a_module_at_the_root_of_the_package_is_what_users_import_or_a_leaf() -> None:
    root = Path(rowhooks.__file__).parent
    assert {path.name for path in root.glob("*.py")} == {
        "__init__.py", "__main__.py", "choices.py", "events.py", "pressing.py", "resources.py", "settings.py",
    }  # fmt: skip
    assert {path.name for path in root.iterdir() if path.is_dir() and path.name not in ("__pycache__", "_data")} == {
        "cli", "demo", "domain", "integrations", "observability", "pipeline", "postgres", "receivers", "runtime",
        "service", "testing", "web",
    }  # fmt: skip
