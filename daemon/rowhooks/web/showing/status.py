"""The state of rowhooks in words and charts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rowhooks.domain.display import visible
from rowhooks.postgres.console.status import MOST_COUNTED, Activity
from rowhooks.postgres.live_workers import SILENCE
from rowhooks.web.showing.charts import Chart, Series, lines, stacked_bars
from rowhooks.web.showing.samples import Sample
from rowhooks.web.wording.durations import duration

SPANS = {
    "hour": (timedelta(hours=1), timedelta(minutes=1), "minute"),
    "day": (timedelta(days=1), timedelta(minutes=15), "quarter of an hour"),
}
"""By its name, how long a time is shown, in which parts, and what these are called."""
QUEUE_IS_FILLING = 0.1
"""How full the server's queue of notifications is when that is said."""
MOST_SAMPLES = 120
"""How many samples are drawn."""
_KINDS = (
    ("ended well", "success", ("SUCCESS",)),
    ("failed", "failure", ("FAILURE",)),
    ("revoked", "other", ("REVOKED",)),
    ("not ended", "waiting", ("PENDING", "STARTED", "RETRY")),
)


@dataclass(frozen=True)
class Fact:
    """One line of the state.

    Args:
        name: what it is about.
        text: how it is.
        word: `enabled` for well, `warning`, `failure`; empty for neither.
        at: a time that belongs to it.
    """

    name: str
    text: str
    word: str = ""
    at: datetime | None = None


def facts(status: Mapping[str, Any]) -> list[Fact]:
    """Return the state of rowhooks: leader, standbys, backlog, queue of notifications, what is configured."""
    numbers = status["numbers"]
    found = [_leader(status), _standbys(status["standbys"]), *_workers(status["dispatch"]), _backlog(status)]
    if numbers["requested"]:
        found.append(
            Fact("Requested", f"{_many(numbers['requested'], 'run')} by hand, not yet taken up by a leader", "warning")
        )
    if status["missing_jobs"]:
        jobs = ", ".join(visible(job) for job in status["missing_jobs"])
        found.append(
            Fact("Missing jobs", f"the present or last leader does not have {jobs}: their runs wait", "warning")
        )
    usage = status["notification_queue_usage"]
    bell = "NOTIFY" if status["notify"] else "none: the daemon polls (two-phase commit)"
    if status["notify"]:
        bell += f"; the server's queue is {usage:.0%} full"
    found += [
        Fact("Bell", bell, "warning" if usage >= QUEUE_IS_FILLING else ""),
        Fact("Log", f"{_bytes(numbers['log_bytes'])} in {_many(numbers['partitions'], 'partition')}"),
        Fact("Tracked", _many(status["tables"], "table")),
        Fact("Enabled", ", ".join(_many(status[f"{kind}s"], kind) for kind in ("job", "hook", "button"))),
        Fact("Schema", f"revision {visible(status['schema_revision'])} in database {visible(status['database'])}"),
    ]  # fmt: skip
    return found


def sample_of(status: Mapping[str, Any]) -> Sample:
    """Return what waits now."""
    numbers = status["numbers"]
    waiting = sum(one["runs"] for one in numbers["waiting"])
    return Sample(status["now"], numbers["backlog"], _lag(status) or 0.0, waiting)


def activity_charts(activity: Activity, span: str) -> list[Chart]:
    """Return charts of the runs and the changes that came, for a span of SPANS."""
    each = SPANS[span][2]
    labels = [f"{at.astimezone(UTC):%H:%M}" for at in activity.begun]
    spoken = [f"{at.astimezone(UTC):%Y-%m-%d %H:%M}" for at in activity.begun]
    nothing = (0,) * len(labels)

    def together(names: Sequence[str]) -> tuple[float | None, ...]:
        return tuple(map(float, map(sum, zip(*(activity.numbers.get(name, nothing) for name in names), strict=True))))

    runs = [Series(name, kind, together(statuses)) for name, kind, statuses in _KINDS]
    changes = [Series("changes", "change", together(["change"]))]
    return [
        stacked_bars("runs", f"Runs by the {each} in which they came", f"a {each}", runs, labels, spoken),
        stacked_bars("changes", f"Changes by the {each}", f"a {each}", changes, labels, spoken),
    ]


