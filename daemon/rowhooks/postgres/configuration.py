"""Jobs, hooks, buttons and tracked tables, as one statement finds them, for any driver."""

from __future__ import annotations

import json
from typing import Any

from rowhooks.domain.configuration import Configuration, JobButton, JobHook, TrackedTable
from rowhooks.domain.feed import Snapshot
from rowhooks.domain.job import Job
from rowhooks.domain.names import join_name
from rowhooks.postgres.statements import Statements

SQL = Statements(__file__)
LOAD = SQL["load"]
"""The statement that reads the configuration, for any driver; see read_configuration."""
DESCRIPTION = SQL["description"]
"""What describes a table, as arguments of json_build_object; see read_table."""


def read_configuration(document: str | dict[str, Any]) -> Configuration:
    """Return the configuration that LOAD has found, executed with PINNED: its JSON, or the decoded JSON."""
    loaded = json.loads(document) if isinstance(document, str) else document
    tables = {t["id"]: read_table(t) for t in loaded["tables"]}
    jobs = {
        j["id"]: Job(
            j["id"],
            j["class_path"],
            j["name"],
            j["enabled"],
            j["installed"],
            _snapshot(j["enabled_since"]),
            j["sensitive"],
        )
        for j in loaded["jobs"]
    }
    hooks = tuple(
        JobHook(
            id=h["id"],
            name=h["name"],
            job=jobs[h["job"]],
            enabled=h["enabled"],
            tables=frozenset(h["tables"]),
            actions=frozenset(action for action in ("create", "update", "delete") if h[action]),
            enabled_since=_snapshot(h["enabled_since"]),
            columns=frozenset(h["columns"]),
            ignored_columns=frozenset(h["ignored_columns"]),
            conditions_json=h["conditions"],
            on_undecided=h["on_undecided"],
            names={int(table): names for table, names in h["names"].items()},
            queue=h["queue"],
        )
        for h in loaded["hooks"]
    )
    buttons = tuple(JobButton(b["id"], b["name"], jobs[b["job"]], b["queue"]) for b in loaded["buttons"])
    return Configuration(loaded["version"], tables, tuple(jobs.values()), hooks, buttons, loaded["notify"])


def read_table(t: dict[str, Any]) -> TrackedTable:
    """Return a table from the server's id, repr_column, key and DESCRIPTION, decoded."""
    return TrackedTable(
        id=t["id"],
        name=join_name(t["schema"], t["table"]),
        quoted_name=t["quoted_name"],
        relation=t["relation"],
        columns=tuple((name, oid) for name, oid in t["columns"]),
        key=tuple((quoted, name, type_) for quoted, name, type_ in t["key"]),
        repr_column=t["repr_column"],
        identity=t.get("identity", "key"),
        former_key=tuple(sorted((former, present) for former, present in t.get("former_key", ()))),
        loose_key=t.get("loose_key", {}),
    )


def _snapshot(text: str | None) -> Snapshot | None:
    return None if text is None else Snapshot.parse(text)
