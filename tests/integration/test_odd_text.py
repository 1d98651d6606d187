"""Rows, names, logs and errors as nobody wants them: people read them, terminals obey nothing, JSON stays exact."""

from __future__ import annotations

import io
import json
import logging
import os
import select
import subprocess
import sys
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from rowhooks import JobHookReceiver
from rowhooks.cli import call
from rowhooks.domain import exact
from rowhooks.observability.logs import configure_logging
from tests.support.daemons import running_daemon
from tests.support.hooks import add_hook
from tests.support.rows import first_value
from tests.support.waiting import settled

Connection = psycopg.Connection[Any]

EVIL = "\x1b[2J\x9b31m\x07\x7f\u202eevil\n2026-01-01 00:00:00 INFO forged\r\n"
SHOWN = r"\x1b[2J\x9b31m\x07\x7f\u202eevil\n2026-01-01 00:00:00 INFO forged\r\n"
HUGE = "x" * 1_000_000


class Loud(JobHookReceiver):
    def receive_job_hook(self, change: Any, action: str, changed_object: Any) -> None:
        self.logger.warning("name %s", change.object_data["name"], extra={"object": changed_object, "grouping": EVIL})
        raise ValueError(change.object_data["name"])


class Rowhooks:
    """Runs commands on one database, and sees to it that what they print for people is fit for them."""

    def __init__(self, capsys: pytest.CaptureFixture[str], dsn: str) -> None:
        self._capsys = capsys
        self._dsn = dsn

    def __call__(self, *words: object) -> str:
        self._capsys.readouterr()
        call([*map(str, words), "--dsn", self._dsn])
        printed = self._capsys.readouterr()
        text = printed.out + printed.err
        assert all(line.isprintable() for line in text.split("\n")), text
        return text

    def people(self, *words: object) -> str:
        """Return what is printed for people, on lines as wide as they are."""
        text = self(*words)
        assert len(text) < 50_000
        assert not any(line.startswith("2026-01-01 00:00:00 INFO forged") for line in text.split("\n")), text
        return text

    def json(self, *words: object) -> Any:
        return json.loads(self(*words, "--json"))


@pytest.fixture
def rowhooks(capsys: pytest.CaptureFixture[str], dsn: str) -> Rowhooks:
    return Rowhooks(capsys, dsn)


def write_evil(db: Connection) -> None:
    """Write a row with an evil name, and a huge one, for somebody whom the application names so."""
    with db.transaction():
        db.execute("select set_config('rowhooks.user', %s, true)", ("root" + EVIL,))
        db.execute("select set_config('rowhooks.request_id', %s, true)", (EVIL,))
        db.execute("insert into dcim.device values (1, %s, %s)", (EVIL, EVIL))
    db.execute("insert into dcim.device values (2, %s, %s)", (HUGE, HUGE))


async def test_a_listing_shows_what_a_terminal_would_obey_and_shortens_what_is_huge(
    db: Connection, device: str, rowhooks: Rowhooks
) -> None:
    write_evil(db)
    listed = rowhooks.people("changes", "list")
    assert "\\x1b[2J\\x9b31m" in listed.replace("\n", "").replace(" ", "")
    first, second = [row[0] for row in db.execute("select id from rowhooks.object_change order by id").fetchall()]
    shown = rowhooks.people("changes", "show", first)
    assert "evil\\n2026-01-01" in shown.replace("\n", "")
    assert "characters left out)" in rowhooks.people("changes", "show", second).replace("\n", " ")
    found = rowhooks.json("changes", "show", second)
    assert found["postchange"] == {"id": 2, "name": HUGE, "serial": HUGE}
    found = rowhooks.json("changes", "show", first)
    assert (found["postchange"]["name"], found["request_id"], found["user_name"]) == (EVIL, EVIL, "root" + EVIL)