def sample_charts(samples: Sequence[Sample]) -> list[Chart]:
    """Return charts of what waited when somebody looked; none where there is no more than one sample."""
    thinned = samples[:: max(1, -(-len(samples) // MOST_SAMPLES))]
    if len(thinned) < 2:
        return []
    labels = [f"{one.at.astimezone(UTC):%H:%M}" for one in thinned]
    spoken = [f"{one.at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" for one in thinned]
    seconds = [one.at.timestamp() for one in thinned]
    backlog = [
        Series("changes not dealt with", "change", tuple(float(one.backlog) for one in thinned)),
        Series("runs not ended", "waiting", tuple(float(one.waiting) for one in thinned)),
    ]
    lag = [Series("lag", "failure", tuple(round(one.lag, 2) for one in thinned))]
    return [
        lines("backlog", "What waited", "", backlog, seconds, labels, spoken),
        lines("lag", "Lag: seconds since the oldest change that waited", "s", lag, seconds, labels, spoken),
    ]


def _leader(status: Mapping[str, Any]) -> Fact:
    if status["numbers"]["is_led"]:
        return Fact("Leader", visible(status["leader"] or "unknown"), "enabled", status["leader_since"])
    if status["numbers"]["is_led"] is None:
        return Fact(
            "Leader", f"not known: this is a standby server; the last was {visible(status['leader'] or 'none')}"
        )
    last = f"; the last was {visible(status['leader'])}" if status["leader"] else ""
    return Fact("Leader", f"none: no daemon leads{last}. Start one: rowhooks run", "failure")


def _standbys(standbys: Sequence[Mapping[str, Any]]) -> Fact:
    named = ", ".join(f"{visible(one['name'])} ({one['receivers']} receivers)" for one in standbys)
    return Fact("Standbys", named or "none")


def _workers(dispatch: Mapping[str, Any]) -> list[Fact]:
    """Return the connected workers, and what is handed out; nothing where there is neither."""
    found = []
    if workers := dispatch["workers"]:
        silent = any(one["silent_for"] > SILENCE for one in workers)
        named = ", ".join(
            f"{visible(one['name'])} ({', '.join(map(visible, one['queues']))}; {_many(one['runs'], 'run')} in hand"
            f"{'; stopping' if one['is_stopping'] else ''}"
            f"{'; not heard of' if one['silent_for'] > SILENCE else ''})"
            for one in workers
        )
        found.append(Fact("Workers", named, "warning" if silent else ""))
    if queues := dispatch["queues"]:
        handed = ", ".join(
            f"{visible(one['queue'])}: {_many(one['groups'], 'group')}, {one['unclaimed']:,} not taken yet"
            for one in queues
        )
        found.append(Fact("Handed to workers", handed))
    return found


def _backlog(status: Mapping[str, Any]) -> Fact:
    backlog, lag = status["numbers"]["backlog"], _lag(status)
    if lag is None:
        return Fact("Backlog", "none: every change has been dealt with", "enabled")
    late = lag > 60 or status["numbers"]["is_led"] is False
    text = f"{_many(backlog, 'change')} not dealt with, the oldest for {duration(timedelta(seconds=lag))}"
    return Fact("Backlog", text, "warning" if late else "")


def _lag(status: Mapping[str, Any]) -> float | None:
    oldest = status["numbers"]["oldest"]
    if oldest is None:
        return None
    waited: timedelta = status["now"] - datetime.fromisoformat(oldest)
    return max(0.0, waited.total_seconds())


def _many(number: int, noun: str) -> str:
    return f"{number:,}{' or more' if number >= MOST_COUNTED else ''} {noun}{'' if number == 1 else 's'}"


def _bytes(number: int) -> str:
    for size, unit in ((2**40, "TB"), (2**30, "GB"), (2**20, "MB")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 2**10:.0f} kB"
