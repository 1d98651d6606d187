"""Runs that Celery's workers execute, with real brokers: what a message does, and that nothing depends on one."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from celery import Celery

from rowhooks.runtime.doorbell import TASK
from tests.support.brokers import NO_RABBITMQ, NO_REDIS, RABBITMQ, REDIS, Redis, rabbitmq, redis
from tests.support.celery_process import RECEIVERS, CeleryProcess
from tests.support.celery_receivers import Marks, Waits
from tests.support.daemons import ELSEWHERE, running_daemon
from tests.support.hooks import add_hook
from tests.support.waiting import eventually, is_settled, settled

Connection = psycopg.Connection[Any]
Start = Callable[..., CeleryProcess]

pytestmark = pytest.mark.skipif(REDIS is None, reason=NO_REDIS)


@pytest.fixture(scope="module")
def broker() -> Iterator[Redis]:
    with redis() as server:
        yield server


@pytest.fixture(scope="module")
def rabbit() -> Iterator[str]:
    with rabbitmq() as address:
        yield address


@pytest.fixture
def start(tmp_path: Path, daemon_dsn: str, broker: Redis) -> Iterator[Start]:
    """Starts workers of Celery's."""
    broker.says("FLUSHALL")
    with contextlib.ExitStack() as stack:

        def start(address: str | None = None, **given: Any) -> CeleryProcess:
            process = CeleryProcess(daemon_dsn, tmp_path, address or broker.url, **given)
            stack.callback(process.kill)
            return process

        yield start


@contextlib.asynccontextmanager
async def leading(dsn: str, address: str, **given: Any) -> AsyncIterator[None]:
    """Run a daemon that hands everything out, and sends a message for it where there is an address."""
    queues = {"queues": ("default", ELSEWHERE), "default_queue": ELSEWHERE}
    async with running_daemon(dsn, Marks, Waits, celery_broker=address, **queues, **given):
        yield


def insert(db: Connection, *numbers: int) -> None:
    for number in numbers:
        db.execute("insert into dcim.device values (%s, 'sw')", (number,))


def serials(db: Connection) -> list[str | None]:
    return [serial for (serial,) in db.execute("select serial from dcim.device order by id").fetchall()]


def statuses(db: Connection) -> list[str]:
    return [status for (status,) in db.execute("select status from rowhooks.job_result order by id").fetchall()]


def workers(db: Connection) -> list[int]:
    """Return the processes that execute runs."""
    rows = db.execute("select name from rowhooks.worker where not is_stopping order by started_at").fetchall()
    return [int(name.rpartition(":")[2]) for (name,) in rows]


def entered(db: Connection) -> list[int]:
    """Return the processes in which Waits was called."""
    rows = db.execute("select message from rowhooks.job_log_entry order by id").fetchall()
    return [int(message.rpartition(" ")[2]) for (message,) in rows]


def send(address: str, *arguments: Any, task: str = TASK, queue: str = ELSEWHERE) -> None:
    """Send a message."""
    app = Celery("test", broker=address, set_as_current=False)
    with app.connection_for_write() as connection:
        producer = app.amqp.Producer(connection)
        app.send_task(task, arguments, queue=queue, producer=producer, ignore_result=True)


@contextlib.contextmanager
def events_of(address: str) -> Iterator[list[dict[str, Any]]]:
    """Receive the events of tasks, as Flower does."""
    app = Celery("test", broker=address, set_as_current=False)
    found: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": found.append})

        def receive() -> None:
            for _ in receiver.consume(limit=None, safety_interval=0.1):
                pass

        thread = threading.Thread(target=receive)
        thread.start()
        try:
            yield found
        finally:
            receiver.should_stop = True
            thread.join()


@pytest.fixture(
    params=["redis", pytest.param("rabbitmq", marks=pytest.mark.skipif(RABBITMQ is None, reason=NO_RABBITMQ))]
)
def address(request: pytest.FixtureRequest, broker: Redis) -> str:
    return broker.url if request.param == "redis" else request.getfixturevalue("rabbit")


