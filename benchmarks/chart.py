"""Chart: a report's main figures as bars, in an SVG file. Needs matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.report import Report

_OURS, _REFERENCE, _PEER = "#1f6f8b", "#9fb4bd", "#c9a66b"


class Bar(NamedTuple):
    """One bar: its name, its length and its colour."""

    name: str
    length: float
    colour: str


class Panel(NamedTuple):
    """Bars that share a scale.

    Args:
        title: what is shown, with its unit and which way is better.
        form: how a bar's figure is written, a format of one number.
        bars: from the top.
    """

    title: str
    form: str
    bars: tuple[Bar, ...]


def panels(report: Report) -> list[Panel]:
    """Return what there is to be drawn."""
    found = (_writing(report), _draining(report), _latency(report))
    return [panel for panel in found if panel.bars]


def draw(report: Report, file: Path) -> None:
    """Draw the chart.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl

    shown = panels(report)
    if not shown:
        return
    # Text stays text, which can be searched; a fixed salt makes the same file of the same report.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rowhooks", "font.family": "sans-serif"}):
        # Not pyplot: it wants a display, or a global state to be told that there is none.
        from matplotlib.figure import Figure

        rows = [len(panel.bars) for panel in shown]
        figure = Figure(figsize=(9, 0.34 * sum(rows) + 0.75 * len(rows)), layout="constrained")
        axes = figure.subplots(len(shown), 1, squeeze=False, height_ratios=[count + 0.6 for count in rows])
        for axis, panel in zip(axes[:, 0], shown, strict=True):
            _draw_panel(axis, panel)
        file.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(file, format="svg", metadata={"Date": None})


def _draw_panel(axis: Any, panel: Panel) -> None:
    bars = axis.barh(
        [bar.name for bar in panel.bars],
        [bar.length for bar in panel.bars],
        color=[bar.colour for bar in panel.bars],
        height=0.7,
    )
    axis.bar_label(bars, labels=[panel.form.format(bar.length) for bar in panel.bars], padding=4, fontsize=9)
    axis.invert_yaxis()
    axis.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
    axis.margins(x=0.12)
    axis.set_xlim(left=0)
    axis.xaxis.set_visible(False)
    axis.tick_params(axis="y", length=0, labelsize=9)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)


def _writing(report: Report) -> Panel:
    bars = []
    if report.single is not None:
        single = report.single
        bars = [
            Bar("untracked", 1, _REFERENCE),
            Bar("rowhooks, no daemon", single.ratio.median, _OURS),
            Bar("rowhooks, daemon running", single.running.tps.over(single.untracked).median, _OURS),
            Bar(
                "rowhooks, NOTIFY in every transaction", single.notifying.tps.over(single.untracked).median, _REFERENCE
            ),
        ]
    bars += [Bar(peer.name, peer.write_ratio.median, _PEER) for peer in report.peers]
    if report.beside_pgq is not None:
        bars.append(Bar("PgQ, on another server", report.beside_pgq.pgq.single.median, _PEER))
    return Panel("Single-row writes, throughput of untracked (more is better)", "{:.2f}", tuple(bars))


def _draining(report: Report) -> Panel:
    bars = [Bar(_shortened(drain.description), drain.rate.median, _OURS) for drain in report.drains]
    bars += [Bar(peer.name, peer.drain_rate.median, _PEER) for peer in report.peers]
    return Panel("Draining a backlog, changes a second (more is better)", "{:,.0f}", tuple(bars))


def _shortened(description: str) -> str:
    return f"rowhooks, {description.replace('`', '').partition(' ')[2]}"


def _latency(report: Report) -> Panel:
    bars = []
    if report.latency is not None:
        found = report.latency
        bars = [
            Bar("NOTIFY alone, to asyncpg", found.notify.sent.p50 * 1000, _REFERENCE),
            Bar("trigger that only sends NOTIFY, to asyncpg", found.trigger.sent.p50 * 1000, _REFERENCE),
            Bar("rowhooks, idle", found.idle.sent.p50 * 1000, _OURS),
            Bar("rowhooks, others writing", found.busy.sent.p50 * 1000, _OURS),
        ]
    bars += [Bar(peer.name, peer.latency.p50 * 1000, _PEER) for peer in report.peers]
    return Panel("Latency from COMMIT to the receiver, median in ms (less is better)", "{:.2f}", tuple(bars))
