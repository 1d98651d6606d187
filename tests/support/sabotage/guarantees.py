"""What keeps the promises of docs/guarantees.md, and what takes each mechanism away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import sqlalchemy.orm

from rowhooks.pipeline.ports import GroupUndone
from rowhooks.pipeline.scheduling.thread_pool import _Report
from rowhooks.postgres.sessions.fences import Fence
from tests.support.sabotage.mechanism import (
    Constant,
    Function,
    Python,
    Sabotage,
    Statement,
    awaiting,
    constant,
    returning,
)

LEADERSHIP = "faults/test_leadership.py"
GROUPS = "integration/test_group_commit.py"
FEED = "rowhooks.postgres.feed"
LEADER_EPOCH = "rowhooks.postgres.leadership.epoch"
SESSION = "rowhooks.postgres.sessions.receiver_session"
Becomes = Callable[[Any], Any]


async def everything_given(_: Any, outcomes: Any, lines: Any, position: Any) -> Any:
    """Let everything be written."""
    return outcomes, lines


def finding(**instead: object) -> Becomes:
    """Have a new leader find something else."""

    def becomes(take_over: Any) -> Any:
        async def altered(*args: Any) -> Any:
            return replace(await take_over(*args), **instead)

        return altered

    return becomes


def committing_first(commit_run: Any) -> Any:
    """Have what a receiver wrote committed before its result."""

    def altered(session: Any, *args: Any) -> None:
        session.flush()
        sqlalchemy.orm.Session.commit(session)
        commit_run(session, *args)

    return altered


def sleeping_unseen(wait: Any) -> Any:
    """Have a reader that has just got the bell lock wait for the bell without another look."""

    async def altered(sleep: Any) -> bool:
        before = sleep._held
        woken = bool(await wait(sleep))
        if before is None and sleep._held is not None:
            await sleep._bell.wait()
        return woken

    return altered


def forgetting(wait_for: Any) -> Any:
    """Have rings forgotten that come while one reads."""

    async def altered(bell: Any, seconds: float) -> bool:
        bell.answer()
        return bool(await wait_for(bell, seconds))

    return altered


def only_conflicts(_: Any) -> Any:
    """Have nothing but conflicts between transactions pass by itself."""
    return lambda error: isinstance(getattr(error, "orig", error), psycopg.errors.TransactionRollback)


def running_on(_: Any) -> Any:
    """Have a leadership run to its end, whatever the daemon is told."""

    async def altered(_: Any, leader: Any) -> int:
        return int(await leader.run())

    return altered


def without_time_limit(abandon: Any) -> Any:
    """Have no run ended for the time that it takes."""

    def altered(scheduler: Any, task: Any, error: Exception) -> None:
        if type(error).__name__ != "TimeLimitExceeded":
            abandon(scheduler, task, error)

    return altered


def overtaking(is_long: Any) -> Any:
    """Have a run go to the end of its lane in memory, though others of the lane wait in the table."""

    def altered(lanes: Any, lane: Any) -> bool:
        shelved, lanes._on_shelves = lanes._on_shelves, ()
        try:
            return bool(is_long(lanes, lane))
        finally:
            lanes._on_shelves = shelved

    return altered


def forgetting_the_failure(_: Any) -> Any:
    """Have runs end as if they were committed, whatever became of their transaction."""

    def altered(pool: Any, transaction: Any, members: Any, worker: Any) -> None:
        with contextlib.suppress(GroupUndone):
            transaction.commit([member.outcome for member in members])
        for execution, outcome in members:
            pool._post(_Report(worker, execution.run, execution, execution.committed(outcome)))

    return altered


def staying_in_reach(join: Any) -> Any:
    """Have a run that waits for its COMMIT watched as if it were executed."""

    def altered(pool: Any, report: Any, grouping: Any) -> bool:
        joined = bool(join(pool, report, grouping))
        if joined:
            pool.running[report.execution.run.id] = report.execution
        return joined

    return altered


async def never(*_: Any) -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


SABOTAGES = [
    Sabotage(
        1, "changes of transactions that were open at the last look are read when they have ended",
        Statement(FEED, "ended", "$4::text[]::xid8[]", "($4::text[]::xid8[])[1:0]"),
        "integration/test_feed.py transactions_that_commit_in_the_opposite_order_of_their_ids_both_arrive",
    ),
    Sabotage(
        1, "an anchor sets the floor below which nothing is read, not the highest id that was seen",
        Python(
            "rowhooks.domain.feed:Position.arrive",
            lambda arrive: lambda position, _: arrive(position, position.newest_id),
        ),
        "faults/test_interleavings.py"
        " whatever_overlaps_each_change_is_delivered_once_and_in_order_and_a_sleeping_reader_is_woken",
    ),
    Sabotage(
        1, "a part ends at the snapshot that was taken for its batch",
        Statement(
            FEED, "later_found", "pg_visible_in_snapshot(c.transaction_id, (select $6::text::pg_snapshot))",
            "($6::text is not null)",
        ),
        "faults/test_interleavings.py"
        " whatever_overlaps_prepared_transactions_each_change_is_delivered_once_and_in_order",
    ),
    Sabotage(
        1, "the position waits for every run before it",
        Python(
            "rowhooks.pipeline.progress:Progress.position_after",
            lambda _: lambda progress, __: progress._steps[-1].position if progress._steps else progress._position,
        ),
        "faults/test_process.py killed_in_the_middle_of_a_run_database_effects_happen_once_and_others_at_least_once",
    ),
    Sabotage(
        1, "the next leader takes up what is on record as unfinished",
        Python("rowhooks.postgres.recovery:UnfinishedRuns.left", awaiting([])),
        "integration/test_daemon.py an_unfinished_run_of_a_dead_leader_is_taken_over",
    ),
    Sabotage(
        1, "a result that meets the run's own STARTED is written by another attempt",
        Python("rowhooks.postgres.sessions.terms:_met_the_recorder", returning(False)),
        "faults/test_meeting_results.py a_result_that_meets_the_runs_own_started_is_written_by_another_attempt",
    ),
    Sabotage(
        1, "a reader goes to sleep only when it has looked after the last ring",
        Python("rowhooks.pipeline.listener:Bell.wait_for", forgetting),
        "faults/test_leadership.py a_bell_that_rings_while_one_reads_is_not_forgotten",
    ),
    Sabotage(
        1, "a writer that does not get the bell lock rings",
        Function("source_of_bell", "'if not pg_catalog.pg_try", "'if false and not pg_catalog.pg_try"),
        "integration/test_bell.py a_commit_wakes_the_sleeping_leader",
    ),
    Sabotage(
        1, "a daemon that goes to sleep waits for writers that have not rung",
        Function("arm_bell", "pg_catalog.pg_advisory_lock(", "pg_catalog.pg_try_advisory_lock("),
        "integration/test_bell.py it_does_not_fall_asleep_over_a_transaction_that_has_written_and_not_rung",
    ),
    Sabotage(
        1, "with the bell lock in hand, the daemon looks once more",
        Python("rowhooks.pipeline.listener:Sleep.wait", sleeping_unseen),
        "integration/test_bell.py it_does_not_fall_asleep_over_a_transaction_that_has_written_and_not_rung",
    ),
    Sabotage(
        1, "a leader notices that its bell lock is gone",
        Python("rowhooks.runtime.wakeups:WakeUps._notice_the_end", constant(never)),
        "integration/test_bell.py a_leader_that_lost_its_bell_lock_gets_it_back",
    ),
    Sabotage(
        1, "after a restore into another cluster the feed finds its place",
        Python(f"{LEADER_EPOCH}:take_over", finding(same_cluster=True)),
        "integration/test_feed.py a_log_restored_into_another_cluster_goes_on_where_it_stood",
    ),
    Sabotage(
        1, "a statement trigger counts the rows that row triggers have captured since its table was unsafe",
        Function("source_of_counting", "when tracked.mark is null then ''", "when true then ''"),
        "sql/test_capture_by_statement.py a_mark_that_goes_while_a_statement_runs_costs_and_doubles_no_row",
    ),
    Sabotage(
        3, "the result is inserted in the receiver's transaction",
        Python(f"{SESSION}:ReceiverSession.commit_run", committing_first),
        "integration/test_daemon.py a_run_that_another_leader_has_recorded_is_rolled_back",
    ),
    Sabotage(
        3, "a run that is on record as ended, or another leader's, is not recorded again",
        Function(
            "record_run",
            "where job_result.leader_epoch = excluded.leader_epoch and job_result.finished_at is null\n"
            "    returning id into recorded;\n  else",
            "returning id into recorded;\n  else",
        ),
        "integration/test_daemon.py a_run_that_another_leader_has_recorded_is_rolled_back",
    ),
    Sabotage(
        3, "a run whose transaction fails is rolled back",
        Python("rowhooks.postgres.sessions.workspaces:SyncWorkspace.rollback", returning(None)),
        "integration/test_job_options.py"
        " after_a_failure_on_failure_and_after_return_write_and_the_receivers_own_writes_are_gone",
    ),
    Sabotage(
        3, "deadlocks and serialization failures are retried",
        Python(
            "rowhooks.domain.sqlstates:verdict",
            lambda verdict: lambda state, *given: replace(verdict(state, *given), run=state[:2] != "40"),
        ),
        "integration/test_receivers.py a_serialization_failure_is_retried_by_itself_and_takes_effect_once",
    ),
    Sabotage(
        3, "a run whose connection is lost is retried",
        Python("rowhooks.postgres.sessions.workspaces:is_transient", only_conflicts),
        "integration/test_daemon.py a_run_whose_connection_is_cut_is_run_again_and_takes_effect_once",
    ),
    Sabotage(
        3, "a run waits for a connection that is not available",
        Python("rowhooks.postgres.connections.errors:is_unreachable", returning(False)),
        "faults/test_leadership.py a_run_that_finds_no_connection_waits_for_one_however_long_it_takes",
    ),
    Sabotage(
        3, "no statement of a receiver commits what runs that share its transaction have written",
        Python("rowhooks.postgres.sessions.groups:_GUARD", lambda guard: (guard[0], guard[1].replace("guard'", "run'")
               .replace("::pg_catalog.bool", ""))),
        f"{GROUPS} a_receiver_that_ends_the_transaction_harms_no_other_run",
    ),
    Sabotage(
        3, "runs whose shared transaction was not committed are executed again, each alone",
        Python("rowhooks.pipeline.scheduling.thread_pool:ThreadPool._commit", forgetting_the_failure),
        f"{GROUPS} a_commit_that_fails_has_each_executed_again_alone",
    ),
    Sabotage(
        3, "a run that waits for the shared COMMIT is out of reach of time limits",
        Python("rowhooks.pipeline.scheduling.thread_pool:ThreadPool._join", staying_in_reach),
        f"{GROUPS} what_waits_for_the_commit_reaches_no_time_limit",
    ),
    Sabotage(
        3, "what a run wrote that shares its transaction goes when the run fails",
        Python("rowhooks.postgres.sessions.groups:CommitGroup.go_back", returning(None)),
        f"{GROUPS} a_run_that_fails_goes_back_to_its_savepoint_and_its_failure_is_committed_with_the_others",
    ),
    Sabotage(
        4, "runs of one row wait in a lane",
        Python("rowhooks.domain.run:Run.lane", constant(property(lambda run: (run.id,)))),
        "faults/test_large.py a_receiver_that_takes_an_hour_holds_back_its_own_row_and_nothing_else",
    ),
    Sabotage(
        4, "a long lane goes on in order with the runs that overflowed into the table",
        Python("rowhooks.pipeline.scheduling.lanes:Lanes.is_long", overtaking),
        "faults/test_large.py a_long_lane_that_a_dead_leader_has_left_is_taken_over_in_order",
    ),
    Sabotage(
        4, "a run whose change gave its row another key waits in two lanes",
        Python("rowhooks.domain.run:Run.lanes", constant(property(lambda run: [run.lane]))),
        "faults/test_keys.py runs_of_a_rows_new_key_wait_for_those_of_its_former_key",
    ),
    Sabotage(
        4, "a change of key that starts nothing makes two lanes one",
        Python("rowhooks.pipeline.scheduling.lanes:Lanes.join", returning(None)),
        "faults/test_keys.py runs_of_a_rows_new_key_wait_for_those_of_its_former_key",
    ),
    Sabotage(
        4, "a change of key that starts nothing is recorded for the next leader",
        Python("rowhooks.postgres.recovery:UnfinishedRuns.noted", awaiting([])),
        "faults/test_keys.py runs_of_a_rows_new_key_wait_for_those_of_its_former_key",
    ),
    Sabotage(
        4, "a former leader that meets another leader's run gives up",
        Python("rowhooks.postgres.results:LEADS", constant("select true, %s::pg_catalog.uuid")),
        f"{LEADERSHIP} a_zombie_does_not_go_on_to_the_next_run_of_a_row_whose_last_one_another_leader_has",
    ),
    Sabotage(
        4, "a run that comes back from a worker waits before what is behind it, also on record",
        Python("rowhooks.pipeline.scheduling.lanes:Lanes.wait_again", returning(None)),
        "integration/test_cut_workers.py what_a_worker_gives_back_comes_first_also_for_the_next_leader",
    ),
    Sabotage(
        4, "only the leader records a retry",
        Python("rowhooks.postgres.results:FENCE_ONE", constant("select true, %s::pg_catalog.uuid")),
        f"{LEADERSHIP} a_zombie_records_no_retry_that_nobody_would_look_after",
    ),
    Sabotage(
        4, "a leader that takes over waits for a run that is just being committed",
        Statement("rowhooks.postgres.recovery", "take_over", "for update", "for update skip locked"),
        f"{LEADERSHIP} a_run_that_a_former_leader_is_just_committing_is_waited_for_and_run_first_if_that_fails",
    ),
    Sabotage(
        4, "statement triggers capture no table whose rows code may write before they fire",
        Function("code_among_after_triggers", None, "select null::pg_catalog.text"),
        "sql/test_capture_by_statement.py a_change_by_a_users_trigger_comes_after_the_change_that_fired_it",
    ),
    Sabotage(
        4, "statement triggers capture no table that a foreign key's action writes",
        Function("why_not_by_statement", "c.oid in (select w.relation", "false and c.oid in (select w.relation"),
        "sql/test_capture_by_statement.py a_row_that_an_action_writes_twice_is_recorded_in_that_order",
    ),
    Sabotage(
        4, "row triggers capture changed keys, also where statement triggers capture the rest",
        Function("is_key_changed", None, "select 'false'::pg_catalog.text"),
        "sql/test_capture_by_statement.py a_key_that_one_statement_frees_and_takes_again_is_freed_first",
    ),
    Sabotage(
        5, "a hook receiver's transactions carry the skip variable",
        Python(
            "rowhooks.postgres.sessions.workspaces:session_variables",
            lambda made: lambda *run: {k: v for k, v in made(*run).items() if k != "rowhooks.receiver"},
        ),
        "integration/test_main_job.py a_bad_serial_is_put_back_and_the_reverting_write_starts_nothing",
    ),
    Sabotage(
        5, "the skip variable counts only for the daemon's role",
        Function(
            "is_receiver", None, "select coalesce(pg_catalog.current_setting('rowhooks.receiver', true), '') <> ''"
        ),
        "sql/test_capture_session.py nobody_else_hides_a_change_behind_the_flag",
    ),
    Sabotage(
        5, "the variable ends with the transaction",
        Python(
            f"{SESSION}:set_local",
            lambda made: lambda *given: [one.replace("set local ", "set ", 1) for one in made(*given)],
        ),
        "faults/test_pgbouncer.py nothing_of_a_run_is_left_in_a_server_connection",
    ),
    Sabotage(
        6, "without event triggers, no condition of a trigger computes virtual columns",
        Function("make_triggers", "or exists (select from pg_catalog.pg_event_trigger", "or true or exists (select from"
                 " pg_catalog.pg_event_trigger"),
        "sql/test_capture_virtual.py where_nobody_tells_of_ddl_the_first_one_fails_no_write",
    ),
    Sabotage(
        6, "new partitions are recorded without waiting for entries that another transaction has",
        Function("note_partitions", "for no key update of t skip locked", "for no key update of t"),
        "sql/test_capture_tables.py new_partitions_are_noted_and_nobody_waits_or_fails_for_an_entry_that_another_has",
    ),
    Sabotage(
        6, "a value that jsonb cannot hold fails no write",
        Function("source_of_json", "exception when others then", "exception when division_by_zero then"),
        "sql/test_capture_shapes.py a_value_too_large_for_jsonb_costs_its_column_and_not_the_row",
    ),
    Sabotage(
        7, "one daemon leads",
        Python("rowhooks.postgres.leadership.lock:LeaderLock._lock", awaiting(True)),
        "integration/test_daemon.py a_second_daemon_stands_by_and_takes_over",
    ),
    Sabotage(
        7, "nothing is recorded without the leader epoch",
        Python("rowhooks.postgres.results:PostgresResults._fenced", lambda _: everything_given),
        "integration/test_daemon.py a_leader_without_its_lease_records_nothing",
    ),
    Sabotage(
        7, "a worker records no run that was taken from it",
        Python("rowhooks.runtime.working:Working._fence_of", lambda _: lambda self, run: Fence(self._leader_epoch)),
        "integration/test_workers.py what_was_taken_from_a_worker_is_not_recorded_by_it",
    ),
    Sabotage(
        7, "a standby ends the connections of a silent leader",
        Python(f"{LEADER_EPOCH}:end_silent_leader", awaiting("nobody")),
        "faults/test_one_fault.py a_leader_that_was_stopped_is_deposed_and_wakes_up_as_a_standby",
    ),
    Sabotage(
        7, "a silent connection is given up",
        Python(
            "rowhooks.postgres.connections.connect:_first_that_lets_in",
            lambda connect: lambda target, _, given: connect(target, None, given),
        ),
        f"{LEADERSHIP} a_connection_that_has_died_silently_is_noticed_and_nothing_is_lost",
    ),
    Sabotage(
        7, "a leader knows what its predecessor recorded last",
        Python(f"{LEADER_EPOCH}:last_recorded", awaiting(0)),
        f"{LEADERSHIP} what_a_former_leader_records_while_it_loses_the_lead_is_not_run_again",
    ),
    Sabotage(
        7, "behind a transaction pooler no statement is prepared",
        Python("rowhooks.postgres.connections.target:TRANSACTION_POOLER", constant("direct")),
        "faults/test_pgbouncer.py nothing_of_a_run_is_left_in_a_server_connection",
    ),
    Sabotage(
        7, "SIGTERM ends a daemon that waits for its server",
        Python("rowhooks.runtime.daemon:Daemon._see_to_the_end", running_on),
        "faults/test_one_fault.py a_daemon_that_is_still_waiting_for_the_server_ends_when_it_is_told_to",
    ),
    Sabotage(
        8, "a run is ended at its time limit",
        Python("rowhooks.pipeline.scheduling.scheduler:Scheduler._abandon", without_time_limit),
        "integration/test_job_options.py the_time_limit_ends_the_run_and_nothing_of_its_transaction_remains",
    ),
    Sabotage(
        8, "a run that goes on is on record, and no longer holds the position back",
        Python("rowhooks.pipeline.scheduling.records:Records.put_started", returning(None)),
        "integration/test_daemon.py a_receiver_that_hangs_holds_back_its_own_row_and_nothing_else",
    ),
    Sabotage(
        9, "a run behind many others of its row waits in the table",
        Python("rowhooks.pipeline.scheduling.lanes:LONGEST_LANE", constant(10**9)),
        "faults/test_large.py a_hot_row_whose_runs_stand_still_keeps_no_other_from_being_dealt_with",
    ),
    Sabotage(
        9, "a part of the feed is bounded in bytes",
        Constant("rowhooks.postgres.log_rows", "PART_SIZE", 2**50),
        "faults/test_large.py rows_of_30_megabytes_are_written_delivered_and_forgotten",
    ),
    Sabotage(
        10, "a batch ends at a snapshot, not at the oldest open transaction",
        Statement(
            FEED, "starts_hooks", None, "c.receiver is null and c.action <> 'truncate'"
            " and c.transaction_id < pg_snapshot_xmin(pg_current_snapshot())",
        ),
        "integration/test_feed.py a_transaction_left_open_delays_nobody",
    ),
]  # fmt: skip
