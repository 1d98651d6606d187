"""Nothing is lost and nothing happens twice in the database, whatever breaks: faults at random, and one at a time."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter

import pytest

from tests.support.chaos import Chaos, staged
from tests.support.workload import HOOKS, Writers

MINUTES = float(os.environ.get("ROWHOOKS_FAULTS_MINUTES", "0"))
"""How long `make faults` goes on; a short while when 0."""
ROUND = 60.0 if MINUTES else 20.0
"""Seconds of one round: its own server, its own seed."""


def seeds() -> list[int]:
    """Return the seeds of the rounds: new ones each time, or the one that is to be replayed."""
    if given := os.environ.get("ROWHOOKS_FAULTS_SEED"):
        return [int(seed) for seed in given.split(",")]
    # One round with daemons alone, one with workers.
    return [2 * random.SystemRandom().randrange(10**9) + odd for odd in (0, 1)]


@pytest.mark.long
@pytest.mark.timeout(0)
def test_random_faults_lose_nothing_and_repeat_nothing_in_the_database(capsys: pytest.CaptureFixture[str]) -> None:
    total: Counter[str] = Counter()
    end = time.monotonic() + 60 * MINUTES
    waiting = seeds()
    while waiting:
        seed = waiting.pop(0)
        # For a failure's report: what is written beside the capture is lost where a worker runs the test.
        sys.stdout.write(f"seed {seed}\n")
        with capsys.disabled():
            sys.stdout.write(f"\nseed {seed}: ")
            sys.stdout.flush()
            counts = _round(seed)
            sys.stdout.write(_listed(counts))
        total.update(counts)
        if not waiting and time.monotonic() < end:
            waiting = seeds()
    with capsys.disabled():
        sys.stdout.write(f"\nin all: {_listed(total)}\n")
    assert total["changes"] > 0
    assert total["runs"] == len(HOOKS) * total["changes"]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.items())


def _round(seed: int) -> Counter[str]:
    """Let things break for a while, then see that all is well; return what there was.

    In every other round, by the seed, workers execute the runs.
    """
    with staged(has_workers=seed % 2 == 1) as stage:
        stage.start()
        chaos = Chaos(stage, seed)
        with Writers(stage.dsn, seed):
            chaos.run(ROUND)
        reckoning = stage.settle()
        done = chaos.done
        return Counter(
            {
                "rounds with workers": int(stage.has_workers),
                "changes": reckoning.changes,
                "runs": reckoning.runs,
                "duplicates outside": reckoning.again_outside,
                "kills": done["kill"],
                "terminations": done["terminate"],
                "cuts": stage.proxy.cuts,
                "ended backends": done["end_backends"],
                "server crashes": done["crash_the_server"],
                "server restarts": done["restart_the_server"],
                "zombies": done["stop_and_continue"],
                "full servers": done["fill_the_connections"],
                "silences": done["silence_some"],
                "take-overs": stage.said("ready: "),
            }
        )
