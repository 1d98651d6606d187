"""Lanes: which run may start next. Pure bookkeeping; the scheduler says when runs begin and end."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rowhooks.pipeline.scheduling.lane_queues import LaneQueues, Waiting, in_order
from rowhooks.pipeline.scheduling.retries import Parked
from rowhooks.pipeline.scheduling.shelves import Shelves
from rowhooks.pipeline.scheduling.tasks import Junction, Lane, Task
from rowhooks.pipeline.scheduling.turns import Turns

LONGEST_LANE = 200
"""Runs that wait in memory behind one another; what comes after them waits in the table alone, by its id."""
REFILL_BELOW = 50
"""When so few are left in memory, the next ones are fetched."""


class Lanes:
    """Runs one behind another, per lane and, for singletons, per job.

    Heads are first in their lane and do not run yet; followers stand behind a head or a run that goes on. Behind the
    followers of a long lane is its shelf: ids of runs that are on record and not in memory.

    What stands in two lanes (see `Task.former_lane`) is a head once it is the first in both. Every lane has what is
    in it in the order in which it came, so that nothing waits for what waits for it.

    Args:
        ready: called with each task that may start, now that nothing stands before it.
        hungry: called when a lane's followers are to be fetched from its shelf.
    """

    def __init__(self, ready: Callable[[Task], None], hungry: Callable[[], None]) -> None:
        self._ready = ready
        self._following = 0
        self._shelves = Shelves(hungry)
        self._on_shelves = self._shelves.ids
        self._idle: set[Lane] = set()
        self._heads: dict[Task, None] = {}
        self._parked = Parked(self._advance)
        self._taken = LaneQueues()
        # How many in memory stand in two lanes.
        self._crossing = 0
        self.turns = Turns()
        self._numbers = itertools.count(1)
        self._junctions = itertools.count(-1, -1)
        self._passed: deque[Junction] = deque()
        self._closed = False

    def __len__(self) -> int:
        """Return how many wait in memory."""
        return len(self._heads) + self._following

    def __iter__(self) -> Iterator[Task]:
        """Go through what waits, heads before followers: a later run of a lane never comes before an earlier one."""
        yield from self._heads
        if not self._following:
            return
        followers = self._taken.tasks_behind()
        # Lane by lane, what stands in two might come behind what waits for it.
        yield from in_order(set(followers)) if self._crossing else followers

    @property
    def hungry(self) -> int:
        """How many lanes are to be fetched from, or are being fetched."""
        return self._shelves.hungry

    def is_head(self, task: Task) -> bool:
        """Say whether a task is first in its lane and was not noted as begun; from any thread."""
        return task in self._heads

    def followers(self, task: Task, limit: int) -> list[Task]:
        """Return what stands behind the first in its lane and may be executed with it, one after another.

        Args:
            task: the first in its one lane.
            limit: so many at the most.
        """
        if task.former_lane is not None:
            return []
        found = []
        for one in self._taken.behind(task.lane, limit):
            # What has two lanes may wait for the other one; what waits for its retry holds back what is behind it.
            if not isinstance(one, Task) or one.former_lane is not None or one.due is not None:
                break
            found.append(one)
        return found

    def drop_followers(self, task: Task) -> list[Task]:
        """Take what stands behind the first out of its lane, in a worker; return it."""
        gone = [one for one in self._taken.behind(task.lane) if isinstance(one, Task)]
        if gone:
            self._taken[task.lane] = task
            self._following -= len(gone)
        return gone

    def parked(self) -> list[Task]:
        """Return what waits for its retry."""
        return list(self._parked.tasks)

    def add(self, task: Task) -> None:
        """Put a task at the end of its lane, or of both its lanes."""
        if task.former_lane is not None:
            self._cross(task, (task.lane, task.former_lane))
            return
        task.number = next(self._numbers)
        if self._taken.setdefault(task.lane, task) is task:
            self._advance(task)
        else:
            task.ahead = 1
            self._taken.queue(task.lane).append(task)
            self._following += 1

    def join(self, lane: Lane, former_lane: Lane) -> None:
        """Let what comes to a lane from now on wait for what is in another one."""
        if self.is_long(lane) or self.is_long(former_lane):
            for empty in self.shelve((lane, former_lane), next(self._junctions)):
                self.wake(empty)
        else:
            self._cross(Junction(lane, former_lane), (lane, former_lane))

    def is_taken(self, lane: Lane) -> bool:
        """Say whether anything is in a lane."""
        return lane in self._taken

    def is_long(self, lane: Lane) -> bool:
        """Say whether what comes now must go to the lane's shelf."""
        if not self._following and not self._on_shelves:
            return False
        if lane in self._on_shelves:
            return True
        queue = self._taken.get(lane)
        return type(queue) is deque and len(queue) > LONGEST_LANE

    def before(self, lanes: Iterable[Lane]) -> list[Task]:
        """Return what is in memory of lanes without a shelf, and what that waits for, in the order in which it came."""
        return self._taken.before(lanes, self._on_shelves)

    def shelve(self, lanes: Sequence[Lane], run_id: int) -> list[Lane]:
        """Put a run that is on record, or will be before it is asked for, at the end of its lane or of both.

        What stands before it in memory must be on record too, or be put there before it, see `before`.

        Returns:
            Those of the lanes in which nothing was; they are fetched when they are woken, see `wake`.
        """
        if len(lanes) == 2:
            self._shelves.note_double(run_id, lanes)
        empty = []
        for lane in lanes:
            if not self._shelves.put(lane, run_id):
                continue
            if lane not in self._taken:
                self._taken[lane] = None
                self._idle.add(lane)
                empty.append(lane)
            else:
                # Also where there is one alone: it may end before the shelf is looked at; the lane is not empty then.
                self._taken.queue(lane)
                self.wake(lane)
        return empty

    def put_back(self, task: Task) -> Sequence[Task]:
        """Leave a head and its followers to the table, by their ids, until `wake`; all of them must be on record.

        What comes to the lane meanwhile goes on the shelf behind them.

        Returns:
            What is in memory no more: nothing where that cannot be.
        """
        lane = task.lane
        members = [one for one in self._taken.members(lane) if isinstance(one, Task) and one.is_in_the_table]
        if len(members) < len(self._taken.members(lane)) or lane in self._shelves.fetched:
            return ()
        self._take_head(task)
        self._taken[lane] = None
        self._following -= len(members) - 1
        self._shelves.put_first(lane, [one.run.id for one in members])
        self._idle.add(lane)
        return members

    def wake(self, lane: Lane) -> None:
        """Let what is on a lane's shelf be fetched, if little of it is in memory: also what was put back."""
        if lane in self._on_shelves and len(self._taken.members(lane)) <= REFILL_BELOW:
            self._shelves.ask_for_more(lane)

    def unshelve(self, limit: int) -> dict[Lane, list[int]]:
        """Return what is next on the shelves of lanes that are to be refilled, about `limit` ids; see `refill`."""
        return self._shelves.take(limit, LONGEST_LANE - REFILL_BELOW)

    def missing(self, taken: Mapping[Lane, Sequence[int]]) -> list[int]:
        """Return what is to be fetched of what was unshelved: the ids of runs that are not in memory yet."""
        return self._shelves.missing(taken)

    def refill(self, lane: Lane, ids: Sequence[int], tasks: Mapping[int, Task]) -> None:
        """Put what was on a lane's shelf behind its followers.

        Args:
            lane: one that was unshelved.
            ids: what was taken from its shelf.
            tasks: those of them that were fetched; what was revoked is missing.
        """
        if self._closed:
            return
        # It was a long lane all the time: nothing has been put behind the followers meanwhile.
        self._shelves.fetched.discard(lane)
        queue = self._taken.queue(lane)
        for id_ in ids:
            one, is_new = self._shelves.come_back(id_, lane, tasks.get(id_))
            if one is None:
                continue
            queue.append(one)
            self._following += is_new
            if is_new and one.former_lane is not None:
                one.number = next(self._numbers)
                self._crossing += 1
        if not self._on_shelves[lane]:
            del self._on_shelves[lane]
        if lane in self._idle:
            self._idle.discard(lane)
            self._go_on(lane)
        else:
            self.wake(lane)
        self._let_pass()

    def begin(self, task: Task) -> None:
        """Note that a run goes on; its lane stays taken. It may have been noted before."""
        self._heads.pop(task, None)

    def wait_again(self, task: Task) -> None:
        """Note that a run that may have begun waits for its execution once more, before all that is behind it."""
        self._heads[task] = None

    def park(self, task: Task) -> None:
        """Let a run wait until it is due, at the head of its lane and without its job's turn."""
        self._give_up_turn(task)
        if not self._closed:
            self._advance(task)

    def leave(self, task: Task) -> None:
        """Take a task out that was ready or went on."""
        self._heads.pop(task, None)
        self._give_up_turn(task)
        if task.former_lane is None and self._taken.get(task.lane) is task:
            # As nearly always: nothing stands behind it.
            del self._taken[task.lane]
        else:
            self._make_way(task)

    def drop(self, task: Task) -> None:
        """Take a parked task out."""
        self._take_head(task)
        task.due = None
        self._make_way(task)

    def close(self) -> None:
        """Forget what waits; nothing becomes ready any more."""
        self._closed = True
        self._parked.clear()
        self._heads.clear()
        self._taken.clear()
        self._following = self._crossing = 0
        self.turns.clear()
        self._shelves.clear()
        self._idle.clear()

    def _advance(self, task: Task) -> None:
        self._heads[task] = None
        if task.due is not None and self._parked.park(task):
            return
        if task.options.turns is None or self.turns.take(task):
            self._ready(task)

    def _take_head(self, task: Task) -> None:
        del self._heads[task]
        self._parked.forget(task)

    def _give_up_turn(self, task: Task) -> None:
        if task.options.turns is not None and not self._closed:
            following = self.turns.pass_on(task)
            if following is not None:
                self._ready(following)

    def _cross(self, one: Waiting, lanes: tuple[Lane, Lane]) -> None:
        """Put what stands in two lanes at the end of both."""
        one.number = next(self._numbers)
        one.ahead = 2
        self._following += 1
        self._crossing += 1
        for lane in lanes:
            if lane in self._taken:
                self._taken.queue(lane).append(one)
            else:
                self._taken[lane] = one
                self._comes_first(one)
        self._let_pass()

    def _comes_first(self, one: Waiting) -> None:
        """Note that nothing stands before it in a lane any more."""
        one.ahead -= 1
        if one.ahead:
            return
        self._following -= 1
        if isinstance(one, Task):
            self._advance(one)
        else:
            # Not immediately: there may be thousands of them, one behind another.
            self._passed.append(one)

    def _let_pass(self) -> None:
        while self._passed:
            junction = self._passed.popleft()
            self._leave_both(junction)

    def _make_way(self, task: Task) -> None:
        if task.former_lane is None:
            self._next(task.lane)
        else:
            self._leave_both(task)
        self._let_pass()

    def _leave_both(self, one: Waiting) -> None:
        assert one.former_lane is not None
        self._crossing -= 1
        self._next(one.lane)
        self._next(one.former_lane)

    def _next(self, lane: Lane) -> None:
        """Take the first out of a lane."""
        queue = self._taken.get(lane)
        if type(queue) is deque:
            queue.popleft()
            self._go_on(lane)
        else:
            self._taken.pop(lane, None)

    def _go_on(self, lane: Lane) -> None:
        queue = self._taken.queue(lane)
        if queue:
            self._comes_first(queue[0])
        elif lane in self._on_shelves:
            self._idle.add(lane)
        else:
            del self._taken[lane]
        if self._on_shelves:
            self.wake(lane)
