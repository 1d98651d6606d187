# ruff: noqa: E501  (what is replaced stands as it is)
"""Breaks each promise of docs/guarantees.md and docs/security.md on purpose, and sees that the named test fails then.

    python -m tests.faults.sabotage [WORD..]     all of them, or those whose promise or mechanism has one of these words

Each works on a copy of the working tree. tests/unit/test_sabotage.py sees to it that what is replaced is still there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.faults.closed_doors import CLOSED_DOORS
from tests.faults.mechanism import Sabotage

ROOT = Path(__file__).parents[2]


D = "daemon/rowhooks"
LEADERSHIP = "faults/test_leadership.py"

SABOTAGES = [
    Sabotage(
        1, "changes of transactions that were open at the last look are read when they have ended", f"{D}/postgres/feed.py",
        "where o.transaction_id = ended.transaction_id", "where false and o.transaction_id = ended.transaction_id",
        "integration/test_feed.py transactions_that_commit_in_the_opposite_order_of_their_ids_both_arrive",
    ),
    Sabotage(
        1, "the floor below which nothing is read is drawn by an anchor, not the highest id that was seen", f"{D}/pipeline/reader.py",
        "self._position.arrive(self._target_floor_id)", "self._position.arrive(self._position.newest_id)",
        "faults/test_interleavings.py whatever_overlaps_each_change_is_delivered_once_and_in_order_and_a_sleeping_reader_is_woken",
    ),
    Sabotage(
        1, "a part ends at the snapshot that was taken for its batch", f"{D}/postgres/feed.py",
        "pg_visible_in_snapshot(f.transaction_id, (select $6::text::pg_snapshot))", "($6::text is not null)",
        "faults/test_interleavings.py whatever_overlaps_prepared_transactions_each_change_is_delivered_once_and_in_order",
    ),
    Sabotage(
        1, "the position waits for every run before it", f"{D}/pipeline/progress.py",
        "            if step.open_runs > left.get(id(step), 0):\n                break", "            pass",
        "faults/test_process.py killed_in_the_middle_of_a_run_database_effects_happen_once_and_others_at_least_once",
    ),
    Sabotage(
        1, "the next leader takes up what is on record as unfinished", f"{D}/lead.py",
        "        await self._on_record.adopt(self._scheduler, settings.batch_size)", "        pass",
        "integration/test_daemon.py an_unfinished_run_of_a_dead_leader_is_taken_over",
    ),
    Sabotage(
        1, "a reader goes to sleep only when it has looked after the last ring", f"{D}/intake.py",
        "            self._bell.answer()\n            # Who has been woken up mostly finds one change, for which somebody waits.\n            part = await self._next_part(FEW if is_woken else None)",
        "            part = await self._next_part(FEW if is_woken else None)\n            await asyncio.sleep(0.01)\n            self._bell.answer()",
        "faults/test_leadership.py a_bell_that_rings_while_one_reads_is_not_forgotten",
    ),
    Sabotage(
        1, "whoever does not get the bell lock rings", "sql/functions/ring_bell.sql",
        "      'if not pg_catalog.pg_try_advisory_xact_lock_shared(", "      'if false and not pg_catalog.pg_try_advisory_xact_lock_shared(",
        "integration/test_bell.py a_commit_wakes_the_sleeping_leader",
    ),
    Sabotage(
        1, "who goes to sleep waits for those who have not rung", "sql/functions/ring_bell.sql",
        "  perform pg_catalog.pg_advisory_lock(", "  perform pg_catalog.pg_try_advisory_lock(",
        "integration/test_bell.py it_does_not_fall_asleep_over_a_transaction_that_has_written_and_not_rung",
    ),
    Sabotage(
        1, "with the bell lock in hand it looks once more", f"{D}/pipeline/listener.py",
        "            self._change = asyncio.ensure_future(self._armed(self._lock))\n            await self._changed()", "            self._change = asyncio.ensure_future(self._armed(self._lock))\n            await self._changed()\n            await self._bell.wait()",
        "integration/test_bell.py it_does_not_fall_asleep_over_a_transaction_that_has_written_and_not_rung",
    ),
    Sabotage(
        1, "a leader notices that its bell lock is gone", f"{D}/hearing.py",
        "        connection.add_termination_listener(lambda _: self._lost.set())", "        pass",
        "integration/test_bell.py a_leader_that_lost_its_bell_lock_gets_it_back",
    ),
    Sabotage(
        1, "after a restore into another cluster the feed finds its place", f"{D}/lead.py",
        "if not self._leadership.same_cluster:", "if False:",
        "integration/test_feed.py a_log_restored_into_another_cluster_goes_on_where_it_stood",
    ),
    Sabotage(
        3, "the result is inserted in the receiver's transaction", f"{D}/postgres/sessions.py",
        "        driver: Any = connection.connection.driver_connection\n        refused", "        super().commit()\n        connection = self.connection()\n        driver: Any = connection.connection.driver_connection\n        refused",
        "integration/test_daemon.py a_run_that_another_leader_has_recorded_is_rolled_back",
    ),
    Sabotage(
        3, "a run that is on record as ended, or another leader's, is not recorded again", f"{D}/postgres/results.py",
        "where job_result.lease operator(pg_catalog.=) excluded.lease and job_result.finished_at is null", "where true",
        "integration/test_daemon.py a_run_that_another_leader_has_recorded_is_rolled_back",
    ),
    Sabotage(
        3, "a run whose transaction fails is rolled back", f"{D}/pipeline/runner.py",
        "            yield workspace.rollback\n", "            yield lambda: None\n",
        "integration/test_job_options.py after_a_failure_on_failure_and_after_return_write_and_the_receivers_own_writes_are_gone",
    ),
    Sabotage(
        3, "deadlocks and serialization failures are tried again", f"{D}/domain/sqlstates.py",
        '_both("40", ', '_neither("40", ',
        "integration/test_receivers.py a_serialization_failure_is_retried_by_itself_and_takes_effect_once",
    ),
    Sabotage(
        3, "a run whose connection is lost is tried again", f"{D}/postgres/sessions.py",
        "        return found.run\n    return (", "        return found.code == '40'\n    return False and (",
        "integration/test_daemon.py a_run_whose_connection_is_cut_is_run_again_and_takes_effect_once",
    ),
    Sabotage(
        3, "a run waits for a connection that cannot be had", f"{D}/postgres/connect.py",
        "return isinstance(error, psycopg.OperationalError) and error.pgconn is not None", "return False",
        "faults/test_leadership.py a_run_that_finds_no_connection_waits_for_one_however_long_it_takes",
    ),
    Sabotage(
        4, "runs of one row stand in a lane", f"{D}/pipeline/tickets.py",
        "run.lane if options.ordered or members is not None else (run.id,)", "(run.id,)",
        "faults/test_large.py a_receiver_that_takes_an_hour_holds_back_its_own_row_and_nothing_else",
    ),
    Sabotage(
        4, "a long lane goes on from its shelf in order", f"{D}/pipeline/lanes.py",
        "        if lane in self._shelves:\n            return True\n", "",
        "faults/test_large.py a_long_lane_that_a_dead_leader_has_left_is_taken_over_in_order",
    ),
    Sabotage(
        4, "a run whose change gave its row another key stands in two lanes", f"{D}/pipeline/scheduler.py",
        "            ticket.former_lane = former[0] if former else None", "            ticket.former_lane = None",
        "faults/test_keys.py runs_of_a_rows_new_key_wait_for_those_of_its_former_key",
    ),
    Sabotage(
        4, "a change of key that starts nothing makes two lanes one", f"{D}/pipeline/scheduler.py",
        "                self._lanes.join(*lanes)", "                pass",
        "faults/test_keys.py runs_of_a_rows_new_key_wait_for_those_of_its_former_key",
    ),
    Sabotage(
        4, "a change of key that starts nothing is noted for the next leader", f"{D}/onrecord.py",
        "        scheduler.join(hooks, ", "        scheduler.join([], ",
        "faults/test_keys.py runs_of_a_rows_new_key_wait_for_those_of_its_former_key",
    ),
    Sabotage(
        4, "a zombie that meets another leader's run gives up", f"{D}/postgres/sessions.py",
        "raise AlreadyRecorded if is_ours else LeadershipLost(ANOTHER_LEADS)", "raise AlreadyRecorded",
        f"{LEADERSHIP} a_zombie_does_not_go_on_to_the_next_run_of_a_row_whose_last_one_another_leader_has",
    ),
    Sabotage(
        4, "a retry is recorded by the leader alone", f"{D}/postgres/sessions.py",
        "        if is_fenced and connection", "        if False and connection",
        f"{LEADERSHIP} a_zombie_records_no_retry_that_nobody_would_look_after",
    ),
    Sabotage(
        4, "taking over waits for a run that is just being committed", f"{D}/postgres/unfinished.py",
        "and {_UNFINISHED}\", locked=\"\")", "and {_UNFINISHED}\", locked=\"skip locked\")",
        f"{LEADERSHIP} a_run_that_a_former_leader_is_just_committing_is_waited_for_and_run_first_if_that_fails",
    ),
    Sabotage(
        5, "a hook receiver's transactions say so", f"{D}/postgres/sessions.py",
        "return {\"rowhooks.receiver\": run.key, **variables}", "return variables",
        "integration/test_main_job.py a_bad_serial_is_put_back_and_the_reverting_write_starts_nothing",
    ),
    Sabotage(
        5, "nobody but the daemon's role gets through that door", "sql/functions/is_receiver.sql",
        "where pg_catalog.pg_has_role(session_user, r.oid, 'member')", "where true",
        "sql/test_capture_session.py nobody_else_hides_a_change_behind_the_flag",
    ),
    Sabotage(
        5, "the variable ends with the transaction", f"{D}/postgres/sessions.py",
        "f\"set local {_quoted(name)} =", "f\"set {_quoted(name)} =",
        "faults/test_pgbouncer.py nothing_of_a_run_is_left_in_a_server_connection",
    ),
    Sabotage(
        6, "where nobody tells of DDL, no condition of a trigger computes virtual columns", "sql/functions/track.sql",
        "        or exists (select from pg_catalog.pg_event_trigger as e where", "        or true or exists (select from pg_catalog.pg_event_trigger as e where",
        "sql/test_capture_virtual.py where_nobody_tells_of_ddl_the_first_one_fails_no_write",
    ),
    Sabotage(
        6, "new partitions are noted without waiting for entries that another transaction has", "sql/functions/bindings.sql",
        "for no key update of t skip locked", "for no key update of t",
        "sql/test_capture_tables.py new_partitions_are_noted_and_nobody_waits_or_fails_for_an_entry_that_another_has",
    ),
    Sabotage(
        6, "what jsonb cannot hold fails no write", "sql/functions/source_of_capture.sql",
        "    exception when others then\n      is_by_columns := true;", "    exception when division_by_zero then\n      is_by_columns := true;",
        "sql/test_capture_shapes.py a_value_too_large_for_jsonb_costs_its_column_and_not_the_row",
    ),
    Sabotage(
        7, "one daemon leads", f"{D}/postgres/leader_lock.py",
        "            return bool(await self._connection.fetchval(_LOCK, key))", "            return True",
        "integration/test_daemon.py a_second_daemon_stands_by_and_takes_over",
    ),
    Sabotage(
        7, "nothing is recorded without the lease", f"{D}/postgres/results.py",
        "        if not await self._connection.fetchval(_FENCE, self._lease):", "        if False:",
        "integration/test_daemon.py a_leader_without_its_lease_records_nothing",
    ),
    Sabotage(
        7, "a standby ends the connections of a silent leader", f"{D}/postgres/leadership.py",
        "        await connection.fetch(_END, row[1])", "        pass",
        "faults/test_one_fault.py a_leader_that_was_stopped_is_deposed_and_wakes_up_as_a_standby",
    ),
    Sabotage(
        7, "a silent connection is given up", f"{D}/postgres/connect.py",
        "command_timeout=patience", "command_timeout=None",
        f"{LEADERSHIP} a_connection_that_has_died_silently_is_noticed_and_nothing_is_lost",
    ),
    Sabotage(
        7, "a leader knows what its predecessor recorded last", f"{D}/intake.py",
        "if change.id <= self._leadership.last_recorded]", "if False]",
        f"{LEADERSHIP} what_a_former_leader_records_while_it_loses_the_lead_is_not_run_again",
    ),
    Sabotage(
        7, "behind a transaction pooler nothing is prepared", f"{D}/postgres/pooling.py",
        "        if await _server_process(first) == first.get_server_pid():", "        if True:",
        "faults/test_pgbouncer.py nothing_of_a_run_is_left_in_a_server_connection",
    ),
    Sabotage(
        7, "SIGTERM ends a daemon that waits for its server", f"{D}/daemon.py",
        "            if not lead.was_ready:\n                task.cancel()", "            pass",
        "faults/test_one_fault.py a_daemon_that_is_still_waiting_for_the_server_ends_when_it_is_told_to",
    ),
    Sabotage(
        8, "a run is ended at its time limit", f"{D}/pipeline/scheduler.py",
        "if options.time_limit is not None and seconds >= options.time_limit:", "if False:",
        "integration/test_job_options.py the_time_limit_ends_the_run_and_nothing_of_its_transaction_remains",
    ),
    Sabotage(
        8, "a run that goes on is on record, and holds the position back no longer", f"{D}/pipeline/scheduler.py",
        "        if ticket.on_record or _is_late(ticket, moment):\n", "        if False:\n",
        "integration/test_daemon.py a_receiver_that_hangs_holds_back_its_own_row_and_nothing_else",
    ),
    Sabotage(
        9, "what stands behind many others waits in the table", f"{D}/pipeline/lanes.py",
        "len(queue) > LONGEST_LANE\n", "len(queue) > 10**9\n",
        "faults/test_large.py a_hot_row_whose_runs_stand_still_keeps_no_other_from_being_dealt_with",
    ),
    Sabotage(
        9, "a part of the feed is bounded in bytes", f"{D}/postgres/changerows.py",
        "PART_SIZE = 8 * 2**20", "PART_SIZE = 2**50",
        "faults/test_large.py rows_of_30_megabytes_are_written_delivered_and_forgotten",
    ),
    Sabotage(
        10, "a batch ends at a snapshot, not at the oldest open transaction", f"{D}/postgres/feed.py",
        "visible='true'", "visible='f.transaction_id < pg_snapshot_xmin(pg_current_snapshot())'",
        "integration/test_feed.py a_transaction_left_open_delays_nobody",
    ),
]  # fmt: skip


def main(words: list[str]) -> int:
    """Break what is asked for; return how many mechanisms were not missed."""
    everything = SABOTAGES + CLOSED_DOORS
    chosen = [one for one in everything if not words or any(word in f"{one.promise} {one.mechanism}" for word in words)]
    unnoticed = 0
    with tempfile.TemporaryDirectory(prefix="rowhooks-sabotage-") as name:
        copy = Path(name)
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for file in listed.stdout.splitlines():
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, copy / file)
        for one in chosen:
            noticed = _is_noticed(one, copy)
            unnoticed += not noticed
            sys.stdout.write(
                f"{'noticed' if noticed else 'NOT NOTICED'}: {one.promise}. without: {one.mechanism} ({one.test})\n"
            )
            sys.stdout.flush()
    return unnoticed


def _is_noticed(one: Sabotage, copy: Path) -> bool:
    path = copy / one.file
    text = path.read_text("utf-8")
    assert text.count(one.old) == 1, f"{one.file} has {text.count(one.old)} times: {one.old}"
    path.write_text(text.replace(one.old, one.new), "utf-8")
    try:
        file, _, name = one.test.partition(" ")
        # A file and -k: the test may have parameters.
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-x",
                "-q",
                "--timeout",
                "100",
                "-p",
                "no:cacheprovider",
                f"tests/{file}",
                "-k",
                f"test_{name}",
            ],
            cwd=copy,
            env={
                **os.environ,
                "PYTHONPATH": str(copy / "daemon"),
                "ROWHOOKS_TEST_PATIENCE": "10",
                "HYPOTHESIS_PROFILE": "first failure",
            },
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        path.write_text(text, "utf-8")
    # A test that cannot be collected, or a copy that cannot be imported, shows nothing.
    failed = done.returncode == 1 and f"FAILED tests/{file}::test_{name}" in done.stdout
    if not failed:
        sys.stdout.write(done.stdout[-1500:] + done.stderr[-1500:])
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