async def test_a_change_is_executed_by_a_task_that_celerys_monitoring_shows_under_the_jobs_name(
    db: Connection, daemon_dsn: str, device: str, start: Start, address: str
) -> None:
    add_hook(db, Waits, device, "create")
    with events_of(address) as events:
        celery = start(address)
        async with leading(daemon_dsn, address):
            await eventually(lambda: workers(db))
            insert(db, 1)
            await eventually(lambda: entered(db))
            ((dispatch, worker),) = db.execute("select id::text, worker from rowhooks.dispatch").fetchall()
            assert worker is not None
            # The task goes on as long as the run does.
            await eventually(lambda: [e for e in events if e["type"] == "task-started"])
            assert celery.executed() == []
            celery.released.touch()
            await settled(db)
            await eventually(lambda: [e for e in events if e["type"] == "task-succeeded"])
    (received,) = [e for e in events if e["type"] == "task-received"]
    (succeeded,) = [e for e in events if e["type"] == "task-succeeded"]
    assert (received["uuid"], received["name"]) == (dispatch, f"{RECEIVERS}.Waits")
    assert (succeeded["uuid"], succeeded["result"]) == (dispatch, "{'runs': 1}")
    assert (serials(db), statuses(db)) == (["x"], ["SUCCESS"])


@pytest.mark.parametrize("pool", ["threads", "solo"])
async def test_the_other_pools_execute_runs_in_celerys_own_process(
    db: Connection, daemon_dsn: str, device: str, start: Start, broker: Redis, pool: str
) -> None:
    add_hook(db, Marks, device, "create")
    celery = start(pool=pool, concurrency=4)
    async with leading(daemon_dsn, broker.url):
        await eventually(lambda: workers(db))
        insert(db, 1, 2, 3)
        await settled(db)
        await eventually(lambda: sum(celery.executed()) == 3)
        celery.stop()
        assert celery.ends() == 0
        assert workers(db) == []
    assert serials(db) == ["x", "x", "x"]


async def test_without_messages_groups_are_found_and_a_message_that_comes_late_or_twice_changes_nothing(
    db: Connection, daemon_dsn: str, device: str, start: Start, broker: Redis
) -> None:
    add_hook(db, Waits, device, "create")
    celery = start()
    async with leading(daemon_dsn, ""):
        insert(db, 1)
        await eventually(lambda: entered(db))
        ((dispatch,),) = db.execute("select id::text from rowhooks.dispatch").fetchall()
        for id_ in (dispatch, dispatch, str(uuid.uuid4())):
            send(broker.url, id_)
        celery.wait_for("received", 2)
        celery.released.touch()
        await settled(db)
        send(broker.url, dispatch)
        await eventually(lambda: len(celery.executed()) == 4)
    # The first message found the group in the hands of this process, and waited for it.
    assert celery.executed() == [1, 0, 0, 0]
    assert (serials(db), statuses(db), len(entered(db))) == (["x"], ["SUCCESS"], 1)


async def test_a_broker_that_forgets_its_messages_costs_no_run(
    db: Connection, daemon_dsn: str, device: str, start: Start, broker: Redis
) -> None:
    add_hook(db, Waits, device, "create")
    celery = start()
    numbers = iter(range(1000))

    def waits_in_broker() -> bool:
        insert(db, next(numbers))
        return broker.says("LLEN", ELSEWHERE) != b":0\r\n"

    async with leading(daemon_dsn, broker.url):
        await eventually(lambda: workers(db))
        insert(db, next(numbers))
        await eventually(lambda: entered(db))
        # The only process waits for the test.
        await eventually(waits_in_broker)
        broker.says("FLUSHALL")
        celery.released.touch()
        await settled(db)
        count = next(numbers)
        assert serials(db) == ["x"] * count
        assert sum(celery.executed()) < count


