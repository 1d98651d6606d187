"""Short ways to the values that unit tests are about."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from rowhooks import ObjectChange
from rowhooks.domain.configuration import Configuration, JobButton, JobHook
from rowhooks.domain.feed import Snapshot
from rowhooks.domain.job import Job
from rowhooks.domain.run import SUCCESS, Outcome, Press, Run

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


def change(
    id_: int = 1,
    action: str = "update",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    **given: Any,
) -> ObjectChange:
    """Return a change of row 1 of dcim.device."""
    values: dict[str, Any] = {
        "id": id_,
        "transaction_id": 700 + id_,
        "time": NOON,
        "action": action,
        "table_id": 1,
        "changed_object_type": "dcim.device",
        "object_id_json": '{"id": 1}',
        "object_repr": "sw1",
        "prechange_json": None if before is None else json.dumps(before),
        "postchange_json": None if after is None else json.dumps(after),
        "db_user": "app",
    }
    return ObjectChange(**{**values, **given})


def job(id_: int = 1, class_path: str = "policies.Serial", **given: Any) -> Job:
    return Job(**{"id": id_, "class_path": class_path, "name": "Serial", "enabled": True, "installed": True, **given})


def hook(
    id_: int = 1,
    *,
    tables: Collection[int] = (1,),
    actions: Collection[str] = ("create", "update", "delete"),
    job: Job = job(),  # noqa: B008  (frozen)
    enabled: bool = True,
    enabled_since: Snapshot | None = None,
    **given: Any,
) -> JobHook:
    return JobHook(id_, f"hook {id_}", job, enabled, frozenset(tables), frozenset(actions), enabled_since, **given)


def configuration(*hooks: JobHook) -> Configuration:
    return Configuration(1, {}, tuple(one.job for one in hooks), hooks)


def run(id_: int = 1, **given: Any) -> Run:
    return Run(**{"id": id_, "key": f"key:{id_}", "cause": change(id_), "origin": hook(), **given})


def press(key: str = '{"id": 1}', **given: Any) -> Press:
    """Return a press on a row of dcim.device."""
    return Press(**{"table_id": 1, "changed_object_type": "dcim.device", "object_id_json": key, "object_repr": "sw1",
                    "db_user": "alice", **given})  # fmt: skip


def pressed(id_: int = 1, job: Job = job(), cause: Press = press(), **given: Any) -> Run:  # noqa: B008  (frozen)
    return Run(id_, f"key:{id_}", cause, JobButton(1, "button 1", job), trigger="press", **given)


def outcome(of: Run, status: str = SUCCESS, **given: Any) -> Outcome:
    return Outcome(of, status, NOON, None if status == "STARTED" else NOON, **given)
