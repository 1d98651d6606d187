"""What the benchmark makes of its figures: ratios, verdicts, JSON, and the page in docs."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.page import BEGIN, END, aimed, as_markdown, figures, replace_figures
from benchmarks.peer_results import BesidePgQ, Capture, PeerFigures
from benchmarks.peers.peer import Unavailable
from benchmarks.peers.pgq import find_programs
from benchmarks.plan import QUICK
from benchmarks.processor_time import of_processes
from benchmarks.report import Machine, Report
from benchmarks.results import (
    CommandTime,
    Drain,
    Executed,
    Percentiles,
    ProcessorTime,
    Series,
    Single,
    Starting,
    Tasks,
    WorkersFound,
    Writing,
)
from benchmarks.starting import processor_time
from benchmarks.tables import environment, sheets, targets
from benchmarks.targets import verdicts

CHECKOUT = Path(__file__).resolve().parents[2]
EMPTY = Report("2026-01-02T03:04:05+00:00", Machine("a CPU", 2, 2**30, "Linux 6"), {}, {}, QUICK)
DRAIN = Drain("AsyncNoOp", "An `async def` receiver that does nothing", 100_000, Series((40_000.0, 60_000.0, 61_000.0)))


def series(*values: float) -> Series:
    return Series(values)


def single(*, running: float, handled: float, notifying: float) -> Single:
    beside = Writing(series(running), series(handled), series(running - handled), series(handled / running))
    return Single(8, series(10_000), series(8_000), beside, Writing(series(notifying), *(series(1.0),) * 3))


def peer() -> PeerFigures:
    times = Percentiles(0.001, 0.002, 0.003, 0.004)
    return PeerFigures("PgQueuer", "1", "batches of 1", series(0.3), series(12), series(15_000), series(2_000), times)


def test_a_ratio_is_the_median_of_the_rounds_ratios_and_not_the_ratio_of_the_medians() -> None:
    assert series(1, 6, 3).over(series(1, 2, 6)).median == 1


def test_a_report_comes_back_from_its_json() -> None:
    report = replace(
        EMPTY,
        single=single(running=7_000, handled=6_500, notifying=4_000),
        drains=(DRAIN,),
        peers=(peer(),),
        absent={"Graphile Worker": "no node"},
    )

    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


def test_json_has_what_follows_from_the_figures() -> None:
    found = replace(EMPTY, drains=(DRAIN,)).as_json()

    assert found["drains"][0]["rate"] == {
        "values": [40_000, 60_000, 61_000],
        "median": 60_000,
        "low": 40_000,
        "high": 61_000,
    }


def test_a_missed_target_is_shown_as_missed_and_one_not_measured_as_neither() -> None:
    report = replace(EMPTY, single=single(running=7_000, handled=5_500, notifying=4_000))
    met = {verdict.figure: verdict.met for verdict in verdicts(report)}

    assert met["single-row writes, tracked / untracked, daemon stopped"] is True
    assert met["8 writers and the daemon: changes written and handled"] is False
    assert met["the same / Graphile Worker"] is None
    assert targets(report).rows[0][3] == "met"
    assert targets(report).note == f"2 met, 2 missed, {len(list(verdicts(report))) - 4} not measured"


def test_a_figure_without_a_target_is_shown_and_neither_met_nor_missed() -> None:
    shown = targets(replace(EMPTY, drains=(DRAIN,)), measured_only=True)

    assert shown.rows == (("drain, async no-op", "none: it is the machine's", "60,000 /s", ""),)
    assert shown.note == "0 met, 0 missed, 0 not measured"


def test_rowhooks_is_compared_with_pgq_round_by_round() -> None:
    ours = Capture("rowhooks, row triggers", series(0.8, 0.2), series(6, 6), series(5, 5), series(9_000, 1_000))
    statement = replace(ours, name="rowhooks, statement triggers", handled=None)
    theirs = Capture("PgQ", series(0.7, 0.1), series(6, 6), series(5, 5), series(9_000, 500))
    drains = (series(30_000, 20_000), series(90_000, 20_000), series(100_000, 10_000))
    report = replace(EMPTY, beside_pgq=BesidePgQ("15.18 (Debian)", "3.5", "ticks", ours, statement, theirs, *drains))
    found = {verdict.figure: verdict.measured for verdict in verdicts(report)}

    assert found["single-row writes, row triggers / PgQ's trigger in C"] == "1.57"
    assert found["8 writers and the daemon, handled / PgQ"] == "1.50 x"
    assert found["drain, batch receiver / PgQ's bare batches"] == "1.45"
    assert "### Beside PgQ 3.5, on PostgreSQL 15.18" in as_markdown(next(sheets(report)))
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


def test_a_report_says_how_long_its_measurements_took() -> None:
    report = replace(EMPTY, took={"single": 90.0, "bulk": 150.0})

    assert ("length", "4 minutes (single 1.5, bulk 2.5)") in environment(report).rows


def test_the_newest_server_with_the_files_of_pgq_is_measured_and_without_one_the_package_is_named(
    tmp_path: Path,
) -> None:
    shared, programs = tmp_path / "share", tmp_path / "lib"
    for file in (
        shared / "9/extension/pgq.control", shared / "15/extension/pgq.control", shared / "16/extension/pgq.control",
        shared / "17/extension/other.control", programs / "9/bin/postgres", programs / "15/bin/postgres",
        programs / "17/bin/postgres",
    ):  # fmt: skip
        file.parent.mkdir(parents=True)
        file.touch()

    assert find_programs(shared, programs) == programs / "15/bin"
    with pytest.raises(Unavailable, match="apt install postgresql-15-pgq3"):
        find_programs(tmp_path, programs)


def test_several_measurements_tell_of_absent_peers() -> None:
    report = EMPTY.with_found({"absent": {"Graphile Worker": "no node"}}).with_found({"absent": {"PgQ": "no package"}})

    assert report.absent == {"Graphile Worker": "no node", "PgQ": "no package"}
    assert ("PgQ", "not measured: no package") in environment(report).rows


def test_a_peer_stands_beside_us_in_tables_and_targets() -> None:
    report = replace(EMPTY, drains=(DRAIN,), peers=(peer(),))

    assert "| PgQueuer | - | 15,000 |" in as_markdown(next(sheets(report)))
    assert next(v for v in verdicts(report) if v.figure == "the same / PgQueuer").measured == "4.00 x"


def test_the_page_keeps_what_is_written_by_hand() -> None:
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"

    assert replace_figures(page, "new") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="once each"):
        replace_figures(f"{END}\n{BEGIN}\n", "new")


@pytest.mark.parametrize("page", ["docs/performance.md", "CONTRIBUTING.md"])
def test_the_pages_have_their_markers(page: str) -> None:
    assert replace_figures((CHECKOUT / page).read_text(encoding="utf-8"), "a new table").count("a new table") == 1


def test_what_is_missed_is_not_told_to_users() -> None:
    report = replace(EMPTY, drains=(DRAIN,), single=single(running=1, handled=1, notifying=4_000))

    assert ("MISSED" in aimed(report), "MISSED" in figures(report)) == (True, False)
    assert "MISSED" not in (CHECKOUT / "docs/performance.md").read_text(encoding="utf-8")


def test_the_processor_time_of_commands_is_told_by_its_ratio_and_the_dearest_is_judged() -> None:
    nothing = series(0.01, 0.02)
    commands = (
        CommandTime("rowhooks --help", series(0.1, 0.2), nothing, is_listing=False),
        CommandTime("rowhooks status", series(0.2, 0.4), nothing, is_listing=True),
        CommandTime("rowhooks jobs list", series(0.3, 0.8), nothing, is_listing=True),
    )
    report = replace(EMPTY, starting=Starting(*(series(1.0),) * 5, commands))

    rows = [row for sheet in sheets(report) for row in sheet.rows]
    assert any(row[0] == "`rowhooks status`" and row[2].startswith("20.0") for row in rows)
    judged = {one.figure: (one.measured, one.met) for one in verdicts(report) if "processor time of" in one.figure}
    assert list(judged.values()) == [("0.15 s", True), ("0.55 s", False)]
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


def test_the_processor_time_is_that_of_the_process_that_was_run() -> None:
    busy = processor_time("-c", "import time\nwhile time.process_time() < 0.3: pass", dsn="")

    assert busy >= 0.3
    with pytest.raises(subprocess.CalledProcessError):
        processor_time("-c", "raise SystemExit(3)", dsn="")


def test_a_report_says_how_quick_the_machine_was_and_whether_it_stayed_so() -> None:
    rows = {row[0]: row[1] for row in environment(replace(EMPTY, loops=(0.5, 0.52, 1.4))).rows}

    assert rows["10 million additions in a Python loop, before and after each part"] == "0.52 (0.50 .. 1.40) s"


def test_cores_are_those_of_each_stage_and_a_daemon_has_one_at_the_most() -> None:
    here = ProcessorTime(series(0.0002), series(0.0), series(0.0003))
    there = ProcessorTime(series(0.00005), series(0.0004), series(0.0003))
    executed = Executed("Writing", "Writes", ((0, series(100.0)), (1, series(90.0))), here, there)
    times = Percentiles(0.001, 0.002, 0.003, 0.004)
    found = WorkersFound(100, (executed,), (Tasks("Writing", ((1, series(40.0)),)),), times, times)
    report = replace(EMPTY, workers=found)

    rates, processor, cores, _ = sheets(report)

    assert [row[-1] for row in rates.rows] == ["90", "40"]
    assert processor.rows == (("Writes", "200", "300", "50", "400", "300"),)
    assert cores.rows == (("Writes", "0.05 + 0.40 + 0.30", "0.50 + 4.00 + 3.00", "one daemon hands out 20,000/s"),)
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


def test_processor_time_is_that_of_the_processes() -> None:
    clock = of_processes([os.getpid()])
    before, end = clock(), time.process_time() + 0.1
    while time.process_time() < end:
        pass
    assert clock() - before > 0.05