async def test_runs_their_logs_and_errors_are_shown_so_too(
    db: Connection, daemon_dsn: str, device: str, rowhooks: Rowhooks
) -> None:
    add_hook(db, Loud, device, "create")
    db.execute("update rowhooks.job_hook set name = %s", (EVIL,))
    write_evil(db)
    async with running_daemon(daemon_dsn, Loud):
        await settled(db)
    rowhooks.people("results", "list")
    for (id_,) in db.execute("select id from rowhooks.job_result").fetchall():
        assert "ValueError" in rowhooks.people("results", "show", id_)
        rowhooks.people("results", "show", id_, "--follow")
    assert EVIL in {row["exception_message"] for row in rowhooks.json("results", "list")}
    assert EVIL in rowhooks.json("hooks", "list")[0]["name"]


async def test_hooks_buttons_and_complaints_are_shown_so_too(db: Connection, device: str, rowhooks: Rowhooks) -> None:
    write_evil(db)
    db.execute(
        "insert into rowhooks.job (class_path, kind, name, enabled) values ('jobs.It', 'hook', %s, true)", (EVIL,)
    )
    conditions = json.dumps({"attr": "name", "value": EVIL})
    add = ["hooks", "add", EVIL, "--job", "jobs.It", "--table", device, "--on", "create", "--conditions", conditions]
    assert f"Hook {SHOWN} added." in rowhooks.people(*add)
    assert f"a hook named {SHOWN} exists already" in rowhooks.people(*add)
    rowhooks.people("hooks", "list")
    first = db.execute("select min(id) from rowhooks.object_change").fetchone() or ()
    rowhooks.people("hooks", "test", EVIL, "--change", *first)
    assert f"Hook {SHOWN} is disabled" in rowhooks.people("hooks", "disable", EVIL)
    assert f"Hook {SHOWN} is enabled" in rowhooks.people("hooks", "enable", EVIL)
    rowhooks.people("replay", "--hook", EVIL, "--since", "1h", "--dry-run")
    rowhooks.people("jobs", "list")
    db.execute("update rowhooks.job set installed = false")
    assert f"(waiting for it: hook {SHOWN}): 0 runs are kept" in rowhooks.people("doctor")
    for words in (
        ["hooks", "test", EVIL + HUGE, "--change", "1"],
        ["jobs", "show", EVIL + "x"],
        ["track", f'"{EVIL}"'],
    ):
        assert "rowhooks: " in rowhooks.people(*words)


def test_what_is_followed_is_shown_so_too(db: Connection, dsn: str, device: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    command = [sys.executable, "-m", "rowhooks", "changes", "follow", "--dsn", dsn]
    deep = "[" * 3000 + "]" * 3000
    db.execute("create table dcim.odd (id integer primary key, config jsonb)")
    db.execute("select rowhooks.track('dcim.odd')")
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as people,
        subprocess.Popen([*command, "--json"], stdout=subprocess.PIPE, env=environment) as programs,
    ):
        try:
            assert people.stdout is not None
            assert programs.stdout is not None
            for number in range(10**6):
                db.execute("insert into dcim.device values (%s, 'waiting', null)", (number,))
                if number and select_readable(people, programs):
                    break
            db.execute("insert into dcim.device values (-1, %s, 'Zürich')", (EVIL,))
            db.execute("insert into dcim.odd values (1, %s)", (f'{{"n": {"9" * 5000}, "d": {deep}}}',))
            seen = read_until(people.stdout, b"dcim.odd")
            assert all(line.isprintable() for line in seen.decode("ascii").split("\n"))
            assert "\\x1b[2J" in seen.decode("ascii")
            lines = read_until(programs.stdout, b'"dcim.odd"').decode("ascii").splitlines()
            found = [exact.read_exactly(line) for line in lines]
            assert next(one for one in found if one["object_id"] == {"id": -1})["postchange"]["name"] == EVIL
            assert exact.write(found[-1]["postchange"]["config"]["d"]) == deep
        finally:
            people.kill()
            programs.kill()


def select_readable(*processes: subprocess.Popen[bytes]) -> bool:
    ready, _, _ = select.select([process.stdout.fileno() for process in processes if process.stdout], [], [], 0.2)
    return len(ready) == len(processes)


