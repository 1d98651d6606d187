"""`python -m benchmarks.page build/bench.json`: put a run's tables into docs/performance.md, and draw its chart.

The targets, met and missed, are for those who work on rowhooks: they go into CONTRIBUTING.md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.chart import draw
from benchmarks.report import Report
from benchmarks.tables import Sheet, environment, sheets, targets

BEGIN = "<!-- figures: begin (python -m benchmarks.page) -->"
END = "<!-- figures: end -->"


def as_markdown(sheet: Sheet) -> str:
    """Return a table for the documentation."""
    lines = [f"### {sheet.title}", "", _row(sheet.columns)]
    lines.append(_row(("---", *("---:" if column else "---" for column in sheet.columns[1:]))))
    lines += [_row(row) for row in sheet.rows]
    if sheet.note:
        lines += ["", f"{sheet.note[0].upper()}{sheet.note[1:]}."]
    return "\n".join(lines)


def figures(report: Report) -> str:
    """Return everything between the markers."""
    return "\n\n".join(as_markdown(sheet) for sheet in (environment(report), *sheets(report)))


def aimed(report: Report) -> str:
    """Return the targets, each beside what was measured."""
    return as_markdown(targets(report))


def replace_figures(page: str, new: str) -> str:
    """Return a page with other text between its markers, and all else as it was.

    Raises:
        ValueError: the page does not have each marker once, the first before the second.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs a line {BEGIN!r} and, below it, a line {END!r}, once each")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{rest.partition(END)[2]}"


def _row(cells: tuple[str, ...]) -> str:
    escaped = (cell.replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def main(
    json_file: Annotated[Path, typer.Argument(metavar="JSON", help="What `python -m benchmarks` has written.")],
    page: Annotated[Path, typer.Option(help="The page.")] = Path("docs/performance.md"),
    chart: Annotated[Path, typer.Option(help="The page's chart.")] = Path("docs/performance.svg"),
    aims: Annotated[Path, typer.Option(help="The page with the targets.")] = Path("CONTRIBUTING.md"),
) -> None:
    """Put a run's tables into the pages, between their markers, and draw the chart; what is written by hand stays."""
    report = Report.from_json(json.loads(json_file.read_text(encoding="utf-8")))
    texts = {}
    for path, new in ((page, figures(report)), (aims, aimed(report))):
        try:
            texts[path] = replace_figures(path.read_text(encoding="utf-8"), new)
        except ValueError as error:
            raise typer.BadParameter(f"{path}: {error}") from None
    try:
        draw(report, chart)
    except ImportError:
        raise typer.BadParameter("the chart needs matplotlib: pip install 'rowhooks[bench]'") from None
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
