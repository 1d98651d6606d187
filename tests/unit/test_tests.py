"""What holds for the tests themselves."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
FOR_EVER = 30.0
"""Seconds. A sleep of this length waits for nothing: it hangs until something ends it."""

# By file and the function (or class) around them: why there is no condition to wait for.
SLEEPS = {
    "faults/test_blocking.py test_while_a_stranger_holds_the_bells_lock_changes_run_and_it_is_named":
        "writers that come one by one, while the lock grows old",
    "faults/test_blocking.py test_a_transaction_that_ends_soon_and_the_leader_are_not_named":
        "that no session is named shows only after the time in which one would be named",
    "faults/test_large.py test_a_long_lane_that_a_dead_leader_has_left_is_taken_over_in_order":
        "writers that come one by one, while the lane is worked off",
    "faults/test_leadership.py test_a_listener_never_sits_in_a_transaction": "samples, taken one by one",
    "faults/test_pgbouncer.py": "an application's statements, between those of the receivers",
    "faults/test_service.py test_a_reload_takes_up_new_code_and_settings_and_loses_and_repeats_nothing":
        "writers that come one by one",
    "faults/test_service.py test_two_reloads_at_once_are_one_or_two_and_end_well": "reloads that come one by one",
    "faults/test_service.py test_a_leader_that_takes_long_to_take_over_is_not_silent":
        "that no leader is deposed shows only after the time in which one would be",
    "integration/test_batch_receivers.py": "a commit that takes longer than a run may go on without being on record",
    "integration/test_daemon.py Sequence": "a receiver that takes longer than a run may go on without being on record",
    "integration/test_hostile_settings.py Plain": "a receiver that takes longer than the server's limits",
    "integration/test_hostile_settings.py Asynchronous": "a receiver that takes longer than the server's limits",
    "integration/test_loop_monitor.py Blocking": "a receiver that keeps the event loop",
    "integration/test_receivers.py Ordered": "runs that would overtake each other",
    "integration/test_receivers.py Bounded": "runs that would go on at the same time",
    "service/test_boot.py test_the_watchdog_leaves_a_daemon_alone_that_is_idle_or_waits_for_its_database":
        "that nothing is restarted shows only after the time in which it would be",
    "support/celery_receivers.py Waits": "looks again",
    "support/chaos.py Chaos": "faults come at random times",
    "support/machine.py Machine": "looks again",
    "support/waiting.py eventually": "looks again",
    "support/waiting.py wait": "looks again",
    "support/walk_tables.py WalkTables": "steps of a random walk; how long they take is what is random",
    "support/walk_workers.py Working": "looks again",
    "support/walking.py Process": "steps of a random walk; how long they take is what is random",
    "unit/test_health.py test_the_watchdog_is_fed_until_something_is_overdue":
        "that the watchdog is not fed shows only after the time in which it would be",
    "unit/test_scheduler.py test_what_is_revoked_while_it_waits_for_a_worker_is_not_started":
        "what was asked for becomes too old",
    "unit/test_scheduler_walk.py": "steps of a random walk; how long they take is what is random",
    "unit/test_worker_walk.py": "steps of a random walk; how long they take is what is random",
}  # fmt: skip


def sleeps(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the sleeps of a file that wait for something: the function or class around each, and its line."""
    for outer in ast.parse(path.read_text("utf-8")).body:
        for call in ast.walk(outer):
            if not isinstance(call, ast.Call) or getattr(call.func, "attr", None) != "sleep":
                continue
            (seconds,) = call.args
            is_known = isinstance(seconds, ast.Constant) and isinstance(seconds.value, int | float)
            # A sleep of zero lets other tasks have their turn.
            if not is_known or 0 < seconds.value < FOR_EVER:  # type: ignore[attr-defined]
                yield getattr(outer, "name", ""), call.lineno


def test_tests_wait_for_conditions_and_do_not_sleep() -> None:
    unexplained, used = [], set()
    for path in sorted(TESTS.rglob("*.py")):
        file = path.relative_to(TESTS).as_posix()
        for name, line in sleeps(path):
            known = {file, f"{file} {name}"} & SLEEPS.keys()
            used |= known
            if not known:
                unexplained.append(f"{file}:{line} in {name}")
    assert unexplained == [], "wait for a condition (tests/support/waiting.py), or say here why there is none"
    assert SLEEPS.keys() - used == set(), "these do not sleep any more"


def test_a_program_that_a_test_starts_hears_sighup_also_under_nohup() -> None:
    program = "import signal; print(signal.getsignal(signal.SIGHUP) is signal.SIG_DFL)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
    assert signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN


def test_what_tests_share_is_in_support() -> None:
    imported = {
        f"{path.relative_to(TESTS)}: {node.module}"
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests")
        and not (node.module or "").startswith(("tests.support", "tests.all_postgres"))
    }  # fmt: skip
    assert imported == set()
