"""Progress: how far the position may move, while runs end in any order."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from rowhooks.domain.feed import Position


@dataclass(slots=True)
class Step:
    """One change (or the end of a part) and the number of its runs that are not yet on record."""

    position: Position
    open_runs: int


class Progress:
    """The steps in the feed's order; the position is behind the last one that has nothing open before it."""

    def __init__(self, position: Position) -> None:
        self._steps: deque[Step] = deque()
        self._position = position

    @property
    def open_changes(self) -> int:
        """How many changes have been read and not dealt with."""
        return len(self._steps)

    def add(self, position: Position, open_runs: int) -> Step:
        """Append a step: the position behind it and how many runs it waits for."""
        step = Step(position, open_runs)
        if open_runs or self._steps:
            self._steps.append(step)
        else:
            self._position = position
        return step

    def position_after(self, recorded: list[Step]) -> Position:
        """Return the position that would hold were these runs' steps on record, without moving yet."""
        left = Counter(map(id, recorded))
        position = self._position
        for step in self._steps:
            if step.open_runs > left[id(step)]:
                break
            position = step.position
        return position

    def record(self, recorded: list[Step]) -> None:
        """Note that one run of each of these steps is on record, and move."""
        for step in recorded:
            step.open_runs -= 1
        while self._steps and self._steps[0].open_runs <= 0:
            self._position = self._steps.popleft().position
