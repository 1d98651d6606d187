"""Targets: the figures that are to be reached, each beside what was measured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.report import Report
from benchmarks.results import Grown

MEGABYTE = 2**20

Found = float | None
"""What was measured; None where it was not."""


@dataclass(frozen=True)
class Verdict:
    """One target and what became of it.

    Args:
        figure: what is measured.
        target: the bound, in words.
        measured: the figure; a dash where it was not measured.
        met: None where it was not measured.
    """

    figure: str
    target: str
    measured: str
    met: bool | None


@dataclass(frozen=True)
class Target:
    """A bound for one figure.

    Args:
        figure: what is measured.
        bound: the least that counts, or the most.
        form: how both are written, a format of one number.
        find: takes the figure from a report.
        at_most: whether less is better.
    """

    figure: str
    bound: float
    form: str
    find: Callable[[Report], Found]
    at_most: bool = False

    def judge(self, report: Report) -> Verdict:
        """Compare."""
        wanted = f"{'at most' if self.at_most else 'at least'} {self.form.format(self.bound)}"
        found = self.find(report)
        if found is None:
            return Verdict(self.figure, wanted, "-", None)
        met = found <= self.bound if self.at_most else found >= self.bound
        return Verdict(self.figure, wanted, self.form.format(found), met)


def verdicts(report: Report) -> Iterator[Verdict]:
    """Compare a report with every target."""
    for target in TARGETS:
        yield target.judge(report)


def _bulk(report: Report, statement: str) -> Found:
    return next((cost.ratio.median for cost in report.bulk if cost.name.startswith(statement)), None)


def _wal(report: Report, statement: str) -> Found:
    return next((cost.wal_tracked.median for cost in report.bulk if cost.name.startswith(statement)), None)


def _drain(report: Report, receiver: str) -> Found:
    found = next((drain for drain in report.drains if drain.receiver == receiver), None)
    return found.rate.median if found else None


def _last(grown: tuple[Grown, ...]) -> Found:
    return grown[-1].ratio.median if len(grown) > 1 else None


def _over(ours: Found, theirs: list[float]) -> Found:
    """Compare with the best of the peers."""
    return ours / max(theirs) if ours is not None and theirs else None


def _drains_of(report: Report, name: str) -> list[float]:
    return [peer.drain_rate.median for peer in report.peers if peer.name.startswith(name)]


def _sustained_by_peers(report: Report) -> list[float]:
    return [peer.sustained_rate.median for peer in report.peers]


def _latency_over_peers(report: Report) -> Found:
    theirs = [peer.latency.p50 for peer in report.peers]
    return report.latency.idle.sent.p50 / min(theirs) if report.latency and theirs else None


def _sustained(report: Report) -> Found:
    return report.single.running.handled.median if report.single else None


def _peak(report: Report) -> Found:
    return max(memory.peak for memory in report.memory) / MEGABYTE if report.memory else None


def _slowest_page(report: Report) -> Found:
    return max((page.taken.median * 1000 for page in report.console), default=None)


_RATIO, _TIMES, _RATE = "{:.2f}", "{:.2f} x", "{:,.0f} /s"

TARGETS = (
    Target(
        "single-row writes, tracked / untracked, daemon stopped", 0.75, _RATIO,
        lambda r: r.single.ratio.median if r.single else None,
    ),
    Target(
        "single-row writes, daemon running / the same with NOTIFY in every transaction", 1.5, _TIMES,
        lambda r: r.single.bell_gain.median if r.single else None,
    ),
    Target(
        "the same: changes handled / written when the writers stop", 0.95, _RATIO,
        lambda r: r.single.running.share.median if r.single else None,
    ),
    Target("bulk UPDATE, tracked / untracked time", 4.5, _TIMES, lambda r: _bulk(r, "UPDATE"), at_most=True),
    Target("bulk INSERT, tracked / untracked time", 4.0, _TIMES, lambda r: _bulk(r, "INSERT"), at_most=True),
    Target(
        "write-ahead log for each tracked UPDATE of a row of 200 bytes", 910, "{:,.0f} bytes",
        lambda r: _wal(r, "UPDATE"), at_most=True,
    ),
    Target("8 writers and the daemon: changes written and handled", 6_000, _RATE, _sustained),
    Target(
        "the same / the best peer", 2.5, _TIMES, lambda r: _over(_sustained(r), _sustained_by_peers(r))
    ),
    Target("drain, async no-op", 50_000, _RATE, lambda r: _drain(r, "AsyncNoOp")),
    Target(
        "the same / PgQueuer", 3, _TIMES, lambda r: _over(_drain(r, "AsyncNoOp"), _drains_of(r, "PgQueuer"))
    ),
    Target(
        "the same / Graphile Worker", 1, _TIMES, lambda r: _over(_drain(r, "AsyncNoOp"), _drains_of(r, "Graphile"))
    ),
    Target("drain, changed_object read", 20_000, _RATE, lambda r: _drain(r, "AsyncReading")),
    Target("drain, plain no-op", 12_000, _RATE, lambda r: _drain(r, "PlainNoOp")),
    Target("drain, one row written in its own transaction", 2_500, _RATE, lambda r: _drain(r, "Writing")),
    Target(
        "runs that wait on record / those that wait in memory", 0.5, _RATIO,
        lambda r: r.parked.ratio.median if r.parked else None,
    ),
    Target("drain, batch receiver", 100_000, _RATE, lambda r: _drain(r, "Batch")),
    Target(
        "latency p50 / that of an UPDATE with a raw NOTIFY trigger", 1.3, _TIMES,
        lambda r: r.latency.over_trigger.median if r.latency else None, at_most=True,
    ),
    Target("latency p50 / that of the best peer", 1, _TIMES, _latency_over_peers, at_most=True),
    Target(
        "latency p99", 6, "{:.1f} ms", lambda r: r.latency.idle.sent.p99 * 1000 if r.latency else None, at_most=True
    ),
    Target("drain beside the longest history / the shortest", 0.9, _RATIO, lambda r: _last(r.history)),
    Target("drain beside the most hooks that do not match / one", 0.9, _RATIO, lambda r: _last(r.hooks)),
    Target(
        "resident memory, longest backlog / shortest", 1.3, _TIMES,
        lambda r: r.memory[-1].peak / r.memory[0].peak if len(r.memory) > 1 else None, at_most=True,
    ),
    Target("resident memory", 300, "{:,.0f} MB", _peak, at_most=True),
    Target(
        "a daemon leads after its start", 0.3, "{:.2f} s", lambda r: r.starting.ready.median if r.starting else None,
        at_most=True,
    ),
    Target("the slowest page of the console", 100, "{:,.0f} ms", _slowest_page, at_most=True),
)  # fmt: skip
