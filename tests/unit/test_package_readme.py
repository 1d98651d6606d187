"""daemon/README.md is true: what it names is there, each room is on it, and its picture shows the imports."""

from __future__ import annotations

import html
import re
from pathlib import Path

import grimp

CHECKOUT = Path(__file__).resolve().parents[2]
PACKAGE = CHECKOUT / "daemon" / "rowhooks"
PAGE = (CHECKOUT / "daemon" / "README.md").read_text("utf-8")
PICTURE = CHECKOUT / "daemon" / "rooms.svg"
DRAW = "import-linter drawgraph rowhooks | dot -Tsvg -o daemon/rooms.svg"


def named() -> list[str]:
    """Return the files and folders that the page names."""
    spans = re.findall(r"`([^`\n]+)`", PAGE)
    return [span for span in spans if re.fullmatch(r"[\w./-]*\w(\.(py|sql|md|toml|yaml)|/)", span)]


def rooms(below: Path) -> list[str]:
    """Return the packages below a folder, and below those of them that have packages inside."""
    found = [file.parent for file in below.rglob("__init__.py") if file.parent != below]
    return sorted(f"{room.relative_to(below).as_posix()}/" for room in found)


def test_each_file_and_folder_that_the_page_names_is_there() -> None:
    assert len(named()) > 80
    missing = [one for one in named() if not any((root / one).exists() for root in (PACKAGE, CHECKOUT))]
    assert missing == []


def test_the_page_names_each_room_and_each_module_outside_of_one() -> None:
    modules = {file.name for file in PACKAGE.glob("*.py")} - {"__main__.py"}
    assert (set(rooms(PACKAGE)) | modules) - set(named()) == set()


def test_the_page_is_one_page() -> None:
    assert len(PAGE.splitlines()) <= 110


def test_the_picture_shows_the_imports_between_the_rooms_as_they_are() -> None:
    assert DRAW in PAGE
    titles = re.findall(r"<title>(.*?)</title>", PICTURE.read_text("utf-8"))
    arrows = {tuple(html.unescape(title).split("->")) for title in titles if "&gt;" in title}
    graph = grimp.build_graph("rowhooks", cache_dir=None)
    children = graph.find_children("rowhooks")
    for child in children:
        if graph.find_children(child):
            graph.squash_module(child)
    actual = {
        (one.removeprefix("rowhooks"), other.removeprefix("rowhooks"))
        for one in children
        for other in graph.find_modules_directly_imported_by(one)
        if other in children - {one}
    }
    assert arrows == actual, f"draw it again: {DRAW}"


def test_no_arrow_of_the_picture_goes_up() -> None:
    picture = PICTURE.read_text("utf-8")
    edges = re.findall(r'<g id="edge\d+" class="edge">\n<title>(.*?)</title>\n<path [^>]*\bd="M([^"]*)"', picture)
    assert edges
    for title, path in edges:
        heights = [float(y) for _, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", path)]
        # y grows downwards.
        assert heights[0] < heights[-1], html.unescape(title)