async def test_while_the_broker_is_away_runs_go_on_and_it_is_named_once_and_used_again_when_it_is_back(
    db: Connection, daemon_dsn: str, device: str, start: Start, broker: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    add_hook(db, Marks, device, "create")
    celery = start()
    async with leading(daemon_dsn, broker.url):
        await eventually(lambda: workers(db))
        insert(db, 1)
        await eventually(lambda: celery.executed() == [1])
        broker.stop()
        for number in (2, 3):
            insert(db, number)
            await settled(db)
        broker.start()
        numbers = iter(range(4, 1000))

        def is_used() -> bool:
            if is_settled(db):
                insert(db, next(numbers))
            return len(celery.executed()) > 1

        await eventually(is_used)
        await settled(db)
    assert set(serials(db)) == {"x"}
    said = [message for message in caplog.messages if "Celery broker" in message]
    assert [message.partition(";")[0].partition(":")[0] for message in said] == [
        "the Celery broker cannot be reached", "the Celery broker is back",
    ]  # fmt: skip


async def test_a_pool_process_that_is_killed_costs_an_attempt_and_no_effect(
    db: Connection, daemon_dsn: str, device: str, start: Start, broker: Redis
) -> None:
    add_hook(db, Waits, device, "create")
    celery = start()
    async with leading(daemon_dsn, broker.url):
        await eventually(lambda: workers(db))
        insert(db, 1)
        (first,) = await eventually(lambda: entered(db))
        # Nothing was opened before Celery forked: its own process has neither a thread nor a connection of rowhooks'.
        assert first != celery.pid
        assert celery.threads == 1
        os.kill(first, signal.SIGKILL)
        # Celery starts another process, and the daemon hands the run out again.
        await eventually(lambda: workers(db) and workers(db) != [first])
        celery.released.touch()
        await settled(db)
    assert (serials(db), statuses(db)) == (["x"], ["SUCCESS"])
    ((executed_in,),) = db.execute("select result from rowhooks.results").fetchall()
    assert executed_in != first


OWN_APP = """
import os
from celery import Celery

app = Celery("shop", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
# As applications have them: they do not count for rowhooks' task.
app.conf.update(task_acks_late=True, task_time_limit=3600, task_track_started=True, task_default_rate_limit="1/h")

from rowhooks.integrations.celery import add_to

add_to(app)


@app.task(rate_limit=0)
def add(one, other):
    return one + other
"""


async def test_an_application_adds_rowhooks_task_to_its_own_app_in_three_lines(
    db: Connection, daemon_dsn: str, device: str, start: Start, broker: Redis, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(OWN_APP)
    add_hook(db, Marks, device, "create")
    celery = start(app="shop", queues=f"celery,{ELSEWHERE}", settings={"ROWHOOKS_CELERY_BROKER": ""})
    async with leading(daemon_dsn, broker.url):
        await eventually(lambda: workers(db))
        insert(db, 1, 2)
        await settled(db)
        await eventually(lambda: sum(celery.executed()) == 2)
        send(broker.url, 1, 2, task="shop.add", queue="celery")
        celery.wait_for("Task shop.add")
        celery.wait_for("s: 3")
    assert serials(db) == ["x", "x"]


async def test_a_worker_that_is_stopped_lets_its_run_end(
    db: Connection, daemon_dsn: str, device: str, start: Start, broker: Redis
) -> None:
    add_hook(db, Waits, device, "create")
    celery = start()
    async with leading(daemon_dsn, broker.url):
        await eventually(lambda: workers(db))
        insert(db, 1)
        await eventually(lambda: entered(db))
        celery.stop()
        celery.wait_for("Warm shutdown")
        celery.released.touch()
        assert celery.ends() == 0
        await settled(db)
    assert (serials(db), statuses(db), len(entered(db))) == (["x"], ["SUCCESS"], 1)
    assert workers(db) == []
    assert celery.executed() == [1]


def test_a_worker_that_could_execute_nothing_ends_and_says_why(start: Start) -> None:
    cases = {
        start(settings={"ROWHOOKS_CELERY_BROKER": ""}): "celery_broker is not set",
        start(queues="mail"): "it consumes mail, and none of rowhooks' queues: default, elsewhere",
        start(settings={"ROWHOOKS_RECEIVERS": "no_such_module"}): "it has no receiver",
    }
    for celery, said in cases.items():
        assert celery.ends() == 2
        assert said in celery.text