def read_until(stream: Any, wanted: bytes) -> bytes:
    """Read lines until one has this in it."""
    seen: bytes = b""
    for line in stream:
        seen += line
        if wanted in line:
            return seen
    raise AssertionError(f"{wanted!r} did not come: {seen[-500:]!r}")


def test_whatever_the_encoding_of_the_terminal_a_listing_is_no_traceback(db: Connection, dsn: str, device: str) -> None:
    db.execute("insert into dcim.device values (1, 'Zürich 東京 🙂', %s)", (EVIL,))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    for words, as_json in (
        (["changes", "list"], False),
        (["changes", "show", "1"], False),
        (["changes", "show", "1", "--json"], True),
    ):
        command = [sys.executable, "-m", "rowhooks", *words, "--dsn", dsn]
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        assert done.stderr == b""
        if as_json:
            assert json.loads(done.stdout.decode("ascii"))["postchange"]["name"] == "Zürich 東京 🙂"
        else:
            assert rb"Z\xfcrich" in done.stdout
    done = subprocess.run([sys.executable, "-m", "rowhooks", "hooks", "disable", "Zürich\udc9b", "--dsn", dsn],
                          env=environment, capture_output=True, check=False)  # fmt: skip
    assert (done.returncode, b"Traceback" in done.stderr) == (2, False)


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_a_line_of_the_daemons_log_is_one_line_whatever_a_row_holds(
    db: Connection, daemon_dsn: str, device: str, log_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_hook(db, Loud, device, "create")
    write_evil(db)
    written = io.StringIO()
    root = logging.getLogger()
    before = list(root.handlers), root.level, logging.getLogger("rowhooks").level
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", written)
        configure_logging("info", log_format)
    try:
        async with running_daemon(daemon_dsn, Loud):
            await settled(db)
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        logging.getLogger("rowhooks").setLevel(before[2])
    lines = written.getvalue().split("\n")
    assert any("forged" in line for line in lines)
    assert all(line.isprintable() for line in lines)
    assert not any(line.startswith("2026-01-01 00:00:00 INFO forged") for line in lines)
    if log_format == "json":
        assert any(json.loads(line)["message"] == f"name {EVIL}" for line in lines if line)
    else:
        assert max(map(len, lines)) < 10_000


def test_the_login_and_the_claim_stand_apart(db: Connection, device: str, rowhooks: Rowhooks) -> None:
    login = first_value(db, "select session_user")
    with db.transaction():
        db.execute("select set_config('rowhooks.user', 'ada', true)")
        db.execute("insert into dcim.device values (1, 'sw1', null)")
    db.execute("insert into dcim.device values (2, 'sw2', null)")
    header, _, second, first = (line for line in rowhooks.people("changes", "list").splitlines() if line.strip())
    assert header.split()[-4:] == ["db", "user", "user", "name"]
    assert first.split()[-2:] == [login, "ada"]
    assert second.split()[-1] == login
    change_id = first_value(db, "select min(id) from rowhooks.object_change")
    shown = rowhooks.people("changes", "show", change_id).splitlines()
    assert [line.split()[-1] for line in shown if line.split()[:2] in (["db", "user"], ["user", "name"])] == [
        login,
        "ada",
    ]
    add_hook(db, Loud, device, "create")
    db.execute(
        "insert into rowhooks.job_result"
        " (trigger, object_change_id, job_hook_id, job_id, class_path, status, finished_at, db_user, user_name)"
        " select 'replay', 1, h.id, h.job_id, 'x', 'REVOKED', now(), %s, u.name"
        " from rowhooks.job_hook as h cross join (values (1, 'ada'), (2, null)) as u (place, name) order by u.place",
        (login,),
    )
    assert [(row["db_user"], row["user_name"]) for row in rowhooks.json("results", "list")] == [
        (login, None),
        (login, "ada"),
    ]


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NUMBERS = st.one_of(
    st.integers(),
    st.integers(1, 131_072).map(lambda digits: f"{'7' * digits}"),
    st.integers(1, 16_383).map(lambda digits: f"-0.{'3' * digits}"),
    st.tuples(st.integers(), st.integers(-16_000, 100_000)).map(lambda pair: f"{pair[0]}e{pair[1]}"),
).map(str)
DOCUMENTS = st.recursive(
    st.sampled_from(["null", "true", "false"]) | NUMBERS | TEXT.map(json.dumps),
    lambda part: st.one_of(
        st.lists(part, max_size=4).map(lambda parts: f"[{','.join(parts)}]"),
        st.lists(st.tuples(TEXT, part), max_size=4).map(
            lambda parts: "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in parts) + "}"
        ),
        st.tuples(st.integers(1, 3000), part).map(lambda nest: "[" * nest[0] + nest[1] + "]" * nest[0]),
    ),
    max_leaves=8,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(DOCUMENTS, DOCUMENTS)
def test_any_json_that_postgresql_stores_is_shown(
    db: Connection, device: str, capsys: pytest.CaptureFixture[str], dsn: str, before: str, after: str
) -> None:
    db.execute("create table if not exists dcim.document (id integer primary key, body jsonb)")
    db.execute("select rowhooks.track('dcim.document')")
    db.execute("delete from dcim.document")
    try:
        db.execute("insert into dcim.document values (1, %s)", (before,))
        db.execute("update dcim.document set body = %s", (after,))
    except (psycopg.errors.DataError, psycopg.errors.StatementTooComplex):
        # A number beyond what numeric takes, or deeper than max_stack_depth.
        return
    id_ = first_value(db, "select max(id) from rowhooks.object_change where action = 'update'")
    if id_ is None:
        return
    rowhooks = Rowhooks(capsys, dsn)
    rowhooks.people("changes", "show", id_)
    rowhooks.people("changes", "list", "--limit", 2)
    printed = rowhooks("changes", "show", id_, "--json")
    found = exact.read_exactly(printed)
    for column in ("prechange", "postchange"):
        same = sql.SQL("select {} = %s::jsonb from rowhooks.object_change where id = %s").format(sql.Identifier(column))
        assert db.execute(same, (exact.write(found[column]), id_)).fetchone() == (True,)


def test_replay_results_and_hooks_test_show_any_json_too(db: Connection, device: str, rowhooks: Rowhooks) -> None:
    odd = f'{{"n": {"9" * 5000}, "d": {"[" * 3000}{"]" * 3000}}}'
    db.execute("create table dcim.document (id numeric primary key, body jsonb)")
    db.execute("select rowhooks.track('dcim.document')")
    db.execute("insert into rowhooks.job (class_path, kind, name, enabled) values ('jobs.It', 'hook', 'It', true)")
    conditions = json.dumps({"attr": "body.n", "op": "lt", "value": 1})
    rowhooks(
        "hooks", "add", "it", "--job", "It", "--table", "dcim.document", "--on", "create", "--conditions", conditions
    )
    db.execute("insert into dcim.document values (%s, %s)", ("8" * 5000, odd))
    ((id_,),) = db.execute("select max(id) from rowhooks.object_change")
    assert "body.n lt 1 does not hold (it is 999" in rowhooks.people("hooks", "test", "it", "--change", id_)
    db.execute("update rowhooks.job_hook set conditions = null")
    rowhooks.people("replay", "--hook", "it", "--since", "1h", "--dry-run")
    (found,) = exact.read_exactly(rowhooks("replay", "--hook", "it", "--since", "1h", "--dry-run", "--json"))["first"]
    assert exact.write(found["object_id"]["id"]) == "8" * 5000
    db.execute(
        "insert into rowhooks.job_result"
        " (trigger, object_change_id, job_hook_id, job_id, class_path, status, finished_at, db_user, object_id, result)"
        " select 'replay', 1, h.id, h.job_id, 'x', 'SUCCESS', now(), 'app', %s::jsonb, %s::jsonb"
        " from rowhooks.job_hook as h",
        (f'{{"id": {"8" * 5000}}}', odd),
    )
    result = first_value(db, "select max(id) from rowhooks.job_result")
    rowhooks.people("results", "show", result)
    rowhooks.people("results", "list")
    shown = exact.read_exactly(rowhooks("results", "show", result, "--json"))
    assert exact.write(shown["result"]["n"]) == "9" * 5000
