"""`rowhooks results` on a real database: listed, shown, followed, retried, revoked, pruned."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from rowhooks.domain.errors import UsageError
from rowhooks.domain.times import point_in_time, span
from rowhooks.postgres.administration import results as administration
from tests.support.cli import Rowhooks
from tests.support.hooks import add_hook
from tests.support.results import LONG_AGO, Following, Serial, add_button, add_line, add_result, behind_the_feed

Connection = psycopg.Connection[Any]


@pytest.fixture
def hook_id(db: Connection, device: str) -> int:
    """A hook of an enabled job, and changes 1 to 3."""
    hook_id = add_hook(db, Serial, device, name="Serials")
    db.execute("insert into dcim.device select n, 'sw' || n from generate_series(1, 3) as n")
    return hook_id


def ids(db: Connection) -> list[int]:
    return [row[0] for row in db.execute("select id from rowhooks.job_result order by id").fetchall()]


def statuses(db: Connection) -> list[str]:
    return [row[0] for row in db.execute("select status from rowhooks.job_result order by id").fetchall()]


# Listing and showing


def test_results_are_filtered_by_button_origin_and_time(run: Rowhooks, db: Connection, hook_id: int) -> None:
    change = add_result(db, hook_id, object_change_id=1, created_at="now")
    replay = add_result(db, hook_id, object_change_id=1, trigger="replay")
    press = add_result(db, None, trigger="press", job_button_id=1, button_name="Reboot")

    def listed(*arguments: str) -> list[int]:
        return [row["id"] for row in run("results", "list", "--json", *arguments).json]

    assert listed("--button", "Reboot") == [press]
    assert listed("--trigger", "replay") == [replay]
    assert listed("--since", "1h") == [change]
    assert listed("--since", "2019-12-31") == [change, press, replay]


def test_runs_are_listed_by_when_they_were_put_on_record_and_not_by_their_ids(
    run: Rowhooks, db: Connection, hook_id: int
) -> None:
    minutes = {}
    for minute in (3, 1, 4, 2):
        result = add_result(
            db, hook_id, object_change_id=1, trigger="replay", created_at=f"2026-01-01 00:0{minute}:00+00"
        )
        minutes[result] = minute
    change = run("changes", "show", "1", "--json").json
    assert [minutes[row["id"]] for row in run("results", "list", "--json").json] == [4, 3, 2, 1]
    assert [minutes[row["id"]] for row in run("results", "list", "--limit", "2", "--json").json] == [4, 3]
    assert [minutes[row["id"]] for row in change["runs"]] == [1, 2, 3, 4]


def test_the_newest_of_many_results_are_found_by_an_index(db: Connection, hook_id: int) -> None:
    db.execute(
        "insert into rowhooks.job_result (object_change_id, job_hook_id, job_id, class_path, hook_name, status,"
        " finished_at, created_at)"
        " select n, 1, 1, 'a.B', 'h', 'SUCCESS', now(), now() - n * interval '1 second'"
        " from generate_series(1, 20000) as n"
    )
    db.execute("analyze rowhooks.job_result")
    plan = "\n".join(
        line
        for (line,) in db.execute(
            "explain select r.id, r.status from rowhooks.results as r order by r.created_at desc, r.id desc limit 20"
        )
    )
    assert "Index Scan Backward using job_result_created_at_idx" in plan
    assert "Sort" not in plan


def test_a_status_or_an_origin_that_there_is_not_is_refused(run: Rowhooks) -> None:
    assert run("results", "list", "--trigger", "cron") == (
        2, "", "rowhooks: no run has the trigger cron\n  choose from: change, press, replay\n"
    )  # fmt: skip
    assert run("results", "list", "--status", "DONE").code == 2


def test_show_counts_the_lines_per_level_and_heads_them_with_their_grouping(
    run: Rowhooks, db: Connection, hook_id: int
) -> None:
    result = add_result(db, hook_id, object_change_id=1, status="FAILURE", exception_message="bad serial")
    add_line(db, result, "before all else")
    add_line(db, result, "first", grouping="validation")
    add_line(db, result, "second", "warning", grouping="validation")
    add_line(db, result, "third", grouping="clean-up")
    out = run("results", "show", result).out
    assert re.search(r"log counts +info=3, warning=1\b", out)
    assert "ValueError: bad serial" in out
    lines = [line.split(" ", 2)[-1].strip() for line in out[out.index("before all else") - 40 :].splitlines()]
    assert [line for line in lines if line] == [
        "info before all else", "validation", "info first", "warning second", "clean-up", "info third",
        "serial",
    ]  # fmt: skip
    assert run("results", "show", result, "--json").json["log_counts"] == {"info": 3, "warning": 1}


def test_show_names_the_other_runs_of_the_same_change(run: Rowhooks, db: Connection, hook_id: int) -> None:
    first = add_result(db, hook_id, object_change_id=1, status="FAILURE")
    second = add_result(db, hook_id, object_change_id=1, original_id=first)
    assert f"run {second} SUCCESS" in run("results", "show", first).out
    assert [(other["id"], other["status"]) for other in run("results", "show", second, "--json").json["history"]] == [
        (first, "FAILURE")
    ]


# Following


def test_a_run_is_followed_line_by_line_until_it_succeeds(db: Connection, dsn: str, hook_id: int) -> None:
    result = add_result(db, hook_id, object_change_id=1, status="PENDING")
    with Following(dsn, result) as following:
        following.shows("PENDING")
        db.execute("update rowhooks.job_result set status = 'STARTED'")
        following.shows("STARTED")
        add_line(db, result, "half way", grouping="work")
        following.shows("info half way")
        add_line(db, result, "done")
        db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now()")
        assert following.end() == 0
    out = following.out
    assert [out.count(text) for text in ("PENDING", "STARTED", "half way", "info done", "SUCCESS")] == [1] * 5
    assert out.rstrip().endswith("SUCCESS")


@pytest.mark.parametrize("status", ["FAILURE", "REVOKED"])
def test_following_a_run_that_does_not_succeed_exits_with_1(
    run: Rowhooks, db: Connection, hook_id: int, status: str
) -> None:
    result = add_result(db, hook_id, object_change_id=1, status=status, exception_message="bad serial")
    done = run("results", "show", "--follow", result)
    assert (done.code, done.err) == (1, "")
    assert status in done.out
    assert ("ValueError: bad serial" in done.out) == (status == "FAILURE")


def test_a_line_that_becomes_visible_after_later_ones_is_shown_too(db: Connection, dsn: str, hook_id: int) -> None:
    result = add_result(db, hook_id, object_change_id=1, status="STARTED")
    with psycopg.connect(dsn) as late, Following(dsn, result) as following:
        lower = add_line(late, result, "the late one", second=1)
        assert add_line(db, result, "the early one", second=2) > lower
        following.shows("the early one")
        late.commit()
        following.shows("the late one")
        db.execute("update rowhooks.job_result set status = 'SUCCESS', finished_at = now()")
        assert following.end() == 0
    assert following.out.count("the early one") == 1


def test_following_as_json_prints_one_object_a_line(run: Rowhooks, db: Connection, hook_id: int) -> None:
    result = add_result(db, hook_id, object_change_id=1, result='{"seen": 1}')
    add_line(db, result, "later", second=2)
    add_line(db, result, "earlier", second=1)
    printed = [json.loads(line) for line in run("results", "show", "--follow", "--json", result).out.splitlines()]
    assert [line.get("message") for line in printed] == ["earlier", "later", None]
    assert (printed[-1]["status"], printed[-1]["result"]) == ("SUCCESS", {"seen": 1})


def test_a_run_that_is_not_on_record_is_not_followed(run: Rowhooks) -> None:
    done = run("results", "show", "--follow", 7)
    assert (done.code, done.err) == (1, "rowhooks: there is no result 7\n  see: rowhooks results list\n")


# Retrying and revoking


def test_finished_runs_are_retried_and_the_others_refused_by_name(run: Rowhooks, db: Connection, hook_id: int) -> None:
    failure = add_result(db, hook_id, object_change_id=1, status="FAILURE")
    started = add_result(db, hook_id, object_change_id=2, status="STARTED")
    done = run("results", "retry", failure, started)
    new_id = ids(db)[-1]
    assert done == (
        1, f"Run {failure} is run again as run {new_id}.\n",
        f"rowhooks: run {started} has not finished yet: it is STARTED\n"
        f"  To give it up: rowhooks results revoke {started}\n",
    )  # fmt: skip
    assert statuses(db) == ["FAILURE", "STARTED", "PENDING"]


def test_the_daemon_s_login_may_retry_and_revoke(
    capsys: pytest.CaptureFixture[str], daemon_dsn: str, run: Rowhooks, db: Connection, hook_id: int
) -> None:
    failure = add_result(db, hook_id, object_change_id=1, status="FAILURE")
    daemons = Rowhooks(capsys, daemon_dsn)
    assert daemons("results", "retry", failure).code == 0
    assert daemons("results", "revoke", ids(db)[-1]).code == 0
    assert statuses(db) == ["FAILURE", "REVOKED"]


def test_failed_runs_are_retried_once_each_the_newest_of_a_history_alone(
    run: Rowhooks, db: Connection, hook_id: int
) -> None:
    first = add_result(db, hook_id, object_change_id=1, status="FAILURE")
    add_result(db, hook_id, object_change_id=1, status="FAILURE", original_id=first)
    made_good = add_result(db, hook_id, object_change_id=2, status="FAILURE")
    add_result(db, hook_id, object_change_id=2, original_id=made_good)
    add_result(db, hook_id, object_change_id=3)
    assert run("results", "retry", "--failed", "--yes") == (0, "1 failed run will run again.\n", "")
    assert db.execute("select original_id from rowhooks.job_result where status = 'PENDING'").fetchall() == [(first,)]
    assert run("results", "retry", "--failed", "--yes") == (0, "There is no failed run to retry.\n", "")


def test_failed_runs_are_chosen_by_hook_and_time(run: Rowhooks, db: Connection, hook_id: int) -> None:
    add_result(db, hook_id, object_change_id=1, hook_name="Serials", status="FAILURE")
    recent = add_result(db, hook_id, object_change_id=2, hook_name="Serials", status="FAILURE", created_at="now")
    add_result(db, 99, object_change_id=2, hook_name="Names", status="FAILURE", created_at="now")
    assert run("results", "retry", "--failed", "--hook", "Serials", "--since", "1d", "--yes").code == 0
    assert db.execute("select original_id from rowhooks.job_result where status = 'PENDING'").fetchall() == [(recent,)]


def test_failed_runs_are_not_retried_unless_somebody_says_yes(
    run: Rowhooks, db: Connection, hook_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_result(db, hook_id, object_change_id=1, status="FAILURE")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert run("results", "retry", "--failed").code == 1
    assert statuses(db) == ["FAILURE"]


@pytest.mark.parametrize("arguments", [(), ("--failed", 1), ("--hook", "Serials", 1)])
def test_retry_refuses_arguments_that_do_not_say_which_runs(run: Rowhooks, arguments: tuple[Any, ...]) -> None:
    done = run("results", "retry", *arguments)
    assert (done.code, done.out) == (2, "")


def test_retrying_the_failures_of_a_hook_that_there_is_not_is_refused(run: Rowhooks) -> None:
    assert run("results", "retry", "--failed", "--hook", "Nmaes") == (
        1, "", "rowhooks: there is no hook Nmaes\n  see: rowhooks hooks list\n"
    )  # fmt: skip


def test_unfinished_runs_are_revoked_and_finished_ones_refused(run: Rowhooks, db: Connection, hook_id: int) -> None:
    pending = add_result(db, hook_id, object_change_id=1, status="PENDING")
    success = add_result(db, hook_id, object_change_id=2)
    assert run("results", "revoke", success, pending) == (
        1, f"Run {pending} is revoked; it was PENDING.\n",
        f"rowhooks: run {success} cannot be revoked: it has finished with SUCCESS\n"
        f"  See: rowhooks results show {success}\n",
    )  # fmt: skip
    assert statuses(db) == ["REVOKED", "SUCCESS"]


def test_status_counts_the_runs_that_were_requested_and_wait(
    run: Rowhooks, db: Connection, hook_id: int, device: str
) -> None:
    add_result(db, None, trigger="press", job_button_id=add_button(db, device), status="PENDING", leader_epoch=None)
    add_result(db, hook_id, object_change_id=1, status="PENDING")
    found = run("status", "--json").json
    assert (found["requested"], found["unfinished_runs"]) == (1, 2)
    assert "requested" in run("status").out


# Pruning


def test_old_results_are_pruned_and_pending_and_failed_ones_stay(run: Rowhooks, db: Connection, hook_id: int) -> None:
    behind_the_feed(db)
    success = add_result(db, hook_id, object_change_id=1)
    failure = add_result(db, hook_id, object_change_id=2, status="FAILURE")
    pending = add_result(db, hook_id, object_change_id=3, status="PENDING")
    young = add_result(db, hook_id, trigger="replay", object_change_id=1, created_at=datetime.now(UTC))
    assert run("results", "prune", "--older-than", "90d", "--dry-run") == (0, "1 result would be deleted.\n", "")
    assert ids(db) == [success, failure, pending, young]
    assert run("results", "prune", "--older-than", "90d") == (0, "1 result deleted.\n", "")
    assert ids(db) == [failure, pending, young]
    assert run("results", "prune", "--older-than", "90d", "--failed") == (0, "1 result deleted.\n", "")
    assert ids(db) == [pending, young]


def test_more_results_than_a_batch_holds_are_pruned(run: Rowhooks, db: Connection, hook_id: int) -> None:
    db.execute(
        "insert into rowhooks.job_result"
        " (trigger, job_hook_id, job_id, class_path, status, leader_epoch, created_at, finished_at)"
        " select 'replay', %s, 1, 'policies.Serial', 'SUCCESS', gen_random_uuid(), %s, %s"
        " from generate_series(1, 12000)",
        (hook_id, LONG_AGO, LONG_AGO),
    )
    assert run("results", "prune", "--older-than", "1w") == (0, "12,000 results deleted.\n", "")
    assert ids(db) == []


def test_an_age_that_is_none_is_refused(run: Rowhooks) -> None:
    assert run("results", "prune", "--older-than", "old") == (
        2, "", "rowhooks: 'old' is not a duration\n  for example 90s, 15m, 2h, 7d, 12w or 1h30m\n"
    )  # fmt: skip


# Spans and moments


@pytest.mark.parametrize(("text", "seconds"), [
    ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604800), ("2w", 1209600), ("1h30m", 5400), ("0s", 0),
])  # fmt: skip
def test_a_span_is_read(text: str, seconds: int) -> None:
    assert span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "7", "d", "7 d", "-7d", "7y", "1.5h", "999999999999d", "\u0667d", "9" * 5000 + "d"]
)
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        span(text)


def test_a_moment_is_read_with_and_without_a_zone() -> None:
    assert point_in_time("2026-01-31T12:00+02:00") == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert point_in_time("2026-01-31T12:00:00Z") == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert point_in_time("2026-01-31") == datetime(2026, 1, 31).astimezone()


def test_a_moment_may_be_a_span_back_from_now() -> None:
    before = datetime.now(UTC)
    assert before - timedelta(hours=2) <= point_in_time("2h") <= datetime.now(UTC) - timedelta(hours=2)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "12:00", "999999999999d", "900000d"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a time"):
        point_in_time(text)


def test_a_page_of_thousands_is_read_from_where_it_begins(db: Connection) -> None:
    db.execute("insert into rowhooks.job (class_path, kind, name) values ('jobs.It', 'hook', 'It')")
    db.execute(
        "insert into rowhooks.job_result (job_hook_id, job_id, class_path, status, finished_at, created_at)"
        " select 1, 1, 'jobs.It', 'SUCCESS', now(), now() - make_interval(secs => n) from generate_series(1, 5000) as n"
    )
    db.execute("analyze rowhooks.job_result")
    older = administration.list_results(db, before=3000, limit=1000)
    assert [row["id"] for row in older] == list(range(3001, 4001))
    with psycopg.RawCursor(db) as cursor:
        values = [*[None] * 8, older[0]["created_at"], older[0]["id"], 1000]
        plan = cursor.execute("explain (costs off) " + administration._SQL["list"], values).fetchall()
    assert any("Index Cond: (ROW(created_at, id) < ROW(" in line for (line,) in plan)
