"""What waits for workers is made into groups: who may take them, how large they are, and what goes first."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

from rowhooks.domain.dispatch import LiveWorker, new_process, worker_id
from rowhooks.domain.job import JobOptions
from rowhooks.domain.queues import DEFAULT
from rowhooks.domain.run import Run
from rowhooks.pipeline.scheduling.flow import AHEAD, FEWEST_OF_EACH_SLOT, LARGEST_GROUP, Flow
from rowhooks.pipeline.scheduling.outgoing import MOST_LOST, Outgoing
from rowhooks.pipeline.scheduling.placement import Placement
from rowhooks.pipeline.scheduling.pools import PreparedRun
from rowhooks.pipeline.scheduling.worker_pool import WorkerPool
from tests.support.make import pressed, run

PATH = run().job.class_path
BUTTON = replace(pressed().job, class_path="buttons.Weigh")


class Receivers:
    """A catalogue of plain receivers."""

    def is_asynchronous(self, class_path: str) -> bool:
        return False

    def options(self, class_path: str) -> JobOptions:
        return JobOptions()

    def prepare(self, *_: Any) -> Any:
        raise AssertionError("nothing is executed here")


def outgoing(*runs: Run) -> Outgoing:
    made = Outgoing(Placement(Receivers()), lambda queue: queue == DEFAULT)
    for one in runs:
        made.add(one)
    return made


def worker(*class_paths: str, queues: Sequence[str] = (DEFAULT,), threads: int = 10) -> LiveWorker:
    return LiveWorker(uuid.uuid4(), "host:1", frozenset(queues), threads, 0, frozenset(class_paths or (PATH,)))


def alone(run_id: int, limit: int) -> Sequence[Run]:
    return ()


def ids(made: Outgoing, *workers: LiveWorker, followers: Any = alone) -> list[list[int]]:
    return [[one.id for one in group.runs] for group in made.groups(workers, (), followers)]


def test_each_worker_gets_some_and_all_slots_have_two_before_them() -> None:
    made = outgoing(*map(run, range(1, 101)))
    groups = ids(made, worker(), worker())
    assert [len(group) for group in groups] == [20, 20]
    assert made.backlog(DEFAULT) == 60
    # No more goes out until some has come back.
    assert ids(made, worker(), worker()) == []


def test_a_run_whose_queue_becomes_another_one_is_given_back_at_once_or_when_it_was_prepared() -> None:
    here = run(1).origin
    there = replace(here, queue="other")
    placement, given_back = Placement(Receivers()), []
    pool = WorkerPool(cast("Any", None), placement, bool)
    pool.attach(cast("Any", SimpleNamespace(ended=lambda *said: given_back.append(said))))
    placement.learn([here])
    assert placement.moved == {}
    placement.learn([there])
    pool.accept([PreparedRun(run(1), "", None)])
    assert pool.waiting == {"other": 1}
    placement.learn([here])
    pool.look_again()
    assert (pool.waiting, given_back) == ({}, [(1, None, None)])
    pool.accept([PreparedRun(run(2), "", None)])
    assert (pool.waiting, given_back[1:]) == ({}, [(2, None, None)])


def test_a_press_goes_before_what_waits_and_presses_keep_their_order() -> None:
    made = outgoing(run(1), pressed(2, BUTTON), run(3), pressed(4, BUTTON))
    assert ids(made, worker(PATH, BUTTON.class_path)) == [[2, 4], [1, 3]]


def test_what_no_worker_can_execute_waits_and_keeps_nothing_else_waiting() -> None:
    made = outgoing(pressed(1, BUTTON), run(2))
    assert ids(made, worker()) == [[2]]
    assert made.waiting == {DEFAULT: 1}
    assert ids(made, worker(BUTTON.class_path)) == [[1]]


def test_a_worker_that_stops_or_serves_another_queue_gets_nothing() -> None:
    made = outgoing(run(1))
    assert ids(made, worker(threads=0), worker(queues=["other"])) == []
    assert ids(made, worker()) == [[1]]


def test_what_stands_behind_a_run_goes_with_it_and_takes_one_slot() -> None:
    behind = {2: [run(n) for n in range(10, 60)]}
    made = outgoing(run(1), run(2), *map(run, range(60, 100)))
    groups = made.groups([worker()], (), lambda id_, limit: behind.get(id_, ())[:limit])
    assert [one.id for one in groups[0].runs] == [1]
    assert (groups[1].is_lane, groups[1].lanes, len(groups[1].runs)) == (True, 1, 51)
    # One slot for each of 1 and 2, and the others of 20.
    assert sum(group.lanes for group in groups) == FEWEST_OF_EACH_SLOT * 10


def test_a_run_that_was_lost_goes_out_alone_one_after_another_and_not_for_ever() -> None:
    made = outgoing()
    for one in (run(1), run(2)):
        assert not made.lose(one, uuid.uuid4())
        made.add(one)
    made.add(run(3))
    first = made.groups([worker()], (), alone)
    assert [[one.id for one in group.runs] for group in first] == [[1], [3]]
    # As long as it is out.
    assert made.groups([worker()], [first[0].id], alone) == []
    assert ids(made, worker()) == [[2]]
    assert [made.lose(run(1), uuid.uuid4()) for _ in range(MOST_LOST - 1)] == [False] * (MOST_LOST - 2) + [True]


def test_a_run_that_was_lost_and_that_no_worker_can_execute_keeps_no_other_one_waiting() -> None:
    made, one = outgoing(), run(1)
    gone = replace(one, origin=replace(one.origin, job=replace(one.job, class_path="gone.Job")))
    for lost in (gone, run(2)):
        made.lose(lost, uuid.uuid4())
        made.add(lost)
    assert ids(made, worker()) == [[2]]
    assert ids(made, worker("gone.Job")) == [[1]]


def test_a_run_is_not_to_blame_for_a_lost_connection_of_a_process_that_lives_on() -> None:
    made, process, others = outgoing(), new_process(), [worker() for _ in range(MOST_LOST)]
    for _ in range(2 * MOST_LOST):
        assert not made.lose(run(1), worker_id(process))
        made.acquit([replace(worker(), id=worker_id(process)), *others])
    # Processes of which nothing more is heard.
    lost = [made.lose(run(1), worker_id(new_process())) for _ in range(MOST_LOST)]
    assert lost == [False] * (MOST_LOST - 1) + [True]


def test_runs_that_were_lost_do_not_meet_in_a_worker() -> None:
    made = outgoing()
    for one in (run(1), pressed(2, BUTTON)):
        made.lose(one, uuid.uuid4())
        made.add(one)
    both = worker(PATH, BUTTON.class_path)
    first = made.groups([both], (), alone)
    assert [[one.id for one in group.runs] for group in first] == [[2]]
    assert made.groups([both], [first[0].id], alone) == []
    assert ids(made, both) == [[1]]


def test_the_flow_grows_with_the_rate_and_a_group_is_bounded() -> None:
    moment = 0.0
    flow = Flow(lambda: moment)
    assert flow.room(10) == FEWEST_OF_EACH_SLOT * 10
    flow.handed(20)
    assert flow.room(10) == 0
    moment = 0.25
    flow.handed(9_980)
    flow.ended(10_000)
    assert flow.room(10) == 40_000 * AHEAD
    assert flow.size_of_group(4_000, 2) == LARGEST_GROUP
    # It falls again where runs have become slow.
    for _ in range(20):
        moment += 1.0
        flow.handed(1)
        flow.ended(1)
    assert flow.room(10) == FEWEST_OF_EACH_SLOT * 10
