"""Scheduler: random walks over lanes, retries, revocations, locks, batches, turns and take-overs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial

import pytest

from rowhooks.domain.run import FAILURE, REVOKED, SUCCESS, Run
from tests.support.virtual_time import in_virtual_time
from tests.support.waiting import eventually
from tests.support.walk_tables import WalkTables
from tests.support.walking import HERE, Leadership, Scene, drawn, hooks_of, set_limits
from tests.support.world import working

RUNS = 200


@pytest.mark.parametrize("seed", range(6))
def test_whatever_comes_together_each_run_ends_in_its_turn(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits(monkeypatch)
    in_virtual_time(_walk(random.Random(seed)))


async def _walk(walk: random.Random) -> None:
    tables, hooks = WalkTables(walk, HERE), hooks_of(HERE)
    scene, runs = Scene(tables, hooks), list(drawn(walk, hooks, RUNS))
    come = 0
    while come < len(runs):
        leadership = Leadership(scene)
        until = min(come + walk.choice([30, 60, 120]), len(runs))
        async with working(leadership):
            await leadership.begin(runs[:come])
            for one in runs[come:until]:
                leadership.read(one)
                match walk.randrange(30):
                    case 0 | 1 | 2 | 3 | 4 | 5:
                        await asyncio.sleep(walk.choice([0, 0.001, 0.005]))
                    case 6 | 7:
                        tables.revoke()
                    case 8:
                        leadership.locked ^= {2}
            leadership.locked.clear()
            come = until
            if come == len(runs):
                await eventually(partial(_ended, leadership, runs))
            leadership.is_over = True
        assert not tables.problems, tables.problems
    assert {row.status for row in tables.results.values()} <= {SUCCESS, REVOKED, FAILURE}


def _ended(leadership: Leadership, runs: Sequence[Run]) -> bool:
    tables, scheduler = leadership.tables, leadership.scheduler
    is_done = all(tables.has_ended(one.id) for one in runs) and (scheduler.waiting, scheduler.held) == (0, 0)
    return tables.problems != [] or is_done
