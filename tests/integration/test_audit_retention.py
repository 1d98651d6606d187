"""How long it is kept who did what: for ever, unless the settings say otherwise."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from rowhooks.domain.events import Events
from rowhooks.postgres.connections.target import Target
from rowhooks.runtime.maintenance import Maintenance
from rowhooks.settings import Settings


@pytest.mark.parametrize(("days", "left"), [
    (0, ["old", "young"]), (100, ["young", "prune_audit"]), (400, ["old", "young"]),
])  # fmt: skip
async def test_the_leader_prunes_the_audit_as_the_settings_say_and_writes_it_down(
    db: psycopg.Connection[Any], daemon_dsn: str, days: float, left: list[str]
) -> None:
    db.execute(
        "insert into rowhooks.audit (time, actor, login, act) values"
        " (now() - interval '101 days', 'x', 'x', 'old'), (now() - interval '99 days', 'x', 'x', 'young')"
    )
    settings = Settings.model_validate({"audit_retention": days})
    maintenance = Maintenance(settings, Target(daemon_dsn), Events(), lambda name: None)
    await maintenance.prune()
    # The next time there is nothing to prune, and nothing to write down.
    await maintenance.prune()
    assert [act for (act,) in db.execute("select act from rowhooks.audit order by id")] == left
