"""Where each page of the repository stands on the site, and the reference beside them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from website.command_line import command_line
from website.python_api import python_api
from website.settings_and_metrics import metrics, settings
from website.sql_functions import sql_functions

CHECKOUT = Path(__file__).resolve().parents[1]
DOCS = CHECKOUT / "docs"

OUTSIDE = {
    "README.md": "index.md",
    "CHANGELOG.md": "project/changes.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "daemon/README.md": "project/rooms.md",
}
"""Pages of the repository that are not in docs/, and where they stand on the site."""

FILES = Path("files")
"""Where the site has other files that pages link to."""

REFERENCE: dict[str, Callable[[], Iterator[str]]] = {
    "reference/python.md": python_api,
    "reference/command-line.md": command_line,
    "reference/sql.md": sql_functions,
    "reference/settings.md": settings,
    "reference/metrics.md": metrics,
}
_CODE_OR_LINK = re.compile(r"^ *```.*?^ *```|`[^`\n]*`|\]\((?P<link>[^)\s]+)\)", re.DOTALL | re.MULTILINE)


class BrokenLink(Exception):
    """A page links to what is not there."""


def sources() -> dict[Path, Path]:
    """Return the pages of the repository, and where each stands on the site."""
    inside = {page: page.relative_to(DOCS) for page in sorted(DOCS.rglob("*.md"))}
    return {CHECKOUT / page: Path(place) for page, place in OUTSIDE.items()} | inside


def write(directory: Path) -> None:
    """Write all pages, and the files that they link to, into an empty directory.

    Raises:
        BrokenLink: a page links to what is not there.
    """
    shutil.rmtree(directory, ignore_errors=True)
    pages = sources()
    copied: set[Path] = set()
    for source, place in pages.items():
        text, files = with_links(source, pages)
        _put(directory / place, text)
        copied |= files
    for file in copied:
        target = directory / place_of(file, pages)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    for name, page in REFERENCE.items():
        _put(directory / name, "\n\n".join(page()) + "\n")


def with_links(source: Path, pages: dict[Path, Path]) -> tuple[str, set[Path]]:
    """Return a page with its links as they are on the site, and the other files that it links to.

    Raises:
        BrokenLink: it links to what is not there.
    """
    files: set[Path] = set()

    def linked(found: re.Match[str]) -> str:
        link = found["link"]
        if link is None or link.startswith(("http:", "https:", "mailto:", "#")):
            return found[0]
        path, mark, anchor = link.partition("#")
        target = (source.parent / path).resolve()
        if not target.is_file():
            raise BrokenLink(f"{source.relative_to(CHECKOUT)} links to {link}, which is no file")
        if target not in pages:
            files.add(target)
        return f"]({os.path.relpath(place_of(target, pages), pages[source].parent)}{mark}{anchor})"

    return _CODE_OR_LINK.sub(linked, source.read_text(encoding="utf-8")), files


def place_of(file: Path, pages: dict[Path, Path]) -> Path:
    """Return where the site has a file."""
    if file in pages:
        return pages[file]
    return file.relative_to(DOCS) if file.is_relative_to(DOCS) else FILES / file.relative_to(CHECKOUT)


def _put(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
